//! The options of commands that call a function of a program.

use std::path::PathBuf;

use clap::Args;

use super::engine::EngineOptions;

/// Options that choose what is called, and how.
#[derive(Debug, Args)]
pub(crate) struct CallOptions {
    /// The program: a .wasm, .wat or .ir file.
    pub(crate) program: PathBuf,
    /// Arguments of the function.
    #[arg(value_name = "ARG", allow_negative_numbers = true)]
    pub(crate) arguments: Vec<String>,
    /// The exported function to call [default: `run`, else `_start`, else `main`, else the only one].
    #[arg(long, value_name = "NAME")]
    pub(crate) invoke: Option<String>,
    /// Force the transitions that --record has written to FILE, instead of --stress. The program, its
    /// arguments and all options that decide where safepoints are must be the same.
    #[arg(long, value_name = "FILE")]
    pub(crate) replay: Option<PathBuf>,
    /// Options of the engine.
    #[command(flatten)]
    pub(crate) engine: EngineOptions,
}
