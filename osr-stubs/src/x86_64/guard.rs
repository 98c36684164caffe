//! A guard has failed: the frame leaves optimized code by itself, and lands.
//!
//! ```text
//!              | the frame                    |
//!   rsp + 8 ──>|                              | popped
//!   rsp ──────>| behind the exit's cold call  |  where the state is known
//! ```
//!
//! The call is never returned from, but a `ret` matches it, so that the processor predicts the returns further out; that
//! one `ret` is mispredicted. From there on all is as at a [landing](mod@super::landing), with another hook.
//!
//! | | on arrival |
//! |---|---|
//! | `rdi` | the context |
//! | `rsi` | the number of the guard |
//! | `rbx`, `r12` to `r15`, `rbp` | those of the frame |
//! | the rest | free |

use std::arch::naked_asm;
use std::mem::offset_of;

use super::macros::{in_compiled_frame, in_frame};
use crate::context::{Context, Hooks, LandingRegisters};

/// See the module's description.
///
/// # Safety
/// Entered by a call from compiled code, where the frame map of that call holds, with the context in `rdi` and the
/// number of the guard in `rsi`.
#[unsafe(naked)]
pub unsafe extern "C" fn failed_guard() {
    naked_asm!(
        ".cfi_startproc",
        in_compiled_frame!(),
        "mov rax, qword ptr [rsp]",
        "mov qword ptr [rdi + {pc}], rax",
        "mov qword ptr [rdi + {guard}], rsi",
        "lea rax, [rip + 2f]",
        "mov qword ptr [rsp], rax",
        "ret",
        // Unwinders look up the return PC minus one, which has to be in this row.
        "nop",
        "2:",
        "mov rax, qword ptr [rdi + {guard_hook}]",
        "jmp osr_landing_save_frame",
        ".cfi_endproc",
        pc = const LANDING + offset_of!(LandingRegisters, pc),
        guard = const LANDING + offset_of!(LandingRegisters, guard),
        guard_hook = const offset_of!(Context, hooks) + offset_of!(Hooks, guard),
    )
}

const LANDING: usize = offset_of!(Context, landing);
