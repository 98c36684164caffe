//! `osr-bench readiness`: what code pays for being ready to be replaced, component by component.
//!
//! ```text
//!   bare ──> stack check ──> polls ──┬──> slots        each adds one thing to
//!     └────> call cells              ├──> locations    what it hangs on
//!                                    └──> pads
//! ```
//!
//! All are the same IR through the same compiler. Every process places the code of each elsewhere, so that
//! the interval over processes has the luck of placement in it.

mod report;

use clap::Args;
use osr_engine::{CallBinding, Mechanism, Poll, Settings, StateRecording};
use serde::Serialize;

use super::measuring::{self, Code, Compared, Effort, Machine, Mean, Replies, Subject, Variant};
use super::statistics::geometric_mean;
use super::subjects;
use super::subjects::SubjectOptions;
use crate::cli::percent;
use crate::error::Error;
use crate::output;

const READINESS_EXAMPLES: &str = "\
The bare baseline is the same IR compiled with plain `call rel32`, without polls, stack checks and frame \
maps. The stack check, polls and each state recording are added one after the other; call cells instead of \
direct calls are added to the bare code, apart from the others. Every process places the code elsewhere. \
Cranelift makes no code for x86-64 without frame pointers: their price is in the baseline.

Examples:
  osr-bench readiness                            all bundled programs
  osr-bench readiness --unrolling 1              with a poll in each iteration of small loops, too
  osr-bench readiness fib richards --processes 15
  osr-bench readiness --clock cpu --json         for a machine that is not quiet, as data

Exit codes: 0; 1 if results differ, or after a trap; 2 for bad input.";

/// Options of `readiness`.
#[derive(Debug, Args)]
#[command(after_help = READINESS_EXAMPLES)]
pub(crate) struct ReadinessOptions {
    /// What is measured.
    #[command(flatten)]
    pub(crate) subjects: SubjectOptions,
    /// Intervals that are wider than this many percent to either side are marked as noisy.
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, value_parser = percent)]
    pub(crate) noise: f64,
    /// How often small innermost loops are unrolled, at most, in all of them: how many iterations share a
    /// poll.
    #[arg(long, value_name = "N", default_value_t = Settings::DEFAULT_UNROLLING)]
    pub(crate) unrolling: u8,
    /// How much is measured.
    #[command(flatten)]
    pub(crate) effort: Effort,
    /// Print JSON instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
    /// Show no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// What is found.
#[derive(Debug, Serialize)]
struct Findings {
    machine: Machine,
    effort: Effort,
    components: Vec<Component>,
    programs: Vec<Row>,
    /// By component; none for the bare code, and where nothing could be measured.
    geometric_means: Vec<Option<OverPrograms>>,
}

/// A component, and what it is added to.
#[derive(Clone, Debug, Serialize)]
struct Component {
    name: &'static str,
    /// The name of the component that it is added to; none for the bare code.
    added_to: Option<&'static str>,
    #[serde(skip)]
    parent: usize,
    #[serde(skip)]
    code: Code,
}

/// One program.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    arguments: Vec<String>,
    /// By component.
    prices: Vec<Price>,
}

/// What a component costs a program.
#[derive(Debug, Serialize)]
struct Price {
    component: &'static str,
    /// Against what it is added to.
    added: Compared,
    /// With all that it hangs on, against the bare code.
    total: Compared,
}

/// What a component costs on average.
#[derive(Debug, Serialize)]
struct OverPrograms {
    component: &'static str,
    /// Against what it is added to.
    added: Mean,
    /// With all that it hangs on, against the bare code.
    total: Mean,
    /// Its code's size against that of what it is added to, geometric mean.
    code_bytes: f64,
    /// The same against the bare code.
    total_code_bytes: f64,
}

