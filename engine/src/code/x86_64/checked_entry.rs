//! Checked entries: what calls lead to that are bound to a version for good.
//!
//! ```text
//!            flag: 0, or 1 if calls enter other code
//!   other:   mov rax, [rdi + cells]        `rdi` is the context; `rax` is no argument register
//!            jmp qword ptr [rax + 8n]      what the call cell of the function n holds
//!   entry:   cmp byte ptr [rip - ..], 0
//!            jne other
//!   code:    ..                            the version's
//! ```
//!
//! All of it is in the granule before the code, and ends where that begins: execution falls through. It can stay when
//! the code is gone.

use std::mem::offset_of;

use osr_stubs::Context;

use super::entry_stub::TRAP_INSTRUCTION;
use crate::code::memory::GRANULE;

/// Bytes of the entry itself, up to the code.
pub(crate) const BYTES: usize = 9;

/// Bytes of what jumps to what the call cell holds.
const OTHER_BYTES: usize = 13;

/// Bytes of a stub that does nothing else.
pub(crate) const REDIRECT_BYTES: usize = 16;

/// Where in its granule that begins.
const OTHER: usize = 32;

/// Jumps to what the call cell of the function with that number in the store holds.
fn other(number: u32) -> [u8; OTHER_BYTES] {
    let mut code = [0x48, 0x8b, 0x87, 0, 0, 0, 0, 0xff, 0xa0, 0, 0, 0, 0];
    code[3..7].copy_from_slice(&(offset_of!(Context, cells) as u32).to_le_bytes());
    code[9..].copy_from_slice(&(number * size_of::<u64>() as u32).to_le_bytes());
    code
}

/// A stub for calls of a function that has no code to be bound to.
pub(crate) fn redirect(number: u32) -> [u8; REDIRECT_BYTES] {
    let mut code = [TRAP_INSTRUCTION; REDIRECT_BYTES];
    code[..OTHER_BYTES].copy_from_slice(&other(number));
    code
}

/// The granule before code of the function with that number, with the flag set.
pub(crate) fn granule(number: u32) -> [u8; GRANULE] {
    const ENTRY: usize = GRANULE - BYTES;
    const AFTER_COMPARISON: usize = ENTRY + 7;
    let mut code = [TRAP_INSTRUCTION; GRANULE];
    code[0] = 1;
    code[OTHER..OTHER + OTHER_BYTES].copy_from_slice(&other(number));
    code[ENTRY..ENTRY + 2].copy_from_slice(&[0x80, 0x3d]);
    code[ENTRY + 2..ENTRY + 6].copy_from_slice(&(-(AFTER_COMPARISON as i32)).to_le_bytes());
    code[ENTRY + 6] = 0;
    code[AFTER_COMPARISON..].copy_from_slice(&[0x75, (OTHER as i8 - GRANULE as i8) as u8]);
    code
}
