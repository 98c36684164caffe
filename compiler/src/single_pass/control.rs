//! Blocks and what leads from one to the other.
//!
//! Where control joins, every value that is live is in its slot. A block that one edge alone leads to, from the block that
//! lies before it, finds the machine registers as they are there.

use std::mem::offset_of;

use cranelift_assembler_x64::{GprMem, Scale};
use osr_ir::liveness::RegisterSet;
use osr_ir::{Block, Body, PointKind, Points, Register, Terminator, TrapKind};
use osr_stubs::Context;

use super::Pass;
use super::assembler::{Label, emit};
use super::integer::{Arithmetic, Right};
use super::machine::{self, ARGUMENTS, Condition, MachineRegister, RESULTS, RSI, SCRATCH, Width, Xmm};
use super::uses::LiveOut;
use crate::calling_convention::Place;
use crate::unit::EntryPoint;

/// A jump table that is still to be made.
#[derive(Debug)]
pub(super) struct JumpTable {
    label: Label,
    targets: Vec<Label>,
}

/// Where a body's blocks are, or will be.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// The blocks that are compiled, in order.
    pub(super) order: Vec<Block>,
    /// Per block, its label, if it is compiled.
    labels: Vec<Option<Label>>,
    /// Per loop header, what lies behind its poll.
    behind_polls: Vec<Option<Label>>,
    /// Per block, how many edges lead to it.
    edges: Vec<u32>,
    /// Blocks that are reached, and whose successors are still to be found.
    pending: Vec<Block>,
}

