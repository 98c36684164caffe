//! `osr-bench readiness`: what code pays for being ready to be replaced, component by component.
//!
//! ```text
//!   bare ──> stack check ─┬─> stack-limit ──┬──> slots              each adds one thing to
//!     └────> call cells   │                 ├──> locations          what it hangs on
//!                         │                 └──> pads
//!                         ├─> flag ────────────> flag, locations
//!                         └─> ...                                   and each other poll
//! ```
//!
//! All are the same IR through the same compiler. Every process places the code of each elsewhere, so that
//! the interval over processes has the luck of placement in it.
//!
//! The stack check and the polls are there twice, the second time without unrolling: the [table of polls](polls).

mod polls;
mod report;

use clap::Args;
use osr_engine::{CallBinding, Mechanism, Poll, Settings, StateRecording};
use serde::Serialize;

use super::early_end::Progress;
use super::measuring::{
    self, Code, Compared, Effort, Machine, Mean, Measurements, Replies, Subject, Variant,
};
use super::show::print;
use super::statistics::geometric_mean;
use super::subjects;
use super::subjects::{Rewinding, SubjectOptions};
use crate::cli::percent;
use crate::error::Error;
use crate::output;

const READINESS_EXAMPLES: &str = "\
The bare baseline is the same IR compiled with plain `call rel32`, without polls, stack checks and frame \
maps. The stack check, each poll, and each state recording are added one after the other; call cells instead of \
direct calls are added to the bare code, apart from the others. Every process places the code elsewhere. \
The last line is what being ready costs with the poll that adds least, and allocator locations. \
Cranelift makes no code for x86-64 without frame pointers: their price is in the baseline.

Examples:
  osr-bench readiness                            all bundled programs
  osr-bench readiness --unrolling 1              with a poll in each iteration of small loops, in all of them
  osr-bench readiness fib richards --processes 15
  osr-bench readiness *.wasm --rewind            programs that have changed their state when a call ends
  osr-bench readiness --clock cpu --json         for a machine that is not quiet, as data

Exit codes: 0; 1 if results differ, or after a trap; 2 for bad input.";

/// Options of `readiness`.
#[derive(Debug, Args)]
#[command(after_help = READINESS_EXAMPLES)]
pub(crate) struct ReadinessOptions {
    /// What is measured.
    #[command(flatten)]
    pub(crate) subjects: SubjectOptions,
    /// What calls find.
    #[command(flatten)]
    pub(crate) rewinding: Rewinding,
    /// Intervals that are wider than this many percent to either side are marked as noisy.
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, value_parser = percent)]
    pub(crate) noise: f64,
    /// How often small innermost loops are unrolled, at most, in all of them: how many iterations share a
    /// poll.
    #[arg(long, value_name = "N", default_value_t = Settings::DEFAULT_UNROLLING,
          value_parser = clap::value_parser!(u8).range(1..))]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    interrupted: Option<Progress>,
    components: Vec<Component>,
    programs: Vec<Row>,
    /// By component; none for bare code, and where nothing could be measured.
    geometric_means: Vec<Option<OverPrograms>>,
    /// The component that has a poll and allocator locations, and costs least in all.
    best: Option<String>,
}

/// A component, and what it is added to.
#[derive(Clone, Debug, Serialize)]
struct Component {
    name: String,
    /// The name of the component that it is added to; none for bare code.
    added_to: Option<String>,
    #[serde(skip)]
    parent: usize,
    /// The bare code with loops unrolled as often.
    #[serde(skip)]
    bare: usize,
    #[serde(skip)]
    code: Code,
}

impl Component {
    /// Whether it is there for the table of polls alone.
    fn is_of_polls_alone(&self, unrolling: u8) -> bool {
        self.code.unrolling != unrolling
    }
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
    component: String,
    /// Against what it is added to.
    added: Compared,
    /// With all that it hangs on, against the bare code.
    total: Compared,
}

