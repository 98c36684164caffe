//! What is compiled for a unit: the function's body, or one with others inlined; and where its code begins.

use osr_ir::inlining::{FrameIndex, InlineBudget, Inlined, inline};
use osr_ir::{Block, Body, InlineTree, Point, PointKind, Points, Register};

use crate::analysis::Analysis;
use crate::error::CompileError;
use crate::settings::CompiledTier;
use crate::speculation::Speculations;
use crate::unit::{Unit, VersionKey};

/// A body that is made for a unit.
pub(super) struct Merged {
    body: Body,
    analysis: Analysis,
    tree: InlineTree,
    start: Start,
}

impl Merged {
    /// The body that calls are inlined into, or guarded in, for `unit`; `None` if none is.
    ///
    /// # Errors
    /// If it is to continue for several activations, and their calls are not inlined.
    pub(super) fn of(unit: &Unit<'_>) -> Result<Option<Merged>, CompileError> {
        let Some(inlined) = Merged::inlined(unit) else {
            return if unit.inner.is_empty() { Ok(None) } else { Err(CompileError::NotInlined) };
        };
        let start = Start::within(unit, &inlined)?;
        let Inlined { body, points, liveness, tree, .. } = inlined;
        let analysis = Analysis::new(&body, points, liveness);
        Ok(Some(Merged { body, analysis, tree, start }))
    }

    fn inlined(unit: &Unit<'_>) -> Option<Inlined> {
        let Unit { linked, key: VersionKey { function, tier, .. }, analysis, settings, .. } = *unit;
        // Functions with vectors neither are inlined nor have others inlined: the words of several frame states are
        // those of their registers.
        let is_inlined_into = tier == CompiledTier::Optimized && !analysis.words.has_vectors();
        let compares = unit.speculation.is_some_and(Speculations::has_targets);
        let budget = settings.inlining.or(compares.then_some(InlineBudget::NOTHING));
        let budget = budget.filter(|_| is_inlined_into)?;
        let known = (&analysis.points, &*analysis.liveness);
        let targets = |function, at| unit.speculation?.of(function)?.targets(at);
        let entries = settings.shows_arrivals;
        inline(linked.module(), function, known, &budget, &targets, unit.left_out, entries)
    }
}

/// What is compiled.
#[derive(Clone, Copy)]
pub(super) struct Source<'u> {
    pub(super) body: &'u Body,
    pub(super) analysis: &'u Analysis,
    /// What the points of the body mean, if other bodies are inlined into it.
    pub(super) tree: Option<&'u InlineTree>,
    pub(super) start: Start,
}

impl<'u> Source<'u> {
    /// What is compiled for `unit`: `merged`, or the function's own body.
    pub(super) fn new(unit: &Unit<'u>, merged: Option<&'u Merged>) -> Source<'u> {
        match merged {
            Some(Merged { body, analysis, tree, start }) => {
                Source { body, analysis, tree: Some(tree), start: *start }
            }
            None => {
                let body = unit.linked.body(unit.key.function);
                Source { body, analysis: unit.analysis, tree: None, start: Start::of(unit) }
            }
        }
    }

    /// The innermost virtual frame at `point` of the body, and its own point.
    pub(super) fn place(&self, point: Point) -> (FrameIndex, Point) {
        self.tree.map_or((FrameIndex::new(0), point), |tree| tree.innermost(point))
    }

    /// The first word of `register` in a frame state.
    pub(super) fn word(&self, register: Register) -> usize {
        self.tree.map_or_else(|| self.analysis.word(register), |tree| tree.word(register))
    }
}

/// Where code begins: before an instruction of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) block: Block,
    pub(super) index: usize,
    /// The point of the merged body there, if it continues for several activations: what is live is what they need.
    pub(super) inner: Option<Point>,
}

impl Start {
    /// Where the code of `unit` begins in the function's own body.
    fn of(unit: &Unit<'_>) -> Start {
        let point = unit.key.entry.continues_at().unwrap_or(Points::entry());
        Start::at(&unit.analysis.points, point)
    }

    /// Where it begins in a body with others `inlined`.
    fn within(unit: &Unit<'_>, inlined: &Inlined) -> Result<Start, CompileError> {
        let point = unit.key.entry.continues_at().unwrap_or(Points::entry());
        if unit.inner.is_empty() {
            let (block, index) = inlined.resume(point);
            return Ok(Start { block, index, inner: None });
        }
        let inner = inlined.point_within(point, unit.inner).ok_or(CompileError::NotInlined)?;
        Ok(Start { inner: Some(inner), ..Start::at(&inlined.points, inner) })
    }

    /// Where execution resumes at `point`, which is one of `points`.
    fn at(points: &Points, point: Point) -> Start {
        let position = points.position(point);
        let index = position.index + usize::from(points.kind(point) == PointKind::AfterCall);
        Start { block: position.block, index, inner: None }
    }

    /// Whether that is the entry of the body.
    pub(super) fn is_entry(self) -> bool {
        (self.block.index(), self.index) == (Body::ENTRY, 0)
    }
}
