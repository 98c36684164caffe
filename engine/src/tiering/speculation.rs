//! Speculation: what optimized code of a function relies on, and what has turned out not to hold.
//!
//! ```text
//!   profile of baseline code ──plan──> Speculation ──compiler──> guards ──fail──> Learnt
//!                                ^                                                  │
//!                                └──────────────────────────────────────────────────┘
//! ```
//!
//! A guard that fails as often as the settings allow has its exit [linked](crate::settings::failing_guards::FailingGuards),
//! or is given up: the versions that have it are retired, and code that is
//! compiled after that does not speculate there. So each guard deoptimizes a bounded number of times, and a function whose
//! guards are given up again and again speculates on nothing in the end: a deoptimization loop heals. (What production
//! engines do to this end: HotSpot's `PerMethodTrapLimit` and `PerBytecodeTrapLimit`, V8's removal of the feedback that a
//! deoptimization refutes.)

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use osr_compiler::profile::{Arguments, IndirectCalls};
use osr_compiler::{CompiledTier, DeoptReason, EntryPoint, Guard, Speculation, Speculations, VersionKey};
use osr_ir::inlining::CallTargets;
use osr_ir::{Block, Body, FunctionIndex, Instruction, Points, Position, Register};

use crate::code::guards::{FailureCount, VersionGuard};
use crate::instance::Instance;
use crate::settings::speculate::SpeculationKind;

/// After how many guards that were given up a function speculates on nothing.
const MOST_GIVEN_UP: usize = 16;

/// What was learnt of a function from guards that failed. It outlives the function's code.
#[derive(Debug, Default)]
pub(crate) struct Learnt(Mutex<Lessons>);

#[derive(Debug, Default)]
struct Lessons {
    /// The guards that fail too often.
    given_up: BTreeSet<(DeoptReason, Position)>,
    /// Those whose exits are linked.
    linked: BTreeSet<(DeoptReason, Position)>,
    /// Per guard, how often it has failed.
    failures: BTreeMap<(DeoptReason, Position), FailureCount>,
}

impl Learnt {
    fn lessons(&self) -> MutexGuard<'_, Lessons> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `guard`, of the function's body, fails too often.
    pub(crate) fn give_up(&self, guard: &Guard) {
        self.lessons().given_up.insert((guard.reason, guard.at));
    }

    /// Exits of `guard`, of the function's body, are linked to a continuation.
    pub(crate) fn link(&self, guard: &Guard) {
        self.lessons().linked.insert((guard.reason, guard.at));
    }

    /// How often frames have left by exits that are linked.
    pub(crate) fn linked_exits(&self) -> u64 {
        self.lessons().failures.values().map(FailureCount::linked).sum()
    }
}

/// `guards`, which are those of a new version, with what is known of their failures.
pub(crate) fn known(instance: &Instance, guards: Box<[Guard]>) -> Box<[VersionGuard]> {
    let known = |guard: Guard| {
        let failures = &mut instance.function(guard.function).learnt.lessons().failures;
        VersionGuard::new(guard, failures.entry((guard.reason, guard.at)).or_default().clone())
    };
    guards.into_iter().map(known).collect()
}

/// The same as `all`, where there are no guards that were given up since.
pub(crate) fn without_given_up(instance: &Instance, all: Speculations) -> Speculations {
    let functions: Vec<FunctionIndex> = all.functions().collect();
    functions.into_iter().fold(all, |all, function| {
        let given_up = instance.function(function).learnt.lessons().given_up.clone();
        given_up.into_iter().fold(all, |all, (reason, at)| all.without(function, reason, at))
    })
}

/// What code that is made for `key` speculates on; none if it does on nothing, and has all guards of the bodies.
pub(crate) fn plan(instance: &Instance, key: VersionKey) -> Option<Speculations> {
    if key.tier != CompiledTier::Optimized {
        return None;
    }
    let contexts = &instance.function(key.function).contexts;
    if let EntryPoint::Specialized { context, .. } = key.entry
        && contexts.values(context).is_empty()
    {
        let mut plan = contexts.speculation(context);
        add_globals(instance, key.function, &mut plan);
        contexts.inner(context).iter().for_each(|&(inner, _)| add_globals(instance, inner, &mut plan));
        return Some(plan);
    }
    let mut plan = Speculations::default();
    let (mut functions, mut seen) = (vec![key.function], BTreeSet::from([key.function]));
    let depth = instance.settings().inlining.map_or(0, |inlining| inlining.depth);
    for depth in (0..=depth).rev() {
        let mut callees = Vec::new();
        for function in std::mem::take(&mut functions) {
            let continues = function == key.function && key.entry != EntryPoint::Function;
            let speculation = plan_for(instance, function, continues);
            add_globals(instance, function, &mut plan);
            if depth > 0 {
                callees.extend(inlinable(instance, function, &speculation));
            }
            if !speculation.is_empty() {
                plan.add(function, speculation);
            }
        }
        functions.extend(callees.into_iter().filter(|&callee| seen.insert(callee)));
    }
    (!plan.is_empty()).then_some(plan)
}

