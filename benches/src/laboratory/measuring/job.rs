//! What a worker is asked for, and what it answers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::clock::Clock;
use super::variant::Variant;
use crate::error::Error;
use crate::guest::load::{self, Program};
use crate::guest::suite;
use crate::laboratory::kernels;

/// A call of a function of a program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Subject {
    /// Where the program is.
    pub(crate) origin: Origin,
    /// The exported function; none: the default one.
    pub(crate) invoke: Option<String>,
    /// Its arguments, as text.
    pub(crate) arguments: Vec<String>,
    /// What it returns, as text.
    pub(crate) expected: String,
    /// Whether each call finds the state that the first one found.
    pub(crate) rewind: bool,
}

/// Where a program is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Origin {
    /// In this binary, under that name.
    Bundled(String),
    /// In this binary, a kernel of that name.
    Kernel(String),
    /// In a file.
    File(PathBuf),
}

impl Subject {
    /// What it is called.
    pub(crate) fn name(&self) -> String {
        match &self.origin {
            Origin::Bundled(name) | Origin::Kernel(name) => name.clone(),
            Origin::File(path) => path.display().to_string(),
        }
    }

    /// Reads the program.
    pub(crate) fn load(&self) -> Result<Program, Error> {
        self.origin.load()
    }
}

impl Origin {
    /// The bundled program of that name, or else the file.
    pub(crate) fn named(name: &str) -> Origin {
        match suite::all().iter().any(|program| program.name == name) {
            true => Origin::Bundled(name.to_owned()),
            false => Origin::File(name.into()),
        }
    }

    /// Reads the program.
    pub(crate) fn load(&self) -> Result<Program, Error> {
        match self {
            Origin::Bundled(name) => suite::load(name),
            Origin::Kernel(name) => kernels::load(name),
            Origin::File(path) => load::load(path),
        }
    }

    /// The program as a WebAssembly module; none if it is textual IR.
    #[cfg(feature = "peers")]
    pub(crate) fn bytes(&self) -> Result<Option<Vec<u8>>, String> {
        match self {
            Origin::Bundled(name) => Ok(Some(suite::bytes(name).to_vec())),
            Origin::Kernel(_) => Ok(None),
            Origin::File(path) => load::wasm_bytes(path),
        }
    }
}

/// What a worker process does: all variants of one program against one another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    /// What to call.
    pub(crate) subject: Subject,
    /// In which variants.
    pub(crate) variants: Vec<Variant>,
    /// How often each is sampled.
    pub(crate) rounds: usize,
    /// No round begins after that many nanoseconds, except the first few.
    pub(crate) budget_ns: u64,
    /// A sample makes as many calls as take about that many nanoseconds.
    pub(crate) sample_ns: u64,
    /// What samples are timed with.
    pub(crate) clock: Clock,
    /// Of the order in a round, and of the placement of code.
    pub(crate) seed: u64,
}

/// A worker's answer, in the order of the job's variants.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reply {
    /// By variant.
    pub(crate) measured: Vec<Measured>,
}

/// What a worker found of one variant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Measured {
    /// It was measured.
    Times {
        /// The time of one call in nanoseconds, by round.
        nanoseconds: Vec<f64>,
        /// Bytes of its compiled code, where that is known.
        code_bytes: Option<u64>,
    },
    /// It cannot be executed so.
    Failed(String),
    /// It gave what it should not.
    Differs(String),
}
