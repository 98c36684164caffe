//! The order of mechanisms in tables and plots: trials are made in random order.

use osr_engine::{Mechanism, PRESETS};

use super::EXPERIMENTS;
use crate::laboratory::results::Record;

/// What LLVM has built: it is beside what the thread proposes in every table.
pub(super) fn orc() -> Mechanism {
    PRESETS.iter().find(|preset| preset.name == "orc").map_or(Mechanism::DEFAULT, |preset| preset.mechanism)
}

/// The mechanisms that `records` are of, each once, with its name: in the order of the experiment that chooses them, if they
/// are of such a one; else presets first, and then others by name.
pub(crate) fn in_order<'r>(records: impl Iterator<Item = &'r Record>) -> Vec<(Mechanism, &'r str)> {
    let mut all: Vec<(Mechanism, &str)> = Vec::new();
    let mut own: Vec<Mechanism> = Vec::new();
    for Record { experiment, settings, mechanism, .. } in records {
        if all.is_empty() {
            let of = EXPERIMENTS.iter().find(|known| known.name == experiment);
            own = of.and_then(|experiment| experiment.own_mechanisms).map_or_else(Vec::new, |own| own());
        }
        if !all.iter().any(|(_, known)| known == mechanism) {
            all.push((*settings, mechanism));
        }
    }
    let presets = || PRESETS.iter().map(|preset| preset.mechanism);
    let position = |of: &Mechanism| {
        let mut known = own.iter().copied().chain(presets());
        known.position(|mechanism| mechanism == *of).unwrap_or(usize::MAX)
    };
    all.sort_by_key(|(mechanism, name)| (position(mechanism), *name));
    all
}
