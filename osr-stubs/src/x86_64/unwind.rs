//! An exception leaves frames: from a call of the runtime that does not return, to the frame that catches.
//!
//! ```text
//!   a thunk or a call of the runtime         ──> unwind ──> Hooks::unwind ──> return_caught, or unwind_to_entry
//!
//!              | the frame that catches |
//!              | slot                   | <── rsp at return_caught
//!              | frames that are left   |
//!   rbp + 8 ──>| slot: the exit's       |
//!   rbp ──────>| rbp of that frame      |  the thunk's frame: popped
//! ```
//!
//! The registers of the frame that called the runtime are saved, the hook makes them those of the frame that catches, and
//! the departure is the [landing](mod@super::landing)'s. Control then *returns* through the frame's slot: into its code, or
//! wherever the slot leads by then.
//!
//! The frames that are left never return, so the returns after that are mispredicted, as after a trap.

use std::arch::naked_asm;
use std::mem::offset_of;

use super::macros::{in_compiled_frame, in_frame};
use crate::context::{Context, Hooks};

/// See the module's description.
///
/// # Safety
/// Jumped to by a stub that has a frame whose return slot is the exit's: `rbp` is its base, the context in `rdi`.
#[unsafe(naked)]
pub unsafe extern "C" fn unwind() {
    naked_asm!(
        ".cfi_startproc",
        in_frame!(),
        "mov rsp, rbp",
        "pop rbp",
        in_compiled_frame!(),
        // The slot stays, since the walk begins there; rsp is a multiple of 16 below it.
        "sub rsp, 8",
        "mov rax, qword ptr [rdi + {unwind_hook}]",
        "jmp osr_landing_save_frame",
        ".cfi_endproc",
        unwind_hook = const offset_of!(Context, hooks) + offset_of!(Hooks, unwind),
    )
}

/// Returns to the frame that catches, with results of zero.
///
/// # Safety
/// Jumped to by the departure of a landing: `rsp` at the slot, callee-saved registers as the frame expects them.
#[unsafe(naked)]
pub unsafe extern "C" fn return_caught() {
    naked_asm!(
        ".cfi_startproc",
        "xor eax, eax",
        "xor edx, edx",
        "xorps xmm0, xmm0",
        "xorps xmm1, xmm1",
        "ret",
        ".cfi_endproc",
    )
}
