//! Running a pad: cold code that knows where compiled code keeps its values, and stores them.
//!
//! Where state recording is *pads*, the frame map of a call site is code: the call's exception handler,
//! as the register allocator has compiled it. A landing executes it in the old frame, as if the callee
//! had thrown:
//!
//! ```text
//!   landing ──> Hooks::land ──> run_pad ──> the pad ──call──> pad_done ──> Hooks::land_from_pad ──> departure
//!               results,                    stores every                   all else, as without
//!               constants                   other value                    a pad
//!
//!              | its own return address   |
//!   old rbp ──>| its caller's rbp         |  the pad reads callee-saved registers and the frame, both
//!              | callee-saved registers   |  as they were when the callee returned
//!              | that it saved, slots     |
//!              | and spills               |
//!              | outgoing stack arguments |
//!   slot ─────>| into the pad             |  where the hijacked slot was; nothing returns there
//!              | Hooks::land_from_pad     |
//! ```
//!
//! Registers at the pad: `rax` (first payload of an exception) is the address of the frame state, one
//! word for each register of the body; `rdx` (the second) the address to call when everything is
//! stored; `rbx`, `r12` to `r15`, `rbp`, `rsp` as the callee left them. The pad may use all
//! registers but `rbp` and `rsp`: those that matter were saved when the landing arrived.

use std::arch::naked_asm;
use std::mem::offset_of;

use super::macros::{in_compiled_frame, in_frame, load_current_context};
use crate::context::{Context, Hooks, LandingRegisters};

/// Executes the pad at [`LandingRegisters::pad`].
///
/// # Safety
/// Jumped to by the landing stub: the context in `rdi`, the frame state's address in `rsi`, everything
/// else as the landing found it.
#[unsafe(naked)]
pub unsafe extern "C" fn run_pad() {
    naked_asm!(
        ".cfi_startproc",
        in_compiled_frame!(),
        // The payloads of an exception, as the allocator has compiled the handler to expect them.
        "mov rax, rsi",
        "lea rdx, [rip + {done}]",
        "jmp qword ptr [rdi + {pad}]",
        ".cfi_endproc",
        done = sym pad_done,
        pad = const offset_of!(Context, landing) + offset_of!(LandingRegisters, pad),
    )
}

/// What a pad calls last, with nothing in registers. The old frame is still whole; the landing continues where
/// it calls its hook.
#[unsafe(naked)]
unsafe extern "C" fn pad_done() {
    naked_asm!(
        ".cfi_startproc",
        in_compiled_frame!(),
        // The return address leads behind the pad, where nothing is. Without it, rsp is as the landing found
        // it. The processor's return predictor keeps it, and is one entry ahead from here on.
        "add rsp, 8",
        // All registers are the pad's: the context is only in thread-local storage.
        load_current_context!("rdi"),
        "mov rax, qword ptr [rdi + {hook}]",
        "jmp osr_landing_call_hook",
        ".cfi_endproc",
        hook = const offset_of!(Context, hooks) + offset_of!(Hooks, land_from_pad),
    )
}
