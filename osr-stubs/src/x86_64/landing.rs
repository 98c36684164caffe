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
//! 4. leave for the code that continues: the interpreter's resume thunk, or a continuation.
//!
//! Where the frame map is code, step 2 is interrupted: the hook leaves the registers as they are, and control
//! goes to that [pad](super::pad), which comes back for the rest.
//!
//! # The return predictor
//!
//! Processors predict returns by a stack of their own: a call pushes the address that it expects to be returned
//! to, a `ret` takes the topmost. It knows nothing of swapped slots, so a `ret` that arrives here is predicted to go
//! into the old code, and is mispredicted: some 20 cycles. What was executed speculatively there leaves no trace in
//! registers or memory, also if the code has been released.
//!
//! The departure is a jump: the old frame was entered by one call, and the code that continues in its place executes
//! the one `ret` that matches it. So the predictor's stack keeps its depth, and the returns further out stay predicted,
//! unless their slots are swapped as well. A [pad](super::pad), whose last call is never returned from, and a trap, which
//! drops frames without their returns, upset it: as many returns are mispredicted as it holds at most (16 to 52).
//!
//! Where many frames are hijacked in a row, the departure knows better than the predictor where the next return leads: here.
//! Then it is a call, right in front of the landing PC, which pushes what the slot holds already:
//!
//! ```text
//!   departure    writes                         the predictor expects
//!   jmp rax      nothing                        what the call said that entered the old frame
//!   call rax     the landing PC, to the slot    the landing PC
//!       osr_landing: ...
//! ```
//!
//! The entries of the old calls stay below, one for each landing, and would have all returns further out mispredicted. So
//! the outermost frames of a chain, as many as any predictor holds, depart by a jump: each takes one of these entries, and
//! mispredicts, as it would have otherwise. What the predictor knew of frames further out than that is lost anyway. So
//! chains that are no longer than that gain nothing; they pay for one comparison, which is below what can be measured.
//! [`Context::predicted_below`] is where in the stack they begin.
//!
//! A shadow stack that is enforced (CET) refuses a swapped return. Nothing here switches it on.
//!
//! # Registers
//!
//! | | on arrival | on departure |
//! |---|---|---|
//! | `rax`, `rdx`, `xmm0`, `xmm1` | results of the callee | free, but that `rax` is the code jumped to |
//! | `rbx`, `r12` to `r15`, `rbp` | those of the old frame | those of the old frame's caller |
//! | `rsp` | right above the slot | at the old frame's own return slot |
//! | `rdi` | free | the context |
//! | `rsi` | free | the frame state |
//!
//! A slot may hold the PC of an entry of a *landing table* instead, code of the old version whose entries all jump to
//! [`landing_from_table`]: which entry it was is kept in [`LandingRegisters::table_entry`], and the rest is the same.
//!
//! At a poll, too, control arrives here by a return (from the `poll` stub); the results are then
//! meaningless and the frame map does not ask for them.
//!
//! Unwinders look up the return PC minus one, so the byte before the label has an unwind row of its own. It describes the
//! *old frame* as its own code would: CFA = rbp + 16; or it leads to the PC that the slot [held](super::origins), if a table
//! says so. The callee-saved registers that the frame may have saved are marked undefined rather than guessed.

use std::arch::naked_asm;
use std::mem::offset_of;

use super::macros::{in_compiled_frame, in_frame, load_current_context, store_callee_saved, store_results};
use super::origins::{ORIGINS, landing_row, search_origins};
use crate::context::{CalleeSaved, Context, Hooks, LandingRegisters, NativeResults};

/// Of the row of a departure: the callee-saved registers are those of the old frame's caller, but for `rbp`.
macro_rules! callers_registers {
    () => {
        concat!(
            ".cfi_same_value rbx\n",
            ".cfi_same_value r12\n",
            ".cfi_same_value r13\n",
            ".cfi_same_value r14\n",
            ".cfi_same_value r15\n",
        )
    };
}

