//! What it costs each mechanism that no page is writable and executable at once: the same update with code memory that is
//! mapped twice, where code is written through the second mapping, and with pages that change their protection, as
//! cranelift-jit's do, which is two system calls for each version that is written to.

use osr_engine::{CallBinding, CodeMemory, Mechanism, Placement, Settings};

use super::Trial;
use super::order::orc;
use super::update::by_sites;
use crate::laboratory::results::Finding;

/// Every binding, code that is written over other code, and `orc` beside them.
pub(super) fn mechanisms() -> Vec<Mechanism> {
    let bindings = CallBinding::ALL.iter().map(|&binding| Mechanism { binding, ..Mechanism::DEFAULT });
    let all = bindings.chain([Mechanism { placement: Placement::SameAddress, ..Mechanism::DEFAULT }, orc()]);
    all.filter(|mechanism| mechanism.check().is_ok()).collect()
}

/// Measures with each code memory, at the smallest and the largest number of call sites of the trial: what is done once, and
/// what is done for each.
pub(super) fn run(trial: &Trial) -> Result<Vec<Finding>, String> {
    let mut findings = Vec::new();
    let ends = [trial.sizes.sites.iter().min(), trial.sizes.sites.iter().max()];
    for memory in CodeMemory::ALL {
        for &sites in ends.into_iter().flatten() {
            let found = by_sites(trial, sites, |settings| Settings { code_memory: memory, ..settings })?;
            findings.extend(found.map(|finding| Finding { program: memory.name().to_owned(), ..finding }));
        }
    }
    Ok(findings)
}
