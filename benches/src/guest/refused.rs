//! What the compiler has refused in a run: functions that stayed in a slower tier than they were to continue in.

use std::fmt;

use osr_engine::{Instance, RefusedCode, Tier};
use osr_ir::Shown;
use serde::Serialize;

/// How many are kept.
const KEPT: usize = 100;
/// How many a note names.
const NAMED: usize = 3;

/// The code that was refused.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Refused {
    /// How many versions.
    total: usize,
    /// The first of them, by function.
    first: Vec<RefusedVersion>,
}

#[derive(Clone, Debug, Serialize)]
struct RefusedVersion {
    function: String,
    tier: &'static str,
    entry: String,
    reason: String,
}

impl Refused {
    /// What was refused in `instance`.
    pub(crate) fn by(instance: &Instance) -> Refused {
        let mut refused = Refused::default();
        for RefusedCode { key, reason } in instance.refused_code() {
            refused.total += 1;
            if refused.first.len() < KEPT {
                let function = instance.module().function(key.function).name.clone();
                let (tier, entry) = (Tier::from(key.tier).name(), key.entry.to_string());
                refused.first.push(RefusedVersion { function, tier, entry, reason });
            }
        }
        refused
    }

    /// A line to tell the user, if there is anything to tell.
    pub(crate) fn note(&self) -> Option<String> {
        (self.total > 0).then(|| format!("{self}\n"))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("note: the compiler refused code, and functions stayed in a slower tier: ")?;
        for (number, version) in self.first.iter().take(NAMED).enumerate() {
            let RefusedVersion { function, tier, entry, reason } = version;
            let separator = if number == 0 { "" } else { "; " };
            write!(out, "{separator}{} ({tier}, entered at {entry}): {reason}", Shown(function))?;
        }
        match self.total.saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(out, "; and {more} more (--stats lists them, --explain says when)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(total: usize) -> Refused {
        let version = |number: usize| RefusedVersion {
            function: format!("f{number}"),
            tier: "optimized",
            entry: "function".to_owned(),
            reason: "too large".to_owned(),
        };
        Refused { total, first: (0..total.min(KEPT)).map(version).collect() }
    }

    #[test]
    fn a_note_names_a_few_and_counts_the_rest() {
        assert_eq!(refused(0).note(), None);
        let one = refused(1).note().expect("a note");
        assert!(one.ends_with("slower tier: f0 (optimized, entered at function): too large\n"), "{one}");
        let many = refused(5_000).note().expect("a note");
        assert!(many.contains("f2 (") && !many.contains("f3 (") && many.contains("and 4997 more"), "{many}");
    }
}
