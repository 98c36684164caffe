//! The assembly of the native walks: stand-ins for the engine's stubs and for compiled code.
//!
//! ```text
//!   test_entry       what an entry stub is: calls compiled code; its return PC is the boundary
//!   test_compiled    keeps a frame pointer, recurses, frames of four sizes; notes each call it makes
//!   test_exit        what an exit stub is: records slot and rbp, calls Rust
//!   test_note        notes its caller's frame, puts rubbish into rbp, calls on
//! ```
//! A note is `(slot, pc, rbp)`, written through a cursor; see `Note` and `Plan` in `chain.rs`.
#![allow(unreachable_pub, missing_docs)]

use std::arch::global_asm;

use osr_stackwalk::ReturnPc;

use crate::chain::{Note, Plan};

global_asm!(
    // extern "C" fn test_entry(code, plan)
    ".globl test_entry, test_entry_return",
    "test_entry:",
    ".cfi_startproc",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "mov rax, rdi",
    "mov rdi, rsi",
    "call rax",
    "test_entry_return:",
    "pop rbp",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
    "",
    // extern "C" fn test_compiled(plan): plan.depth frames, then the exit.
    ".globl test_compiled, test_compiled_return",
    "test_compiled:",
    ".cfi_startproc",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "push rbx",
    ".cfi_offset rbx, -24",
    "sub rsp, 8",
    "mov rbx, rdi",
    // Frames of different sizes: 16 * (depth mod 4) more.
    "mov rax, [rdi]",
    "and eax, 3",
    "shl eax, 4",
    "sub rsp, rax",
    // The note: the call below pushes its return PC at rsp - 8.
    "mov rcx, [rdi + 8]",
    "lea rdx, [rsp - 8]",
    "mov [rcx], rdx",
    "lea rdx, [rip + test_compiled_return]",
    "mov [rcx + 8], rdx",
    "mov [rcx + 16], rbp",
    "add qword ptr [rdi + 8], 24",
    "lea rax, [rip + test_compiled]",
    "lea rdx, [rip + test_exit]",
    "dec qword ptr [rdi]",
    "cmovz rax, rdx",
    "call rax",
    "test_compiled_return:",
    "lea rsp, [rbp - 8]",
    "pop rbx",
    "pop rbp",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
    "",
    // Called by compiled code as fn(plan): rsp is the return slot, rbp the caller's.
    ".globl test_exit, test_exit_return",
    "test_exit:",
    ".cfi_startproc",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "mov [rdi + 32], rbp",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "lea rax, [rbp + 8]",
    "mov [rdi + 24], rax",
    "call [rdi + 16]",
    "test_exit_return:",
    "pop rbp",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
    "",
    // extern "C" fn test_note(&mut cursor, function, argument)
    ".globl test_note",
    "test_note:",
    ".cfi_startproc",
    "mov rcx, [rdi]",
    "mov [rcx], rsp",
    "mov rax, [rsp]",
    "mov [rcx + 8], rax",
    "mov [rcx + 16], rbp",
    "add qword ptr [rdi], 24",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    // Not mapped, and odd: not a frame pointer.
    "mov rbp, 0x5bad5bad5bad5bad",
    "mov rdi, rdx",
    "call rsi",
    "pop rbp",
    ".cfi_def_cfa_offset 8",
    ".cfi_restore rbp",
    "ret",
    ".cfi_endproc",
);

/// What `test_note` calls on.
pub type Callee = unsafe extern "C" fn(*mut ());

unsafe extern "C" {
    pub fn test_entry(code: unsafe extern "C" fn(*mut Plan), plan: *mut Plan);
    pub fn test_compiled(plan: *mut Plan);
    pub fn test_note(cursor: *mut *mut Note, function: Callee, argument: *mut ());
    pub static test_entry_return: u8;
    pub static test_compiled_return: u8;
    pub static test_exit_return: u8;
}

/// The PC of a label.
pub fn pc_of(label: *const u8) -> ReturnPc {
    ReturnPc::new(label.expose_provenance() as u64)
}
