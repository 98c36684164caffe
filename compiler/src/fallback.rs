//! Fallbacks: code that was made in another way than it was asked for.

use thiserror::Error;

use crate::settings::StateRecording;

/// What was not done as the settings say, and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fallback {
    /// Cranelift made the baseline code.
    #[error("by Cranelift, since the single-pass compiler refuses it: {reason}")]
    Compiler {
        /// Why the single-pass compiler did not.
        reason: String,
    },
    /// Frame states are recorded in another way.
    #[error("frame states: {} in place of {}, since {reason}", to.name(), from.name())]
    Recording {
        /// What was asked for.
        from: StateRecording,
        /// What the code has.
        to: StateRecording,
        /// What was wrong with code that has what was asked for.
        reason: String,
    },
}
