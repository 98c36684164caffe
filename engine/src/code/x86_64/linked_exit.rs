//! Linked exits: what a frame executes that leaves at a guard and continues in a continuation, without the runtime.
//!
//! ```text
//!          mov  rax, count               one more
//!          inc  qword ptr [rax]
//!          mov  rdx, [rdi + top]         the frame state goes to the top of the value stack
//!          lea  rax, [rdx + 8 * words]
//!          cmp  rax, [rdi + end]
//!          ja   full
//!          mov  rax, [rbp + place]       for each live word: from where the frame map says
//!          mov  [rdx + 8 * n], rax
//!          ..
//!          mov  rbx, [rbp + place]       the caller's registers that the frame saved
//!          ..
//!          mov  rsi, rdx
//!          leave
//!          jmp  continuation             as if the function's caller had called it
//!   full:  mov  rax, return PC           as the exit does that is not linked
//!          mov  rdx, left_guard
//!          jmp  rdx
//! ```
//!
//! On arrival `rdi` is the context, `rsi` the number of the guard, the frame whole, and what its exit stores is stored. The
//! exit jumps here where it called the stub before, so that no call is left without its return.

use std::mem::offset_of;

use osr_compiler::frame_map::{FrameMaps, Location, MachineRegister, Site};
use osr_stackwalk::{CalleeSaved, CompactRows};
use osr_stubs::Context;
use osr_stubs::x86_64::{JUMP_BACK, left_guard};

use super::entry_stub::TRAP_INSTRUCTION;

/// Where a thread has the bounds of its value stack, in bytes from its context.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowFields {
    /// The address of the first free word.
    pub(crate) top: u32,
    /// The address behind the last word.
    pub(crate) end: u32,
}

/// An exit that is to be linked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkedExit<'v> {
    pub(crate) maps: &'v FrameMaps,
    /// The exit's site.
    pub(crate) site: Site,
    /// The words of the frame state.
    pub(crate) words: usize,
    pub(crate) unwind: CompactRows,
    /// Where the exit's call of the stub would return to.
    pub(crate) return_pc: u64,
    /// Where it is counted that the exit is taken.
    pub(crate) count: u64,
    /// Where execution continues.
    pub(crate) continuation: u64,
}

/// Bytes of the jump that takes the place of the call.
pub(crate) const JUMP_BYTES: usize = 5;

/// Bytes of what counts, at the beginning: a frame that was counted otherwise begins behind it.
pub(crate) const COUNT_BYTES: usize = 13;

/// Where in `code` a jump fits in the place of the call of the stub that would return to `return_offset`, if it does: over
/// the call, and over what stands behind it, for the stub. The stub's address is in the context, whose address is in
/// some register, or is in a register itself.
pub(crate) fn exit(code: &[u8], return_offset: usize) -> Option<usize> {
    let (before, behind) = code.split_at_checked(return_offset)?;
    let field = (offset_of!(Context, failed_guard_stub) as u32).to_le_bytes();
    let call = match *before {
        // A prefix may stand before any of them, and stays: it changes nothing of a jump.
        [.., 0xff, 0x94, 0x24, a, b, c, d] if [a, b, c, d] == field => 7,
        [.., 0xff, operand, a, b, c, d] if operand & 0xf8 == 0x90 && [a, b, c, d] == field => 6,
        [.., 0xff, operand] if operand & 0xf8 == 0xd0 => 2,
        _ => return None,
    };
    let jump_back = [JUMP_BACK[0], JUMP_BACK[1], TRAP_INSTRUCTION];
    let behind_call = if behind.starts_with(&jump_back) { jump_back.len() } else { 0 };
    (call + behind_call >= JUMP_BYTES).then_some(return_offset - call)
}

/// A jump from `at` to `target`; none if it is too far.
pub(crate) fn jump(at: u64, target: u64) -> Option<[u8; JUMP_BYTES]> {
    let distance = i32::try_from(target.wrapping_sub(at + JUMP_BYTES as u64) as i64).ok()?;
    let mut code = [0xe9, 0, 0, 0, 0];
    code[1..].copy_from_slice(&distance.to_le_bytes());
    Some(code)
}

