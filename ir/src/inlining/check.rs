//! Whether a merged body does what the bodies do that it is made of: block by block against those, knowing nothing of
//! plans. Debug builds check every body that is made.

use std::collections::HashMap;
use std::fmt;

use super::tree::{FrameIndex, VirtualFrame};
use super::{Inlined, Origin};
use crate::body::{Body, Instruction, Terminator};
use crate::index::{Block, FunctionIndex, Register};
use crate::module::Module;
use crate::point::{Point, PointKind, Points, Position};
use crate::renaming::{rename_definitions, rename_terminator, rename_uses};

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
    inlined: &'c Inlined,
    /// Of each function that has a virtual frame, the body and its points.
    functions: HashMap<FunctionIndex, (&'c Body, Points)>,
}

impl<'c> Checker<'c> {
    fn new(module: &'c Module, inlined: &'c Inlined) -> Checker<'c> {
        let of = |frame: &VirtualFrame| {
            let body = module.function(frame.function).body().expect("only defined functions are inlined");
            (frame.function, (body, Points::of(body)))
        };
        Checker { inlined, functions: inlined.tree.frames().iter().map(of).collect() }
    }

    fn frame(&self, frame: FrameIndex) -> (&VirtualFrame, &'c Body, &Points) {
        let frame = self.inlined.tree.frame(frame);
        let (body, points) = &self.functions[&frame.function];
        (frame, body, points)
    }

    fn origin(&self, block: Block) -> Origin {
        self.inlined.origins[block.index()]
    }

    /// Checks that a block consists of the instructions of its origin, and that control leaves it as it does there.
    fn block(&self, block: Block) -> Result<(), &'static str> {
        let Origin { frame, block: own, first } = self.origin(block);
        let (VirtualFrame { first: base, .. }, body, _) = self.frame(frame);
        let rename = |register: Register| Register::new(*base as usize + register.index());
        let (merged, source) = (self.inlined.body.block(block), body.block(own));
        let mut rest = &*merged.instructions;
        for (index, instruction) in source.instructions.iter().enumerate().skip(first) {
            let mut renamed = instruction.clone();
            rename_uses(&mut renamed, rename);
            rename_definitions(&mut renamed, rename);
            match rest.split_first() {
                Some((same, others)) if *same == renamed => rest = others,
                _ => return self.call(frame, Position { block: own, index }, rest, &merged.terminator),
            }
        }
        let mut renamed = source.terminator.clone();
        rename_terminator(&mut renamed, rename);
        match (&renamed, self.inlined.tree.frame(frame).caller) {
            (Terminator::Return { values }, Some(_)) => self.end(frame, values, rest, &merged.terminator),
            _ if !rest.is_empty() => Err("an instruction is not of the body"),
            _ => self.terminator(frame, &renamed, &merged.terminator),
        }
    }

    /// Checks that the call at `position` of a virtual frame is an inlined one: what is left of the block passes its
    /// arguments.
    fn call(
        &self,
        caller: FrameIndex,
        position: Position,
        rest: &[Instruction],
        end: &Terminator,
    ) -> Result<(), &'static str> {
        let (VirtualFrame { first: base, .. }, body, points) = self.frame(caller);
        let instruction = &body.block(position.block).instructions[position.index];
        let Instruction::Call { function, arguments, .. } = instruction else {
            return Err("an instruction differs from the body's");
        };
        let &Terminator::Jump { target } = end else { return Err("an inlined call is not a jump") };
        let Origin { frame: callee, block, first } = self.origin(target);
        if (block.index(), first) != (Body::ENTRY, 0) {
            return Err("an inlined call does not lead to an entry");
        }
        let frame = self.inlined.tree.frame(callee);
        let point = points.at(position.block, position.index).expect("calls have points");
        if frame.function != *function || frame.caller != Some((caller, point)) {
            return Err("an inlined call leads to another virtual frame");
        }
        let passed = arguments.iter().enumerate().map(|(parameter, argument)| Instruction::Copy {
            dst: Register::new(frame.first as usize + parameter),
            src: Register::new(*base as usize + argument.index()),
        });
        if passed.eq(rest.iter().cloned()) { Ok(()) } else { Err("arguments are not passed") }
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
        let continues = Origin { frame: caller, block, first: index + 1 };
        match *end {
            Terminator::Jump { target } if self.origin(target) == continues => Ok(()),
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
            (origin.frame == frame && origin.first == 0).then_some(origin.block)
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