impl Pass<'_> {
    /// Compiles everything that is reached from `entry`.
    pub(super) fn blocks(&mut self, entry: EntryPoint) {
        let start = match entry.continues_at() {
            None => {
                self.lay_out(Block::new(Body::ENTRY), true);
                self.enter_function();
                None
            }
            Some(point) => self.enter_continuation(point),
        };
        let order = std::mem::take(&mut self.buffers.layout.order);
        if let Some((block, from)) = start {
            self.block(block, from, order.first().copied());
        }
        for (number, &block) in order.iter().enumerate() {
            self.begin_block(block);
            self.block(block, 0, order.get(number + 1).copied());
        }
        self.buffers.layout.order = order;
    }

    /// Finds the blocks that are reached from `start`, and gives them labels. `start` itself is entered from outside if
    /// `enters`; else it has a copy of its own, and counts if it is reached once more.
    fn lay_out(&mut self, start: Block, enters: bool) {
        let (body, points) = (self.body, &self.analysis.points);
        let layout = &mut self.buffers.layout;
        layout.order.clear();
        layout.labels.clear();
        layout.labels.resize(body.blocks.len(), None);
        layout.behind_polls.clear();
        layout.behind_polls.resize(body.blocks.len(), None);
        layout.edges.clear();
        layout.edges.resize(body.blocks.len(), 0);
        layout.pending.push(start);
        if enters {
            layout.labels[start.index()] = Some(self.assembler.label());
            layout.edges[start.index()] = 1;
        }
        while let Some(block) = layout.pending.pop() {
            body.block(block).terminator.each_successor(|successor| {
                layout.edges[successor.index()] += 1;
                let label = &mut layout.labels[successor.index()];
                if label.is_none() {
                    *label = Some(self.assembler.label());
                    layout.pending.push(successor);
                }
            });
        }
        for block in body.block_indices().filter(|block| layout.labels[block.index()].is_some()) {
            layout.order.push(block);
            if points.header(block).is_some() {
                layout.behind_polls[block.index()] = Some(self.assembler.label());
            }
        }
    }

    fn label_of(&self, block: Block) -> Label {
        self.buffers.layout.labels[block.index()].expect("what is reached is compiled")
    }

    /// Begins with arguments.
    fn enter_function(&mut self) {
        self.count_residents(1);
        let live = self.analysis.liveness.at(Points::entry());
        let layout = self.unit.linked.layout_of(self.unit.key.function);
        for (position, &place) in layout.parameters.iter().enumerate() {
            let register = Register::new(position);
            if live.binary_search(&register).is_err() {
                continue;
            }
            let machine = match place {
                Place::Integer(n) => MachineRegister::General(ARGUMENTS[usize::from(n)]),
                Place::Float(n) => MachineRegister::Vector(Xmm(n)),
                Place::Memory(n) => {
                    let (width, slot) = (self.width(register), self.slot(register));
                    self.assembler.load_gpr(width, SCRATCH, machine::at(machine::RBP, 16 + 8 * n as i32));
                    self.assembler.store_gpr(width, slot, SCRATCH);
                    continue;
                }
            };
            self.define(register, machine);
        }
        self.flush(|_| true);
        self.poll(Points::entry());
        self.count_arguments(live);
        self.kept_for = Some(Block::new(Body::ENTRY));
    }

    /// Begins with a frame state. Returns the part of a block that is executed before other blocks are, if there is one.
    fn enter_continuation(&mut self, point: osr_ir::Point) -> Option<(Block, usize)> {
        self.count_residents(1);
        for &register in self.analysis.liveness.at(point) {
            if self.buffers.constants.everywhere(register).is_none() {
                let (width, slot) = (self.width(register), self.slot(register));
                self.assembler.load_gpr(width, SCRATCH, machine::at(RSI, register.as_u32() as i32 * 8));
                self.assembler.store_gpr(width, slot, SCRATCH);
            }
        }
        let position = self.analysis.points.position(point);
        match self.analysis.points.kind(point) {
            PointKind::Entry => {
                self.lay_out(position.block, true);
                None
            }
            // The header is reached by its back-edges as well, so that everything is in slots there. Its poll was passed.
            PointKind::LoopHeader => {
                self.lay_out(position.block, true);
                let behind = self.buffers.layout.behind_polls[position.block.index()];
                self.assembler.jump(behind.expect("loop headers poll"));
                None
            }
            PointKind::AfterCall => {
                self.lay_out(position.block, false);
                Some((position.block, position.index + 1))
            }
            PointKind::Guard => {
                self.lay_out(position.block, false);
                Some((position.block, position.index))
            }
            PointKind::Trap => unreachable!("execution does not resume at traps"),
        }
    }

    /// Begins `block`: with what machine registers hold if the block before leads here and nothing else does, else with
    /// everything in slots.
    fn begin_block(&mut self, block: Block) {
        let label = self.label_of(block);
        self.assembler.bind(label);
        if self.kept_for == Some(block) {
            let live = self.analysis.liveness.live_in(block);
            for machine in self.buffers.cache.occupied() {
                if let Some(register) = self.buffers.cache.held(machine).filter(|&held| !live.contains(held))
                {
                    self.buffers.cache.forget(register);
                }
            }
            self.buffers.constants.retain_unstored(|register| live.contains(register));
        } else {
            self.buffers.cache.forget_all();
            self.buffers.constants.forget();
        }
        if let Some(point) = self.analysis.points.header(block) {
            self.assembler.at(Some(point));
            self.poll(point);
            let behind = self.buffers.layout.behind_polls[block.index()];
            self.assembler.bind(behind.expect("loop headers poll"));
        }
    }

    /// Compiles `block` from its instruction `from` on; `next` is what lies behind it.
    fn block(&mut self, block: Block, from: usize, next: Option<Block>) {
        let basic_block = self.body.block(block);
        self.block_instructions = &basic_block.instructions;
        self.block_terminator = Some(&basic_block.terminator);
        let mut buffer = std::mem::take(&mut self.buffers.live_out);
        let live_out = LiveOut::of(&basic_block.terminator, &self.analysis.liveness, &mut buffer);
        self.buffers.uses.find(basic_block, live_out);
        let points = self.analysis.points.of_block(block);
        let mut points = points[points.partition_point(|&(at, _)| (at as usize) < from)..].iter().peekable();
        let mut point_at = |index| points.next_if(|&&(at, _)| at as usize == index).map(|&(_, point)| point);
        for (index, instruction) in basic_block.instructions.iter().enumerate().skip(from) {
            self.instruction(instruction, point_at(index), index);
        }
        self.assembler.at(point_at(basic_block.instructions.len()));
        let (edges, points) = (&self.buffers.layout.edges, &self.analysis.points);
        // Where a loop polls everything has to be in slots.
        self.kept_for = next.filter(|&next| edges[next.index()] == 1 && points.header(next).is_none());
        self.terminator(block, &basic_block.terminator, next);
        self.buffers.cache.unlock_all();
        self.buffers.live_out = buffer;
    }

    /// Puts into slots what `target` finds there.
    fn flush_for(&mut self, target: Block) {
        if self.kept_for != Some(target) {
            let live: &RegisterSet = self.analysis.liveness.live_in(target);
            self.flush(|register| live.contains(register));
        }
    }

    fn terminator(&mut self, block: Block, terminator: &Terminator, next: Option<Block>) {
        match terminator {
            &Terminator::Jump { target } => {
                self.flush_for(target);
                if self.kept_for != Some(target) {
                    self.kept_for = None;
                }
                if next != Some(target) {
                    let label = self.label_of(target);
                    self.assembler.jump(label);
                }
            }
            &Terminator::Branch { condition, if_true, if_false }
            | &Terminator::Guard { condition, next: if_true, exit: if_false } => {
                self.branch(block, condition, [if_true, if_false], next);
            }
            Terminator::Switch { index, targets, default } => self.switch(*index, targets, *default),
            Terminator::Return { values } => self.return_values(values),
            Terminator::TailCall { .. }
            | Terminator::TailCallIndirect { .. }
            | Terminator::Deoptimize { .. } => {
                unreachable!("functions that leave for the interpreter are not compiled here")
            }
            Terminator::Unreachable => {
                self.kept_for = None;
                self.assembler.trap(TrapKind::Unreachable);
            }
        }
    }

    fn branch(
        &mut self,
        block: Block,
        condition: Register,
        [if_true, if_false]: [Block; 2],
        next: Option<Block>,
    ) {
        if self.kept_for.is_some_and(|kept| kept != if_true && kept != if_false) {
            self.kept_for = None;
        }
        let dies = self.buffers.uses.terminator.dies(0);
        let test = self.test(condition, dies);
        self.flush_for(if_true);
        self.flush_for(if_false);
        let (yes, no) = (self.label_of(if_true), self.label_of(if_false));
        if let Some(taken) = self.unit.profile.and_then(|profile| profile.branch(block)) {
            let not_taken = taken + 1;
            // What lies next is fallen into, behind its count.
            let (first, second, test) = match next == Some(if_false) {
                true => ((yes, taken), (no, not_taken), test.negated()),
                false => ((no, not_taken), (yes, taken), test),
            };
            let other = self.assembler.label();
            self.jump_near_if(test, other);
            self.count(first.1);
            self.assembler.jump(first.0);
            self.assembler.bind(other);
            self.count(second.1);
            if next != Some(if second.1 == taken { if_true } else { if_false }) {
                self.assembler.jump(second.0);
            }
        } else if next == Some(if_true) {
            self.jump_if(test.negated(), no);
        } else {
            self.jump_if(test, yes);
            if next != Some(if_false) {
                self.assembler.jump(no);
            }
        }
    }

    fn switch(&mut self, index: Register, targets: &[Block], default: Block) {
        self.kept_for = None;
        let index = self.extended_gpr(index);
        let mut buffer = std::mem::take(&mut self.buffers.switch_live);
        buffer.clone_from(self.analysis.liveness.live_in(default));
        targets.iter().for_each(|&target| buffer.union(self.analysis.liveness.live_in(target)));
        self.flush(|register| buffer.contains(register));
        self.buffers.switch_live = buffer;
        let default = self.label_of(default);
        if targets.is_empty() {
            return self.assembler.jump(default);
        }
        let count = Right::Number(i32::try_from(targets.len()).expect("a body is smaller"));
        self.arithmetic(Arithmetic::Compare, Width::Bits32, GprMem::Gpr(index), count);
        self.assembler.jump_if(Condition::AboveOrEqual, default);
        let (table, entry) = (self.assembler.label(), self.new_gpr());
        self.assembler.address_of(SCRATCH, table);
        emit!(self.assembler, movslq_rm(entry, machine::at_index(SCRATCH, index, Scale::Four, 0)));
        emit!(self.assembler, addq_rm(SCRATCH, entry));
        emit!(self.assembler, jmpq_m(SCRATCH));
        let targets = targets.iter().map(|&target| self.label_of(target)).collect();
        self.buffers.tables.push(JumpTable { label: table, targets });
    }

    fn return_values(&mut self, values: &[Register]) {
        self.kept_for = None;
        let places = &self.unit.linked.layout_of(self.unit.key.function).results;
        for (&register, &place) in values.iter().zip(places) {
            let Place::Memory(n) = place else { continue };
            let word = self.word(register);
            self.load_context(SCRATCH, offset_of!(Context, results));
            let target = machine::at(SCRATCH, n as i32 * 8);
            match word {
                Right::Number(number) => emit!(self.assembler, movq_mi_sxl(target, number)),
                Right::Place(GprMem::Gpr(source)) => self.assembler.store_gpr(Width::Bits64, target, source),
                Right::Place(GprMem::Mem(_)) => unreachable!("words are in registers"),
            }
            self.buffers.cache.unlock_all();
        }
        for (&register, &place) in values.iter().zip(places) {
            match place {
                Place::Integer(n) => self.want(register, MachineRegister::General(RESULTS[usize::from(n)])),
                Place::Float(n) => self.want(register, MachineRegister::Vector(Xmm(n))),
                Place::Memory(_) => {}
            }
        }
        self.move_wanted();
        if let Some(label) = self.epilogue {
            return self.assembler.jump(label);
        }
        let label = self.assembler.label();
        self.assembler.bind(label);
        self.epilogue = Some(label);
        self.count_residents(-1);
        self.frame.leave(&mut self.assembler);
        self.assembler.ret();
    }

    /// Makes the jump tables.
    pub(super) fn jump_tables(&mut self) {
        for JumpTable { label, targets } in std::mem::take(&mut self.buffers.tables) {
            self.assembler.bind(label);
            targets.into_iter().for_each(|target| self.assembler.distance(target, label));
        }
    }
}