/// What a component costs on average.
#[derive(Debug, Serialize)]
struct OverPrograms {
    component: String,
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
    let subjects = options.rewinding.apply(subjects::chosen(&options.subjects)?);
    let effort = options.effort.seeded();
    let machine = Machine::current();
    let steps = subjects.len() as u64 * u64::from(effort.processes);
    let progress = output::progress(steps, options.quiet || options.json);
    let components = components(options.unrolling);
    let variants: Vec<Variant> = components.iter().map(|component| Variant::Code(component.code)).collect();
    let measured = measuring::measure(&subjects, &variants, &effort, &progress)?;
    let Measurements { subjects, replies, early: interrupted } = measured;
    progress.finish_and_clear();
    let noise = options.noise / 100.0;
    let row = |(subject, replies): (&Subject, &Replies)| Row {
        name: subject.name(),
        arguments: subject.arguments.clone(),
        prices: prices(&components, replies, noise),
    };
    let programs: Vec<Row> = subjects.iter().zip(&replies).map(row).collect();
    let geometric_means: Vec<_> = (0..components.len())
        .map(|position| over_programs(&components, &programs, position, noise))
        .collect();
    let best = best(&components, &geometric_means);
    let findings = Findings { machine, effort, interrupted, components, programs, geometric_means, best };
    if options.json {
        output::json_to_stdout(&findings)?;
    } else {
        print(&report::text(&findings, options.unrolling))?;
    }
    findings.verdict()?;
    Progress::verdict(findings.interrupted)
}

/// The components, bare code first, with loops unrolled so often; then bare code, the stack check and the polls once more,
/// with loops as they are.
fn components(unrolling: u8) -> Vec<Component> {
    let mut components = Components { unrolling, bare: 0, all: Vec::new() };
    let polls = components.add_polls("");
    components.add("call cells".into(), 0, Mechanism { binding: CallBinding::Cell, ..Mechanism::BARE });
    for (poll, position) in polls {
        let polling = components.all[position].code.mechanism;
        // Not that which is for tests only, and one way to record beside the polls that are not the default.
        let recordings = [StateRecording::Slots, StateRecording::Locations, StateRecording::Pads];
        let is_default = poll == Mechanism::DEFAULT.poll;
        for recording in recordings.into_iter().filter(|&how| is_default || how == StateRecording::Locations)
        {
            let name = match is_default {
                true => recording.name().to_owned(),
                false => format!("{}, {}", poll.name(), recording.name()),
            };
            components.add(name, position, Mechanism { recording, ..polling });
        }
    }
    if unrolling > 1 {
        (components.unrolling, components.bare) = (1, components.all.len());
        components.add_polls(polls::NOT_UNROLLED);
    }
    components.all
}

/// Components that are being collected.
struct Components {
    unrolling: u8,
    /// Where the bare code with that unrolling is.
    bare: usize,
    all: Vec<Component>,
}

impl Components {
    /// Adds a component; returns its position.
    fn add(&mut self, name: String, parent: usize, mechanism: Mechanism) -> usize {
        let added_to = self.all.get(parent).map(|parent| parent.name.clone());
        let code = Code { mechanism, unrolling: self.unrolling };
        self.all.push(Component { name, added_to, parent, bare: self.bare, code });
        self.all.len() - 1
    }

    /// Adds the bare code, the stack check, and each poll that stops loops to that; returns the positions of the polls.
    fn add_polls(&mut self, suffix: &str) -> Vec<(Poll, usize)> {
        let bare = Mechanism::BARE;
        let base = self.add(format!("bare{suffix}"), self.bare, bare);
        let checked = Mechanism { poll: Poll::StackCheck, ..bare };
        let checked = self.add(format!("stack check{suffix}"), base, checked);
        let polls = Poll::ALL.iter().filter(|poll| poll.stops_loops());
        let add = |&poll: &Poll| {
            (poll, self.add(format!("{}{suffix}", poll.name()), checked, Mechanism { poll, ..bare }))
        };
        polls.map(add).collect()
    }
}

