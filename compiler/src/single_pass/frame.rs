//! The frame: it mirrors the interpreter's window.
//!
//! ```text
//!              | stack arguments      |  rbp + 16 + 8 n
//!              | return address       |
//!   rbp ──────>| the caller's rbp     |
//!              | r15, r14, rbx        |  those that the function needs
//!              | a return PC          |  if frames keep the one that leads into them
//!              | register 0           |  each register of the body has its slot,
//!              | register 1           |  whatever the point
//!              | ...                  |
//!   rsp ──────>| outgoing arguments   |
//! ```
//!
//! So a frame map is a rule: a register that is live is in its slot. The call itself has the results, and registers that
//! hold one constant wherever they are live are nowhere.

use gimli::X86_64;
use gimli::write::{Address as CodeAddress, CallFrameInstruction, FrameDescriptionEntry};
use osr_ir::{Body, Instruction, Register};

use super::assembler::{Assembler, emit};
use super::machine::{self, Address, CONTEXT, Gpr, MEMORY, PROFILE, RBP, RSP};
use crate::unit::Unit;

/// The layout of a body's frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// Whether the code needs the address of linear memory.
    pub(super) has_memory: bool,
    /// Whether it needs the address of a profile.
    pub(super) has_profile: bool,
    /// Whether there is a word for the return PC that leads into the frame.
    keeps_return_pc: bool,
    /// Bytes below the saved frame pointer.
    bytes: u64,
}

const WORD: i32 = 8;

impl Frame {
    /// The frame of `body`.
    pub(super) fn of(unit: &Unit<'_>, body: &Body) -> Frame {
        let linked = unit.linked;
        let (mut has_memory, mut outgoing) = (false, 0);
        for instruction in body.blocks.iter().flat_map(|block| &block.instructions) {
            match instruction {
                Instruction::Load { .. } | Instruction::Store { .. } => has_memory = true,
                Instruction::Call { function, .. } => {
                    outgoing = outgoing.max(linked.layout_of(*function).stack_words)
                }
                Instruction::CallIndirect { signature, .. } => {
                    outgoing = outgoing.max(linked.layout(*signature).stack_words);
                }
                _ => {}
            }
        }
        let (has_profile, keeps_return_pc) = (unit.profile.is_some(), unit.settings.keeps_return_pc);
        let mut frame = Frame { has_memory, has_profile, keeps_return_pc, bytes: 0 };
        let words = u64::from(frame.head_words()) + body.registers.len() as u64 + u64::from(outgoing);
        frame.bytes = (words * WORD as u64).next_multiple_of(16);
        frame
    }

    /// Bytes below the saved frame pointer.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The registers of the caller that the prologue saves, lowest address first.
    fn saved(self) -> impl DoubleEndedIterator<Item = Gpr> + Clone {
        let wanted = [(MEMORY, self.has_memory), (CONTEXT, true), (PROFILE, self.has_profile)];
        wanted.into_iter().filter(|&(_, wanted)| wanted).map(|(register, _)| register)
    }

    /// Words between the frame base and the first slot.
    fn head_words(self) -> u32 {
        self.saved().count() as u32 + u32::from(self.keeps_return_pc)
    }

    /// Where the word for the return PC is, from the frame base, if there is one.
    pub(super) fn kept_return_pc(self) -> Option<i32> {
        self.keeps_return_pc.then(|| -WORD * self.head_words() as i32)
    }

    /// Where a register's slot is, from the frame base.
    pub(super) fn slot_offset(self, register: Register) -> i32 {
        -WORD * (self.head_words() as i32 + 1 + register.as_u32() as i32)
    }

    /// The slot of `register`.
    pub(super) fn slot(self, register: Register) -> Address {
        machine::at(RBP, self.slot_offset(register))
    }

    /// Begins the function. Returns its unwind rows; their length is to be set.
    pub(super) fn enter(self, assembler: &mut Assembler) -> Vec<(u32, CallFrameInstruction)> {
        let bytes = i32::try_from(self.bytes).expect("frames are limited");
        let mut rows = Vec::new();
        emit!(assembler, pushq_o(RBP));
        rows.push((assembler.offset(), CallFrameInstruction::CfaOffset(16)));
        rows.push((assembler.offset(), CallFrameInstruction::Offset(X86_64::RBP, -16)));
        emit!(assembler, movq_rm(RBP, RSP));
        rows.push((assembler.offset(), CallFrameInstruction::CfaRegister(X86_64::RBP)));
        emit!(assembler, subq_mi_sxl(RSP, bytes));
        let mut place = -WORD * self.saved().count() as i32;
        for register in self.saved() {
            emit!(assembler, movq_mr(machine::at(RSP, bytes + place), register));
            let saved = CallFrameInstruction::Offset(dwarf(register), place - 16);
            rows.push((assembler.offset(), saved));
            place += WORD;
        }
        rows
    }

    /// Ends the function but for the return.
    pub(super) fn leave(self, assembler: &mut Assembler) {
        let mut place = -WORD;
        for register in self.saved().rev() {
            emit!(assembler, movq_rm(register, machine::at(RBP, place)));
            place -= WORD;
        }
        emit!(assembler, movq_rm(RSP, RBP));
        emit!(assembler, popq_o(RBP));
    }
}

/// The unwind rows of `length` bytes of code that begin with `rows`.
pub(super) fn unwind_rows(rows: Vec<(u32, CallFrameInstruction)>, length: u32) -> FrameDescriptionEntry {
    let mut description = FrameDescriptionEntry::new(CodeAddress::Constant(0), length);
    rows.into_iter().for_each(|(offset, row)| description.add_instruction(offset, row));
    description
}

fn dwarf(register: Gpr) -> gimli::Register {
    match register {
        MEMORY => X86_64::RBX,
        CONTEXT => X86_64::R14,
        PROFILE => X86_64::R15,
        _ => unreachable!("the prologue saves no others"),
    }
}
