//! Whether a merged body does what the bodies do that it is made of: block by block against those, knowing nothing of
//! plans. Debug builds check every body that is made.

use std::collections::HashMap;
use std::fmt;

use super::Inlined;
use super::tree::{FrameIndex, Origin, Part, VirtualFrame};
use crate::body::{Body, Instruction, Terminator};
use crate::index::{Block, FunctionIndex, Register};
use crate::module::Module;
use crate::point::{Point, PointKind, Points, Position};

/// A merged body is not what it was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The block of the merged body.
    pub block: Block,
    /// What is wrong there.
    pub what: &'static str,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.block, self.what)
    }
}

impl std::error::Error for Mismatch {}

/// Checks every block and every point of `inlined`, which is of functions of `module`.
///
/// # Errors
/// The first thing that is not as in the bodies.
///
/// # Panics
/// If it is of another module.
pub fn check(module: &Module, inlined: &Inlined) -> Result<(), Mismatch> {
    let checker = Checker::new(module, inlined);
    for block in inlined.body.block_indices() {
        checker.block(block).map_err(|what| Mismatch { block, what })?;
    }
    for (point, kind, position) in inlined.points.iter() {
        let (frame, own) = inlined.tree.innermost(point);
        let is_same = checker.is_point(kind, position, frame, own);
        let mismatch = Mismatch { block: position.block, what: "a point is not that of the body" };
        is_same.then_some(()).ok_or(mismatch)?;
    }
    Ok(())
}

struct Checker<'c> {
    module: &'c Module,
    inlined: &'c Inlined,
    /// Of each function that has a virtual frame, the body and its points.
    functions: HashMap<FunctionIndex, (&'c Body, Points)>,
}

