//! Where the values of a block are used last.
//!
//! A backward pass over the block: a value that is not used again needs no store, and its machine register is free.

use osr_ir::liveness::RegisterSet;
use osr_ir::{BasicBlock, Block, Liveness, Register, Terminator};

/// What is known of an instruction's operands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Uses(u8);

impl Uses {
    const UNUSED: u8 = 1 << 7;

    /// Whether operand number `n`, in the order of `Instruction::each_use`, is not used again.
    pub(super) fn dies(self, n: usize) -> bool {
        self.0 >> n & 1 == 1
    }

    /// The same with the first two operands swapped.
    pub(super) fn swapped(self) -> Uses {
        Uses(self.0 & !3 | self.0 >> 1 & 1 | (self.0 & 1) << 1)
    }

    /// Whether nothing that the instruction defines is used.
    pub(super) fn is_unused(self) -> bool {
        self.0 & Uses::UNUSED != 0
    }
}

/// The registers that are live where control leaves a block.
#[derive(Clone, Copy, Debug)]
pub(super) enum LiveOut<'a> {
    None,
    One(&'a RegisterSet),
    Two(&'a RegisterSet, &'a RegisterSet),
    Many(&'a RegisterSet),
}

impl<'a> LiveOut<'a> {
    /// Those of a block with `terminator`. `buffer` takes the set if there are many successors.
    pub(super) fn of(
        terminator: &Terminator,
        liveness: &'a Liveness,
        buffer: &'a mut RegisterSet,
    ) -> LiveOut<'a> {
        match *terminator {
            Terminator::Return { .. }
            | Terminator::Unreachable
            | Terminator::TailCall { .. }
            | Terminator::TailCallIndirect { .. }
            | Terminator::Deoptimize { .. } => LiveOut::None,
            Terminator::Jump { target } => LiveOut::One(liveness.live_in(target)),
            Terminator::Branch { if_true, if_false, .. }
            | Terminator::Guard { next: if_true, exit: if_false, .. } => {
                LiveOut::Two(liveness.live_in(if_true), liveness.live_in(if_false))
            }
            Terminator::Switch { ref targets, default, .. } => {
                buffer.clone_from(liveness.live_in(default));
                targets.iter().for_each(|&target: &Block| buffer.union(liveness.live_in(target)));
                LiveOut::Many(buffer)
            }
        }
    }

    /// Whether `register` is among them.
    pub(super) fn contains(self, register: Register) -> bool {
        match self {
            LiveOut::None => false,
            LiveOut::One(set) | LiveOut::Many(set) => set.contains(register),
            LiveOut::Two(one, other) => one.contains(register) || other.contains(register),
        }
    }
}

/// Finds last uses, block by block.
#[derive(Debug, Default)]
pub(super) struct UseFinder {
    /// Per register, the number of the pass that has met it last, and whether it is live there.
    seen: Vec<(u32, bool)>,
    pass: u32,
    /// Per instruction of the block.
    pub(super) uses: Vec<Uses>,
    /// Of the terminator.
    pub(super) terminator: Uses,
}

impl UseFinder {
    /// Forgets everything; there are `registers` registers in the body.
    pub(super) fn reset(&mut self, registers: usize) {
        self.seen.clear();
        self.seen.resize(registers, (0, false));
        self.pass = 0;
    }

    /// Finds the last uses in `block`.
    pub(super) fn find(&mut self, block: &BasicBlock, live_out: LiveOut<'_>) {
        self.pass += 1;
        self.uses.clear();
        self.uses.resize(block.instructions.len(), Uses::default());
        let mut terminator = Uses::default();
        block.terminator.each_use(|register| {
            terminator.0 = u8::from(!self.is_live(register, live_out));
        });
        block.terminator.each_use(|register| self.set(register, true));
        self.terminator = terminator;
        for (index, instruction) in block.instructions.iter().enumerate().rev() {
            let mut uses = Uses(Uses::UNUSED);
            for &register in instruction.definitions() {
                if self.is_live(register, live_out) {
                    uses.0 &= !Uses::UNUSED;
                }
                self.set(register, false);
            }
            let mut operand = 0;
            instruction.each_use(|register| {
                // Of calls, which may have more, nothing is asked.
                if operand < 7 && !self.is_live(register, live_out) {
                    uses.0 |= 1 << operand;
                }
                operand += 1;
            });
            instruction.each_use(|register| self.set(register, true));
            self.uses[index] = uses;
        }
    }

    fn is_live(&self, register: Register, live_out: LiveOut<'_>) -> bool {
        match self.seen[register.index()] {
            (pass, live) if pass == self.pass => live,
            _ => live_out.contains(register),
        }
    }

    fn set(&mut self, register: Register, live: bool) {
        self.seen[register.index()] = (self.pass, live);
    }
}
