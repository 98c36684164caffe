//! Compiled code calls a function that has no compiled code, and a landed frame resumes in the
//! interpreter. Both build the same frame; both leave it by one of the [exits](Exit).
//!
//! ```text
//!              | stack arguments             |
//!   slot ─────>| return address              |  owned by this thunk: Context::exit_slot
//!   rbp ──────>| caller's rbp                |  its value is Context::exit_frame
//!              | Context*                    |
//!              | (padding)                   |
//!              | NativeCall.state            |
//!              | ...                         |
//!   rsp ──────>| NativeCall.arguments        |
//! ```
//!
//! The thunk owns the return slot, so that the stack does not grow with the number of transitions: on
//! [`Exit::Continue`] and [`Exit::Enter`] its frame is popped first and the code that continues returns straight
//! to the thunk's caller. One call is then matched by one return, as the processor's return predictor expects.

use std::arch::naked_asm;
use std::mem::offset_of;

use super::macros::{each_xmm_argument, exit_stub, in_frame, load_arguments, load_results, store_arguments};
use crate::context::{Context, Exit, Hooks, NativeArguments, NativeCall, NativeResults};

/// Bytes for the `NativeCall` in the thunk's frame, rounded up to keep `rsp` aligned.
const FRAME: usize = size_of::<NativeCall>().next_multiple_of(16);

/// The common way out tells the exits apart by their order.
const _: () = assert!(
    (Exit::Done as u32) < Exit::Trap as u32
        && (Exit::Trap as u32) < Exit::Continue as u32
        && (Exit::Continue as u32) < Exit::Enter as u32
);

/// What compiled code reaches when it calls a function that is not compiled. The function's stub in the
/// code arena has put the function's number into `eax`; all argument registers are the caller's.
///
/// # Safety
/// Entered by a call from compiled code, with the context in `rdi`.
#[unsafe(naked)]
pub unsafe extern "C" fn enter_interpreter() {
    exit_stub!(
        // Kept for the way out; twice, so that rsp stays a multiple of 16.
        "push rdi",
        "push rdi",
        "sub rsp, {frame}",
        // The call's arguments, before any of their registers is used for something else.
        store_arguments!("rsp"),
        // Those on the stack stay where the caller put them: above the return address.
        "lea r10, [rbp + 16]",
        "mov qword ptr [rsp + {stack}], r10",
        // The hook takes the context, the function's number, and the call.
        "mov esi, eax",
        "mov rdx, rsp",
        "call qword ptr [rdi + {call_hook}]",
        "jmp {leave}";
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
    exit_stub!(
        "push rdi",
        "push rdi",
        "sub rsp, {frame}",
        // The hook takes the context and the call, which has no arguments. The state is the thread's.
        "mov rsi, rsp",
        "call qword ptr [rdi + {resume_hook}]",
        "jmp {leave}";
        frame = const FRAME,
        resume_hook = const offset_of!(Context, hooks) + offset_of!(Hooks, resume),
        leave = sym leave_interpreter,
    )
}

/// The common way out of both thunks: `eax` is the [`Exit`], `rsp` and `rbp` are as the thunk left them at
/// its call, so that the `NativeCall` is at `rsp` and the context below `rbp`.
///
/// | exit | registers | then |
/// |---|---|---|
/// | `Done` | the results | returns |
/// | `Trap` | `rdi` context | [`unwind`](super::unwind::unwind) |
/// | `Continue` | `rdi` context, `rsi` frame state | jumps to the code, `rsp` at the return slot |
/// | `Enter` | `rdi` context, the arguments as they came | the same |
#[unsafe(naked)]
unsafe extern "C" fn leave_interpreter() {
    naked_asm!(
        ".cfi_startproc",
        in_frame!(),
        "mov rdi, qword ptr [rbp - 8]",
        // The exit: below `Trap`, `Trap`, or above.
        "cmp eax, {trap}",
        "je {unwind}",
        "ja 2f",
        // Done: results into their registers.
        load_results!("rsp"),
        ".cfi_remember_state",
        "leave",
        ".cfi_def_cfa rsp, 8",
        "ret",
        // Continue: this frame goes, the code takes its place.
        ".cfi_restore_state",
        "2:",
        "cmp eax, {enter}",
        // Does not change the flags.
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
        load_arguments!("rsp"),
        "leave",
        ".cfi_def_cfa rsp, 8",
        "jmp rax",
        ".cfi_endproc",
        unwind = sym super::unwind::unwind,
        trap = const Exit::Trap as u32,
        enter = const Exit::Enter as u32,
        result_integer = const offset_of!(NativeCall, results) + offset_of!(NativeResults, integer),
        result_float = const offset_of!(NativeCall, results) + offset_of!(NativeResults, float),
        integer = const offset_of!(NativeCall, arguments) + offset_of!(NativeArguments, integer),
        float = const offset_of!(NativeCall, arguments) + offset_of!(NativeArguments, float),
        state = const offset_of!(NativeCall, state),
        code = const offset_of!(NativeCall, code),
    )
}
