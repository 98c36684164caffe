//! The current thread's [`Context`] in thread-local storage.
//!
//! Two readers cannot be handed it in a register: the landing stub (a return carries results, nothing
//! else) and the fault handler. A `thread_local!` has no symbol that assembly could name, so the
//! variable is defined here; the initial-exec access below is async-signal-safe and costs two loads.

use std::arch::{global_asm, naked_asm};

use super::macros::load_current_context;
use crate::context::Context;

global_asm!(
    // Writable, allocated, zeroed for each thread. Hidden: the offset is known when the program is linked.
    ".pushsection .tbss.osr_current_context, \"awT\", @nobits",
    ".p2align 3",
    ".hidden osr_current_context",
    ".globl osr_current_context",
    ".type osr_current_context, @object",
    ".size osr_current_context, 8",
    "osr_current_context:",
    ".zero 8",
    ".popsection",
);

/// The context whose guest code this thread executes; null if none.
#[unsafe(naked)]
pub extern "C" fn current() -> *mut Context {
    naked_asm!(".cfi_startproc", load_current_context!("rax"), "ret", ".cfi_endproc",)
}

/// Makes `context` the thread's current one.
///
/// # Safety
/// It must be null or stay valid until it is replaced.
#[unsafe(naked)]
pub unsafe extern "C" fn set_current(context: *mut Context) {
    naked_asm!(
        ".cfi_startproc",
        // As in `load_current_context!`, with a store in the end.
        "mov rax, qword ptr [rip + osr_current_context@gottpoff]",
        "mov qword ptr fs:[rax], rdi",
        "ret",
        ".cfi_endproc",
    )
}
