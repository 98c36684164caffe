//! Linked exits: what a frame executes that leaves at a guard and continues in a continuation, without the runtime.
//!
//! ```text
//!          mov  rax, count               one more
//!          add  qword ptr [rax], 1
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
//!          mov  rsp, rbp
//!          pop  rbp
//!          jmp  continuation             as if the function's caller had called it
//!   full:  mov  rax, return PC           as the exit does that is not linked
//!          mov  rdx, left_guard
//!          jmp  rdx
//! ```
//!
//! Unwinders find the way from any of these instructions: until the frame is popped they see the frame as it is behind its
//! prologue, then what its caller has called; and in `full` the frame again.
//!
//! On arrival `rdi` is the context, `rsi` the number of the guard, the frame whole, and what its exit stores is stored. The
//! exit jumps here where it called the stub before, so that no call is left without its return.

use std::mem::offset_of;

use cranelift_assembler_x64::{Amode, AmodeOffset, AmodeOffsetPlusKnownOffset, Registers, inst};
use gimli::write::{Address, CallFrameInstruction, FrameDescriptionEntry};
use gimli::{Register, X86_64};
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
pub(crate) const COUNT_BYTES: usize = 14;

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
    let mut code = Vec::with_capacity(JUMP_BYTES);
    inst::jmp_d32::new(distance).encode(&mut code);
    Some(code.try_into().expect("a jump of its long form"))
}

/// Appends an instruction of that name.
macro_rules! emit {
    ($code:expr, $name:ident($($operand:expr),* $(,)?)) => {
        inst::$name::<Numbers>::new($($operand),*).encode($code)
    };
}

/// The code of a linked exit, and what unwinders are told of it.
#[derive(Clone, Debug)]
pub(crate) struct LinkCode {
    pub(crate) bytes: Vec<u8>,
    pub(crate) rows: LinkRows,
}

/// How the frame is unwound that executes a linked exit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkRows {
    /// Where the registers are the caller's again that the frame has saved, but for `rbp`.
    restored: u32,
    /// Where `rbp` is the caller's again, and the stack pointer at the return slot.
    popped: u32,
    /// Where the frame is as before: [`full`](self).
    full: u32,
    /// Bytes of code.
    pub(crate) length: u32,
    /// Where the frame has saved what.
    saves: CompactRows,
}

impl LinkRows {
    /// The rows of the code if that is at `start`.
    pub(crate) fn description(&self, start: u64) -> FrameDescriptionEntry {
        let mut description = FrameDescriptionEntry::new(Address::Constant(start), self.length);
        for begin in [0, self.full] {
            description.add_instruction(begin, CallFrameInstruction::Cfa(X86_64::RBP, FRAME_TO_CFA));
            description.add_instruction(begin, CallFrameInstruction::Offset(X86_64::RBP, -FRAME_TO_CFA));
            for (register, place) in self.saved() {
                let place = CallFrameInstruction::Offset(register, place - FRAME_TO_CFA);
                description.add_instruction(begin, place);
            }
            if begin == 0 {
                // Where they were saved may soon be below the stack pointer.
                for (register, _) in self.saved() {
                    description.add_instruction(self.restored, CallFrameInstruction::SameValue(register));
                }
                description.add_instruction(self.popped, CallFrameInstruction::Cfa(X86_64::RSP, 8));
                description.add_instruction(self.popped, CallFrameInstruction::SameValue(X86_64::RBP));
            }
        }
        description
    }

    /// What the frame has saved besides `rbp`, each with its place in bytes from the frame base.
    fn saved(&self) -> impl Iterator<Item = (Register, i32)> {
        self.saves.saves().map(|(position, place)| (CompactRows::REGISTERS[position].dwarf(), place))
    }
}

/// From the frame base up to the CFA.
const FRAME_TO_CFA: i32 = 16;

