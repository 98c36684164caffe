//! The phase of a thread: what it is doing, as far as others have to know before they ask it for something.
//!
//! ```text
//!   embedder:  Outside ──call──> Guest ──host function──> Outside ──call──> Guest ──> ...
//!                 │                ├──> Landing
//!                 └──> Replacing   └──> Replacing         any of them ──> Observing
//! ```
//!
//! Only outside can the guest be called and its frames be replaced on the spot: there the stack can be walked,
//! and no code pointer or ledger record is in the runtime's hands. The phase changes where control passes
//! between the engine and the embedder's code. A poll changes nothing, nor does a landing that is not
//! watched: both are the guest's own.

use std::fmt;

use thiserror::Error;

/// What a thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The embedder or a host function has control.
    Outside,
    /// The guest executes, or the runtime works for it.
    Guest,
    /// A hijacked frame lands: it is half there, and the stack cannot be walked.
    Landing,
    /// Frames are chosen or replaced.
    Replacing,
    /// An observer is told of an event.
    Observing,
    /// A host function [accesses](crate::HostCall::with_memory) a memory of the store.
    MemoryLent,
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Phase::Outside => "the embedder has control",
            Phase::Guest => "the guest executes",
            Phase::Landing => "a frame lands",
            Phase::Replacing => "frames are being replaced",
            Phase::Observing => "an observer is told of an event",
            Phase::MemoryLent => "a host function accesses memory",
        })
    }
}

/// A thread was asked for something that it cannot do in its present phase. Nothing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "not while {phase}: host functions can ask for this, and the embedder while the guest does not execute; observers request it"
)]
pub struct NotNow {
    /// What the thread was doing.
    pub phase: Phase,
}
