//! What a soak found, as text or JSON.

use std::time::Duration;

use comfy_table::{Table, presets};
use osr_engine::{Mechanism, Tier};
use osr_tests::soak::Totals;
use serde::{Deserialize, Serialize};

use super::{SoakError, SoakOptions};
use crate::error::Error;
use crate::new_file::NewFile;
use crate::output;

/// What a soak finds.
#[derive(Debug, Serialize)]
struct Findings {
    /// The seed of the first round.
    seed: u64,
    wall_ns: u64,
    #[serde(flatten)]
    totals: Totals,
    landings_by_tier: LandingsByTier,
    /// What differs; null if nothing does.
    failure: Option<Failure>,
}

#[derive(Debug, Serialize)]
struct LandingsByTier {
    interpreter: u64,
    baseline: u64,
    optimized: u64,
}

/// A round that differs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) seed: u64,
    pub(super) mechanism: Mechanism,
    pub(super) text: String,
    /// What was executed, as textual IR.
    pub(super) module: String,
}

/// Prints the findings, and writes the module of a failure to `save`. The error says what differs.
pub(super) fn report(
    options: &SoakOptions,
    wall: Duration,
    (totals, failure): (Totals, Option<Failure>),
    save: Option<NewFile>,
) -> Result<(), Error> {
    let findings = Findings {
        seed: options.seed,
        wall_ns: wall.as_nanos() as u64,
        landings_by_tier: LandingsByTier {
            interpreter: totals.landings_in(Tier::Interpreter),
            baseline: totals.landings_in(Tier::Baseline),
            optimized: totals.landings_in(Tier::Optimized),
        },
        totals,
        failure,
    };
    if options.json {
        output::json_to_stdout(&findings)?;
    } else {
        output::to_stdout(&text(&findings))?;
    }
    let Some(Failure { seed, mechanism, text, module }) = findings.failure else { return Ok(()) };
    if let Some(file) = save {
        file.replace(module.as_bytes())?;
    }
    Err(SoakError::Differs { seed, mechanism, text }.into())
}

fn text(findings: &Findings) -> String {
    let Findings { totals, landings_by_tier: by_tier, .. } = findings;
    let seconds = findings.wall_ns as f64 / 1e9;
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_header(["from", "to", "where", "transitions"]);
    for moves in &totals.moves {
        let place = match moves.place {
            osr_engine::Place::Entry => "entry",
            osr_engine::Place::LoopHeader => "loop header",
            osr_engine::Place::PendingReturn => "pending return",
            osr_engine::Place::Guard => "guard",
        };
        table.add_row([moves.from.name(), moves.to.name(), place, &moves.count.to_string()]);
    }
    format!(
        "{} executions ({:.0} a second) in {} rounds from seed {} in {seconds:.1} s: {} random modules, {} programs, \
         {} left out; {} calls\n\
         {} transitions ({:.0} a second), {} frames hijacked, {} landings: {} in the interpreter, {} in \
         baseline code, {} in optimized code\n\
         {} versions compiled, {} released\n\
         {} executions with a shadow interpreter, which compared the frame state at {} transitions\n{table}\n{}\n",
        totals.executions,
        totals.executions as f64 / seconds,
        totals.rounds,
        findings.seed,
        totals.modules,
        totals.programs,
        totals.left_out,
        totals.calls,
        totals.transitions,
        totals.transitions as f64 / seconds,
        totals.hijacked_frames,
        totals.landings,
        by_tier.interpreter,
        by_tier.baseline,
        by_tier.optimized,
        totals.versions_compiled,
        totals.versions_released,
        totals.shadowed,
        totals.shadowed_transitions,
        if findings.failure.is_none() { "no difference" } else { "DIFFERS" },
    )
}