impl LinkedExit<'_> {
    /// The code, for the address `at`; none if a value is where this cannot read it, or the continuation is too far.
    pub(crate) fn code(&self, WindowFields { top, end }: WindowFields, at: u64) -> Option<Vec<u8>> {
        let mut code = Code(Vec::with_capacity(64 + 16 * self.words));
        code.with_word(&[0x48, 0xb8], self.count);
        code.bytes(&[0x48, 0xff, 0x00]);
        debug_assert_eq!(code.0.len(), COUNT_BYTES);
        code.with_field(&[0x48, 0x8b, 0x97], top);
        code.with_field(&[0x48, 0x8d, 0x82], 8 * self.words as u32);
        code.with_field(&[0x48, 0x3b, 0x87], end);
        code.with_field(&[0x0f, 0x87], 0);
        let behind_check = code.0.len();
        for entry in self.maps.entries(&self.site) {
            code.load(entry.location, entry.wide, self.maps)?;
            code.with_field(&[0x48, 0x89, 0x82], 8 * entry.register.index() as u32);
        }
        for (position, place) in self.unwind.saves() {
            code.with_field(&RESTORE[position], place as u32);
        }
        code.bytes(&[0x48, 0x89, 0xd6, 0xc9]);
        let jump = jump(at + code.0.len() as u64, self.continuation)?;
        code.bytes(&jump);
        let full = (code.0.len() - behind_check) as u32;
        code.0[behind_check - 4..behind_check].copy_from_slice(&full.to_le_bytes());
        code.with_word(&[0x48, 0xb8], self.return_pc);
        code.with_word(&[0x48, 0xba], left_guard as *const () as u64);
        code.bytes(&JUMP_BACK);
        Some(code.0)
    }
}

struct Code(Vec<u8>);

impl Code {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    fn with_field(&mut self, instruction: &[u8], field: u32) {
        self.bytes(instruction);
        self.bytes(&field.to_le_bytes());
    }

    fn with_word(&mut self, instruction: &[u8], word: u64) {
        self.bytes(instruction);
        self.bytes(&word.to_le_bytes());
    }

    /// What is at `location` goes to `rax`: all of it if it is `wide`, or else its low half, with zeros above.
    fn load(&mut self, location: Location, wide: bool, maps: &FrameMaps) -> Option<()> {
        use MachineRegister::{R12, R13, R14, R15, Rbx};
        let bits = |word: u64| if wide { word } else { word & u64::from(u32::MAX) };
        match location {
            Location::FrameSlot(offset) if wide => self.with_field(&[0x48, 0x8b, 0x85], offset as u32),
            Location::FrameSlot(offset) => self.with_field(&[0x8b, 0x85], offset as u32),
            Location::Constant(number) => self.with_word(&[0x48, 0xb8], bits(maps.constant(number))),
            Location::Register(register) => {
                let (high, operand) = match register {
                    Rbx => (0x40, 0xd8),
                    R12 => (0x44, 0xe0),
                    R13 => (0x44, 0xe8),
                    R14 => (0x44, 0xf0),
                    R15 => (0x44, 0xf8),
                    _ => return None,
                };
                self.bytes(&[high | if wide { 0x08 } else { 0 }, 0x89, operand]);
            }
            Location::Result(_) | Location::Pad => return None,
        }
        Some(())
    }
}

/// `mov register, [rbp + ..]`, in the order of [`CompactRows::REGISTERS`].
const RESTORE: [[u8; 3]; 5] =
    [[0x48, 0x8b, 0x9d], [0x4c, 0x8b, 0xa5], [0x4c, 0x8b, 0xad], [0x4c, 0x8b, 0xb5], [0x4c, 0x8b, 0xbd]];

const _: () = {
    use CalleeSaved::{R12, R13, R14, R15, Rbx};
    assert!(matches!(CompactRows::REGISTERS, [Rbx, R12, R13, R14, R15]));
};
