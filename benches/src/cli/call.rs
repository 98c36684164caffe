//! The options of commands that call a function of a program.

use std::path::PathBuf;

use clap::Args;

use super::engine::EngineOptions;
use crate::guest::added::AddOption;
use crate::guest::step::{ReadOption, WriteOption};

/// Options that choose what is called, and how.
#[derive(Debug, Args)]
pub(crate) struct CallOptions {
    /// The program: a .wasm, .wat or .ir file; with `run`, also a .wast script.
    pub(crate) program: PathBuf,
    /// Arguments of the function; of a WASI program, after `--`, its own.
    #[arg(value_name = "ARG", allow_negative_numbers = true)]
    pub(crate) arguments: Vec<String>,
    /// The exported function to call [default: `run`, else `_start`, else `main`, else the only one; `_start` first
    /// in a WASI program]. May be repeated: what is called before the last one has its arguments here, too.
    #[arg(long, value_name = "NAME[=ARG,..]")]
    pub(crate) invoke: Vec<String>,
    /// The exported function that sets the module up, before anything else is called (default: `_initialize`, else
    /// `__wasm_call_ctors`, if there is one of type () -> (), and `_start` is not called).
    #[arg(long, value_name = "NAME")]
    pub(crate) init: Option<String>,
    /// Write the contents of FILE to memory at ADDRESS, before the functions are called; may be repeated. Of another
    /// memory than the first, write `m1:ADDRESS`, or its name among the exports.
    #[arg(long, value_name = "ADDRESS=FILE")]
    pub(crate) write: Vec<WriteOption>,
    /// Print so many bytes at ADDRESS of memory afterwards, as hexadecimal digits; may be repeated. Memories are named as
    /// with --write.
    #[arg(long, value_name = "ADDRESS=LENGTH")]
    pub(crate) read: Vec<ReadOption>,
    /// Add the bodies and state maps of FILE to functions of the program at the entry of the CALLth call of a function that it
    /// defines, and do what the `redefine` in FILE says; may be repeated. Implies --points.
    #[arg(long, value_name = "CALL=FILE")]
    pub(crate) add: Vec<AddOption>,
    /// Force the transitions that --record has written to FILE, instead of --stress. The program, its
    /// arguments and all options that decide where safepoints are must be the same.
    #[arg(long, value_name = "FILE")]
    pub(crate) replay: Option<PathBuf>,
    /// Options of the engine.
    #[command(flatten)]
    pub(crate) engine: EngineOptions,
}
