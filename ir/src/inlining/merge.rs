//! Making one body of those of a plan.
//!
//! A block is cut behind each call that is inlined. The part before it ends with copies of the arguments, and jumps to the
//! entry of the callee's body; where that returns, the results are copied, and the next part follows.

use super::plan::{Plan, PlannedFrame};
use super::source::Source;
use super::tree::{FrameIndex, InlineTree, VirtualFrame};
use super::{Inlined, Origin};
use crate::body::{BasicBlock, Body, Instruction, Terminator};
use crate::index::{Block, Register};
use crate::liveness::Liveness;
use crate::point::{Point, PointKind, Points, Position};
use crate::renaming::{rename_definitions, rename_terminator, rename_uses};

/// Makes the body of `plan`.
pub(super) fn merge(plan: &Plan<'_>, entries: bool) -> Inlined {
    let merger = Merger::new(plan);
    let mut body = Body { registers: merger.register_types(), blocks: Vec::new() };
    for origin in &merger.origins {
        body.blocks.push(merger.block(origin));
    }
    let inlined_entries: Vec<Block> = if entries {
        merger.starts[1..].iter().map(|starts| starts[Body::ENTRY]).collect()
    } else {
        Vec::new()
    };
    let points = Points::with_entries(&body, &inlined_entries);
    let tree_points = points.iter().map(|(_, kind, position)| merger.point(kind, position)).collect();
    let tree = InlineTree::new(merger.frames.clone(), tree_points);
    let live = points.iter().map(|(point, ..)| merger.live(&tree, point)).collect();
    let liveness = Liveness::with_points(&body, &points, live);
    let root = &plan.frames[0].source;
    let resumes = root.points.iter().map(|(_, kind, position)| merger.resume(kind, position)).collect();
    Inlined { body, points, liveness, tree, resumes, origins: merger.origins }
}

struct Merger<'p, 'm> {
    plan: &'p Plan<'m>,
    frames: Vec<VirtualFrame>,
    /// The parts of all blocks of all virtual frames: one for each block of the merged body.
    origins: Vec<Origin>,
    /// Per virtual frame and block of its body, the first part; the others follow it.
    starts: Vec<Vec<Block>>,
}

impl<'p, 'm> Merger<'p, 'm> {
    fn new(plan: &'p Plan<'m>) -> Merger<'p, 'm> {
        let mut merger = Merger { plan, frames: Vec::new(), origins: Vec::new(), starts: Vec::new() };
        let mut first = 0;
        for (index, planned) in plan.frames.iter().enumerate() {
            let registers = planned.source.body.registers.len() as u32;
            let caller = planned.caller.map(|(caller, call)| (caller, plan.point_after(caller, call)));
            let offset = caller.map_or(0, |(caller, _)| {
                let VirtualFrame { offset, registers, .. } = merger.frames[caller.index()];
                offset + registers
            });
            merger.frames.push(VirtualFrame { function: planned.function, caller, first, registers, offset });
            first += registers;
            merger.cut_blocks(FrameIndex::new(index), planned);
        }
        merger
    }

    /// Numbers the parts of the blocks of a virtual frame.
    fn cut_blocks(&mut self, frame: FrameIndex, planned: &PlannedFrame<'_>) {
        let mut starts = Vec::new();
        for block in planned.source.body.block_indices() {
            starts.push(Block::new(self.origins.len()));
            self.origins.push(Origin { frame, block, first: 0 });
            let calls = planned.inlined.keys().filter(|position| position.block == block);
            let parts = calls.map(|call| Origin { frame, block, first: call.index + 1 });
            self.origins.extend(parts);
        }
        self.starts.push(starts);
    }

    fn planned(&self, frame: FrameIndex) -> &'p PlannedFrame<'m> {
        &self.plan.frames[frame.index()]
    }

    fn register_types(&self) -> Vec<crate::value::Type> {
        self.plan.frames.iter().flat_map(|frame| &frame.source.body.registers).copied().collect()
    }

    /// The register of the merged body for `register` of that virtual frame.
    fn rename(&self, frame: FrameIndex, register: Register) -> Register {
        Register::new(self.frames[frame.index()].first as usize + register.index())
    }

