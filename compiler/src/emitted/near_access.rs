//! Near accesses: calls through a word, and comparisons of one, that is so near to code memory that the instruction has its
//! distance.
//!
//! ```text
//!   by the context:   mov rax, [context + cells]        near:   call [rip + distance]
//!                     mov rax, [rax + 8 * number]
//!                     call rax
//! ```
//!
//! A near access takes no register, and the first of its loads would be a value that lives across all calls, and in all loops that
//! poll. Cranelift has no such instructions: it emits a `call rel32`, which is [replaced](super::tightening) by one through the
//! word, and compares a word of the frame, which [becomes](super::near_polls) a comparison of the near one.

use cranelift_codegen::ir;
use osr_stubs::POLL_REQUEST;

/// An instruction that accesses a near word, in code without its distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NearAccess {
    /// The distance goes there, in the code.
    pub offset: u32,
    /// Where the instruction ends. The distance counts from there.
    pub end: u32,
    /// The word.
    pub word: NearWord,
}

impl NearAccess {
    /// A near call at `start` in the code.
    pub(crate) fn call(start: u32, word: NearWord) -> NearAccess {
        NearAccess { offset: start + 2, end: start + NEAR_CALL.len() as u32, word }
    }

    /// A near comparison at `start` in the code.
    pub(crate) fn comparison(start: u32, word: NearWord) -> NearAccess {
        NearAccess { offset: start + 3, end: start + NEAR_COMPARISON.len() as u32, word }
    }
}

/// A word near code memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NearWord {
    /// The call cell of the function with that number in the store.
    Cell(u32),
    /// The address of the stub that polls call.
    PollStub,
    /// The address of the stub by which frames leave at polls.
    LeftPollStub,
    /// [`POLL_REQUEST`](osr_stubs::POLL_REQUEST) where polls are requested, and otherwise something else.
    PollRequest,
}

/// `call [rip + distance]`, without the distance.
pub(crate) const NEAR_CALL: [u8; 6] = [0xff, 0x15, 0, 0, 0, 0];
/// `cmp qword [rip + distance], -1`, without the distance.
pub(crate) const NEAR_COMPARISON: [u8; 8] = [0x48, 0x83, 0x3d, 0, 0, 0, 0, POLL_REQUEST as u8];
/// Where in the `call rel32` that Cranelift emits the distance is.
pub(crate) const DIRECT_DISTANCE: u32 = 1;

/// What Cranelift knows functions by: a namespace for each way to call them.
pub(crate) enum Called {
    /// Directly, by its index in the module.
    Function(u32),
    /// Through its cell, by its number in the store.
    Cell(u32),
    /// The stub by which frames leave at polls, through its near word.
    LeftPollStub,
}

impl Called {
    /// Cranelift's name for it.
    pub(crate) fn name(self) -> ir::UserExternalName {
        match self {
            Called::Function(index) => ir::UserExternalName { namespace: 0, index },
            Called::Cell(index) => ir::UserExternalName { namespace: 1, index },
            Called::LeftPollStub => ir::UserExternalName { namespace: 2, index: 0 },
        }
    }

    /// What has that name.
    pub(crate) fn of(name: &ir::UserExternalName) -> Called {
        match name.namespace {
            0 => Called::Function(name.index),
            1 => Called::Cell(name.index),
            2 => Called::LeftPollStub,
            namespace => unreachable!("there is no namespace {namespace}"),
        }
    }
}
