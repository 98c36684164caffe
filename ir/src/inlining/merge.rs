//! Making one body of those of a plan.
//!
//! A block is cut behind each call that is inlined. The part before it ends with copies of the arguments, and jumps to the
//! entry of the callee's body; where that returns, the results are copied, and the next part follows.
//!
//! Behind a guarded call it is cut, too, and what the comparisons lead to lies between the parts:
//!
//! ```text
//!   part, test 0 | test 1 | .. | arm 0 | arm 1 | .. | others | next part
//! ```

use super::Inlined;
use super::plan::{Plan, PlannedCall, PlannedFrame};
use super::source::Source;
use super::tree::{FrameIndex, InlineTree, Origin, Part, VirtualFrame};
use crate::body::{BasicBlock, Body, Instruction, Terminator};
use crate::index::{Block, FunctionIndex, Register};
use crate::liveness::Liveness;
use crate::point::{Point, PointKind, Points, Position};
use crate::value::Type;

/// Makes the body of `plan`.
pub(super) fn merge(plan: &Plan<'_>, entries: bool) -> Inlined {
    let merger = Merger::new(plan);
    let mut body = Body { registers: merger.register_types(), blocks: Vec::new() };
    body.blocks.extend((0..merger.origins.len()).map(|block| merger.block(Block::new(block))));
    let inlined_entries: Vec<Block> = if entries {
        merger.starts[1..].iter().map(|starts| starts[Body::ENTRY]).collect()
    } else {
        Vec::new()
    };
    let root = &plan.frames[0].source;
    let points = Points::merged(&body, &inlined_entries, root.points.is_speculative());
    let tree_points = points.iter().map(|(_, kind, position)| merger.point(kind, position)).collect();
    let tree = InlineTree::new(merger.frames.clone(), merger.origins.clone(), tree_points);
    let live: Vec<_> = points.iter().map(|(point, ..)| merger.live(&tree, point)).collect();
    let liveness = Liveness::with_points(&body, &points, &live);
    let resumes = root.points.iter().map(|(point, ..)| merger.resume(point)).collect();
    Inlined { body, points, liveness, tree, resumes }
}

struct Merger<'p, 'm> {
    plan: &'p Plan<'m>,
    frames: Vec<VirtualFrame>,
    /// The parts of all blocks of all virtual frames: one for each block of the merged body.
    origins: Vec<Origin>,
    /// Per virtual frame and block of its body, the first part; the others follow it.
    starts: Vec<Vec<Block>>,
}

/// A call that is inlined or guarded, where a part ends.
#[derive(Clone, Copy)]
struct Cut<'p> {
    frame: FrameIndex,
    position: Position,
    call: &'p PlannedCall,
    /// The part that it ends.
    part: Block,
}

