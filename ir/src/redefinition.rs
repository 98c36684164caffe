//! Redefinition: functions with several bodies, and what says when another of them is entered.
//!
//! A function begins with the body that it is defined with. An *alternative* is a further one: a function of the module
//! by itself, with registers, points and code of its own, which nothing can call by its name. A [`Redefinition`] says
//! which body calls enter from then on, for several functions together, and what becomes of the activations of the
//! bodies that they entered before.

use std::fmt;

use crate::index::FunctionIndex;
use crate::module::Module;

/// A further body of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alternative {
    /// The body, as a function of the module.
    pub body: FunctionIndex,
    /// What it is a body of.
    pub of: FunctionIndex,
}

/// What becomes of the activations of a body when calls enter another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OldActivations {
    /// They run out: in the old body, in the code that they are in.
    RunOut,
    /// They continue in the old body, but leave its compiled code, which is invalidated.
    Invalidate,
    /// They are carried into the new body by a [`StateMap`](crate::StateMap), each at the first point with an entry that
    /// it is at when control is with it.
    Carry,
    /// The same, and no instruction of an old body is executed any more: maps have an entry for every point of the old
    /// body at which an activation can be.
    CarryAll,
}

impl OldActivations {
    /// All.
    pub const ALL: [OldActivations; 4] =
        [OldActivations::RunOut, OldActivations::Invalidate, OldActivations::Carry, OldActivations::CarryAll];

    /// The name, as it is written in the textual form.
    pub fn name(self) -> &'static str {
        match self {
            OldActivations::RunOut => "run_out",
            OldActivations::Invalidate => "invalidate",
            OldActivations::Carry => "carry",
            OldActivations::CarryAll => "carry_all",
        }
    }

    /// Whether they are carried into the new body.
    pub fn carries(self) -> bool {
        matches!(self, OldActivations::Carry | OldActivations::CarryAll)
    }
}

impl fmt::Display for OldActivations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Which body calls of a function enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    /// The function.
    pub function: FunctionIndex,
    /// One of its bodies: itself, or an [`Alternative`] of it.
    pub body: FunctionIndex,
}

/// Bodies that are changed together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Redefinition {
    /// Each function at most once.
    pub changes: Vec<Change>,
    /// What becomes of the activations of the bodies that calls entered before.
    pub activations: OldActivations,
}

/// What a [`Step`] does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepAction {
    /// All compiled code is invalidated.
    Invalidate,
    /// All compiled code is invalidated that has code of one of these functions, of any of their bodies: their own, and what
    /// they are inlined into.
    InvalidateFunctions(Vec<FunctionIndex>),
    /// Functions are redefined.
    Redefine(Redefinition),
}

/// Part of a module's script: what an experiment does while the module executes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When: at the entry of the call with this number, from 1, among all calls of functions that the module defines.
    /// Numbers are the same in every tier.
    pub call: u64,
    /// What.
    pub action: StepAction,
}

impl Module {
    /// The function that `body` is a body of: itself, unless it is an [`Alternative`].
    pub fn function_of(&self, body: FunctionIndex) -> FunctionIndex {
        let alternative = self.alternatives.iter().find(|alternative| alternative.body == body);
        alternative.map(|alternative| alternative.of).or_else(|| self.added_to(body)).unwrap_or(body)
    }

    /// Whether `function` has several bodies, or is one of several, or may be one day: if there is room for bodies that
    /// are [added](Module::add_bodies).
    pub fn has_alternatives(&self, function: FunctionIndex) -> bool {
        self.reserved_bodies() > 0
            || self
                .alternatives
                .iter()
                .any(|alternative| alternative.body == function || alternative.of == function)
    }
}
