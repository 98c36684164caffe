//! The inline tree: which activations an activation of a merged body stands for.

use std::fmt;

use crate::index::{Block, FunctionIndex, Register};
use crate::point::{Point, Position};

crate::index::index!(
    /// A virtual frame of a merged body. The first is that of the function itself.
    FrameIndex, "v"
);

/// An activation that an activation of a merged body contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtualFrame {
    /// What is activated.
    pub function: FunctionIndex,
    /// The virtual frame that has called it, and the point after that call; none for the function itself.
    pub caller: Option<(FrameIndex, Point)>,
    /// Its first register among those of the merged body, where all of its registers are, in order.
    pub first: u32,
    /// How many registers its body has.
    pub registers: u32,
    /// Its first word in the state of a chain, which holds the registers of each virtual frame, outermost first.
    pub offset: u32,
}

/// What a block of a merged body is made of: instructions of one block of a virtual frame's body. Copies may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) frame: FrameIndex,
    pub(super) block: Block,
    /// The first of the instructions.
    pub(super) first: usize,
    /// What ends the part: the next call that is inlined or guarded, or the terminator, which counts as the last
    /// instruction.
    pub(super) end: usize,
    pub(super) part: Part,
}

/// What a block of a merged body does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The instructions before the end. If that is a guarded call, it compares it with the first of its targets.
    Code,
    /// It compares the guarded call at the end with the target of that number, which is not the first.
    Test(usize),
    /// It calls that target.
    Arm(usize),
    /// It calls what is none of the targets.
    Others,
}

/// The virtual frames of a merged body, what its blocks are made of, and for each of its points the innermost frame there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InlineTree {
    frames: Box<[VirtualFrame]>,
    /// Per block of the merged body.
    origins: Box<[Origin]>,
    /// Per point of the merged body, the innermost virtual frame, and its point.
    points: Box<[(FrameIndex, Point)]>,
}

impl InlineTree {
    pub(super) fn new(
        frames: Vec<VirtualFrame>,
        origins: Vec<Origin>,
        points: Vec<(FrameIndex, Point)>,
    ) -> InlineTree {
        InlineTree { frames: frames.into(), origins: origins.into(), points: points.into() }
    }

    pub(super) fn origin(&self, block: Block) -> Origin {
        self.origins[block.index()]
    }

    /// What ends `block` of the merged body: the function, and the position in its body, of a terminator, or of a call that
    /// is inlined or guarded.
    pub fn end(&self, block: Block) -> (FunctionIndex, Position) {
        let Origin { frame, block, end, .. } = self.origin(block);
        (self.frame(frame).function, Position { block, index: end })
    }

    /// All virtual frames, callers before their callees.
    pub fn frames(&self) -> &[VirtualFrame] {
        &self.frames
    }

    /// That virtual frame.
    pub fn frame(&self, frame: FrameIndex) -> &VirtualFrame {
        &self.frames[frame.index()]
    }

    /// The virtual frame of `function` that `caller` has called, where `after` is the point after the call.
    pub fn called(&self, caller: FrameIndex, after: Point, function: FunctionIndex) -> Option<FrameIndex> {
        let is_called =
            |frame: &VirtualFrame| frame.caller == Some((caller, after)) && frame.function == function;
        self.frames.iter().position(is_called).map(FrameIndex::new)
    }

    /// The innermost virtual frame at `point` of the merged body, and its own point.
    pub fn innermost(&self, point: Point) -> (FrameIndex, Point) {
        self.points[point.index()]
    }

    /// The virtual frames at `point` of the merged body, innermost first, each with its own point: for callers, that after
    /// the call.
    pub fn chain(&self, point: Point) -> impl Iterator<Item = (FrameIndex, Point)> + '_ {
        std::iter::successors(Some(self.innermost(point)), |&(frame, _)| self.frame(frame).caller)
    }

    /// How many words the state of the chain at `point` of the merged body takes: the registers of each virtual frame,
    /// outermost first.
    pub fn words(&self, point: Point) -> usize {
        let (frame, _) = self.innermost(point);
        let VirtualFrame { offset, registers, .. } = *self.frame(frame);
        (offset + registers) as usize
    }

    /// The word of `register` of the merged body in the state of any chain that it is part of.
    pub fn word(&self, register: Register) -> usize {
        let after = self.frames.partition_point(|frame| frame.first <= register.as_u32());
        let VirtualFrame { first, offset, .. } = self.frames[after - 1];
        (register.as_u32() - first + offset) as usize
    }

    /// Whether `function` was inlined: whether there is an activation of it besides the outermost.
    pub fn has_inlined(&self, function: FunctionIndex) -> bool {
        self.frames[1..].iter().any(|frame| frame.function == function)
    }

    /// Bytes that it takes in memory.
    pub fn bytes(&self) -> usize {
        let blocks = size_of_val(&*self.origins);
        size_of::<InlineTree>() + size_of_val(&*self.frames) + blocks + size_of_val(&*self.points)
    }
}