/// The component with a poll and allocator locations that costs least in all.
fn best(components: &[Component], means: &[Option<OverPrograms>]) -> Option<String> {
    let located = components.iter().zip(means).filter_map(|(component, mean)| {
        let is_ready = component.code.mechanism.recording == StateRecording::Locations;
        Some((component, mean.as_ref().filter(|_| is_ready)?.total.relative.ratio))
    });
    let least = located.min_by(|(_, a), (_, b)| a.total_cmp(b));
    least.map(|(component, _)| component.name.clone())
}

fn prices(components: &[Component], replies: &Replies, noise: f64) -> Vec<Price> {
    let price = |(position, component): (usize, &Component)| Price {
        component: component.name.clone(),
        added: measuring::compare(replies, position, component.parent, noise),
        total: measuring::compare(replies, position, component.bare, noise),
    };
    components.iter().enumerate().map(price).collect()
}

fn over_programs(
    components: &[Component],
    programs: &[Row],
    position: usize,
    noise: f64,
) -> Option<OverPrograms> {
    let Component { name, parent, bare, .. } = &components[position];
    if position == *bare {
        return None;
    }
    let ratio = |base: usize| {
        let logarithms = programs.iter().filter_map(|row| {
            let ratio = row.prices[position].total.code_bytes()? / row.prices[base].total.code_bytes()?;
            Some(vec![ratio.ln()])
        });
        geometric_mean(&logarithms.collect::<Vec<_>>()).map(|mean| mean.ratio)
    };
    Some(OverPrograms {
        component: name.clone(),
        added: measuring::mean(programs.iter().map(|row| &row.prices[position].added), noise)?,
        total: measuring::mean(programs.iter().map(|row| &row.prices[position].total), noise)?,
        code_bytes: ratio(*parent)?,
        total_code_bytes: ratio(*bare)?,
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
    use super::{Code, Component, components};
    use osr_engine::{Mechanism, Poll, StateRecording};

    #[test]
    fn every_component_changes_one_thing_of_what_it_is_added_to() {
        for (position, component) in components(4).iter().enumerate() {
            let all = components(4);
            let (code, base, bare) = (component.code, all[component.parent].code, all[component.bare].code);
            assert_eq!(
                (bare.mechanism, bare.unrolling),
                (Mechanism::BARE, code.unrolling),
                "{}",
                component.name
            );
            let values = code.mechanism.values().into_iter().zip(base.mechanism.values());
            let changes = values.filter(|(value, before)| value != before).count();
            let expected = usize::from(position != component.bare);
            assert_eq!((changes, code.unrolling), (expected, base.unrolling), "{}", component.name);
        }
    }

    #[test]
    fn every_poll_and_every_recording_has_a_price() {
        let all = components(4);
        let count = |is_it: &dyn Fn(&Component) -> bool| all.iter().filter(|part| is_it(part)).count();
        for &poll in Poll::ALL.iter().filter(|poll| poll.stops_loops()) {
            let has = |part: &Component, recording, unrolling| {
                let Code { mechanism, unrolling: found } = part.code;
                (mechanism.poll, mechanism.recording, found) == (poll, recording, unrolling)
            };
            for (recording, unrolling) in
                [(StateRecording::None, 4), (StateRecording::None, 1), (StateRecording::Locations, 4)]
            {
                assert_eq!(count(&|part| has(part, recording, unrolling)), 1, "{poll:?}, {recording:?}");
            }
        }
        for &recording in StateRecording::ALL {
            let wanted = recording != StateRecording::CrossChecked;
            assert_eq!(
                count(&|part| part.code.mechanism.recording == recording) > 0,
                wanted,
                "{recording:?}"
            );
        }
        assert!(components(1).iter().all(|part| part.code.unrolling == 1));
        assert_eq!(
            count(&|part| part.is_of_polls_alone(4)),
            2 + count(&|part| part.code.mechanism.polls() && part.code.unrolling == 1)
        );
    }
}
