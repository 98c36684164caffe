//! Where a Rust caller is on its own stack: what a walk through everything starts from.

use std::arch::naked_asm;

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
