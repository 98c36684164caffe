//! Control frames: the constructs that are open where translation is.
//!
//! Code after an unconditional branch is never translated: until the `else` or `end` of the innermost
//! open frame only the nesting is followed, as a count.

use super::operands::Operand;
use crate::declarations::Declarations;
use crate::index::{Block, Register, SignatureIndex};
use crate::module::Signature;
use crate::value::Type;

/// What opened a frame.
pub(super) enum FrameKind {
    /// The function itself. Branching to it returns.
    Function,
    /// `block`, or an `if` that is past its `else`. Branches go to its end.
    Block,
    /// `loop`. Branches go to its start.
    Loop,
    /// `if`, before its `else`. Branches go to its end.
    If {
        /// Where control goes if the condition is zero.
        otherwise: Block,
        /// The parameters, for the other arm.
        parameters: Vec<Operand>,
    },
    /// `try_table`, or `try` before its first `catch`. Branches go to its end.
    Try {
        /// Where calls branch to that throw.
        handler: Block,
        /// Where what is caught is compared with the clauses.
        dispatch: Block,
        /// Where the construct begins, if its clauses follow.
        legacy: Option<u64>,
    },
    /// A `catch`. Branches go to the end of its `try`.
    Catch {
        /// Where what is caught is compared with the next clause; none behind `catch_all`.
        dispatch: Option<Block>,
        /// Where the `try` begins.
        start: u64,
        /// What refers to the exception, if it is thrown once more.
        exception: Option<Register>,
    },
}

/// The type of a construct.
#[derive(Clone, Copy)]
pub(super) enum FrameType {
    /// No parameters, at most one result.
    Result(Option<Type>),
    /// As a function.
    Signature(SignatureIndex),
}

impl FrameType {
    /// The types of the parameters.
    pub(super) fn parameters<'a>(&'a self, module: &'a Declarations) -> &'a [Type] {
        match self {
            FrameType::Result(_) => &[],
            FrameType::Signature(index) => &signature(module, *index).parameters,
        }
    }

    /// The types of the results.
    pub(super) fn results<'a>(&'a self, module: &'a Declarations) -> &'a [Type] {
        match self {
            FrameType::Result(ty) => ty.as_slice(),
            FrameType::Signature(index) => &signature(module, *index).results,
        }
    }
}

fn signature(module: &Declarations, index: SignatureIndex) -> &Signature {
    module.signature(index)
}

/// An open construct.
pub(super) struct Frame {
    /// What it is.
    pub(super) kind: FrameKind,
    /// Its parameters and results.
    pub(super) ty: FrameType,
    /// Height of the operand stack below its parameters.
    pub(super) base: usize,
    /// Where branches to it go.
    pub(super) label: Block,
    /// Whether something branches there.
    pub(super) is_label_used: bool,
}

impl Frame {
    fn handler(&self) -> Option<(Block, Block)> {
        match self.kind {
            FrameKind::Try { handler, dispatch, .. } => Some((handler, dispatch)),
            _ => None,
        }
    }
}

/// The open constructs, innermost last.
pub(super) struct Control {
    frames: Vec<Frame>,
    /// Whether control reaches where translation is.
    pub(super) is_reachable: bool,
    /// Constructs opened in code that is not translated.
    skipped: usize,
}

impl Control {
    /// Only `function` is open.
    pub(super) fn new(function: Frame) -> Control {
        Control { frames: vec![function], is_reachable: true, skipped: 0 }
    }

    /// Opens a frame.
    pub(super) fn push(&mut self, frame: Frame) {
        self.frames.push(frame);
    }

    /// Closes the innermost frame.
    pub(super) fn pop(&mut self) -> Frame {
        self.frames.pop().expect("validated nesting")
    }

    /// The frame that a branch of `depth` means.
    pub(super) fn frame(&mut self, depth: u32) -> &mut Frame {
        let index = self.frames.len() - 1 - depth as usize;
        &mut self.frames[index]
    }

    /// The height of the operand stack below the innermost frame.
    pub(super) fn innermost_base(&self) -> usize {
        self.frames.last().map_or(0, |frame| frame.base)
    }

    /// The handler and dispatch of the innermost `try` at `depth` or further out.
    pub(super) fn handler(&self, depth: u32) -> Option<(Block, Block)> {
        let frames = self.frames.iter().rev().skip(depth as usize);
        frames.filter_map(Frame::handler).next()
    }

    /// The depth of the function's frame.
    pub(super) fn outermost(&self) -> u32 {
        u32::try_from(self.frames.len() - 1).expect("validated nesting")
    }

    /// A construct begins in code that is not translated.
    pub(super) fn skip(&mut self) {
        self.skipped += 1;
    }

    /// Whether an `else` or `end` belongs to a construct that was skipped; `closes` if it ends it.
    pub(super) fn is_skipped(&mut self, closes: bool) -> bool {
        let inside = self.skipped > 0;
        self.skipped -= usize::from(inside && closes);
        inside
    }
}