    /// The part of a virtual frame's block that holds the instruction, or the end, at `position`.
    fn part(&self, frame: FrameIndex, Position { block, index }: Position) -> (Block, usize) {
        let start = self.starts[frame.index()][block.index()];
        let is_same = |origin: &&Origin| (origin.frame, origin.block) == (frame, block);
        let parts = self.origins[start.index()..].iter().take_while(is_same);
        let before = parts.take_while(|origin| origin.first <= index).count() - 1;
        let part = Block::new(start.index() + before);
        (part, index - self.origins[part.index()].first)
    }

    /// The block of the merged body that is made of `origin`.
    fn block(&self, &Origin { frame, block, first }: &Origin) -> BasicBlock {
        let planned = self.planned(frame);
        let source = planned.source.body.block(block);
        let after = Position { block, index: first };
        let call = planned.inlined.range(after..).next().filter(|(position, _)| position.block == block);
        let end = call.map_or(source.instructions.len(), |(position, _)| position.index);
        let mut instructions = source.instructions[first..end].to_vec();
        for instruction in &mut instructions {
            rename_uses(instruction, |register| self.rename(frame, register));
            rename_definitions(instruction, |register| self.rename(frame, register));
        }
        let terminator = match call {
            Some((position, &callee)) => {
                let Instruction::Call { arguments, .. } = &source.instructions[position.index] else {
                    unreachable!("only calls are inlined")
                };
                let parameters = (0..arguments.len()).map(Register::new);
                let copies = parameters.zip(arguments).map(|(parameter, &argument)| Instruction::Copy {
                    dst: self.rename(callee, parameter),
                    src: self.rename(frame, argument),
                });
                instructions.extend(copies);
                Terminator::Jump { target: self.starts[callee.index()][Body::ENTRY] }
            }
            None => self.terminator(frame, &source.terminator, &mut instructions),
        };
        BasicBlock { instructions, terminator }
    }

    /// What becomes of `terminator` of a virtual frame. Where it returns to another, results are copied first.
    fn terminator(
        &self,
        frame: FrameIndex,
        terminator: &Terminator,
        instructions: &mut Vec<Instruction>,
    ) -> Terminator {
        if let (Terminator::Return { values }, Some((caller, call))) =
            (terminator, self.planned(frame).caller)
        {
            let results =
                self.planned(caller).source.body.block(call.block).instructions[call.index].definitions();
            instructions.extend(results.iter().zip(values).map(|(&result, &value)| Instruction::Copy {
                dst: self.rename(caller, result),
                src: self.rename(frame, value),
            }));
            let (target, _) = self.part(caller, Position { index: call.index + 1, ..call });
            return Terminator::Jump { target };
        }
        let mut terminator = terminator.clone();
        rename_terminator(&mut terminator, |register| self.rename(frame, register));
        terminator.each_successor_mut(|target| *target = self.starts[frame.index()][target.index()]);
        terminator
    }

    /// The virtual frame and its point that a point of that kind at `position` of the merged body is.
    fn point(&self, kind: PointKind, position: Position) -> (FrameIndex, Point) {
        let Origin { frame, block, first } = self.origins[position.block.index()];
        let points = &self.planned(frame).source.points;
        let point = match kind {
            PointKind::Entry => Some(Points::entry()),
            PointKind::LoopHeader => points.header(block).filter(|_| first == 0),
            PointKind::Guard => unreachable!("guards are branches here"),
            PointKind::AfterCall | PointKind::Trap => points.at(block, first + position.index),
        };
        (frame, point.expect("points of a merged body are points of the bodies that it is made of"))
    }

    /// The registers that are live at `point` of the merged body, in ascending order.
    fn live(&self, tree: &InlineTree, point: Point) -> Box<[Register]> {
        let (innermost, _) = tree.innermost(point);
        let mut live = Vec::new();
        for (frame, point) in tree.chain(point) {
            let Source { body, points, liveness, .. } = &*self.planned(frame).source;
            let Position { block, index } = points.position(point);
            // What the call returns is what the frames further in are yet to compute.
            let results = match frame == innermost {
                true => &[],
                false => body.block(block).instructions[index].definitions(),
            };
            let kept = liveness.at(point).iter().filter(|register| !results.contains(register));
            live.extend(kept.map(|&register| self.rename(frame, register)));
        }
        live.sort_unstable();
        live.into()
    }

    /// Where the function itself resumes at a point of that kind at `position` of its body.
    fn resume(&self, kind: PointKind, position: Position) -> (Block, usize) {
        let index = position.index + usize::from(kind == PointKind::AfterCall);
        self.part(FrameIndex::new(0), Position { index, ..position })
    }
}