impl<'c> Checker<'c> {
    fn new(module: &'c Module, inlined: &'c Inlined) -> Checker<'c> {
        let points = match inlined.points.is_speculative() {
            true => Points::speculative,
            false => Points::of,
        };
        let of = |frame: &VirtualFrame| {
            let body = module.function(frame.function).body().expect("only defined functions are inlined");
            (frame.function, (body, points(body)))
        };
        Checker { module, inlined, functions: inlined.tree.frames().iter().map(of).collect() }
    }

    fn frame(&self, frame: FrameIndex) -> (&VirtualFrame, &'c Body, &Points) {
        let frame = self.inlined.tree.frame(frame);
        let (body, points) = &self.functions[&frame.function];
        (frame, body, points)
    }

    fn origin(&self, block: Block) -> Origin {
        self.inlined.tree.origin(block)
    }

    /// `instruction` of that virtual frame, in the merged body.
    fn renamed(&self, frame: FrameIndex, instruction: &Instruction) -> Instruction {
        let first = self.inlined.tree.frame(frame).first as usize;
        let mut renamed = instruction.clone();
        renamed.rename(|register| Register::new(first + register.index()));
        renamed
    }

    /// Checks that a block consists of the instructions of its origin, and that control leaves it as it does there.
    fn block(&self, block: Block) -> Result<(), &'static str> {
        let origin = self.origin(block);
        let Origin { frame, block: own, first, end, part } = origin;
        let (VirtualFrame { first: base, .. }, body, _) = self.frame(frame);
        let (merged, source) = (self.inlined.body.block(block), body.block(own));
        let mut rest = &*merged.instructions;
        let own = if part == Part::Code { first..end } else { end..end };
        for instruction in source.instructions.get(own).ok_or("its origin is none")? {
            match rest.split_first() {
                Some((same, others)) if *same == self.renamed(frame, instruction) => rest = others,
                _ => return Err("an instruction differs from the body's"),
            }
        }
        if let Some(call) = source.instructions.get(end) {
            return self.call(origin, call, rest, &merged.terminator);
        }
        let mut renamed = source.terminator.clone();
        renamed.rename(|register| Register::new(*base as usize + register.index()));
        match (&renamed, self.inlined.tree.frame(frame).caller) {
            (Terminator::Return { values }, Some(_)) => self.end(frame, values, rest, &merged.terminator),
            _ if !rest.is_empty() => Err("an instruction is not of the body"),
            _ => self.terminator(frame, &renamed, &merged.terminator),
        }
    }

    /// Checks what is left of a block that ends with `call`, which is inlined or guarded.
    fn call(
        &self,
        origin: Origin,
        call: &Instruction,
        rest: &[Instruction],
        end: &Terminator,
    ) -> Result<(), &'static str> {
        match (call, origin.part) {
            (Instruction::Call { function, .. }, Part::Code) => self.enter(origin, *function, rest, end),
            (Instruction::CallIndirect { .. }, Part::Code) => self.compare(origin, 0, rest, end),
            (Instruction::CallIndirect { .. }, Part::Test(number)) => self.compare(origin, number, rest, end),
            (Instruction::CallIndirect { .. }, Part::Arm(_)) => match rest {
                [Instruction::Call { function, .. }] => {
                    let (arguments, results) =
                        (call.arguments().unwrap_or(&[]).to_vec(), call.definitions().to_vec());
                    let call = Instruction::Call { function: *function, arguments, results };
                    self.call_as(origin, &call, rest, end)
                }
                _ => match self.entered(end) {
                    Some(frame) => self.enter(origin, self.inlined.tree.frame(frame).function, rest, end),
                    None => Err("a target is neither called nor inlined"),
                },
            },
            (Instruction::CallIndirect { .. }, Part::Others) => self.call_as(origin, call, rest, end),
            _ => Err("it does not end with a call"),
        }
    }

    /// Checks that nothing is left of a block but `call`, and that control continues behind it.
    fn call_as(
        &self,
        origin: Origin,
        call: &Instruction,
        rest: &[Instruction],
        end: &Terminator,
    ) -> Result<(), &'static str> {
        match *end {
            _ if *rest != [self.renamed(origin.frame, call)] => Err("a call is not that of the body"),
            Terminator::Jump { target } if self.follows(origin, target) => Ok(()),
            _ => Err("a call does not lead behind itself"),
        }
    }

    /// Checks that what is left of a block compares the call at its end with target number `number`.
    fn compare(
        &self,
        origin: Origin,
        number: usize,
        rest: &[Instruction],
        end: &Terminator,
    ) -> Result<(), &'static str> {
        let (_, body, _) = self.frame(origin.frame);
        let call = self.renamed(origin.frame, &body.block(origin.block).instructions[origin.end]);
        let Instruction::CallIndirect { table: of, signature, index: at, .. } = call else {
            return Err("what is guarded is no indirect call");
        };
        let [Instruction::TableRefers { table, dst, index, function }] = *rest else {
            return Err("a guarded call is not compared");
        };
        let last = self.inlined.tree.frames().last().expect("there is the function's own");
        if (table, index) != (of, at) || dst.as_u32() < last.first + last.registers {
            return Err("a guarded call is compared with something else");
        }
        let is =
            |block: Block, part: Part| self.origin(block) == Origin { part, first: origin.end, ..origin };
        let (arm, leads_on) = match *end {
            Terminator::Branch { condition, if_true, if_false } if condition == dst => {
                (if_true, is(if_false, Part::Others) || is(if_false, Part::Test(number + 1)))
            }
            Terminator::Guard { condition, next, exit } if condition == dst => (next, is(exit, Part::Others)),
            _ => return Err("a comparison decides nothing"),
        };
        let called = match &*self.inlined.body.block(arm).instructions {
            [Instruction::Call { function, .. }] => Some(*function),
            _ => self
                .entered(&self.inlined.body.block(arm).terminator)
                .map(|frame| self.frame(frame).0.function),
        };
        let fits = self.module.function(function).signature == signature && called == Some(function);
        if leads_on && fits && is(arm, Part::Arm(number)) {
            Ok(())
        } else {
            Err("a comparison does not lead to its target")
        }
    }

    /// The virtual frame that is entered by `end`.
    fn entered(&self, end: &Terminator) -> Option<FrameIndex> {
        let &Terminator::Jump { target } = end else { return None };
        let Origin { frame, block, first, part, .. } = self.origin(target);
        ((block.index(), first, part) == (Body::ENTRY, 0, Part::Code)).then_some(frame)
    }

    /// Checks that the call at the end of a part is inlined: what is left of the block passes its arguments to a virtual
    /// frame of `function`.
    fn enter(
        &self,
        Origin { frame: caller, block, end: index, .. }: Origin,
        function: FunctionIndex,
        rest: &[Instruction],
        end: &Terminator,
    ) -> Result<(), &'static str> {
        let (VirtualFrame { first: base, .. }, body, points) = self.frame(caller);
        let arguments =
            body.block(block).instructions[index].arguments().ok_or("what is inlined is no call")?;
        let callee = self.entered(end).ok_or("an inlined call does not lead to an entry")?;
        let frame = self.inlined.tree.frame(callee);
        let point = points.at(block, index).expect("calls have points");
        if frame.function != function || frame.caller != Some((caller, point)) {
            return Err("an inlined call leads to another virtual frame");
        }
        let passed = arguments.iter().enumerate().map(|(parameter, argument)| Instruction::Copy {
            dst: Register::new(frame.first as usize + parameter),
            src: Register::new(*base as usize + argument.index()),
        });
        if passed.eq(rest.iter().cloned()) { Ok(()) } else { Err("arguments are not passed") }
    }

    /// Whether `target` is the part behind the call at the end of `origin`.
    fn follows(&self, origin: Origin, target: Block) -> bool {
        let next = self.origin(target);
        let behind = (origin.frame, origin.block, origin.end + 1, Part::Code);
        (next.frame, next.block, next.first, next.part) == behind
    }

    /// Checks that a virtual frame returns `values` to its caller: what is left of the block passes them.
    fn end(
        &self,
        callee: FrameIndex,
        values: &[Register],
        rest: &[Instruction],
        end: &Terminator,
    ) -> Result<(), &'static str> {
        let (caller, point) = self.inlined.tree.frame(callee).caller.expect("it is not the outermost");
        let (VirtualFrame { first: base, .. }, body, points) = self.frame(caller);
        let Position { block, index } = points.position(point);
        let results = body.block(block).instructions[index].definitions();
        let passed = results.iter().zip(values).map(|(result, &value)| Instruction::Copy {
            dst: Register::new(*base as usize + result.index()),
            src: value,
        });
        if !passed.eq(rest.iter().cloned()) {
            return Err("results are not passed");
        }
        let call = Origin { frame: caller, block, first: index, end: index, part: Part::Code };
        match *end {
            Terminator::Jump { target } if self.follows(call, target) => Ok(()),
            _ => Err("a return does not lead behind the call"),
        }
    }

    /// Checks that `merged` leads to where `renamed` leads in the body of a virtual frame.
    fn terminator(
        &self,
        frame: FrameIndex,
        renamed: &Terminator,
        merged: &Terminator,
    ) -> Result<(), &'static str> {
        let mut body_of = merged.clone();
        let is_start = |target: Block| {
            let origin = self.origin(target);
            (origin.frame == frame && origin.part == Part::Code && origin.first == 0).then_some(origin.block)
        };
        let mut leads_out = false;
        body_of.each_successor_mut(|target| match is_start(*target) {
            Some(block) => *target = block,
            None => leads_out = true,
        });
        if !leads_out && body_of == *renamed {
            Ok(())
        } else {
            Err("control does not go where the body's does")
        }
    }

    fn is_point(&self, kind: PointKind, position: Position, frame: FrameIndex, own: Point) -> bool {
        let origin = self.origin(position.block);
        let (_, _, points) = self.frame(frame);
        let index = origin.first + position.index;
        origin.frame == frame
            && points.kind(own) == kind
            && points.position(own) == Position { block: origin.block, index }
    }
}
