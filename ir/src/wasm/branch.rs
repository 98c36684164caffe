//! Branches: the values that go with them, and the blocks that they lead to.

use std::collections::HashMap;

use wasmparser::BrTable;

use super::control::FrameKind;
use super::error::ImportError;
use super::function::Translator;
use super::operands::Operand;
use crate::body::{Instruction, Terminator};
use crate::index::{Block, Register};

impl Translator<'_> {
    /// `br`.
    pub(super) fn branch(&mut self, depth: u32) {
        let (moves, terminator) = self.transfer(depth);
        moves.into_iter().for_each(|instruction| self.code.emit(instruction));
        self.leave(terminator);
    }

    /// `br_if`.
    pub(super) fn branch_if(&mut self, depth: u32) {
        let condition = self.pop_condition();
        let target = self.branch_target(depth);
        let next = self.code.block();
        self.code.terminate(condition.branch(target, next));
        self.code.start(next);
    }

    /// `br_table`.
    pub(super) fn branch_table(&mut self, table: &BrTable<'_>) -> Result<(), ImportError> {
        let index = self.pop_register();
        let mut known: HashMap<u32, Block> = HashMap::new();
        let mut target = |depth| *known.entry(depth).or_insert_with(|| self.branch_target(depth));
        let targets = table.targets().map(|depth| Ok(target(depth?))).collect::<Result<_, ImportError>>()?;
        let default = target(table.default());
        self.leave(Terminator::Switch { index, targets, default });
        Ok(())
    }

    /// `unreachable`, and the end of every unconditional transfer.
    pub(super) fn leave(&mut self, terminator: Terminator) {
        self.code.terminate(terminator);
        self.control.is_reachable = false;
    }

    /// The block for one way of a conditional branch: the label's own if no value has to move.
    pub(super) fn branch_target(&mut self, depth: u32) -> Block {
        match self.transfer(depth) {
            (moves, Terminator::Jump { target }) if moves.is_empty() => target,
            (moves, terminator) => self.code.edge(moves, terminator),
        }
    }

    /// What a branch of `depth` does: moves of values, and a jump or return. The stack stays as it is,
    /// since a conditional branch may not be taken.
    pub(super) fn transfer(&mut self, depth: u32) -> (Vec<Instruction>, Terminator) {
        let frame = self.control.frame(depth);
        frame.is_label_used = true;
        let (base, label, ty) = (frame.base, frame.label, frame.ty);
        let values = match frame.kind {
            FrameKind::Function => return self.return_values(ty.results(self.module).len()),
            FrameKind::Loop => ty.parameters(self.module).len(),
            FrameKind::Block | FrameKind::If { .. } | FrameKind::Try { .. } | FrameKind::Catch { .. } => {
                ty.results(self.module).len()
            }
        };
        (self.moves(base, values), Terminator::Jump { target: label })
    }

    /// The moves of the top `count` entries to the slots from height `base` up. In this order no move
    /// overwrites what a later one reads; see [`operands`](super::operands).
    pub(super) fn moves(&mut self, base: usize, count: usize) -> Vec<Instruction> {
        let from = self.operands.height() - count;
        let mut moves = Vec::new();
        for i in 0..count {
            let operand = self.operands.get(from + i);
            let ty = self.operands.ty(operand);
            let dst = self.operands.slot(base + i, ty);
            moves.extend(load(dst, operand));
        }
        moves
    }

    /// The values that a return takes from the top of the stack: constants have to be loaded for it.
    pub(super) fn return_values(&mut self, count: usize) -> (Vec<Instruction>, Terminator) {
        let from = self.operands.height() - count;
        let mut loads = Vec::new();
        let mut values = Vec::with_capacity(count);
        for height in from..from + count {
            let operand = self.operands.get(height);
            values.push(match operand {
                Operand::Local(register) | Operand::Temporary(register) => register,
                Operand::Constant(value) => {
                    let dst = self.operands.slot(height, value.ty());
                    loads.extend(load(dst, operand));
                    dst
                }
            });
        }
        (loads, Terminator::Return { values })
    }

    /// Takes a condition off the stack, seeing through a negation that was just computed.
    pub(super) fn pop_condition(&mut self) -> Condition {
        let operand = self.operands.pop();
        if let Operand::Temporary(register) = operand
            && let Some(negated) = self.code.take_negation(register)
        {
            return Condition { register: negated, is_negated: true };
        }
        let height = self.operands.height();
        Condition { register: self.read(operand, height), is_negated: false }
    }
}

/// A register, or the negation of one.
pub(super) struct Condition {
    /// Compared with zero.
    pub(super) register: Register,
    /// Whether zero means yes.
    pub(super) is_negated: bool,
}

impl Condition {
    /// `yes` and `no`, as what to take if the register is not zero, and if it is.
    pub(super) fn order<T>(&self, yes: T, no: T) -> (T, T) {
        if self.is_negated { (no, yes) } else { (yes, no) }
    }

    /// A branch on the condition.
    pub(super) fn branch(&self, yes: Block, no: Block) -> Terminator {
        let (if_true, if_false) = self.order(yes, no);
        Terminator::Branch { condition: self.register, if_true, if_false }
    }
}

/// The instruction that makes `dst` hold the value of `operand`, unless it does.
pub(super) fn load(dst: Register, operand: Operand) -> Option<Instruction> {
    match operand {
        Operand::Local(src) | Operand::Temporary(src) if src == dst => None,
        Operand::Local(src) | Operand::Temporary(src) => Some(Instruction::Copy { dst, src }),
        Operand::Constant(value) => Some(Instruction::Const { dst, value }),
    }
}
