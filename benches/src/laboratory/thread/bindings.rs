//! Call bindings with all else equal: what a call costs with each against a call through a cell, and what an update costs.
//! Both together say when patching pays: what an update costs more has to be saved by the calls until the next one.

use osr_engine::{CallBinding, Mechanism, Settings};

use super::Trial;
use super::guest::{Guest, call_sites};
use super::steady::{self, CALLS};
use super::update::by_sites;
use crate::laboratory::results::Finding;

/// What the others are measured against: a cell for each function.
pub(super) const REFERENCE: Mechanism = Mechanism::DEFAULT;

/// What a call costs more than with that.
pub(super) const AGAINST_A_CELL: &str = "per call, against a cell";

/// The default mechanism with every binding that can replace code.
pub(super) fn mechanisms() -> Vec<Mechanism> {
    let all = CallBinding::ALL.iter().map(|&binding| Mechanism { binding, ..REFERENCE });
    all.filter(|mechanism| mechanism.check().is_ok()).collect()
}

/// Measures calls, programs, and updates of a function with the fewest and the most call sites of the trial.
pub(super) fn run(trial: &Trial) -> Result<Vec<Finding>, String> {
    let mut findings = vec![CALLS.measure_by_step(trial, [Mechanism::BARE, trial.mechanism])?];
    if trial.mechanism != REFERENCE {
        let pair = [REFERENCE, trial.mechanism];
        let metric = AGAINST_A_CELL.to_owned();
        findings.push(Finding { metric, ..CALLS.measure_by_step(trial, pair)? });
        findings.extend(steady::programs(trial, pair)?);
    }
    let ends = [trial.sizes.sites.iter().min(), trial.sizes.sites.iter().max()];
    let mut bytes = Vec::new();
    for &sites in ends.into_iter().flatten() {
        findings.extend(by_sites(trial, sites, |settings| settings)?);
        bytes.push((sites, code_bytes(trial, sites)?));
    }
    if let [(few, least), (many, most)] = bytes[..]
        && few < many
    {
        let by_site = most.saturating_sub(least) as f64 / (many - few) as f64;
        findings.push(Finding::new("call sites", "code by call", "bytes", vec![by_site]));
    }
    Ok(findings)
}

/// Bytes of code of a program with so many call sites.
fn code_bytes(trial: &Trial, sites: u64) -> Result<u64, String> {
    // All of it is compiled with the instance.
    let placed = |settings| Settings { placement: Some(trial.seed), ..settings };
    let guest = Guest::new(&call_sites(sites), trial, None, placed)?;
    Ok(guest.thread.instance().versions().iter().map(|version| u64::from(version.code_bytes)).sum())
}
