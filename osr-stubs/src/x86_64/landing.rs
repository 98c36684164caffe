//! The landing stub: where a hijacked return arrives.
//!
//! A return slot that led into a frame of replaced code was overwritten with [`landing_pc`]. When the
//! callee returns, control is here, and the old frame is still whole:
//!
//! ```text
//!   on arrival                                       on departure
//!              | its own return address   |  <── rsp         | its own return address   |
//!   old rbp ──>| its caller's rbp         |             (popped)
//!              | callee-saved registers   |
//!              | that it saved, slots     |
//!              | and spills               |
//!   rsp ──────>| outgoing stack arguments |
//!   slot ─────>| landing_pc  (popped)     |
//! ```
//!
//! The order of a landing is fixed:
//! 1. save what the callee returned, and the callee-saved registers, into the thread's context;
//! 2. [`Hooks::land`] finds the ledger record, reads *all* sources from the old frame and the saved
//!    registers, then writes all targets: the frame state goes to the thread, the callee-saved
//!    registers become those of the old frame's caller;
//! 3. only then raise `rsp` to the old frame's own return slot. A signal that arrives any later may
//!    overwrite the old frame: nothing of it is needed any more;
//! 4. jump to the code that continues: the interpreter's resume thunk, or a continuation.
//!
//! Where the frame map is code, step 2 is interrupted: the hook leaves the registers as they are, and control
//! goes to that [pad](super::pad), which comes back for the rest.
//!
//! Registers: on arrival `rax`, `rdx`, `xmm0`, `xmm1` are results and `rbx`, `rbp`, `r12` to `r15`
//! are live; everything else is free. On departure `rdi` is the context, `rsi` the frame state, the
//! callee-saved registers are those of the old frame's caller.
//!
//! At a poll, too, control arrives here by a return (from the `poll` stub); the results are then
//! meaningless and the frame map does not ask for them.
//!
//! Unwinders look up the return PC minus one, so a `nop` stands before the label, inside the unwind
//! row. The row describes the *old frame* as its own code would: CFA = rbp + 16. The callee-saved
//! registers that it may have saved are marked undefined rather than guessed.

use std::arch::naked_asm;
use std::mem::offset_of;

use crate::context::{CalleeSaved, Context, Hooks, LandingRegisters, NativeResults};

/// See the module's description. Never called: returned into, at [`landing_pc`].
///
/// # Safety
/// Reached only by returning through a slot that the ledger of the thread's current context records.
#[unsafe(naked)]
pub unsafe extern "C" fn landing() {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_def_cfa rbp, 16",
        ".cfi_offset rbp, -16",
        ".cfi_undefined rbx",
        ".cfi_undefined r12",
        ".cfi_undefined r13",
        ".cfi_undefined r14",
        ".cfi_undefined r15",
        "nop",
        ".globl osr_landing",
        ".hidden osr_landing",
        "osr_landing:",
        "mov rdi, qword ptr [rip + osr_current_context@gottpoff]",
        "mov rdi, qword ptr fs:[rdi]",
        "mov qword ptr [rdi + {integer} + 0], rax",
        "mov qword ptr [rdi + {integer} + 8], rdx",
        "movsd qword ptr [rdi + {float} + 0], xmm0",
        "movsd qword ptr [rdi + {float} + 8], xmm1",
        "mov qword ptr [rdi + {rbx}], rbx",
        "mov qword ptr [rdi + {r12}], r12",
        "mov qword ptr [rdi + {r13}], r13",
        "mov qword ptr [rdi + {r14}], r14",
        "mov qword ptr [rdi + {r15}], r15",
        "mov qword ptr [rdi + {rbp}], rbp",
        "mov qword ptr [rdi + {stack_pointer}], rsp",
        // rsp is a multiple of 16 here, as after every return into compiled code, so the call below
        // is aligned; it overwrites the popped slot and what lies below, all of it dead.
        "mov rbx, rdi",
        "call qword ptr [rdi + {land_hook}]",
        // Both ways out: rax is where to, rbx the context.
        ".globl osr_landing_departure",
        ".hidden osr_landing_departure",
        "osr_landing_departure:",
        "mov rdi, rbx",
        "mov rsi, qword ptr [rdi + {state}]",
        "mov r12, qword ptr [rdi + {r12}]",
        "mov r13, qword ptr [rdi + {r13}]",
        "mov r14, qword ptr [rdi + {r14}]",
        "mov r15, qword ptr [rdi + {r15}]",
        "mov rbx, qword ptr [rdi + {rbx}]",
        "mov rsp, qword ptr [rdi + {stack_pointer}]",
        ".cfi_def_cfa rsp, 8",
        ".cfi_same_value rbx",
        ".cfi_same_value r12",
        ".cfi_same_value r13",
        ".cfi_same_value r14",
        ".cfi_same_value r15",
        "mov rbp, qword ptr [rdi + {rbp}]",
        ".cfi_same_value rbp",
        "jmp rax",
        ".cfi_endproc",
        integer = const LANDING + offset_of!(LandingRegisters, results) + offset_of!(NativeResults, integer),
        float = const LANDING + offset_of!(LandingRegisters, results) + offset_of!(NativeResults, float),
        rbx = const SAVED + offset_of!(CalleeSaved, rbx),
        r12 = const SAVED + offset_of!(CalleeSaved, r12),
        r13 = const SAVED + offset_of!(CalleeSaved, r13),
        r14 = const SAVED + offset_of!(CalleeSaved, r14),
        r15 = const SAVED + offset_of!(CalleeSaved, r15),
        rbp = const SAVED + offset_of!(CalleeSaved, rbp),
        stack_pointer = const LANDING + offset_of!(LandingRegisters, stack_pointer),
        state = const LANDING + offset_of!(LandingRegisters, state),
        land_hook = const offset_of!(Context, hooks) + offset_of!(Hooks, land),
    )
}

const LANDING: usize = offset_of!(Context, landing);
const SAVED: usize = LANDING + offset_of!(LandingRegisters, callee_saved);

/// The PC that a hijacked return slot holds.
pub fn landing_pc() -> u64 {
    unsafe extern "C" {
        #[link_name = "osr_landing"]
        static LANDING_PC: u8;
    }
    // The stub must be linked for its label to exist: name it.
    std::hint::black_box(landing as unsafe extern "C" fn());
    &raw const LANDING_PC as u64
}
