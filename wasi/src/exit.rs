//! How a program ends by `proc_exit`.

use osr_engine::{InvokeError, Trap};
use thiserror::Error;

/// The program has called `proc_exit`: the [cause](Trap::cause) of the trap that its call ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("exit code {code}")]
pub struct Exit {
    /// What it exits with.
    pub code: i32,
}

impl Exit {
    /// The exit that `trap` is, if it is one.
    pub fn of(trap: &Trap) -> Option<Exit> {
        trap.cause().copied()
    }
}

/// The exit code of a program whose call ended with `error`; `None` if it did not end by `proc_exit`.
pub fn exit_code(error: &InvokeError) -> Option<i32> {
    match error {
        InvokeError::Trap(trap) => Exit::of(trap).map(|exit| exit.code),
        _ => None,
    }
}
