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

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use osr_compiler::{CompiledTier, EntryPoint, Guard, Speculation, VersionKey};
use osr_ir::Block;

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
    /// The blocks that end with a guard which fails too often.
    given_up: BTreeSet<Block>,
    /// The blocks that end with a guard whose exits are linked.
    linked: BTreeSet<Block>,
    /// Per block that ends with a guard, how often that has failed.
    failures: BTreeMap<Block, FailureCount>,
}

impl Learnt {
    fn lessons(&self) -> MutexGuard<'_, Lessons> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The guard at the end of `block` fails too often.
    pub(crate) fn give_up(&self, block: Block) {
        self.lessons().given_up.insert(block);
    }

    /// Exits of the guard at the end of `block` are linked to a continuation.
    pub(crate) fn link(&self, block: Block) {
        self.lessons().linked.insert(block);
    }

    /// How often frames have left by exits that are linked.
    pub(crate) fn linked_exits(&self) -> u64 {
        self.lessons().failures.values().map(FailureCount::linked).sum()
    }

    /// `guards`, which are those of a new version of the function.
    pub(crate) fn guards(&self, guards: Box<[Guard]>) -> Box<[VersionGuard]> {
        let failures = &mut self.lessons().failures;
        let known = |guard: Guard| VersionGuard::new(guard, failures.entry(guard.block).or_default().clone());
        guards.into_iter().map(known).collect()
    }
}

/// What code that is made for `key` speculates on; none if it does on nothing, and has all guards of the body.
pub(crate) fn plan(instance: &Instance, key: VersionKey) -> Option<Speculation> {
    if key.tier != CompiledTier::Optimized {
        return None;
    }
    let state = instance.function(key.function);
    if let EntryPoint::Specialized { context, .. } = key.entry {
        return Some(state.contexts.speculation(context));
    }
    let lessons = state.learnt.lessons();
    let mut given_up = lessons.given_up.clone();
    if key.entry != EntryPoint::Function {
        // An activation leaves at such a guard once: where it continues the guard is a branch.
        given_up.extend(&lessons.linked);
    }
    let mut plan = Speculation::default();
    given_up.iter().for_each(|&block| plan.give_up(block));
    let least = instance.settings().speculation_threshold.max(1);
    let speculates = instance.settings().speculate.contains(&SpeculationKind::Branch);
    if speculates && lessons.given_up.len() < MOST_GIVEN_UP {
        for (block, [taken, not_taken]) in instance.profiled(key.function).branches {
            let is_one_sided = taken.min(not_taken) == 0 && taken.max(not_taken) >= least;
            if is_one_sided && !given_up.contains(&block) {
                plan.add_branch(block, taken > 0);
            }
        }
    }
    (!plan.is_empty()).then_some(plan)
}
