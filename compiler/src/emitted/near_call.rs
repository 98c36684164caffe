//! Near calls: calls through a word that is so near to code memory that the instruction has its distance.
//!
//! ```text
//!   by the context:   mov rax, [context + cells]        near:   call [rip + distance]
//!                     mov rax, [rax + 8 * number]
//!                     call rax
//! ```
//!
//! A near call takes no register, and the first of its loads would be a value that lives across all calls. Cranelift has no
//! such instruction: it emits a `call rel32`, which is [replaced](super::tightening) by one through the word.

use cranelift_codegen::ir;

/// A call through a near word, in code without its distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NearCall {
    /// The distance goes there, in the code. It counts from the end of the instruction.
    pub offset: u32,
    /// The word that has the address of what is called.
    pub word: NearWord,
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
}

/// `call [rip + distance]`, without the distance.
pub(crate) const NEAR_CALL: [u8; 6] = [0xff, 0x15, 0, 0, 0, 0];
/// Where in a near call the distance is.
pub(crate) const NEAR_DISTANCE: u32 = 2;
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
