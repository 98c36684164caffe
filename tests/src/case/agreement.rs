//! Whether a case does the same in every configuration: in every tier, with versions invalidated and frames
//! hijacked at every safepoint, landing in every tier.

use osr_engine::{Land, Stress, Tier, Tiers};

use super::Case;
use super::blessed::spell;
use super::parse::Verb;
use crate::configuration::{Configuration, on_large_stack};
use crate::reproduction::Run;

impl Case {
    /// What differs from the interpreter in some configuration, line by line: results, traps with their
    /// points, and the memory afterwards. Empty if nothing does.
    pub fn disagreements(&self) -> String {
        self.disagreements_among(&configurations())
    }

    /// The same, of other configurations.
    pub fn disagreements_among(&self, configurations: &[Configuration]) -> String {
        let expected = Run::of(&self.module, &self.calls(), &Configuration::interpreter().settings);
        let compare = |configuration: &Configuration| {
            let run = Run::of(&self.module, &self.calls(), &configuration.settings);
            self.differences(configuration.name, &expected, &run)
        };
        on_large_stack(self.stack_bytes(), || configurations.iter().flat_map(compare).collect())
    }

    fn differences(&self, configuration: &str, expected: &Run, run: &Run) -> Vec<String> {
        let calls = self.commands.iter().filter_map(|command| match &command.verb {
            Verb::Call(call) => Some((command.lines.start + 1, call)),
            _ => None,
        });
        let outcomes = expected.outcomes.iter().zip(&run.outcomes);
        let mut differences: Vec<String> = calls
            .zip(outcomes)
            .filter(|(_, (expected, outcome))| expected != outcome)
            .map(|((line, call), (expected, outcome))| {
                let [expected, outcome] =
                    [expected, outcome].map(|outcome| spell(&self.module, call, outcome));
                format!("{}:{line}: {configuration}: {outcome}; in the interpreter {expected}\n", self.name)
            })
            .collect();
        // How far a recursion gets that exhausts the stack depends on the tier, and so does what it writes.
        if expected.memory_hash != run.memory_hash && !self.exhausts_stack() {
            differences.push(format!("{}: {configuration}: the memory differs\n", self.name));
        }
        differences
    }

    /// Where each safepoint walks all of the stack, exhausting a large one takes very long.
    fn stack_bytes(&self) -> usize {
        if self.exhausts_stack() { 512 << 10 } else { 64 << 20 }
    }
}

/// Those of every program, and more that short programs have the time for.
fn configurations() -> Vec<Configuration> {
    use Tiers::{Auto, Baseline, Optimized};
    let mut all = Configuration::all(100);
    all.extend([
        Configuration::stress("auto, threshold 16, invalidate=1", 16, 1),
        Configuration::stress("auto, threshold 1, invalidate=5", 1, 5),
        Configuration::stress("auto, threshold 1, invalidate=7", 1, 7),
        Configuration::new("auto, random", Auto, Stress::Random(3)).with_thresholds((4, 9)),
    ]);
    for (tiers, names) in [
        (Baseline, ["baseline to interpreter", "baseline to baseline", "baseline to optimized"]),
        (Optimized, ["optimized to interpreter", "optimized to baseline", "optimized to optimized"]),
    ] {
        let hijack = |land| Stress::hijack(1).landing(Land::In(land));
        all.extend(
            names
                .into_iter()
                .zip(Tier::ALL)
                .map(|(name, land)| Configuration::new(name, tiers, hijack(land))),
        );
    }
    all
}