/// Measures what `options` say.
pub(crate) fn run(options: &ReadinessOptions) -> Result<(), Error> {
    let subjects = subjects::chosen(&options.subjects)?;
    let effort = options.effort.seeded();
    let machine = Machine::current();
    let steps = subjects.len() as u64 * u64::from(effort.processes);
    let progress = output::progress(steps, options.quiet || options.json);
    let components = components(options.unrolling);
    let variants: Vec<Variant> = components.iter().map(|component| Variant::Code(component.code)).collect();
    let replies = measuring::measure(&subjects, &variants, &effort, &progress)?;
    progress.finish_and_clear();
    let noise = options.noise / 100.0;
    let row = |(subject, replies): (&Subject, &Replies)| Row {
        name: subject.name(),
        arguments: subject.arguments.clone(),
        prices: prices(&components, replies, noise),
    };
    let programs: Vec<Row> = subjects.iter().zip(&replies).map(row).collect();
    let geometric_means =
        (0..components.len()).map(|position| over_programs(&components, &programs, position, noise));
    let geometric_means = geometric_means.collect();
    let findings = Findings { machine, effort, components, programs, geometric_means };
    if options.json {
        output::json_to_stdout(&findings)?;
    } else {
        output::to_stdout(&report::text(&findings))?;
    }
    findings.verdict()
}

/// The components, the bare code first, all with loops unrolled so often.
fn components(unrolling: u8) -> Vec<Component> {
    let bare = Mechanism::BARE;
    let checked = Mechanism { poll: Poll::StackCheck, ..bare };
    let polling = Mechanism { poll: Poll::StackLimit, ..bare };
    let cells = Mechanism { binding: CallBinding::Cell, ..bare };
    let mut components: Vec<Component> = Vec::new();
    let mut add = |name, parent: usize, mechanism| {
        let added_to = components.get(parent).map(|parent| parent.name);
        let code = Code { mechanism, unrolling };
        components.push(Component { name, added_to, parent, code });
    };
    add("bare", 0, bare);
    add("stack check", 0, checked);
    add("polls", 1, polling);
    add("call cells", 0, cells);
    // Not that which is for tests only.
    for recording in [StateRecording::Slots, StateRecording::Locations, StateRecording::Pads] {
        add(recording.name(), 2, Mechanism { recording, ..polling });
    }
    components
}

fn prices(components: &[Component], replies: &Replies, noise: f64) -> Vec<Price> {
    let price = |(position, component): (usize, &Component)| Price {
        component: component.name,
        added: measuring::compare(replies, position, component.parent, noise),
        total: measuring::compare(replies, position, 0, noise),
    };
    components.iter().enumerate().map(price).collect()
}

fn over_programs(
    components: &[Component],
    programs: &[Row],
    position: usize,
    noise: f64,
) -> Option<OverPrograms> {
    if position == 0 {
        return None;
    }
    let Component { name, parent, .. } = components[position];
    let ratio = |base: usize| {
        let logarithms = programs.iter().filter_map(|row| {
            let ratio = row.prices[position].total.code_bytes()? / row.prices[base].total.code_bytes()?;
            Some(vec![ratio.ln()])
        });
        geometric_mean(&logarithms.collect::<Vec<_>>()).map(|mean| mean.ratio)
    };
    Some(OverPrograms {
        component: name,
        added: measuring::mean(programs.iter().map(|row| &row.prices[position].added), noise)?,
        total: measuring::mean(programs.iter().map(|row| &row.prices[position].total), noise)?,
        code_bytes: ratio(parent)?,
        total_code_bytes: ratio(0)?,
    })
}

impl Findings {
    fn verdict(&self) -> Result<(), Error> {
        let mut differing = Vec::new();
        for row in &self.programs {
            for price in &row.prices {
                if let Compared::Differs(message) | Compared::Failed(message) = &price.total {
                    differing.push(format!("{} with {}: {message}", row.name, price.component));
                }
            }
        }
        if differing.is_empty() { Ok(()) } else { Err(Error::ResultsDiffer(differing.join("; "))) }
    }
}

#[cfg(test)]
mod tests {
    use super::components;
    use osr_engine::{Mechanism, StateRecording};

    #[test]
    fn every_component_changes_one_thing_of_what_it_is_added_to() {
        let components = components(1);
        assert_eq!(components[0].code.mechanism, Mechanism::BARE);
        for component in &components[1..] {
            let (code, base) = (component.code, components[component.parent].code);
            let changes = [
                code.mechanism.binding != base.mechanism.binding,
                code.mechanism.poll != base.mechanism.poll,
                code.mechanism.recording != base.mechanism.recording,
            ];
            assert_eq!(changes.iter().filter(|changed| **changed).count(), 1, "{}", component.name);
        }
        let recorded = components.iter().map(|component| component.code.mechanism.recording);
        for recording in StateRecording::ALL {
            let wanted = recording != StateRecording::CrossChecked;
            assert_eq!(recorded.clone().any(|found| found == recording), wanted, "{recording:?}");
        }
    }
}
