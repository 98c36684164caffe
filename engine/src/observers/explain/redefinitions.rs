//! What redefinitions did: which body calls enter, and where activations of the old one were carried.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter, Result};

use osr_ir::{FunctionIndex, OldActivations, Point, Shown};
use serde::Serialize;

use super::{Moment, microseconds};
use crate::event::{Cause, FrameState};

/// Calls of a function that enter another body from then on.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedRedefinition {
    /// The name of the function.
    pub function: String,
    /// The name of the body that calls entered before.
    pub from: String,
    /// The name of the body that they enter from then on.
    pub to: String,
    /// What becomes of activations of the old body, as the textual form has it.
    pub activations: &'static str,
    /// When.
    pub at: Moment,
    /// Why.
    pub cause: Cause,
    /// Activations of the old body that were carried into the new one.
    pub carried: Vec<CarriedActivations>,
}

/// Activations that were carried at one point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CarriedActivations {
    /// The point of the old body.
    pub from: String,
    /// The point of the new body.
    pub to: String,
    /// How many.
    pub count: u64,
    /// How many of these continued in compiled code at once.
    pub compiled: u64,
}

/// Those that were seen.
#[derive(Debug, Default)]
pub(super) struct Redefinitions(Vec<Redefinition>);

#[derive(Debug)]
struct Redefinition {
    bodies: [FunctionIndex; 2],
    explained: ExplainedRedefinition,
    /// By the points of both bodies, how many were carried, and how many into compiled code.
    carried: BTreeMap<(Point, Point), (u64, u64)>,
}

impl Redefinitions {
    /// Calls of a function enter the second of `bodies` instead of the first. The names are the function's and theirs.
    pub(super) fn add(
        &mut self,
        bodies: [FunctionIndex; 2],
        [function, from, to]: [&str; 3],
        activations: OldActivations,
        (at, cause): (Moment, Cause),
    ) {
        let [function, from, to] = [function, from, to].map(str::to_owned);
        let activations = activations.name();
        let explained =
            ExplainedRedefinition { function, from, to, activations, at, cause, carried: Vec::new() };
        self.0.push(Redefinition { bodies, explained, carried: BTreeMap::new() });
    }

    /// An activation was carried.
    pub(super) fn carried(&mut self, from: &FrameState<'_>, to: &FrameState<'_>, is_compiled: bool) {
        let bodies = [from.function, to.function];
        let Some(redefinition) = self.0.iter_mut().rev().find(|known| known.bodies == bodies) else { return };
        let counts = redefinition.carried.entry((from.point, to.point)).or_default();
        *counts = (counts.0 + 1, counts.1 + u64::from(is_compiled));
    }

    /// All, as data.
    pub(super) fn explained(&self) -> Vec<ExplainedRedefinition> {
        let carried = |(points, counts): (&(Point, Point), &(u64, u64))| CarriedActivations {
            from: points.0.to_string(),
            to: points.1.to_string(),
            count: counts.0,
            compiled: counts.1,
        };
        let explain = |known: &Redefinition| ExplainedRedefinition {
            carried: known.carried.iter().map(carried).collect(),
            ..known.explained.clone()
        };
        self.0.iter().map(explain).collect()
    }
}

impl Display for ExplainedRedefinition {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        let [function, from, to] = [&self.function, &self.from, &self.to].map(|name| Shown(name));
        let at = microseconds(self.at.ns);
        writeln!(
            out,
            "{function} redefined at {at}: from body {from} to {to}, {}: {}",
            self.activations, self.cause
        )?;
        for CarriedActivations { from, to, count, compiled } in &self.carried {
            writeln!(
                out,
                "  carried from {from} to {to}: {count} activations, {compiled} into compiled code"
            )?;
        }
        Ok(())
    }
}
