//! A guard has failed: the frame leaves optimized code by itself, and lands.
//!
//! ```text
//!              | the frame                    |
//!   rsp + 8 ──>|                              | popped
//!   rsp ──────>| behind the exit's cold call  |  where the state is known
//! ```
//!
//! The stub returns, as the processor predicts, and behind the call a jump to `rdx` comes back, which is predicted as well. So
//! no call is left without its return, and the returns further out stay predicted. From there on all is as at a
//! [landing](mod@super::landing), with another hook.
//!
//! An exit that is linked is left by a jump. Where its frame is to land after all, it comes by [`left_guard`].
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

/// `jmp rdx`: what compiled code has behind its calls of [`failed_guard`].
pub const JUMP_BACK: [u8; 2] = [0xff, 0xe2];

/// See the module's description.
///
/// # Safety
/// Entered by a call from compiled code, behind which [`JUMP_BACK`] stands, where the frame map of that call holds, with
/// the context in `rdi` and the number of the guard in `rsi`.
#[unsafe(naked)]
pub unsafe extern "C" fn failed_guard() {
    naked_asm!(
        ".cfi_startproc",
        in_compiled_frame!(),
        "mov rax, qword ptr [rsp]",
        "lea rdx, [rip + {left}]",
        "ret",
        ".cfi_endproc",
        left = sym left_guard,
    )
}

/// A frame that has left at a guard lands.
///
/// | | on arrival |
/// |---|---|
/// | `rax` | the PC at which it has left: behind the exit's call |
/// | the rest | as at [`failed_guard`], with `rsp` that of the frame |
///
/// # Safety
/// Jumped to from compiled code, where the frame map of that call holds.
#[unsafe(naked)]
pub unsafe extern "C" fn left_guard() {
    naked_asm!(
        ".cfi_startproc",
        in_compiled_frame!(),
        "mov qword ptr [rdi + {pc}], rax",
        "mov qword ptr [rdi + {guard}], rsi",
        "mov rax, qword ptr [rdi + {guard_hook}]",
        "jmp osr_landing_save_frame",
        ".cfi_endproc",
        pc = const LANDING + offset_of!(LandingRegisters, pc),
        guard = const LANDING + offset_of!(LandingRegisters, guard),
        guard_hook = const offset_of!(Context, hooks) + offset_of!(Hooks, guard),
    )
}

const LANDING: usize = offset_of!(Context, landing);
