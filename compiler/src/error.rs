//! Why a body is not compiled.

use thiserror::Error;

/// A body could not be compiled; it stays in the interpreter.
#[derive(Clone, Debug, Error)]
pub enum CompileError {
    /// Cranelift refused.
    #[error("code generation failed: {0}")]
    Cranelift(String),
    /// An optimization has made an instruction that traps, of which it is not known where in the body it is.
    #[error("an instruction traps, and it is not known at which point")]
    TrapWithoutPoint,
    /// It was to continue for several activations, of which some are not inlined.
    #[error("not all calls are inlined that its frames would stand for")]
    NotInlined,
    /// The compiler panicked, beside the guest: a bug.
    #[error("the compiler panicked: {0}")]
    Panicked(String),
    /// The arena is full.
    #[error("no code memory is left")]
    NoCodeMemory,
    /// The place for the code is that of a version that is not drained yet.
    #[error("the code that it replaces is not drained yet")]
    PlaceOccupied,
    /// The place for the code is too small.
    #[error(
        "its code of {bytes} bytes does not fit the place of {available} bytes of the code that it replaces"
    )]
    PlaceTooSmall {
        /// What it would take.
        bytes: usize,
        /// What there is.
        available: usize,
    },
    /// No jump could be written behind one of its calls.
    #[error("two of its calls are too near to one another to be invalidation points")]
    NoRoom,
    /// Compiling it would take too much memory.
    #[error(
        "compiling its {instructions} instructions would take some {} MB, and {} MB are allowed",
        bytes >> 20, limit >> 20
    )]
    UnitTooLarge {
        /// Instructions in the unit.
        instructions: u32,
        /// What compiling them would take, as it is estimated.
        bytes: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The frame would not fit the stack reserve.
    #[error("its frame of {bytes} bytes exceeds the limit of {limit}")]
    FrameTooLarge {
        /// What it would take.
        bytes: u32,
        /// What is allowed.
        limit: u32,
    },
}

impl CompileError {
    /// Whether there was too much of it: with less it might be compiled.
    pub fn is_of_size(&self) -> bool {
        matches!(self, CompileError::FrameTooLarge { .. } | CompileError::UnitTooLarge { .. })
    }
}
