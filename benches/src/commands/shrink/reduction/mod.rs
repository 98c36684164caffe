//! Reduction: from a run that fails to a small one that fails, too.
//!
//! ```text
//!   program, arguments, schedule ──> schedule ──> program ──> arguments ──> schedule ──> ... until nothing
//!                                    settings,    functions,  smaller       smaller         gets smaller
//!                                    fewer        script,     numbers       ordinals
//!                                    entries      blocks,
//!                                                 instructions
//! ```
//!
//! Nothing here knows what failing is: a closure says so, and decides where candidates run (a candidate may
//! well end the process). Every candidate module is verified before it is tried. The result is minimal in
//! that no single step of those above makes it smaller; smaller ones may exist.
//!
//! The idea is delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing
//! Input", TSE 2002), restricted to complements: chunks are left out, halved until they are single.

mod edit;
mod program;
mod schedule;

use osr_engine::{Schedule, Settings};
use osr_ir::{Module, Value};

/// What is run: may fail.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Candidate {
    /// The program.
    pub(crate) module: Module,
    /// The name of the exported function that is called.
    pub(crate) invoke: String,
    /// Its arguments.
    pub(crate) arguments: Vec<Value>,
    /// The transitions that are forced.
    pub(crate) schedule: Schedule,
    /// The engine's settings, but for what is forced.
    pub(crate) settings: Settings,
}

impl Candidate {
    /// Its size: entries of the schedule and steps of the script, instructions.
    pub(crate) fn size(&self) -> (usize, usize) {
        let Schedule { safepoints, landings, guards } = &self.schedule;
        let bodies = self.module.functions.iter().filter_map(osr_ir::Function::body);
        (
            safepoints.len() + landings.len() + guards.len() + self.module.script.len(),
            bodies.map(osr_ir::Body::instruction_count).sum(),
        )
    }
}

/// Tries candidates, and keeps the smallest that fails.
pub(crate) struct Shrinker<'f> {
    best: Candidate,
    fails: &'f mut dyn FnMut(&Candidate) -> Trial,
    tried: u64,
    is_over: bool,
}

/// What became of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    /// It fails as the first one does.
    Fails,
    /// It does not.
    Passes,
    /// It was not tried: there is no time left. No more is tried then.
    OutOfTime,
}

/// A smaller candidate than `first`, which fails, that fails as well, and how many were tried.
pub(crate) fn shrink(first: Candidate, fails: &mut dyn FnMut(&Candidate) -> Trial) -> (Candidate, u64) {
    let mut shrinker = Shrinker { best: first, fails, tried: 0, is_over: false };
    loop {
        let before = shrinker.best.clone();
        shrinker.fewer_settings();
        shrinker.fewer_entries();
        shrinker.smaller_program();
        shrinker.smaller_arguments();
        shrinker.smaller_ordinals();
        if shrinker.is_over || shrinker.best == before {
            return (shrinker.best, shrinker.tried);
        }
    }
}

impl Shrinker<'_> {
    /// Tries `candidate`; keeps it if it fails.
    fn attempt(&mut self, candidate: Candidate) -> bool {
        if self.is_over || candidate == self.best {
            return false;
        }
        self.tried += 1;
        match (self.fails)(&candidate) {
            Trial::Fails => {
                self.best = candidate;
                true
            }
            Trial::Passes => false,
            Trial::OutOfTime => {
                self.is_over = true;
                false
            }
        }
    }

    /// Tries the module that `edit` makes of the best one, if it makes a valid one.
    fn attempt_module(&mut self, edit: impl FnOnce(&mut Module)) -> bool {
        let mut candidate = self.best.clone();
        edit(&mut candidate.module);
        let has_entry = candidate.module.export(&candidate.invoke).is_some();
        has_entry && osr_ir::verifier::verify(&candidate.module).is_ok() && self.attempt(candidate)
    }

    /// Leaves out as many of `count` things as it can: `attempt` gets which are kept, and says whether that
    /// fails.
    fn leave_out(&mut self, count: usize, attempt: impl Fn(&mut Self, &[usize]) -> bool) {
        let mut kept: Vec<usize> = (0..count).collect();
        let mut chunk = count;
        while chunk > 0 && !self.is_over {
            let mut start = 0;
            let before = kept.len();
            while start < kept.len() {
                let end = (start + chunk).min(kept.len());
                let fewer = [&kept[..start], &kept[end..]].concat();
                if attempt(self, &fewer) {
                    kept = fewer;
                } else {
                    start = end;
                }
            }
            // Single things once more, for one may have been needed by another that is gone.
            chunk = if chunk == 1 && kept.len() < before { 1 } else { chunk / 2 };
        }
    }

    /// Arguments nearer to zero.
    fn smaller_arguments(&mut self) {
        for position in 0..self.best.arguments.len() {
            while smaller(self.best.arguments[position]).into_iter().any(|value| {
                let mut candidate = self.best.clone();
                candidate.arguments[position] = value;
                self.attempt(candidate)
            }) {}
        }
    }
}

/// Simpler values than `value`, the simplest first.
fn smaller(value: Value) -> Vec<Value> {
    let integers = |n: i64| -> Vec<i64> {
        let candidates = [0, 1, 2, n / 2, n - n.signum()];
        candidates.into_iter().filter(|c| c.unsigned_abs() < n.unsigned_abs()).collect()
    };
    match value {
        Value::I32(n) => integers(n.into()).into_iter().map(|n| Value::I32(n as i32)).collect(),
        Value::I64(n) => integers(n).into_iter().map(Value::I64).collect(),
        other => Some(Value::zero(other.ty())).filter(|zero| *zero != other).into_iter().collect(),
    }
}