impl Cut<'_> {
    /// How many targets it is compared with.
    fn arms(&self) -> usize {
        match self.call {
            PlannedCall::Inlined(_) => 0,
            PlannedCall::Guarded { arms, .. } => arms.len(),
        }
    }

    fn block(&self, further: usize) -> Block {
        Block::new(self.part.index() + further)
    }

    fn arm(&self, number: usize) -> Block {
        self.block(self.arms() + number)
    }

    fn others(&self) -> Block {
        self.block(2 * self.arms())
    }

    /// The part behind it.
    fn next(&self) -> Block {
        match self.call {
            PlannedCall::Inlined(_) => self.block(1),
            PlannedCall::Guarded { .. } => self.block(2 * self.arms() + 1),
        }
    }
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
            let mut first = 0;
            for (position, call) in planned.calls.iter().filter(|(position, _)| position.block == block) {
                let end = position.index;
                self.origins.push(Origin { frame, block, first, end, part: Part::Code });
                if let PlannedCall::Guarded { arms, .. } = call {
                    let tests = (1..arms.len()).map(Part::Test);
                    let parts = tests.chain((0..arms.len()).map(Part::Arm)).chain([Part::Others]);
                    self.origins.extend(parts.map(|part| Origin { frame, block, first: end, end, part }));
                }
                first = end + 1;
            }
            let end = planned.source.body.end(block).index;
            self.origins.push(Origin { frame, block, first, end, part: Part::Code });
        }
        self.starts.push(starts);
    }

    fn planned(&self, frame: FrameIndex) -> &'p PlannedFrame<'m> {
        &self.plan.frames[frame.index()]
    }

    /// Those of all virtual frames, and one for what comparisons with targets yield, which is not live at any point.
    fn register_types(&self) -> Vec<Type> {
        let frames = self.plan.frames.iter().flat_map(|frame| &frame.source.body.registers).copied();
        let compares = self.origins.iter().any(|origin| origin.part == Part::Others);
        frames.chain(compares.then_some(Type::I32)).collect()
    }

    fn outcome(&self) -> Register {
        let VirtualFrame { first, registers, .. } = self.frames[self.frames.len() - 1];
        Register::new((first + registers) as usize)
    }

    /// The register of the merged body for `register` of that virtual frame.
    fn rename(&self, frame: FrameIndex, register: Register) -> Register {
        Register::new(self.frames[frame.index()].first as usize + register.index())
    }

    /// `instruction` of that virtual frame, in the merged body.
    fn renamed(&self, frame: FrameIndex, instruction: &Instruction) -> Instruction {
        let mut instruction = instruction.clone();
        instruction.rename(|register| self.rename(frame, register));
        instruction
    }

    /// The part of a virtual frame's block that holds the instruction, or the end, at `position`.
    fn part(&self, frame: FrameIndex, Position { block, index }: Position) -> (Block, usize) {
        let start = self.starts[frame.index()][block.index()].index();
        let parts = self.origins[start..].iter().enumerate();
        let parts = parts.take_while(|(_, origin)| (origin.frame, origin.block) == (frame, block));
        let before = parts.filter(|(_, origin)| origin.part == Part::Code && origin.first <= index);
        let (part, origin) = before.last().expect("the first part begins with the block");
        (Block::new(start + part), index - origin.first)
    }

    /// The call that ends a part, if one does.
    fn cut(&self, block: Block) -> Option<Cut<'p>> {
        let Origin { frame, block: own, end, part, .. } = self.origins[block.index()];
        let position = Position { block: own, index: end };
        let call = self.planned(frame).calls.get(&position)?;
        let cut = |part: usize| Cut { frame, position, call, part: Block::new(part) };
        Some(match part {
            Part::Code => cut(block.index()),
            Part::Test(number) => cut(block.index() - number),
            Part::Arm(number) => cut(block.index() - cut(0).arms() - number),
            Part::Others => cut(block.index() - 2 * cut(0).arms()),
        })
    }

    /// That block of the merged body.
    fn block(&self, block: Block) -> BasicBlock {
        let Origin { frame, block: own, first, end, part } = self.origins[block.index()];
        let source = self.planned(frame).source.body.block(own);
        let mut instructions = Vec::new();
        if part == Part::Code {
            let own = &source.instructions[first..end];
            instructions.extend(own.iter().map(|instruction| self.renamed(frame, instruction)));
        }
        let terminator = match self.cut(block) {
            None => self.terminator(frame, &source.terminator, &mut instructions),
            Some(cut) => match (cut.call, part) {
                (&PlannedCall::Inlined(callee), _) => self.enter(cut, callee, &mut instructions),
                (PlannedCall::Guarded { .. }, Part::Code) => self.compare(cut, 0, &mut instructions),
                (PlannedCall::Guarded { .. }, Part::Test(number)) => {
                    self.compare(cut, number, &mut instructions)
                }
                (PlannedCall::Guarded { arms, .. }, Part::Arm(number)) => {
                    self.call_target(cut, arms[number], &mut instructions)
                }
                (PlannedCall::Guarded { .. }, Part::Others) => {
                    instructions.push(self.renamed(frame, &source.instructions[end]));
                    Terminator::Jump { target: cut.next() }
                }
            },
        };
        BasicBlock { instructions, terminator }
    }

    /// Passes the arguments of the call to the virtual frame `callee`, and goes there.
    fn enter(&self, cut: Cut<'_>, callee: FrameIndex, instructions: &mut Vec<Instruction>) -> Terminator {
        let source = self.planned(cut.frame).source.body.block(cut.position.block);
        let call = &source.instructions[cut.position.index];
        let arguments = call.arguments().expect("calls are inlined");
        instructions.extend(arguments.iter().enumerate().map(|(parameter, &argument)| Instruction::Copy {
            dst: self.rename(callee, Register::new(parameter)),
            src: self.rename(cut.frame, argument),
        }));
        Terminator::Jump { target: self.starts[callee.index()][Body::ENTRY] }
    }

    /// Compares a guarded call with the target of that number.
    fn compare(&self, cut: Cut<'_>, number: usize, instructions: &mut Vec<Instruction>) -> Terminator {
        let PlannedCall::Guarded { arms, has_others } = cut.call else { unreachable!("it is guarded") };
        let source = self.planned(cut.frame).source.body.block(cut.position.block);
        let &Instruction::CallIndirect { table, index, .. } = &source.instructions[cut.position.index] else {
            unreachable!("indirect calls are guarded")
        };
        let (condition, index) = (self.outcome(), self.rename(cut.frame, index));
        let function = arms[number].0;
        instructions.push(Instruction::TableRefers { table, dst: condition, index, function });
        let next = cut.arm(number);
        if number + 1 < arms.len() {
            return Terminator::Branch { condition, if_true: next, if_false: cut.block(number + 1) };
        }
        match has_others {
            true => Terminator::Branch { condition, if_true: next, if_false: cut.others() },
            false => Terminator::Guard { condition, next, exit: cut.others() },
        }
    }

    /// Calls a target of a guarded call, or goes to its virtual frame.
    fn call_target(
        &self,
        cut: Cut<'_>,
        (function, frame): (FunctionIndex, Option<FrameIndex>),
        instructions: &mut Vec<Instruction>,
    ) -> Terminator {
        if let Some(callee) = frame {
            return self.enter(cut, callee, instructions);
        }
        let source = self.planned(cut.frame).source.body.block(cut.position.block);
        let call = &source.instructions[cut.position.index];
        let arguments = call.arguments().expect("it is a call").to_vec();
        let call = Instruction::Call { function, arguments, results: call.definitions().to_vec() };
        instructions.push(self.renamed(cut.frame, &call));
        Terminator::Jump { target: cut.next() }
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
        terminator.rename(|register| self.rename(frame, register));
        terminator.each_successor_mut(|target| *target = self.starts[frame.index()][target.index()]);
        terminator
    }

    /// The virtual frame and its point that a point of that kind at `position` of the merged body is.
    fn point(&self, kind: PointKind, position: Position) -> (FrameIndex, Point) {
        let Origin { frame, block, first, part, .. } = self.origins[position.block.index()];
        let is_start = part == Part::Code && first == 0;
        let points = &self.planned(frame).source.points;
        let point = match kind {
            PointKind::Entry => Some(Points::entry()),
            PointKind::LoopHeader => points.header(block).filter(|_| is_start),
            PointKind::Guard if is_start => points.guard(block),
            PointKind::Guard => points.before_call(Position { block, index: first }),
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

    /// Where the function itself resumes at `point` of its body. Before a guarded call nothing is compared: it was.
    fn resume(&self, point: Point) -> (Block, usize) {
        let (frame, points) = (FrameIndex::new(0), &self.planned(FrameIndex::new(0)).source.points);
        let position = points.position(point);
        if points.is_before_call(point) {
            let (part, _) = self.part(frame, position);
            return match self.cut(part) {
                Some(cut) if cut.position == position => (cut.others(), 0),
                _ => self.part(frame, position),
            };
        }
        let index = position.index + usize::from(points.kind(point) == PointKind::AfterCall);
        self.part(frame, Position { index, ..position })
    }
}
