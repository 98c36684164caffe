//! Which calls are inlined: those first that are executed most often for their size, until the budget is used up.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::rc::Rc;

use super::budget::InlineBudget;
use super::source::{Call, Callee, Source, inlinable};
use super::targets::TargetsOf;
use super::tree::FrameIndex;
use crate::index::{FunctionIndex, SignatureIndex};
use crate::liveness::Liveness;
use crate::module::Module;
use crate::point::{Point, Points, Position};

/// The virtual frames of the body that is to be made. The first is the function's own; callers come before their callees.
#[derive(Debug)]
pub(super) struct Plan<'m> {
    pub(super) frames: Vec<PlannedFrame<'m>>,
}

/// A virtual frame.
#[derive(Debug)]
pub(super) struct PlannedFrame<'m> {
    pub(super) function: FunctionIndex,
    pub(super) source: Rc<Source<'m>>,
    /// The virtual frame that calls it, and the call there.
    pub(super) caller: Option<(FrameIndex, Position)>,
    /// The calls that are inlined or guarded.
    pub(super) calls: BTreeMap<Position, PlannedCall>,
    /// How often it is activated in one activation of the function.
    weight: u32,
}

/// What becomes of a call.
#[derive(Debug)]
pub(super) enum PlannedCall {
    /// That virtual frame.
    Inlined(FrameIndex),
    /// It is compared with its targets.
    Guarded {
        /// The targets, each with its virtual frame if it is inlined.
        arms: Vec<(FunctionIndex, Option<FrameIndex>)>,
        /// Whether it may call others.
        has_others: bool,
    },
}

/// A call that may be inlined. The greatest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    /// How often it is executed, for its size.
    merit: u64,
    /// Among equals it is that which was seen first.
    seen: Reverse<usize>,
    caller: FrameIndex,
    position: Position,
    /// Of a guarded call, the number of the target.
    arm: Option<usize>,
    callee: FunctionIndex,
    size: u32,
    weight: u32,
}

/// What is to be merged, while it is decided.
struct Planner<'m, 't, 'l> {
    module: &'m Module,
    budget: InlineBudget,
    targets: TargetsOf<'t>,
    left_out: &'l BTreeSet<FunctionIndex>,
    frames: Vec<PlannedFrame<'m>>,
    sources: HashMap<FunctionIndex, Rc<Source<'m>>>,
    candidates: BinaryHeap<Candidate>,
    seen: usize,
}

impl<'m> Plan<'m> {
    /// Decides it for `function`.
    pub(super) fn new(
        module: &'m Module,
        function: FunctionIndex,
        (points, liveness): (&'m Points, &'m Liveness),
        budget: InlineBudget,
        (targets, left_out): (TargetsOf<'_>, &BTreeSet<FunctionIndex>),
    ) -> Plan<'m> {
        let body = module.function(function).body().expect("a defined function");
        let source = Rc::new(Source::known(module, body, points, liveness));
        let mut planner = Planner {
            module,
            budget,
            targets,
            left_out,
            frames: Vec::new(),
            sources: HashMap::from([(function, Rc::clone(&source))]),
            candidates: BinaryHeap::new(),
            seen: 0,
        };
        planner.add_frame(function, source, None, 1);
        let mut left = budget.growth;
        while let Some(candidate) = planner.candidates.pop()
            && planner.frames.len() < InlineBudget::MOST_FRAMES
        {
            if let Some(rest) = left.checked_sub(candidate.size) {
                left = rest;
                planner.inline(candidate);
            }
        }
        Plan { frames: planner.frames }
    }

    /// The point after the call at `position` of that virtual frame.
    pub(super) fn point_after(&self, frame: FrameIndex, position: Position) -> Point {
        let points = &self.frames[frame.index()].source.points;
        points.at(position.block, position.index).expect("calls have points")
    }
}

impl<'m> Planner<'m, '_, '_> {
    fn inline(&mut self, Candidate { caller, position, arm, callee, weight, .. }: Candidate) {
        let module = self.module;
        let body = || module.function(callee).body().expect("a candidate is defined");
        let is_speculative = self.frames[0].source.points.is_speculative();
        let source = || Rc::new(Source::of(module, body(), is_speculative));
        let source = Rc::clone(self.sources.entry(callee).or_insert_with(source));
        let frame = self.add_frame(callee, source, Some((caller, position)), weight);
        let calls = &mut self.frames[caller.index()].calls;
        match (arm, calls.get_mut(&position)) {
            (Some(arm), Some(PlannedCall::Guarded { arms, .. })) => arms[arm].1 = Some(frame),
            _ => _ = calls.insert(position, PlannedCall::Inlined(frame)),
        }
    }

    /// Adds a virtual frame, whose calls are candidates from then on.
    fn add_frame(
        &mut self,
        function: FunctionIndex,
        source: Rc<Source<'m>>,
        caller: Option<(FrameIndex, Position)>,
        weight: u32,
    ) -> FrameIndex {
        let frame = FrameIndex::new(self.frames.len());
        let calls = BTreeMap::new();
        self.frames.push(PlannedFrame { function, source: Rc::clone(&source), caller, calls, weight });
        for &call in &source.calls {
            match call.callee {
                Callee::Function(callee) => self.add_candidate(frame, call, callee, None),
                Callee::Indirect(signature) => self.guard(frame, call, signature),
            }
        }
        frame
    }

    /// Compares an indirect call of `signature` with its targets, if some are known; those may be inlined.
    fn guard(&mut self, caller: FrameIndex, call: Call, signature: SignatureIndex) {
        let function = self.frames[caller.index()].function;
        let Some(known) = (self.targets)(function, call.position) else { return };
        let fits = |&target: &FunctionIndex| self.module.function(target).signature == signature;
        let targets: Vec<FunctionIndex> = known.functions.iter().copied().filter(fits).collect();
        if targets.is_empty() {
            return;
        }
        let arms = targets.iter().map(|&target| (target, None)).collect();
        let is_speculative = self.frames[0].source.points.is_speculative();
        let has_others = known.has_others || targets.len() < known.functions.len() || !is_speculative;
        let guarded = PlannedCall::Guarded { arms, has_others };
        self.frames[caller.index()].calls.insert(call.position, guarded);
        for (arm, target) in targets.into_iter().enumerate() {
            self.add_candidate(caller, call, target, Some(arm));
        }
    }

    fn add_candidate(&mut self, caller: FrameIndex, call: Call, callee: FunctionIndex, arm: Option<usize>) {
        let Call { position, weight, .. } = call;
        let again = self.callers(caller).filter(|frame| frame.function == callee).count();
        if again > usize::from(self.budget.recursion)
            || self.callers(caller).count() > usize::from(self.budget.depth)
            || self.left_out.contains(&callee)
        {
            return;
        }
        let Some(body) = inlinable(self.module, callee, self.budget.callee) else { return };
        let size = body.instruction_count() as u32;
        let weight = self.frames[caller.index()].weight.saturating_mul(weight);
        let merit = (u64::from(weight) << 16) / u64::from(size);
        let seen = Reverse(self.seen);
        self.seen += 1;
        self.candidates.push(Candidate { merit, seen, caller, position, arm, callee, size, weight });
    }

    /// `frame` and its callers, outwards.
    fn callers(&self, frame: FrameIndex) -> impl Iterator<Item = &PlannedFrame<'m>> {
        let caller = |frame: &&PlannedFrame<'m>| frame.caller.map(|(caller, _)| &self.frames[caller.index()]);
        std::iter::successors(Some(&self.frames[frame.index()]), caller)
    }
}
