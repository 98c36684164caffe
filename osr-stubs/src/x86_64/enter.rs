//! Entering compiled code from Rust, and leaving it by return or by trap.
//!
//! ```text
//!              | return address into Rust    |
//!   rbp ──────>| Rust's rbp                  |
//!              | rbx                         |
//!              | r12                         |  callee-saved registers of Rust: a trap restores
//!              | r13                         |  them from here, whatever compiled code did
//!              | r14                         |
//!              | r15                         |
//!              | NativeCall*                 |
//!              | Context*                    |
//!              | EntryRecord.exit_frame      |
//!              | EntryRecord.exit_slot       |
//!   entry ────>| EntryRecord.previous        |  Context::entry points here
//!              | (padding, so that rsp is a  |
//!              |  multiple of 16 at the call)|
//!              | last stack argument         |
//!              | ...                         |
//!   rsp ──────>| first stack argument        |
//!              | entry_return                |  the return slot of the first compiled frame: walks
//!              :                             :  of the segment end where they find this pc
//! ```
//!
//! A trap ([`unwind_to_entry`]) sets `rsp` to `Context::entry` and goes the same way out, with another
//! status: the compiled frames below are dropped without being visited.

use std::arch::naked_asm;
use std::mem::offset_of;

use super::macros::{each_xmm_argument, frame, load_arguments, store_results};
use crate::context::{Context, EntryRecord, Hooks, NativeArguments, NativeCall, NativeResults};

/// Bytes from `rbp` down to the entry record.
const RECORD_BELOW_FRAME: usize = 7 * 8 + size_of::<EntryRecord>();

/// The record is pushed field by field, and stack arguments are pushed below it: rsp must be aligned there.
const _: () = assert!(
    offset_of!(EntryRecord, previous) == 0
        && offset_of!(EntryRecord, exit_slot) == 8
        && offset_of!(EntryRecord, exit_frame) == 16
        && RECORD_BELOW_FRAME.is_multiple_of(16)
);

/// Calls `call.code` with the context and `call.arguments`; puts what it returns into `call.results`.
/// True if it returned, false if it trapped.
///
/// # Safety
/// `context` is the thread's current context, and `call.code` is compiled code that expects such
/// arguments. Rust frames between this entry and the next must not be left by anything but returning.
#[unsafe(naked)]
pub unsafe extern "C" fn enter(context: *mut Context, call: *mut NativeCall) -> bool {
    naked_asm!(
        ".cfi_startproc",
        frame!(),
        // All callee-saved registers: compiled code may be dropped by a trap before it restores them.
        "push rbx",
        ".cfi_offset rbx, -24",
        "push r12",
        ".cfi_offset r12, -32",
        "push r13",
        ".cfi_offset r13, -40",
        "push r14",
        ".cfi_offset r14, -48",
        "push r15",
        ".cfi_offset r15, -56",
        // For the way out: the call, which takes the results, and the context.
        "push rsi",
        "push rdi",
        // The entry record, last field first: links, so that walks and traps nest.
        "push qword ptr [rdi + {exit_frame}]",
        "push qword ptr [rdi + {exit_slot}]",
        "push qword ptr [rdi + {entry}]",
        "mov qword ptr [rdi + {entry}], rsp",
        // Stack arguments, last first. The record ends 16-byte aligned, so only an odd number of words needs
        // padding.
        "mov r10, rsi",
        "mov rcx, qword ptr [r10 + {stack_words}]",
        "mov rax, qword ptr [r10 + {stack}]",
        "test cl, 1",
        "jz 2f",
        "push 0",
        "2:",
        "test rcx, rcx",
        "jz 3f",
        "push qword ptr [rax + rcx * 8 - 8]",
        "dec rcx",
        "jmp 2b",
        "3:",
        // rdi is the context still. r10 carries no argument, so that it can be read until the last moment.
        load_arguments!("r10"),
        "call qword ptr [r10 + {code}]",
        ".globl osr_entry_return",
        ".hidden osr_entry_return",
        "osr_entry_return:",
        // Drops the stack arguments, however many.
        "lea rsp, [rbp - {record_below_frame}]",
        "mov rsi, qword ptr [rsp + {saved_call}]",
        store_results!("rsi"),
        "mov eax, 1",
        // Both ways out: rsp is at the record, eax is the status, nothing else is relied on.
        ".globl osr_entry_leave",
        ".hidden osr_entry_leave",
        "osr_entry_leave:",
        "mov rdi, qword ptr [rsp + {saved_context}]",
        "pop qword ptr [rdi + {entry}]",
        "pop qword ptr [rdi + {exit_slot}]",
        "pop qword ptr [rdi + {exit_frame}]",
        // The context and the call.
        "add rsp, 16",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
        exit_frame = const offset_of!(Context, exit_frame),
        exit_slot = const offset_of!(Context, exit_slot),
        entry = const offset_of!(Context, entry),
        stack_words = const offset_of!(NativeCall, arguments) + offset_of!(NativeArguments, stack_words),
        stack = const offset_of!(NativeCall, arguments) + offset_of!(NativeArguments, stack),
        float = const offset_of!(NativeCall, arguments) + offset_of!(NativeArguments, float),
        integer = const offset_of!(NativeCall, arguments) + offset_of!(NativeArguments, integer),
        code = const offset_of!(NativeCall, code),
        result_integer = const offset_of!(NativeCall, results) + offset_of!(NativeResults, integer),
        result_float = const offset_of!(NativeCall, results) + offset_of!(NativeResults, float),
        record_below_frame = const RECORD_BELOW_FRAME,
        saved_context = const size_of::<EntryRecord>(),
        saved_call = const size_of::<EntryRecord>() + 8,
    )
}

/// Drops everything down to the nearest entry, and makes that [`enter`] return false.
///
/// # Safety
/// Jumped to, with the context in `rdi`, where all frames above the nearest entry are compiled code or
/// stubs: no Rust frame may be among them.
#[unsafe(naked)]
pub unsafe extern "C" fn unwind_to_entry() {
    naked_asm!(
        ".cfi_startproc",
        // From here on the stack is that of `enter` at its call.
        "mov rsp, qword ptr [rdi + {entry}]",
        "xor eax, eax",
        "jmp osr_entry_leave",
        ".cfi_endproc",
        entry = const offset_of!(Context, entry),
    )
}

/// Where compiled code continues that has faulted: calls [`Hooks::faulted`], and then goes the way of
/// [`unwind_to_entry`].
///
/// ```text
///              | the frame that faulted      |  whatever its rsp was; nothing below it is in use
///   rsp ──────>| Context*                    |  twice, so that rsp is a multiple of 16 at the call
/// ```
///
/// # Safety
/// As for [`unwind_to_entry`].
#[unsafe(naked)]
pub unsafe extern "C" fn faulted() {
    naked_asm!(
        ".cfi_startproc",
        // Nothing returns from here, and what the frame has saved is not known: unwinders stop.
        ".cfi_undefined rip",
        "and rsp, -16",
        "push rdi",
        "push rdi",
        "call qword ptr [rdi + {faulted_hook}]",
        "pop rdi",
        "jmp {unwind}",
        ".cfi_endproc",
        faulted_hook = const offset_of!(Context, hooks) + offset_of!(Hooks, faulted),
        unwind = sym unwind_to_entry,
    )
}

/// The return PC at which every segment of compiled frames ends.
pub fn entry_return() -> u64 {
    unsafe extern "C" {
        #[link_name = "osr_entry_return"]
        static ENTRY_RETURN: u8;
    }
    &raw const ENTRY_RETURN as u64
}
