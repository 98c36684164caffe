//! Speculation: what optimized code of a function relies on, and what has turned out not to hold.
//!
//! ```text
//!   profile of baseline code ──plan──> Speculation ──compiler──> guards ──fail──> Learnt
//!                                ^                                                  │
//!                                └──────────────────────────────────────────────────┘
//! ```
//!
//! A guard that fails as often as the settings allow is given up: the versions that have it are retired, and code that is
//! compiled after that does not speculate there. So each guard deoptimizes a bounded number of times, and a function whose
//! guards are given up again and again speculates on nothing in the end: a deoptimization loop heals. (What production
//! engines do to this end: HotSpot's `PerMethodTrapLimit` and `PerBytecodeTrapLimit`, V8's removal of the feedback that a
//! deoptimization refutes.)

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use osr_compiler::{CompiledTier, Guard, Speculation, VersionKey};
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
    let given_up = &state.learnt.lessons().given_up;
    let mut plan = Speculation::default();
    given_up.iter().for_each(|&block| plan.give_up(block));
    let least = instance.settings().speculation_threshold.max(1);
    let speculates = instance.settings().speculate.contains(&SpeculationKind::Branch);
    if speculates && given_up.len() < MOST_GIVEN_UP {
        for (block, [taken, not_taken]) in instance.profiled(key.function).branches {
            let is_one_sided = taken.min(not_taken) == 0 && taken.max(not_taken) >= least;
            if is_one_sided && !given_up.contains(&block) {
                plan.add_branch(block, taken > 0);
            }
        }
    }
    (!plan.is_empty()).then_some(plan)
}