/// Adds the globals that `function` reads and that may be taken for constants.
fn add_globals(instance: &Instance, function: FunctionIndex, plan: &mut Speculations) {
    let kept = instance.kept_globals();
    if !kept.is_chosen() {
        return;
    }
    let instructions = instance.body(function).blocks.iter().flat_map(|block| &block.instructions);
    for instruction in instructions {
        if let &Instruction::GlobalGet { global, .. } = instruction
            && kept.may_be_kept(global)
        {
            plan.add_global(global, instance.global(global));
        }
    }
}

/// What may be inlined for calls of `function`.
fn inlinable(instance: &Instance, function: FunctionIndex, speculation: &Speculation) -> Vec<FunctionIndex> {
    let largest = instance.settings().inlining.map_or(0, |inlining| inlining.callee as usize);
    let body = instance.body(function);
    let mut callees = Vec::new();
    for block in body.block_indices() {
        for (index, instruction) in body.block(block).instructions.iter().enumerate() {
            match instruction {
                Instruction::Call { function, .. } => callees.push(*function),
                Instruction::CallIndirect { .. } => {
                    let targets = speculation.targets(Position { block, index });
                    callees.extend(targets.iter().flat_map(|targets| &targets.functions));
                }
                _ => {}
            }
        }
    }
    let is_small = |&callee: &FunctionIndex| {
        let body = instance.module().function(callee).body();
        body.is_some_and(|body| body.instruction_count() <= largest)
    };
    callees.retain(is_small);
    callees
}

/// What optimized code speculates on in the body of `function`, where activations are called, or continue.
fn plan_for(instance: &Instance, function: FunctionIndex, continues: bool) -> Speculation {
    let lessons = instance.function(function).learnt.lessons();
    let mut given_up = lessons.given_up.clone();
    let exits = given_up.len() < MOST_GIVEN_UP;
    if continues {
        // An activation leaves at such a guard once: where it continues the guard is a branch.
        given_up.extend(&lessons.linked);
    }
    let mut plan = Speculation::default();
    given_up.iter().for_each(|&(reason, at)| plan.give_up(reason, at));
    let settings = instance.settings();
    if settings.speculate.is_empty() {
        return plan;
    }
    let least = settings.speculation_threshold.max(1);
    let profiled = instance.profiled(function);
    if settings.speculate.contains(&SpeculationKind::Branch) && exits {
        for (block, [taken, not_taken]) in profiled.branches {
            let at = instance.body(function).end(block);
            let is_one_sided = taken.min(not_taken) == 0 && taken.max(not_taken) >= least;
            if is_one_sided && !given_up.contains(&(DeoptReason::Branch, at)) {
                plan.add_branch(at, taken > 0);
            }
        }
    }
    let only_targets = settings.speculate.contains(&SpeculationKind::OnlyTargets) && exits;
    for (point, calls) in profiled.indirect_calls.iter().filter(|(_, calls)| calls.calls >= least) {
        let at = instance.points(function).position(*point);
        if let Some(mut targets) = targets(calls) {
            targets.has_others |= !only_targets || given_up.contains(&(DeoptReason::OtherTarget, at));
            plan.add_targets(at, targets);
        }
    }
    if settings.speculate.contains(&SpeculationKind::Argument) && exits {
        let entry = Block::new(Body::ENTRY);
        let used = instance.analysis(function).liveness.at(Points::entry());
        let is_used = |&(index, _): &(usize, Arguments)| used.contains(&Register::new(index));
        for (index, arguments) in profiled.arguments.into_iter().filter(is_used) {
            let is_given_up = given_up.contains(&(DeoptReason::Argument, Position { block: entry, index }));
            // The first value counts as a change, unless it is 0.
            if arguments.passed >= least && arguments.changed <= 1 && !is_given_up {
                plan.add_argument(index, arguments.last);
            }
        }
    }
    plan
}

/// What a call is compared with that has called those: targets that it calls in one of eight cases at least, the most
/// frequent first.
fn targets(calls: &IndirectCalls) -> Option<CallTargets> {
    let is_frequent = |&&(_, count): &&(FunctionIndex, u32)| count >= calls.calls.div_ceil(8);
    let mut frequent: Vec<_> = calls.targets.iter().filter(is_frequent).collect();
    frequent.sort_by_key(|&&(_, count)| Reverse(count));
    let compared: u64 = frequent.iter().map(|&&(_, count)| u64::from(count)).sum();
    let has_others = compared < calls.calls.into();
    let functions: Vec<FunctionIndex> = frequent.into_iter().map(|&(function, _)| function).collect();
    (!functions.is_empty()).then_some(CallTargets { functions, has_others })
}
