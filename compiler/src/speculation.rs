//! Speculation: what optimized code of a body relies on that need not be so.
//!
//! It is decided before the code is compiled, from a profile and from what has been learnt since; the compiler only
//! carries it out. So compiling stays a function of its unit.

use std::collections::{BTreeMap, BTreeSet};

use osr_ir::inlining::CallTargets;
use osr_ir::{FunctionIndex, GlobalIndex, Position};

use crate::guard::DeoptReason;

/// What optimized code speculates on, by the function whose body it is in: code has bodies of other functions in it, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Speculations {
    functions: BTreeMap<FunctionIndex, Speculation>,
    /// Per global that keeps its value, that: a word.
    globals: BTreeMap<GlobalIndex, u64>,
}

impl Speculations {
    /// The value of `global` is and stays `bits`.
    pub fn add_global(&mut self, global: GlobalIndex, bits: u64) {
        self.globals.insert(global, bits);
    }

    /// The value that `global` keeps, if it keeps one.
    pub fn global(&self, global: GlobalIndex) -> Option<u64> {
        self.globals.get(&global).copied()
    }

    /// In the body of `function` that is `speculation`.
    pub fn add(&mut self, function: FunctionIndex, speculation: Speculation) {
        self.functions.insert(function, speculation);
    }

    /// The functions in whose bodies there is anything.
    pub fn functions(&self) -> impl Iterator<Item = FunctionIndex> + '_ {
        self.functions.keys().copied()
    }

    /// In the body of `function`, if there is anything.
    pub fn of(&self, function: FunctionIndex) -> Option<&Speculation> {
        self.functions.get(&function)
    }

    /// The same in the bodies of functions, where the branch or the guard at `at` in that of `function` goes the other way.
    #[must_use]
    pub fn flipped(&self, function: FunctionIndex, at: Position) -> Speculations {
        let mut flipped = Speculations { functions: self.functions.clone(), globals: BTreeMap::new() };
        let speculation = flipped.functions.entry(function).or_default();
        let is_taken = speculation.taken(at).unwrap_or(true);
        speculation.add_branch(at, !is_taken);
        flipped
    }

    /// The same in the bodies of functions, where there is no guard at `at` in that of `function` for `reason`.
    #[must_use]
    pub fn without(&self, function: FunctionIndex, reason: DeoptReason, at: Position) -> Speculations {
        let mut without = Speculations { functions: self.functions.clone(), globals: BTreeMap::new() };
        let speculation = without.functions.entry(function).or_default();
        speculation.branches.remove(&at);
        if let Some(targets) = speculation.targets.get_mut(&at) {
            targets.has_others = true;
        }
        speculation.give_up(reason, at);
        without
    }

    /// Whether targets of indirect calls are known.
    pub fn has_targets(&self) -> bool {
        self.functions.values().any(Speculation::has_targets)
    }

    /// Whether they say nothing.
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty() && self.globals.is_empty()
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
    /// Per parameter that always has the same value, that.
    arguments: BTreeMap<usize, u64>,
    /// The guards that are not to be there.
    given_up: BTreeSet<(DeoptReason, Position)>,
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

    /// The parameter of that number always has the value `bits`, an integer.
    pub fn add_argument(&mut self, parameter: usize, bits: u64) {
        self.arguments.insert(parameter, bits);
    }

    /// The parameters that always have the same value.
    pub fn arguments(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.arguments.iter().map(|(&parameter, &bits)| (parameter, bits))
    }

    /// There is to be no guard at `at` for that reason: if one is in the body, it is a branch.
    pub fn give_up(&mut self, reason: DeoptReason, at: Position) {
        self.given_up.insert((reason, at));
    }

    /// Whether the guard at `at` is given up.
    pub fn is_given_up(&self, reason: DeoptReason, at: Position) -> bool {
        self.given_up.contains(&(reason, at))
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        let Speculation { branches, targets, arguments, given_up } = self;
        branches.is_empty() && targets.is_empty() && arguments.is_empty() && given_up.is_empty()
    }
}
