//! Deoptimization loops: code that is retired and made again and again.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{ExplainedFunction, FailedGuard};
use crate::settings::CompiledTier;

/// A function whose code for one entry was retired this often, and compiled again each time, is in a
/// deoptimization loop.
pub const DEOPTIMIZATION_LOOP: u64 = 3;

/// Code of one function, tier and entry that was retired and made again and again.
#[derive(Clone, Debug, Serialize)]
pub struct DeoptimizationLoop {
    /// The function.
    pub function: String,
    /// The tier.
    pub tier: CompiledTier,
    /// The entry.
    pub entry: String,
    /// Times that the code was made.
    pub made: u64,
    /// Times that it was retired.
    pub retired: u64,
    /// The time of all compilations, in nanoseconds.
    pub compile_ns: u64,
    /// The guards that failed in it.
    pub failed_guards: Vec<FailedGuard>,
}

/// The deoptimization loops of `function`.
pub(super) fn deoptimization_loops(function: &ExplainedFunction) -> Vec<DeoptimizationLoop> {
    let mut loops: BTreeMap<(CompiledTier, &str), DeoptimizationLoop> = BTreeMap::new();
    for version in &function.versions {
        let of = loops.entry((version.tier, &version.entry)).or_insert_with(|| DeoptimizationLoop {
            function: function.function.clone(),
            tier: version.tier,
            entry: version.entry.clone(),
            made: 0,
            retired: 0,
            compile_ns: 0,
            failed_guards: Vec::new(),
        });
        of.made += 1;
        of.retired += u64::from(version.retired.is_some());
        of.compile_ns += version.compile_ns;
        of.failed_guards.extend_from_slice(&version.failed_guards);
    }
    // The last one that was made may be alive.
    loops
        .into_values()
        .filter(|of| of.made > DEOPTIMIZATION_LOOP && of.retired >= DEOPTIMIZATION_LOOP)
        .collect()
}
