//! Sparse hijacks against every frame: what an invalidation costs on a stack of that depth, what the way back does, and what
//! that is together. Each frame is replaced in the end; beside them `orc`, under which none is: what the same program takes
//! whose frames run out.

use osr_engine::{HijackDensity, Mechanism};

use super::Trial;
use super::order::orc;
use super::update::{Descent, descents};
use crate::laboratory::results::Finding;

/// Both densities, and no hijacks.
pub(super) fn mechanisms() -> Vec<Mechanism> {
    let densities = HijackDensity::ALL.iter().map(|&density| Mechanism { density, ..Mechanism::DEFAULT });
    densities.chain([orc()]).collect()
}

/// Measures at all depths of the trial.
pub(super) fn run(trial: &Trial) -> Result<Vec<Finding>, String> {
    let mut findings = Vec::new();
    for &depth in &trial.sizes.depths {
        let replaced = descents(trial, depth)?.replaced;
        let of = |metric, of: fn(&Descent) -> f64| {
            Finding::new("depth", metric, "ns", replaced.iter().map(of).collect()).at(depth).steady()
        };
        findings.push(of("update", |descent| descent.update));
        findings.push(of("way back", |descent| descent.back));
        findings.push(of("total", |descent| descent.update + descent.back));
    }
    Ok(findings)
}
