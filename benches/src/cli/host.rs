//! The options that choose what a program is given from outside.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use serde::{Deserialize, Serialize};

/// Options that choose what a program imports.
#[derive(Debug, Default, Args)]
pub(crate) struct HostOptions {
    /// What supplies imports. `wasi`: WASI preview 1, and what the test programs import from `env` (default).
    /// `stub`: those, and functions that return zeros, which are reported. `trap`: those, and functions that trap
    /// when they are called. `replay:FILE`: what they did in the run that --record-imports has written to FILE;
    /// with other calls the run fails. Memories and tables are always supplied, globals by the last three, and by --global.
    #[arg(long, value_name = "POLICY")]
    pub(crate) imports: Option<ImportPolicy>,
    /// Give an imported global this value; may be repeated. Those of `stub`, `trap` and `replay` are zero otherwise,
    /// but for `__stack_pointer`, which is the end of memory; a replay gives what was given when it was recorded.
    #[arg(long, value_name = "MODULE.NAME=VALUE")]
    pub(crate) global: Vec<Variable>,
    /// Write what imported functions returned, and what they changed in memory, to FILE, for `--imports
    /// replay:FILE`, which then needs no directories, streams or clocks.
    #[arg(long, value_name = "FILE")]
    pub(crate) record_imports: Option<PathBuf>,
    /// Let a WASI program reach the directory HOST, as GUEST; may be repeated.
    #[arg(long, value_name = "HOST[::GUEST]")]
    pub(crate) dir: Vec<Directory>,
    /// Put a variable into a WASI program's environment, which is empty otherwise; may be repeated. Of several values of one
    /// variable the last counts.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<Variable>,
}

/// What supplies imports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ImportPolicy {
    /// WASI, where it is imported from; nothing else.
    Wasi,
    /// Functions that return zeros.
    Stub,
    /// Functions that trap.
    Trap,
    /// What functions did in a run that `--record-imports` has recorded in this file.
    Replay(PathBuf),
}

impl FromStr for ImportPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<ImportPolicy, String> {
        match text {
            "wasi" => Ok(ImportPolicy::Wasi),
            "stub" => Ok(ImportPolicy::Stub),
            "trap" => Ok(ImportPolicy::Trap),
            _ => match text.strip_prefix("replay:") {
                Some(path) if !path.is_empty() => Ok(ImportPolicy::Replay(PathBuf::from(path))),
                _ => Err("write wasi, stub, trap or replay:FILE".to_owned()),
            },
        }
    }
}

/// A directory, and its path in the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directory {
    /// Where it is.
    pub(crate) host: PathBuf,
    /// What the guest calls it.
    pub(crate) guest: String,
}

impl FromStr for Directory {
    type Err = String;

    fn from_str(text: &str) -> Result<Directory, String> {
        let (host, guest) = text.split_once("::").unwrap_or((text, text));
        if host.is_empty() || guest.is_empty() {
            return Err("write HOST, or HOST::GUEST: ./data::/data".to_owned());
        }
        Ok(Directory { host: PathBuf::from(host), guest: guest.to_owned() })
    }
}

/// A variable of the environment, or a global.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Variable {
    /// Its name.
    pub(crate) name: String,
    /// Its value.
    pub(crate) value: String,
}

impl FromStr for Variable {
    type Err = String;

    fn from_str(text: &str) -> Result<Variable, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                Ok(Variable { name: name.to_owned(), value: value.to_owned() })
            }
            _ => Err("write NAME=VALUE".to_owned()),
        }
    }
}
