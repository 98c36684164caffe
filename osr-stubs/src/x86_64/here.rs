//! Where a Rust caller is on its own stack: what a walk through everything starts from.

use std::arch::naked_asm;
use std::mem::offset_of;

use super::macros::store_callee_saved;
use crate::context::CalleeSaved;

/// Calls `visit(data, return_slot, rbp)`, where `return_slot` holds the return PC into the caller of
/// this function and `rbp` is what the register holds in the caller, frame pointer or not.
///
/// # Safety
/// `visit` must be sound to call with `data`, and must not unwind.
#[unsafe(naked)]
pub unsafe extern "C" fn visit_here(
    visit: unsafe extern "C" fn(data: *mut (), return_slot: u64, rbp: u64),
    data: *mut (),
) {
    naked_asm!(
        ".cfi_startproc",
        // Called as visit(data, rsp, rbp), before anything is pushed: rsp is the slot, rbp the caller's.
        "mov rax, rdi",
        "mov rdi, rsi",
        "mov rsi, rsp",
        "mov rdx, rbp",
        // At a call rsp is a multiple of 16; a word aligns it again.
        "sub rsp, 8",
        ".cfi_def_cfa_offset 16",
        "call rax",
        "add rsp, 8",
        ".cfi_def_cfa_offset 8",
        "ret",
        ".cfi_endproc",
    )
}

/// Where a call returns to: the slot, and the PC in it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Here {
    /// The address of the slot.
    pub return_slot: u64,
    /// What it held during the call.
    pub pc: u64,
}

/// Stores the callee-saved registers as they are in the caller, and returns where this call returned to: all that is
/// needed to unwind the caller's frame, as long as that is there.
///
/// # Safety
/// `registers` may be written.
#[unsafe(naked)]
pub unsafe extern "C" fn registers_here(registers: *mut CalleeSaved) -> Here {
    naked_asm!(
        ".cfi_startproc",
        store_callee_saved!("rdi"),
        // Two words are returned in rax and rdx.
        "mov rax, rsp",
        "mov rdx, qword ptr [rsp]",
        "ret",
        ".cfi_endproc",
        rbx = const offset_of!(CalleeSaved, rbx),
        r12 = const offset_of!(CalleeSaved, r12),
        r13 = const offset_of!(CalleeSaved, r13),
        r14 = const offset_of!(CalleeSaved, r14),
        r15 = const offset_of!(CalleeSaved, r15),
        rbp = const offset_of!(CalleeSaved, rbp),
    )
}
