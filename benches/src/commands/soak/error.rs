//! What ends a soak early.

use std::io;
use std::time::Duration;

use miette::Diagnostic;
use osr_engine::Mechanism;
use thiserror::Error as ThisError;

/// Why a soak ends without success.
#[derive(Debug, ThisError, Diagnostic)]
pub(crate) enum SoakError {
    /// A round computed something else than the interpreter.
    #[error("the soak found a difference\n{text}")]
    #[diagnostic(help(
        "again, with the module: osr-bench soak --seed {seed} --rounds 1 --mechanism {mechanism} --save module.ir"
    ))]
    Differs { seed: u64, mechanism: Mechanism, text: String },
    /// A round ended its process.
    #[error("the soak crashed in the round of seed {seed}, mechanism {mechanism}: {how}")]
    #[diagnostic(help("again: osr-bench soak --seed {seed} --rounds 1 --mechanism {mechanism}"))]
    Crashed { seed: u64, mechanism: Mechanism, how: String },
    /// The process that makes the rounds ends before the first.
    #[error("the soak's process ended before its first round: {0}")]
    NeverBegan(String),
    /// The process that makes the rounds cannot be started.
    #[error("cannot start the process of the soak: {0}")]
    Process(io::Error),
    /// A round does not end.
    #[error("the soak's round of seed {seed}, mechanism {mechanism}, has not ended in {} s", waited.as_secs())]
    #[diagnostic(help("again: osr-bench soak --seed {seed} --rounds 1 --mechanism {mechanism}"))]
    Hangs { seed: u64, mechanism: Mechanism, waited: Duration },
}

impl SoakError {
    /// What the process exits with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            SoakError::Process(_) | SoakError::NeverBegan(_) => 2,
            SoakError::Differs { .. } | SoakError::Crashed { .. } | SoakError::Hangs { .. } => 1,
        }
    }
}
