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

use osr_ir::{Body, Instruction, Register};
use osr_stackwalk::{CalleeSaved, CompactRows};

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
    /// Whether it calls functions with several results: then a frame map has to say where each is.
    pub(super) has_several_results: bool,
    /// How many registers have a slot.
    registers: u32,
    /// Bytes below the saved frame pointer.
    bytes: u64,
}

const WORD: i32 = 8;

impl Frame {
    /// The frame of `body`.
    pub(super) fn of(unit: &Unit<'_>, body: &Body) -> Frame {
        let linked = unit.linked;
        let (mut has_memory, mut has_several_results, mut outgoing) = (false, false, 0);
        for instruction in body.blocks.iter().flat_map(|block| &block.instructions) {
            match instruction {
                Instruction::Load { .. } | Instruction::Store { .. } => has_memory = true,
                Instruction::Call { function, results, .. } => {
                    outgoing = outgoing.max(linked.layout_of(*function).stack_words);
                    has_several_results |= results.len() > 1;
                }
                Instruction::CallIndirect { signature, results, .. } => {
                    outgoing = outgoing.max(linked.layout(*signature).stack_words);
                    has_several_results |= results.len() > 1;
                }
                _ => {}
            }
        }
        let (has_profile, keeps_return_pc) = (unit.profile.is_some(), unit.settings.keeps_return_pc);
        let registers = body.registers.len() as u32;
        let mut frame =
            Frame { has_memory, has_profile, keeps_return_pc, has_several_results, registers, bytes: 0 };
        let words = u64::from(frame.head_words()) + u64::from(registers) + u64::from(outgoing);
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

    /// Where the lowest slot of a register is, from the frame base.
    pub(super) fn lowest_slot(self) -> i32 {
        -WORD * (self.head_words() + self.registers) as i32
    }

    /// The slot of `register`.
    pub(super) fn slot(self, register: Register) -> Address {
        machine::at(RBP, self.slot_offset(register))
    }

    /// Begins the function. Returns how its frames are unwound.
    pub(super) fn enter(self, assembler: &mut Assembler) -> CompactRows {
        let bytes = i32::try_from(self.bytes).expect("frames are limited");
        emit!(assembler, pushq_o(RBP));
        emit!(assembler, movq_rm(RBP, RSP));
        emit!(assembler, subq_mi_sxl(RSP, bytes));
        let first = -WORD * self.saved().count() as i32;
        let saves = self.saved().zip((first..).step_by(WORD as usize)).map(|(register, place)| {
            emit!(assembler, movq_mr(machine::at(RSP, bytes + place), register));
            // The CFA is above the saved frame pointer and the return address.
            (assembler.offset(), callee_saved(register), place - 2 * WORD)
        });
        CompactRows::of_prologue(saves).expect("an ordinary prologue")
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

fn callee_saved(register: Gpr) -> CalleeSaved {
    match register {
        MEMORY => CalleeSaved::Rbx,
        CONTEXT => CalleeSaved::R14,
        PROFILE => CalleeSaved::R15,
        _ => unreachable!("the prologue saves no others"),
    }
}
