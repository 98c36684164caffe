//! Compiled code calls the runtime.
//!
//! ```text
//!   slot ─────>| return address              |  into the compiled frame: Context::exit_slot
//!   rbp ──────>| compiled frame's rbp        |  its value is Context::exit_frame
//!              | Context*                    |
//!              | (poll: all other registers) |
//! ```
//!
//! While the runtime executes, the slot may be hijacked like any other; the stub's `ret` then arrives
//! in the landing stub.

use std::arch::naked_asm;
use std::mem::offset_of;

use crate::context::{Context, Hooks};

/// Calls [`Hooks::runtime`]. Arguments as that takes them; the result in `eax`.
///
/// # Safety
/// Entered by a call from compiled code.
#[unsafe(naked)]
pub unsafe extern "C" fn runtime_call() {
    naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov qword ptr [rdi + {exit_frame}], rbp",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "lea r10, [rbp + 8]",
        "mov qword ptr [rdi + {exit_slot}], r10",
        "push rdi",
        "push rdi",
        "call qword ptr [rdi + {runtime_hook}]",
        "mov rdi, qword ptr [rbp - 8]",
        "test rax, rax",
        "js {unwind}",
        "leave",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
        exit_frame = const offset_of!(Context, exit_frame),
        exit_slot = const offset_of!(Context, exit_slot),
        runtime_hook = const offset_of!(Context, hooks) + offset_of!(Hooks, runtime),
        unwind = sym super::enter::unwind_to_entry,
    )
}

/// The slow path of a poll: calls [`Hooks::poll`] and gives every register back as it was, so that
/// the poll costs its loop nothing but the check.
///
/// An ordinary call would clobber every `xmm` register, and the allocator would keep the loop's floats
/// in memory. Cranelift's scalar code uses the low 16 bytes of the vector registers at most.
///
/// # Safety
/// Entered by a call from compiled code with the context in `rdi`; `rsp` of the caller is 16-byte
/// aligned at the call.
#[unsafe(naked)]
pub unsafe extern "C" fn poll() {
    naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov qword ptr [rdi + {exit_frame}], rbp",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "push rdi", // at rbp - 8
        "push rax",
        "push rcx",
        "push rdx",
        "push rsi",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "sub rsp, 256 + 8",
        "movups xmmword ptr [rsp + 0], xmm0",
        "movups xmmword ptr [rsp + 16], xmm1",
        "movups xmmword ptr [rsp + 32], xmm2",
        "movups xmmword ptr [rsp + 48], xmm3",
        "movups xmmword ptr [rsp + 64], xmm4",
        "movups xmmword ptr [rsp + 80], xmm5",
        "movups xmmword ptr [rsp + 96], xmm6",
        "movups xmmword ptr [rsp + 112], xmm7",
        "movups xmmword ptr [rsp + 128], xmm8",
        "movups xmmword ptr [rsp + 144], xmm9",
        "movups xmmword ptr [rsp + 160], xmm10",
        "movups xmmword ptr [rsp + 176], xmm11",
        "movups xmmword ptr [rsp + 192], xmm12",
        "movups xmmword ptr [rsp + 208], xmm13",
        "movups xmmword ptr [rsp + 224], xmm14",
        "movups xmmword ptr [rsp + 240], xmm15",
        "lea r10, [rbp + 8]",
        "mov qword ptr [rdi + {exit_slot}], r10",
        "lea rsi, [rbp + 16]",
        "call qword ptr [rdi + {poll_hook}]",
        "mov rdi, qword ptr [rbp - 8]",
        "test al, al",
        "jz {unwind}",
        "movups xmm0, xmmword ptr [rsp + 0]",
        "movups xmm1, xmmword ptr [rsp + 16]",
        "movups xmm2, xmmword ptr [rsp + 32]",
        "movups xmm3, xmmword ptr [rsp + 48]",
        "movups xmm4, xmmword ptr [rsp + 64]",
        "movups xmm5, xmmword ptr [rsp + 80]",
        "movups xmm6, xmmword ptr [rsp + 96]",
        "movups xmm7, xmmword ptr [rsp + 112]",
        "movups xmm8, xmmword ptr [rsp + 128]",
        "movups xmm9, xmmword ptr [rsp + 144]",
        "movups xmm10, xmmword ptr [rsp + 160]",
        "movups xmm11, xmmword ptr [rsp + 176]",
        "movups xmm12, xmmword ptr [rsp + 192]",
        "movups xmm13, xmmword ptr [rsp + 208]",
        "movups xmm14, xmmword ptr [rsp + 224]",
        "movups xmm15, xmmword ptr [rsp + 240]",
        "add rsp, 256 + 8",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rsi",
        "pop rdx",
        "pop rcx",
        "pop rax",
        "pop rdi",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
        exit_frame = const offset_of!(Context, exit_frame),
        exit_slot = const offset_of!(Context, exit_slot),
        poll_hook = const offset_of!(Context, hooks) + offset_of!(Hooks, poll),
        unwind = sym super::enter::unwind_to_entry,
    )
}

/// Where a frame goes that was hijacked at a poll, once it has stored its state: calls
/// [`Hooks::left_poll`], and lands.
///
/// The poll itself returned into the frame although it is hijacked, since only the frame's code knows where
/// the state is. Its slot, which the poll was called through, is that of this call, too: a compiled
/// frame calls everything from the same stack pointer. So the landing finds the record of the poll.
///
/// # Safety
/// Entered by a call from compiled code with the context in `rdi`, after a poll that left the frame's record in
/// the ledger.
#[unsafe(naked)]
pub unsafe extern "C" fn left_poll() {
    naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        // The call's own return address leads into code that ends here.
        "lea rax, [rip + osr_landing]",
        "mov qword ptr [rbp + 8], rax",
        "call qword ptr [rdi + {left_poll_hook}]",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
        left_poll_hook = const offset_of!(Context, hooks) + offset_of!(Hooks, left_poll),
    )
}
