//! Compiled code calls a function that has no compiled code, and a landed frame resumes in the
//! interpreter. Both build the same frame; both leave it by one of the [exits](crate::Exit).
//!
//! ```text
//!              | stack arguments             |
//!   slot ─────>| return address              |  owned by this thunk: Context::exit_slot
//!   rbp ──────>| caller's rbp                |  its value is Context::exit_frame
//!              | (padding)                   |
//!              | NativeCall.state            |
//!              | ...                         |
//!   rsp ──────>| NativeCall.arguments        |
//! ```
//!
//! The thunk owns the return slot, so that the stack does not grow with the number of transitions: on
//! [`Exit::Continue`](crate::Exit::Continue) and [`Exit::Enter`](crate::Exit::Enter) its frame is popped first and the code that continues
//! returns straight to the thunk's caller.

use std::arch::naked_asm;
use std::mem::offset_of;

use crate::context::{Context, Hooks, NativeArguments, NativeCall, NativeResults};

/// The size of the thunk's frame below `rbp`: a `NativeCall`, rounded up to keep `rsp` aligned.
const FRAME: usize = size_of::<NativeCall>().next_multiple_of(16);

/// What compiled code reaches when it calls a function that is not compiled. The function's stub in the
/// code arena has put the function's number into `eax`; all argument registers are the caller's.
///
/// # Safety
/// Entered by a call from compiled code, with the context in `rdi`.
#[unsafe(naked)]
pub unsafe extern "C" fn enter_interpreter() {
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
        "push rdi", // kept for the way out; with the next word it keeps rsp aligned
        "push rdi",
        "sub rsp, {frame}",
        "mov qword ptr [rsp + {integer} + 0], rsi",
        "mov qword ptr [rsp + {integer} + 8], rdx",
        "mov qword ptr [rsp + {integer} + 16], rcx",
        "mov qword ptr [rsp + {integer} + 24], r8",
        "mov qword ptr [rsp + {integer} + 32], r9",
        "movsd qword ptr [rsp + {float} + 0], xmm0",
        "movsd qword ptr [rsp + {float} + 8], xmm1",
        "movsd qword ptr [rsp + {float} + 16], xmm2",
        "movsd qword ptr [rsp + {float} + 24], xmm3",
        "movsd qword ptr [rsp + {float} + 32], xmm4",
        "movsd qword ptr [rsp + {float} + 40], xmm5",
        "movsd qword ptr [rsp + {float} + 48], xmm6",
        "movsd qword ptr [rsp + {float} + 56], xmm7",
        "lea r10, [rbp + 16]",
        "mov qword ptr [rsp + {stack}], r10",
        "mov esi, eax",
        "mov rdx, rsp",
        "call qword ptr [rdi + {call_hook}]",
        "jmp {leave}",
        ".cfi_endproc",
        exit_frame = const offset_of!(Context, exit_frame),
        exit_slot = const offset_of!(Context, exit_slot),
        frame = const FRAME,
        integer = const offset_of!(NativeCall, arguments) + offset_of!(NativeArguments, integer),
        float = const offset_of!(NativeCall, arguments) + offset_of!(NativeArguments, float),
        stack = const offset_of!(NativeCall, arguments) + offset_of!(NativeArguments, stack),
        call_hook = const offset_of!(Context, hooks) + offset_of!(Hooks, call),
        leave = sym leave_interpreter,
    )
}

/// Where a landing in the interpreter continues: as if the popped frame's function were called anew,
/// with its frame state in the thread's hands instead of arguments.
///
/// # Safety
/// Jumped to by the landing stub: the context in `rdi`, `rsp` at the popped frame's own return slot,
/// callee-saved registers as its caller expects them.
#[unsafe(naked)]
pub unsafe extern "C" fn resume_interpreter() {
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
        "sub rsp, {frame}",
        "mov rsi, rsp",
        "call qword ptr [rdi + {resume_hook}]",
        "jmp {leave}",
        ".cfi_endproc",
        exit_frame = const offset_of!(Context, exit_frame),
        exit_slot = const offset_of!(Context, exit_slot),
        frame = const FRAME,
        resume_hook = const offset_of!(Context, hooks) + offset_of!(Hooks, resume),
        leave = sym leave_interpreter,
    )
}

/// The common way out of both thunks: `eax` is the [`Exit`](crate::Exit), `rsp` and `rbp` are as the
/// thunk left them at its call.
#[unsafe(naked)]
unsafe extern "C" fn leave_interpreter() {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_def_cfa rbp, 16",
        ".cfi_offset rbp, -16",
        "mov rdi, qword ptr [rbp - 8]",
        "cmp eax, 1",
        "je {unwind}",
        "ja 2f",
        // Done: results into their registers.
        "mov rax, qword ptr [rsp + {result_integer} + 0]",
        "mov rdx, qword ptr [rsp + {result_integer} + 8]",
        "movsd xmm0, qword ptr [rsp + {result_float} + 0]",
        "movsd xmm1, qword ptr [rsp + {result_float} + 8]",
        ".cfi_remember_state",
        "leave",
        ".cfi_def_cfa rsp, 8",
        "ret",
        // Continue: this frame goes, the code takes its place.
        ".cfi_restore_state",
        "2:",
        "cmp eax, 3",
        "mov rax, qword ptr [rsp + {code}]",
        "je 3f",
        "mov rsi, qword ptr [rsp + {state}]",
        ".cfi_remember_state",
        "leave",
        ".cfi_def_cfa rsp, 8",
        "jmp rax",
        // Enter: as Continue, with the arguments as they came. Those on the stack never moved.
        ".cfi_restore_state",
        "3:",
        "mov rsi, qword ptr [rsp + {integer} + 0]",
        "mov rdx, qword ptr [rsp + {integer} + 8]",
        "mov rcx, qword ptr [rsp + {integer} + 16]",
        "mov r8, qword ptr [rsp + {integer} + 24]",
        "mov r9, qword ptr [rsp + {integer} + 32]",
        "movsd xmm0, qword ptr [rsp + {float} + 0]",
        "movsd xmm1, qword ptr [rsp + {float} + 8]",
        "movsd xmm2, qword ptr [rsp + {float} + 16]",
        "movsd xmm3, qword ptr [rsp + {float} + 24]",
        "movsd xmm4, qword ptr [rsp + {float} + 32]",
        "movsd xmm5, qword ptr [rsp + {float} + 40]",
        "movsd xmm6, qword ptr [rsp + {float} + 48]",
        "movsd xmm7, qword ptr [rsp + {float} + 56]",
        "leave",
        ".cfi_def_cfa rsp, 8",
        "jmp rax",
        ".cfi_endproc",
        unwind = sym super::enter::unwind_to_entry,
        result_integer = const offset_of!(NativeCall, results) + offset_of!(NativeResults, integer),
        result_float = const offset_of!(NativeCall, results) + offset_of!(NativeResults, float),
        integer = const offset_of!(NativeCall, arguments) + offset_of!(NativeArguments, integer),
        float = const offset_of!(NativeCall, arguments) + offset_of!(NativeArguments, float),
        state = const offset_of!(NativeCall, state),
        code = const offset_of!(NativeCall, code),
    )
}