impl LinkedExit<'_> {
    /// The code, for the address `at`; none if a value is where this cannot read it, or the continuation is too far.
    pub(crate) fn code(&self, WindowFields { top, end }: WindowFields, at: u64) -> Option<LinkCode> {
        let code = &mut Vec::with_capacity(64 + 16 * self.words);
        emit!(code, movabsq_oi(RAX, self.count));
        emit!(code, addq_mi_sxb(field(RAX, 0), 1));
        debug_assert_eq!(code.len(), COUNT_BYTES);
        emit!(code, movq_rm(RDX, field(RDI, top as i32)));
        emit!(code, leaq_rm(RAX, field(RDX, 8 * self.words as i32)));
        emit!(code, cmpq_rm(RAX, field(RDI, end as i32)));
        inst::ja_d32::new(0).encode(code);
        let behind_check = code.len();
        for entry in self.maps.entries(&self.site) {
            load(code, entry.location, entry.wide, self.maps)?;
            emit!(code, movq_mr(field(RDX, 8 * entry.register.index() as i32), RAX));
        }
        for (position, place) in self.unwind.saves() {
            emit!(code, movq_rm(SAVED[position], field(RBP, place)));
        }
        let restored = code.len() as u32;
        emit!(code, movq_rm(RSI, RDX));
        emit!(code, movq_rm(RSP, RBP));
        emit!(code, popq_o(RBP));
        let popped = code.len() as u32;
        code.extend(jump(at + code.len() as u64, self.continuation)?);
        let full = code.len() as u32;
        let over = full - behind_check as u32;
        code[behind_check - size_of::<u32>()..behind_check].copy_from_slice(&over.to_le_bytes());
        emit!(code, movabsq_oi(RAX, self.return_pc));
        emit!(code, movabsq_oi(RDX, left_guard as *const () as u64));
        emit!(code, jmpq_m(RDX));
        let length = code.len() as u32;
        let rows = LinkRows { restored, popped, full, length, saves: self.unwind };
        Some(LinkCode { bytes: std::mem::take(code), rows })
    }
}

/// What is at `location` goes to `rax`: all of it if it is `wide`, or else its low half, with zeros above.
fn load(code: &mut Vec<u8>, location: Location, wide: bool, maps: &FrameMaps) -> Option<()> {
    let bits = |word: u64| if wide { word } else { word & u64::from(u32::MAX) };
    match location {
        Location::FrameSlot(offset) if wide => emit!(code, movq_rm(RAX, field(RBP, offset))),
        Location::FrameSlot(offset) => emit!(code, movl_rm(RAX, field(RBP, offset))),
        Location::Constant(number) => emit!(code, movabsq_oi(RAX, bits(maps.constant(number)))),
        Location::Register(register) => match (number_of(register)?, wide) {
            (register, true) => emit!(code, movq_rm(RAX, register)),
            (register, false) => emit!(code, movl_rm(RAX, register)),
        },
        Location::Result(_) | Location::Pad => return None,
    }
    Some(())
}

/// The number of a register that survives calls.
fn number_of(register: MachineRegister) -> Option<u8> {
    use MachineRegister::{R12, R13, R14, R15, Rbx};
    match register {
        Rbx => Some(SAVED[0]),
        R12 => Some(SAVED[1]),
        R13 => Some(SAVED[2]),
        R14 => Some(SAVED[3]),
        R15 => Some(SAVED[4]),
        _ => None,
    }
}

/// Registers, by their numbers in encodings.
#[derive(Debug)]
struct Numbers;

impl Registers for Numbers {
    type ReadGpr = u8;
    type ReadWriteGpr = u8;
    type WriteGpr = u8;
    type ReadXmm = u8;
    type ReadWriteXmm = u8;
    type WriteXmm = u8;
}

const RAX: u8 = 0;
const RDX: u8 = 2;
const RSP: u8 = 4;
const RBP: u8 = 5;
const RSI: u8 = 6;
const RDI: u8 = 7;

/// The numbers of [`CompactRows::REGISTERS`].
const SAVED: [u8; 5] = [3, 12, 13, 14, 15];

const _: () = {
    use CalleeSaved::{R12, R13, R14, R15, Rbx};
    assert!(matches!(CompactRows::REGISTERS, [Rbx, R12, R13, R14, R15]));
};

/// `[base + offset]`
fn field(base: u8, offset: i32) -> Amode<u8> {
    let simm32 = AmodeOffsetPlusKnownOffset { simm32: AmodeOffset::new(offset), offset: None };
    Amode::ImmReg { base, simm32, trap: None }
}
