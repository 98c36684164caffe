//! The barrier stub: where a frame arrives that ends, if its end is to be noticed.
//!
//! The slot by which a frame of retired code returns to its caller was overwritten with [`barrier_pc`]. The frame
//! executes its old code to the end; its `ret` arrives here, and here is where it is known that the frame is gone. Then
//! control continues where the slot led, as after a plain return.
//!
//! ```text
//!   on arrival                             at the call of the hook
//!              | the caller's frame    |              | the caller's frame    |
//!   rsp ──────>|                       |              |                       |
//!   slot ─────>| barrier_pc  (popped)  |   exit_slot >| barrier_pc            |  the hook stores the original
//!                                         rbp ──────> | the caller's rbp      |  PC: walks start from here
//!                                                     | xmm1                  |
//!                                                     | xmm0                  |
//!                                                     | rdx                   |
//!                                         rsp ──────> | rax                   |
//! ```
//!
//! The caller may be a compiled frame, or [`enter`](super::enter()), which is where the walks of a segment end.
//!
//! | | on arrival | on departure |
//! |---|---|---|
//! | `rax`, `rdx`, `xmm0`, `xmm1` | results of the frame that ended | the same |
//! | `rbx`, `r12` to `r15`, `rbp`, `rsp` | those of its caller | the same |
//! | all others | free | free |
//!
//! # The return predictor
//!
//! As with a [landing](mod@super::landing), the `ret` that arrives is mispredicted, and the departure is a jump: the
//! call that entered the frame is matched by the one `ret`, and the predictor's stack keeps its depth.

use std::arch::naked_asm;
use std::mem::offset_of;

use super::macros::{in_compiled_frame, in_frame, load_current_context};
use crate::context::{Context, Hooks};

/// See the module's description. Never called: returned into, at [`barrier_pc`].
///
/// # Safety
/// Reached only by returning through a slot that the runtime has swapped, of the thread whose context is current.
#[unsafe(naked)]
pub unsafe extern "C" fn barrier() {
    naked_asm!(
        ".cfi_startproc",
        // Up to the frame below, unwinders are in the caller's frame, as after the return.
        in_compiled_frame!(),
        // They look up the return PC minus one, which has to be in this row.
        "nop",
        ".globl osr_barrier",
        ".hidden osr_barrier",
        "osr_barrier:",
        // Takes the slot back: it is the return address of the frame that is built here.
        "lea rsp, [rsp - 8]",
        "push rbp",
        "mov rbp, rsp",
        // The same rule, of another rbp: what follows is a frame of its own, and changes no other register.
        ".cfi_same_value rbx",
        ".cfi_same_value r12",
        ".cfi_same_value r13",
        ".cfi_same_value r14",
        ".cfi_same_value r15",
        // rsp was a multiple of 16 on arrival, as after every return into compiled code: it is one here.
        "sub rsp, 32",
        "mov qword ptr [rsp], rax",
        "mov qword ptr [rsp + 8], rdx",
        "movsd qword ptr [rsp + 16], xmm0",
        "movsd qword ptr [rsp + 24], xmm1",
        load_current_context!("rdi"),
        // An exit like any other, so that the hook can walk the stack.
        "mov rax, qword ptr [rbp]",
        "mov qword ptr [rdi + {exit_frame}], rax",
        "lea rsi, [rbp + 8]",
        "mov qword ptr [rdi + {exit_slot}], rsi",
        "call qword ptr [rdi + {ended_hook}]",
        // Where to continue. r11 is free at a return.
        "mov r11, rax",
        "mov rax, qword ptr [rsp]",
        "mov rdx, qword ptr [rsp + 8]",
        "movsd xmm0, qword ptr [rsp + 16]",
        "movsd xmm1, qword ptr [rsp + 24]",
        "mov rsp, rbp",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        ".cfi_same_value rbp",
        "lea rsp, [rsp + 8]",
        // The caller's frame again.
        in_compiled_frame!(),
        // A jump: see the module's description.
        "jmp r11",
        ".cfi_endproc",
        exit_frame = const offset_of!(Context, exit_frame),
        exit_slot = const offset_of!(Context, exit_slot),
        ended_hook = const offset_of!(Context, hooks) + offset_of!(Hooks, ended),
    )
}

/// The PC that the slot holds by which a frame ends.
pub fn barrier_pc() -> u64 {
    unsafe extern "C" {
        #[link_name = "osr_barrier"]
        static BARRIER_PC: u8;
    }
    // The stub must be linked for its label to exist: name it.
    std::hint::black_box(barrier as unsafe extern "C" fn());
    &raw const BARRIER_PC as u64
}