/// See the module's description. Never called: returned into, at [`landing_pc`].
///
/// # Safety
/// Reached only by returning through a slot that the ledger of the thread's current context records.
#[unsafe(naked)]
pub unsafe extern "C" fn landing() {
    naked_asm!(
        ".cfi_startproc",
        in_compiled_frame!(),
        // From a landing table: which of its entries was returned to is still in the slot, since signals leave the
        // 128 bytes below rsp alone. r11 is free at a return.
        ".globl osr_landing_from_table",
        ".hidden osr_landing_from_table",
        "osr_landing_from_table:",
        load_current_context!("rdi"),
        "mov r11, qword ptr [rsp - 8]",
        "mov qword ptr [rdi + {table_entry}], r11",
        "jmp 2f",
        ".quad {origins} - .",
        // The departure that tells the return predictor: `call rax`, with rsp right above the old frame's own
        // slot. Unwinders that stop here look up the first byte; those that find the landing PC in a slot look up the
        // return PC minus one, the second byte, whose row is another.
        ".cfi_remember_state",
        ".cfi_def_cfa rsp, 0",
        callers_registers!(),
        ".cfi_same_value rbp",
        "3:",
        ".byte 0xff",
        ".cfi_restore_state",
        ".cfi_remember_state",
        landing_row!(),
        ".byte 0xd0",
        ".cfi_restore_state",
        ".globl osr_landing",
        ".hidden osr_landing",
        "osr_landing:",
        "2:",
        load_current_context!("rdi"),
        // 1. Save all that the old frame's values may be in.
        store_results!("rdi"),
        "mov rax, qword ptr [rdi + {land_hook}]",
        // A frame that leaves by itself arrives here, with another hook in rax; rdi is the context.
        ".globl osr_landing_save_frame",
        ".hidden osr_landing_save_frame",
        "osr_landing_save_frame:",
        store_callee_saved!("rdi"),
        "mov qword ptr [rdi + {stack_pointer}], rsp",
        // 2. rsp is a multiple of 16 here, as after every return into compiled code, so the call below
        // is aligned; it overwrites the popped slot and what lies below, all of it dead.
        // A pad comes back here, with the same registers and another hook.
        ".globl osr_landing_call_hook",
        ".hidden osr_landing_call_hook",
        "osr_landing_call_hook:",
        // rbx is saved above and preserved by the hook.
        "mov rbx, rdi",
        "call rax",
        // 3. rax is where to go. Everything else comes from the context; rsp is raised once nothing of the
        // old frame is needed.
        "mov rdi, rbx",
        "mov rsi, qword ptr [rdi + {state}]",
        "mov r12, qword ptr [rdi + {r12}]",
        "mov r13, qword ptr [rdi + {r13}]",
        "mov r14, qword ptr [rdi + {r14}]",
        "mov r15, qword ptr [rdi + {r15}]",
        "mov rbx, qword ptr [rdi + {rbx}]",
        "mov rsp, qword ptr [rdi + {stack_pointer}]",
        // The old frame is popped: what is left is a function at its entry, but that rbp is still the old one.
        ".cfi_def_cfa rsp, 8",
        callers_registers!(),
        "cmp rsp, qword ptr [rdi + {predicted_below}]",
        "mov rbp, qword ptr [rdi + {rbp}]",
        ".cfi_same_value rbp",
        // 4. A jump or a call: see the module's description.
        "jb 4f",
        "jmp rax",
        "4:",
        "lea r11, [rip + osr_landing]",
        "cmp qword ptr [rsp], r11",
        "jne 5f",
        // The slot stays as it is: it is within the 128 bytes below rsp, which signals leave alone.
        "add rsp, 8",
        ".cfi_def_cfa_offset 0",
        "jmp 3b",
        ".cfi_def_cfa_offset 8",
        "5:",
        "jmp rax",
        ".cfi_endproc",
        result_integer = const LANDING + offset_of!(LandingRegisters, results) + offset_of!(NativeResults, integer),
        result_float = const LANDING + offset_of!(LandingRegisters, results) + offset_of!(NativeResults, float),
        rbx = const SAVED + offset_of!(CalleeSaved, rbx),
        r12 = const SAVED + offset_of!(CalleeSaved, r12),
        r13 = const SAVED + offset_of!(CalleeSaved, r13),
        r14 = const SAVED + offset_of!(CalleeSaved, r14),
        r15 = const SAVED + offset_of!(CalleeSaved, r15),
        rbp = const SAVED + offset_of!(CalleeSaved, rbp),
        stack_pointer = const LANDING + offset_of!(LandingRegisters, stack_pointer),
        state = const LANDING + offset_of!(LandingRegisters, state),
        table_entry = const LANDING + offset_of!(LandingRegisters, table_entry),
        predicted_below = const offset_of!(Context, predicted_below),
        land_hook = const offset_of!(Context, hooks) + offset_of!(Hooks, land),
        origins = sym ORIGINS,
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

/// A PC whose unwind row is that of any compiled frame, whatever the slot held.
pub fn any_frame_pc() -> u64 {
    // Unwinders look up a return PC less one: the stub's first instruction.
    landing_pc() + 1
}

/// Where the entries of landing tables jump to, with everything as on arrival.
pub fn landing_from_table() -> u64 {
    unsafe extern "C" {
        #[link_name = "osr_landing_from_table"]
        static LANDING_FROM_TABLE: u8;
    }
    std::hint::black_box(landing as unsafe extern "C" fn());
    &raw const LANDING_FROM_TABLE as u64
}
