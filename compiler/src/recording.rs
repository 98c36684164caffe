//! Which registers each call of optimized code must store into the frame, where state recording is *slots*.
//!
//! The frame state at a call is kept in slots, one per register of the body. A slot stays good until
//! its register is written again, so a call stores only what no call has stored on *every* path
//! before it: a forward dataflow whose join is intersection.
//!
//! Polls store in their cold block, which most executions do not take: they profit from what calls
//! have stored, but do not count as having stored anything.

use osr_ir::liveness::RegisterSet;
use osr_ir::point::reverse_postorder;
use osr_ir::{Block, Body, Instruction, PointKind, Register};

use crate::analysis::Analysis;
use crate::unit::EntryPoint;

/// The registers whose slots are good, where each block begins.
#[derive(Debug)]
pub(super) struct Stores<'c> {
    always: &'c [Option<u64>],
    good_at_start: Vec<Option<RegisterSet>>,
}

impl<'c> Stores<'c> {
    /// Solves the dataflow for code that is entered at `entry`. `always` are the registers that hold
    /// one constant wherever they are live.
    pub(super) fn of(
        body: &Body,
        analysis: &Analysis,
        entry: EntryPoint,
        always: &'c [Option<u64>],
    ) -> Stores<'c> {
        let mut stores = Stores { always, good_at_start: vec![None; body.blocks.len()] };
        let nothing = RegisterSet::new(body.registers.len());
        stores.good_at_start[Body::ENTRY] = Some(nothing.clone());
        if let EntryPoint::Continuation(point) = entry {
            let position = analysis.points.position(point);
            let from = match analysis.points.kind(point) {
                PointKind::Entry => None,
                PointKind::LoopHeader => Some(0),
                PointKind::AfterCall => Some(position.index + 1),
                PointKind::Trap => unreachable!("execution does not resume at traps"),
            };
            if let Some(from) = from {
                // The rest of the block is entered with nothing stored; the entry is not at all.
                stores.good_at_start[Body::ENTRY] = None;
                let after = stores.step_block(body, analysis, position.block, from, nothing);
                stores.flow(body, position.block, &after);
            }
        }
        let order = reverse_postorder(body);
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for &block in &order {
                changed |= stores.visit(body, analysis, block);
            }
        }
        stores
    }

    /// The registers whose slots are good where `block` begins.
    pub(super) fn at_start(&self, body: &Body, block: Block) -> RegisterSet {
        self.good_at_start[block.index()].clone().unwrap_or_else(|| RegisterSet::new(body.registers.len()))
    }

    fn visit(&mut self, body: &Body, analysis: &Analysis, block: Block) -> bool {
        let Some(start) = self.good_at_start[block.index()].clone() else { return false };
        let end = self.step_block(body, analysis, block, 0, start);
        self.flow(body, block, &end)
    }

    /// What `block` does to the good slots, from its instruction `from` on. Mirrors the translator: what is
    /// a known constant at a call is not stored.
    fn step_block(
        &self,
        body: &Body,
        analysis: &Analysis,
        block: Block,
        from: usize,
        mut good: RegisterSet,
    ) -> RegisterSet {
        let mut constants = RegisterSet::new(body.registers.len());
        let always = self.always.iter().enumerate().filter(|(_, constant)| constant.is_some());
        always.for_each(|(register, _)| constants.insert(Register::new(register)));
        for (index, instruction) in body.block(block).instructions.iter().enumerate().skip(from) {
            if instruction.is_call() {
                let point = analysis.points.at(block, index).expect("calls have points");
                let results = instruction.definitions();
                let live = analysis.liveness.at(point).iter();
                let stored =
                    live.filter(|&&register| !results.contains(&register) && !constants.contains(register));
                stored.for_each(|&register| good.insert(register));
            }
            let constant = is_constant(instruction, &constants);
            instruction.definitions().iter().for_each(|&register: &Register| {
                good.remove(register);
                constants.remove(register);
                if constant {
                    constants.insert(register);
                }
            });
        }
        good
    }

    fn flow(&mut self, body: &Body, block: Block, end: &RegisterSet) -> bool {
        let mut changed = false;
        body.block(block).terminator.each_successor(|successor| {
            let start = &mut self.good_at_start[successor.index()];
            let joined = match start {
                None => end.clone(),
                Some(good) => {
                    let mut joined = good.clone();
                    joined.intersect(end);
                    joined
                }
            };
            if start.as_ref() != Some(&joined) {
                *start = Some(joined);
                changed = true;
            }
        });
        changed
    }
}

fn is_constant(instruction: &Instruction, constants: &RegisterSet) -> bool {
    match instruction {
        Instruction::Const { .. } => true,
        Instruction::Copy { src, .. } => constants.contains(*src),
        _ => false,
    }
}

/// Per register, the constant that it holds wherever it is live: all its definitions are the same one.
pub(super) fn constant_registers(body: &Body, parameters: usize) -> Vec<Option<u64>> {
    let mut defined = vec![None; body.registers.len()];
    let mut varies = vec![false; body.registers.len()];
    varies[..parameters].fill(true);
    for instruction in body.blocks.iter().flat_map(|block| &block.instructions) {
        for register in instruction.definitions() {
            let constant = match instruction {
                Instruction::Const { value, .. } => Some(value.to_bits()),
                _ => None,
            };
            let known = &mut defined[register.index()];
            varies[register.index()] |=
                constant.is_none() || known.is_some_and(|known| Some(known) != constant);
            *known = known.or(constant);
        }
    }
    defined.iter().zip(varies).map(|(&constant, varies)| constant.filter(|_| !varies)).collect()
}
