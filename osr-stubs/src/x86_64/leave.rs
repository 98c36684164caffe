//! Frames that leave their code by themselves: no return slot is swapped, the code that is returned into does not
//! continue. What follows is as at a [landing](mod@super::landing), but that the frame is found by the PC at which it left.
//!
//! ```text
//!   invalidation point: the code behind       return check: the code behind the call looks
//!   the call was overwritten
//!       call f                                    call f
//!       jmp osr_invalidated                       cmp rsp, [return limit]
//!                                                 ja  cold
//!                                                 ...
//!                                           cold: call left_return
//!
//!              | the frame         |                        | the frame           |
//!   rsp ──────>|                   |           rsp + 8 ────>|                     |
//!              | behind `call f`   | popped    rsp ────────>| behind the cold call|  where the state is known
//! ```
//!
//! An invalidation point is reached by a return, which was predicted, and left by a jump. The slot that was returned
//! through lies right below `rsp` and still holds the PC: a callee does not write its own return slot, and signal handlers
//! leave the 128 bytes below `rsp` alone (the red zone of System V). So one piece of code serves all points, and the
//! processor's return predictor misses nothing.
//!
//! A return check has the frame's own code bring the frame state to where a frame map says that it is, at a call of
//! [`left_return`] that never returns. That call is matched by a `ret`, which is mispredicted, so that the returns
//! further out are not.
//!
//! | | at `osr_invalidated` | at `left_return` |
//! |---|---|---|
//! | `rax`, `rdx`, `xmm0`, `xmm1` | results of the callee | free |
//! | `rbx`, `r12` to `r15`, `rbp` | those of the frame | those of the frame |
//! | `rdi` | free | the context |

use std::arch::naked_asm;
use std::mem::offset_of;

use super::macros::{in_compiled_frame, in_frame, load_current_context, store_results};
use crate::context::{Context, Hooks, LandingRegisters, NativeResults};

/// Where a frame goes that has found out that its code is retired: it lands. See the module's description.
///
/// # Safety
/// Entered by a call from compiled code with the context in `rdi`, where the frame map of that call holds.
#[unsafe(naked)]
pub unsafe extern "C" fn left_return() {
    naked_asm!(
        ".cfi_startproc",
        "mov rax, qword ptr [rsp]",
        "mov qword ptr [rdi + {pc}], rax",
        // Matches the call that was never to return.
        "lea rax, [rip + 2f]",
        "mov qword ptr [rsp], rax",
        "ret",
        in_compiled_frame!(),
        // Unwinders look up the return PC minus one, which has to be in this row.
        "nop",
        ".globl osr_invalidated",
        ".hidden osr_invalidated",
        "osr_invalidated:",
        load_current_context!("rdi"),
        store_results!("rdi"),
        "mov rax, qword ptr [rsp - 8]",
        "mov qword ptr [rdi + {pc}], rax",
        "2:",
        "mov rax, qword ptr [rdi + {leave_hook}]",
        "jmp osr_landing_save_frame",
        ".cfi_endproc",
        result_integer = const LANDING + offset_of!(LandingRegisters, results) + offset_of!(NativeResults, integer),
        result_float = const LANDING + offset_of!(LandingRegisters, results) + offset_of!(NativeResults, float),
        pc = const LANDING + offset_of!(LandingRegisters, pc),
        leave_hook = const offset_of!(Context, hooks) + offset_of!(Hooks, leave),
    )
}

const LANDING: usize = offset_of!(Context, landing);

/// Where the code goes that is written behind the calls of invalidated code: by a jump, with `rsp` right above the slot
/// that was returned through.
pub fn invalidated_pc() -> u64 {
    unsafe extern "C" {
        #[link_name = "osr_invalidated"]
        static INVALIDATED_PC: u8;
    }
    // The stub must be linked for its label to exist: name it.
    std::hint::black_box(left_return as unsafe extern "C" fn());
    &raw const INVALIDATED_PC as u64
}
