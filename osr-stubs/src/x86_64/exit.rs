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
//! in the [landing stub](mod@super::landing).
//!
//! | stub | on entry | on return |
//! |---|---|---|
//! | [`runtime_call`] | `rdi` context, `rsi`, `rdx`, `rcx` operands, `r8` immediate, `r9` operation | `rax` result, a word; caller-saved registers are clobbered |
//! | [`poll`] | nothing | every register as on entry; the zero flag says that the frame does not [leave](Context::leaving) |
//! | [`left_poll`] | nothing | never: it lands |

use std::arch::naked_asm;
use std::mem::offset_of;

use super::macros::{each_xmm, exit_stub, frame, load_current_context};
use crate::context::{Context, Hooks, PollRegisters};

/// Calls [`Hooks::runtime`]. Arguments as that takes them; the result, a word, in `rax`.
///
/// # Safety
/// Entered by a call from compiled code, with the context in `rdi`.
#[unsafe(naked)]
pub unsafe extern "C" fn runtime_call() {
    exit_stub!(
        // The hook may clobber rdi: keep the context, twice, so that rsp stays a multiple of 16.
        "push rdi",
        "push rdi",
        // All arguments are where the hook expects them.
        "call qword ptr [rdi + {runtime_hook}]",
        "mov rdi, qword ptr [rbp - 8]",
        // The sign of all 64 bits says whether to trap; the result is in the low half.
        "test rax, rax",
        "js {unwind}",
        "leave",
        ".cfi_def_cfa rsp, 8",
        "ret";
        runtime_hook = const offset_of!(Context, hooks) + offset_of!(Hooks, runtime),
        unwind = sym super::unwind::unwind,
    )
}

/// The slow path of a poll: calls [`Hooks::poll`] and restores every register, so that the poll costs its
/// loop nothing but the check.
///
/// ```text
///   rbp + 16 ──>| the compiled frame           |  rsp at the poll: the hook's second argument
///               | return address               |  Context::exit_slot
///   rbp ───────>| the compiled frame's rbp     |
///               | rdi, rax, rcx, rdx, rsi,     |  the caller-saved registers; callee-saved ones
///               | r8, r9, r10, r11             |  are preserved by the hook
///               | (padding)                    |
///               | xmm15                        |
///               | ...                          |  16 bytes each
///   rsp ───────>| xmm0                         |
/// ```
///
/// An ordinary call would clobber every `xmm` register, and the allocator would keep the loop's floats
/// in memory. Cranelift's scalar code uses the low 16 bytes of the vector registers at most. Nor does the stub take an
/// argument: the context in `rdi` here would be in `rdi` in the loop, moved there and back in each iteration.
///
/// # Safety
/// Entered by a call from compiled code of the current context; `rsp` of the caller is 16-byte aligned at the call.
#[unsafe(naked)]
pub unsafe extern "C" fn poll() {
    naked_asm!(
        ".cfi_startproc",
        frame!(),
        "push rdi",
        "push rax",
        "push rcx",
        "push rdx",
        "push rsi",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        // Nine words were pushed below an aligned rbp: one more aligns rsp again.
        "sub rsp, 256 + 8",
        each_xmm!("movups xmmword ptr [rsp + 16 * \\i], xmm\\i"),
        // Where compiled code was left, as other exits store it.
        load_current_context!("rdi"),
        "mov rax, qword ptr [rbp]",
        "mov qword ptr [rdi + {exit_frame}], rax",
        "lea rax, [rbp + 8]",
        "mov qword ptr [rdi + {exit_slot}], rax",
        "lea rsi, [rbp + 16]",
        "call qword ptr [rdi + {poll_hook}]",
        load_current_context!("rdi"),
        "test al, al",
        "jz {unwind}",
        // The only flags that anything looks at. What follows leaves them.
        "cmp qword ptr [rdi + {leaving}], 0",
        each_xmm!("movups xmm\\i, xmmword ptr [rsp + 16 * \\i]"),
        "lea rsp, [rsp + 256 + 8]",
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
        leaving = const offset_of!(Context, leaving),
        poll_hook = const offset_of!(Context, hooks) + offset_of!(Hooks, poll),
        unwind = sym super::enter::unwind_to_entry,
    )
}

/// The frame of [`poll`], from where its stack pointer is.
#[repr(C)]
struct PollFrame {
    xmm: [[u64; 2]; 16],
    padding: u64,
    r11: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    rsi: u64,
    rdx: u64,
    rcx: u64,
    rax: u64,
    rdi: u64,
    rbp: u64,
    return_pc: u64,
}

/// What compiled code has in those registers, at the poll that has called the runtime through the return slot at `exit_slot`.
///
/// # Safety
/// Called by [`Hooks::poll`], with [`Context::exit_slot`].
pub unsafe fn poll_registers(exit_slot: u64) -> PollRegisters {
    let frame = exit_slot - offset_of!(PollFrame, return_pc) as u64;
    // SAFETY: the stub has built its frame, and is in the hook's call.
    let frame = unsafe { &*std::ptr::with_exposed_provenance::<PollFrame>(frame as usize) };
    let PollFrame { xmm, r11, r10, r9, r8, rsi, rcx, rdi, .. } = *frame;
    PollRegisters {
        integer: [rcx, rsi, rdi, r8, r9, r10, r11],
        float: std::array::from_fn(|n| xmm[2 + n][0]),
    }
}

/// Where a frame goes that was hijacked at a poll, once it has stored its state: calls
/// [`Hooks::left_poll`], and lands.
///
/// ```text
///   on entry                                    at the ret
///   slot ──>| return address into the frame |   slot ──>| landing_pc |
/// ```
///
/// The poll itself returned into the frame although it is hijacked, since only the frame's code knows where
/// the state is. Its slot, which the poll was called through, is that of this call, too: a compiled
/// frame calls everything from the same stack pointer. So the landing finds the record of the poll.
///
/// # Safety
/// Entered by a call from compiled code of the current context, after a poll that left the frame's record in the ledger.
#[unsafe(naked)]
pub unsafe extern "C" fn left_poll() {
    naked_asm!(
        ".cfi_startproc",
        frame!(),
        // The call's own return address leads into code that ends here. It goes before the hook is called,
        // which may release that code: nothing on the stack may return into it then.
        "lea rax, [rip + osr_landing]",
        "mov qword ptr [rbp + 8], rax",
        load_current_context!("rdi"),
        "call qword ptr [rdi + {left_poll_hook}]",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
        left_poll_hook = const offset_of!(Context, hooks) + offset_of!(Hooks, left_poll),
    )
}
