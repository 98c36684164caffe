//! Code releases with all else equal: what running code pays for them, and when they give memory back.

use osr_engine::{ActiveFrames, CodeRelease, Mechanism};

use super::Trial;
use super::latency;
use super::steady::{self, CALLS};
use crate::laboratory::results::Finding;

/// What the others are measured against.
const REFERENCE: Mechanism = Mechanism::DEFAULT;

/// The default mechanism with every release; where frames have to run out for it, they do.
pub(super) fn mechanisms() -> Vec<Mechanism> {
    let with = |&release: &CodeRelease| {
        let usual = Mechanism { release, ..REFERENCE };
        let frames_run_out = Mechanism { frames: ActiveFrames::RunOut, ..usual };
        [usual, frames_run_out].into_iter().find(|mechanism| mechanism.check().is_ok())
    };
    CodeRelease::ALL.iter().filter_map(with).collect()
}

/// Measures calls, programs and latencies.
pub(super) fn run(trial: &Trial) -> Result<Vec<Finding>, String> {
    let mut findings = Vec::new();
    if trial.mechanism != REFERENCE {
        let pair = [REFERENCE, trial.mechanism];
        findings.push(CALLS.measure_by_step(trial, pair)?);
        findings.extend(steady::programs(trial, pair)?);
    }
    findings.extend(latency::run(trial)?.into_iter().filter(|finding| finding.program == latency::PROGRAM));
    Ok(findings)
}
