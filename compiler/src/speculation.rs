//! Speculation: what optimized code of a body relies on that need not be so.
//!
//! It is decided before the code is compiled, from a profile and from what has been learnt since; the compiler only
//! carries it out. So compiling stays a function of its unit.

use std::collections::{BTreeMap, BTreeSet};

use osr_ir::inlining::CallTargets;
use osr_ir::{FunctionIndex, Position};

/// What optimized code speculates on, by the function whose body it is in: code has bodies of other functions in it, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Speculations(BTreeMap<FunctionIndex, Speculation>);

impl Speculations {
    /// In the body of `function` that is `speculation`.
    pub fn add(&mut self, function: FunctionIndex, speculation: Speculation) {
        self.0.insert(function, speculation);
    }

    /// In the body of `function`, if there is anything.
    pub fn of(&self, function: FunctionIndex) -> Option<&Speculation> {
        self.0.get(&function)
    }

    /// The same, where the branch or the guard at `at` in the body of `function` goes the other way.
    #[must_use]
    pub fn flipped(&self, function: FunctionIndex, at: Position) -> Speculations {
        let mut flipped = self.clone();
        let speculation = flipped.0.entry(function).or_default();
        let is_taken = speculation.taken(at).unwrap_or(true);
        speculation.add_branch(at, !is_taken);
        flipped
    }

    /// Whether targets of indirect calls are known.
    pub fn has_targets(&self) -> bool {
        self.0.values().any(Speculation::has_targets)
    }

    /// Whether they say nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What optimized code speculates on in one body. Terminators are named by their positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Speculation {
    /// Per branch of which one side is taken always, whether that is the first one; and per guard, whether it holds, if that
    /// is said.
    branches: BTreeMap<Position, bool>,
    /// Per indirect call of which some targets are known, these.
    targets: BTreeMap<Position, CallTargets>,
    /// The guards that are branches.
    given_up: BTreeSet<Position>,
}

impl Speculation {
    /// The branch at `at` always goes to its first successor, if `is_taken`, or to its second. A guard always holds, unless
    /// it is said that it always fails.
    pub fn add_branch(&mut self, at: Position, is_taken: bool) {
        self.branches.insert(at, is_taken);
    }

    /// Whether the branch at `at` is always taken; none if it may go either way.
    pub fn taken(&self, at: Position) -> Option<bool> {
        self.branches.get(&at).copied()
    }

    /// The indirect call at `at` calls `targets`.
    pub fn add_targets(&mut self, at: Position, targets: CallTargets) {
        self.targets.insert(at, targets);
    }

    /// What the indirect call at `at` calls, if that is known.
    pub fn targets(&self, at: Position) -> Option<&CallTargets> {
        self.targets.get(&at)
    }

    /// Whether targets of indirect calls are known.
    pub fn has_targets(&self) -> bool {
        !self.targets.is_empty()
    }

    /// The guard at `at`, if there is one in the body, is a branch.
    pub fn give_up(&mut self, at: Position) {
        self.given_up.insert(at);
    }

    /// Whether the guard at `at` is a branch.
    pub fn is_given_up(&self, at: Position) -> bool {
        self.given_up.contains(&at)
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.branches.is_empty() && self.targets.is_empty() && self.given_up.is_empty()
    }
}
