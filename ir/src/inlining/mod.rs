//! Inlining: one body of a function and of functions that it calls.
//!
//! ```text
//!   f: b0: r1 = ..                merged: b0: r1 = ..           v0 = f
//!          r2 = call g (r1)               r4 = r1               g's registers come after f's
//!          return r2                      jump b2
//!   g: b0: r1 = i32.add r0, r0            b1: return r2         what follows the call
//!          return r1                      b2: r5 = i32.add r4, r4   v1 = g, called by v0 at p1
//!                                             r2 = r5
//!                                             jump b1
//! ```
//!
//! An activation of the merged body stands for activations of the functions in it: the *virtual frames*. Which there are,
//! and where each is, the [`InlineTree`] says exactly for every point of the merged body. The live registers of such a
//! point are those of all virtual frames: of the innermost at its own point, of its callers after their calls, but for what
//! these return. A frame state of the merged body so can be taken apart into frame states of the bodies that it was made of.
//! (What HotSpot calls a chain of `vframe`s, Graal one of `FrameState`s with their outer states.)
//!
//! ```text
//!   plan    which calls are inlined, by a budget     ──> frames of the tree
//!   merge   registers, blocks, jumps                 ──> the body, and what each of its blocks is made of
//!   tree    the points of the merged body            ──> (virtual frame, point)
//!   check   the merged body against those it is made of
//! ```
//!
//! # What may be relied on
//!
//! The registers of the function itself keep their numbers. The merged body is well formed if the module is verified, and
//! every instruction that may trap or that calls is one of some body, so it has that one's point. Loop headers are those of
//! the bodies. A callee that cannot return is not inlined. Which calls are inlined depends on what
//! [`inline`] is given alone.

mod budget;
mod check;
mod merge;
mod plan;
mod source;
mod targets;
mod tree;

pub use budget::InlineBudget;
pub use check::{Mismatch, check};
pub use targets::{CallTargets, TargetsOf};
pub use tree::{FrameIndex, InlineTree, VirtualFrame};

use std::collections::BTreeSet;

use crate::body::Body;
use crate::index::{Block, FunctionIndex};
use crate::liveness::Liveness;
use crate::module::Module;
use crate::point::{Point, PointKind, Points, Position};
use tree::Part;

/// A body with other bodies in it.
#[derive(Clone, Debug)]
pub struct Inlined {
    /// The merged body, as that of the function itself.
    pub body: Body,
    /// Its points.
    pub points: Points,
    /// The live registers at its points: those of all virtual frames.
    pub liveness: Liveness,
    /// What its points mean.
    pub tree: InlineTree,
    /// Per point of the function itself, where execution resumes in the merged body: before that instruction.
    resumes: Box<[(Block, usize)]>,
}

impl Inlined {
    /// Where an activation of the function alone that is at `point` continues: before the instruction at that index of the
    /// block.
    pub fn resume(&self, point: Point) -> (Block, usize) {
        self.resumes[point.index()]
    }

    /// The point at which an activation of the merged body is that stands for one of the function, which is at `point`, and
    /// for those of `inner`, each of which was called by the one before. None if those calls are not inlined.
    pub fn point_within(&self, point: Point, inner: &[(FunctionIndex, Point)]) -> Option<Point> {
        let (mut frame, mut own) = (FrameIndex::new(0), point);
        for &(function, point) in inner {
            frame = self.tree.called(frame, own, function)?;
            own = point;
        }
        let is_there = |&(merged, _, position): &(Point, PointKind, Position)| {
            // Before a guarded call nothing is compared: it was.
            let part = self.tree.origin(position.block).part;
            self.tree.innermost(merged) == (frame, own) && !matches!(part, Part::Test(_) | Part::Arm(_))
        };
        self.points.iter().find(is_there).map(|(merged, ..)| merged)
    }
}

/// Inlines calls into the body of `function`, whose points and live registers are those, as far as `budget` allows; indirect
/// calls behind comparisons with the targets that `targets` knows; but no calls of functions that are `left_out`, since they
/// enter other bodies, say. `None` if nothing comes of it. With `entries`, the entries of inlined bodies are points, too.
///
/// # Panics
/// If the function is imported.
pub fn inline(
    module: &Module,
    function: FunctionIndex,
    (points, liveness): (&Points, &Liveness),
    budget: &InlineBudget,
    targets: TargetsOf<'_>,
    left_out: &BTreeSet<FunctionIndex>,
    entries: bool,
) -> Option<Inlined> {
    let plan = plan::Plan::new(module, function, (points, liveness), *budget, (targets, left_out));
    let changes = plan.frames.iter().any(|frame| !frame.calls.is_empty());
    changes.then(|| {
        let inlined = merge::merge(&plan, entries);
        debug_assert_eq!(check::check(module, &inlined), Ok(()));
        inlined
    })
}
