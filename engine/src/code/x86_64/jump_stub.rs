//! Jump stubs: what calls lead to that do not lead to code itself.
//!
//! ```text
//!   through a word:  jmp qword ptr [rip + d]     the word is data: writing it changes where the stub leads
//!   near:            jmp rel32                   the distance is code: it is patched
//! ```
//!
//! None of them changes a register or the stack: whatever they lead to is entered as if by the call itself.

use super::entry_stub::TRAP_INSTRUCTION;

/// Bytes of a stub. They begin at multiples of it, so that the distance of a near one is in one aligned word.
pub(crate) const BYTES: usize = 8;

/// Where the distance of a near stub is.
pub(crate) const DISTANCE_OFFSET: usize = 1;

/// Jumps through the word `distance` bytes after the begin of the stub.
pub(crate) fn through_word(distance: usize) -> [u8; BYTES] {
    const LENGTH: usize = 6;
    let mut code = [TRAP_INSTRUCTION; BYTES];
    code[..2].copy_from_slice(&[0xff, 0x25]);
    code[2..LENGTH].copy_from_slice(&((distance - LENGTH) as u32).to_le_bytes());
    code
}

/// Jumps to what is patched in, which must be done before it is entered.
pub(crate) fn near() -> [u8; BYTES] {
    let mut code = [TRAP_INSTRUCTION; BYTES];
    code[0] = 0xe9;
    code
}

/// The distance that leads to `target` from code whose distance is at the address `at`, and ends its instruction.
pub(crate) fn distance(at: u64, target: u64) -> [u8; 4] {
    let distance = target.wrapping_sub(at + 4) as i64;
    let distance = i32::try_from(distance).expect("with near calls, code memory has 2 GiB at most");
    distance.to_le_bytes()
}
