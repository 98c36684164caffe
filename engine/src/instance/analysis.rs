//! What an instance knows of bodies before they are compiled: analyses, made on first use, once for whatever executes the body;
//! and what compiling is expected to take.

use std::sync::atomic::Ordering;

use osr_compiler::{Analysis, CompiledTier, EntryPoint, VersionKey};
use osr_ir::{FunctionIndex, Points};

use super::Instance;
use crate::tiering::{CostModel, Work, growth};

impl Instance {
    /// The points of a defined function, in its body as it is executed.
    ///
    /// # Panics
    /// If the function is imported.
    pub fn points(&self, function: FunctionIndex) -> &Points {
        &self.analysis(function).points
    }

    /// Points and liveness of a defined function.
    pub(crate) fn analysis(&self, function: FunctionIndex) -> &Analysis {
        self.function(function).analysis(|| {
            let defined = self.module().function(function);
            // Those that were imported were not made when the module was verified.
            debug_assert_eq!(osr_ir::verifier::verify_function(self.module(), defined), Ok(()));
            self.settings.analyze(self.body(function))
        })
    }

    /// The work in the body of a defined function.
    pub(crate) fn work(&self, function: FunctionIndex) -> &Work {
        self.function(function).work(|| Work::of(self.body(function), self.points(function)))
    }

    /// Whether what `key` asks for was refused, and would be again, with so many versions `released`.
    pub(crate) fn is_refused(&self, key: VersionKey, released: u64) -> bool {
        let instructions = || self.unit_instructions(key);
        self.function(key.function).is_refused((key.tier, key.entry), instructions, released)
    }

    /// Instructions of the unit that `key` asks for, those included that are inlined, about.
    pub(crate) fn unit_instructions(&self, key: VersionKey) -> u32 {
        let (work, body) = (self.work(key.function), self.body(key.function));
        let own = match key.entry.continues_at() {
            None => work.instructions(),
            Some(point) => work.reached_from(body, self.points(key.function), point),
        };
        // What was executed in baseline code has called what it calls: that is what is inlined.
        let is_known =
            self.function(key.function).code_at(CompiledTier::Baseline, EntryPoint::Function).is_some();
        match key.tier {
            CompiledTier::Optimized if is_known => {
                let growth = || growth(self.module(), body, self.points(key.function), &self.settings);
                own.saturating_add(work.growth(growth))
            }
            _ => own,
        }
    }

    /// What compilations are taken to cost.
    pub(crate) fn costs(&self) -> CostModel {
        CostModel::of(&self.settings, self.has_optimized.load(Ordering::Relaxed))
    }
}
