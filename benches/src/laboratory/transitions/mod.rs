//! `osr-bench transitions`: what it takes to hijack a frame, and to land, by depth, live values and destination.
//!
//! ```text
//!   cases: live values, destination ── rounds, in random order ──> at each depth a plain descent and a hijacked one
//!     hijack    between two readings of the clock at the bottom: the walk, and the swapping of all slots, by frame
//!     return    the way back of the plain descent, by frame
//!     landing   the way back of the hijacked one less that of the plain one, by frame: pairs of one round
//! ```
//!
//! A frame is that of a recursion, in optimized code, that adds its live values up on the way back; where a landing is in the
//! interpreter, so many additions are interpreted. The code stays: nothing is compiled while it is measured.

mod cases;
mod forms;
mod guest;
mod recursion;

use std::rc::Rc;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::early_end::Progress;
use super::measuring::{Clock, Machine, Turns};
use super::show::print;
use super::statistics::{Estimate, Processes, estimate};
use crate::cli::MechanismOptions;
use crate::cli::mechanism::name;
use crate::error::Error;
use crate::guest::session::on_thread;
use crate::output;
use cases::{Case, LANDINGS};
use guest::Guest;
use recursion::Shape;

const TRANSITIONS_EXAMPLES: &str = "\
Times are nanoseconds by frame: medians over rounds with 95% intervals by bootstrap; a landing is what the way back takes \
more than it takes in a plain descent of the same round. At small depths a sample is the mean of many descents.

Examples:
  osr-bench transitions
  osr-bench transitions --live 1,64 --depths 100,10000 --rounds 101
  osr-bench transitions --mechanism rebuild=at-once --format csv > samples.csv
  osr-bench transitions --format svg > transitions.svg
  osr-bench transitions --clock cpu                     on a machine that is not quiet

Exit codes: 0; 1 if results differ; 2 for bad input.";

/// Options of `transitions`.
#[derive(Debug, Args)]
#[command(after_help = TRANSITIONS_EXAMPLES)]
pub(crate) struct TransitionsOptions {
    /// How deep the recursions are.
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_values_t = [1, 10, 100, 1_000, 10_000, 100_000])]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    depths: Vec<u64>,
    /// Values that a frame keeps while it waits.
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_values_t = [1, 8, 32])]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=200))]
    live: Vec<u16>,
    /// Recur through seven functions in turn, each with two values more than the one before.
    #[arg(long)]
    mixed: bool,
    /// How active frames are replaced.
    #[command(flatten)]
    mechanism: MechanismOptions,
    /// How often each case is measured.
    #[arg(long, value_name = "N", default_value_t = 31, value_parser = clap::value_parser!(u32).range(3..=10_000))]
    rounds: u32,
    /// How rounds are made.
    #[command(flatten)]
    turns: Turns,
    /// How it is written: a table, JSON, each sample as a line of CSV, or a plot.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// How findings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// For machines: estimates and samples.
    Json,
    /// A line for each sample.
    Csv,
    /// A plot: time by frame against depth.
    Svg,
}

/// What is found.
#[derive(Debug, Serialize)]
struct Findings {
    machine: Machine,
    clock: Clock,
    mechanism: String,
    rounds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    interrupted: Option<Progress>,
    rows: Vec<Row>,
}

/// What a transition of one frame takes, in nanoseconds.
#[derive(Debug, Serialize)]
struct Row {
    depth: u64,
    live: u16,
    destination: &'static str,
    /// Descents that a sample is the mean of.
    descents: u32,
    hijack: Measured,
    /// The way back of a plain descent.
    #[serde(rename = "return")]
    plain: Measured,
    landing: Measured,
}

#[derive(Debug, Serialize)]
struct Measured {
    estimate: Estimate,
    samples: Vec<f64>,
}

impl Measured {
    fn of(samples: Vec<f64>) -> Measured {
        Measured { estimate: estimate(&Processes::one(&samples)).expect("there is a round"), samples }
    }
}

/// Measures what `options` say.
pub(crate) fn run(options: &TransitionsOptions) -> Result<(), Error> {
    let findings = on_thread(guest::STACK_BYTES, || measure(options))??;
    match options.format {
        Format::Table => print(&findings.text())?,
        Format::Json => output::json_to_stdout(&findings)?,
        Format::Csv => output::to_stdout(&findings.csv())?,
        Format::Svg => output::to_stdout(&findings.svg())?,
    }
    Progress::verdict(findings.interrupted)
}

fn measure(options: &TransitionsOptions) -> Result<Findings, Error> {
    let failed = |message| Error::Transitions { message };
    let mechanism = options.mechanism.mechanism()?;
    let clock = options.turns.clock;
    let shape = if options.mixed { Shape::Mixed } else { Shape::Uniform };
    let mut cases = Vec::new();
    for (&live, landing) in options.live.iter().flat_map(|live| LANDINGS.map(|landing| (live, landing))) {
        let guest = Guest::new((live.into(), shape), landing.destination, mechanism, clock);
        let guest = Rc::new(guest.map_err(failed)?);
        for &depth in &options.depths {
            cases.push(Case::new(live, landing, depth, &guest).map_err(failed)?);
        }
    }
    let size = (options.rounds, cases.len());
    let sample = |case: usize| cases[case].sample().map_err(failed);
    let taken = options.turns.take("transitions", size, options.format != Format::Table, sample)?;
    Ok(Findings {
        machine: Machine::current(),
        clock,
        mechanism: name(&mechanism),
        rounds: taken.rounds,
        interrupted: taken.early,
        rows: cases.into_iter().map(Row::of).collect(),
    })
}

impl Row {
    fn of(case: Case) -> Row {
        Row {
            depth: case.depth,
            live: case.live,
            destination: case.landing.name,
            descents: case.descents(),
            hijack: Measured::of(case.hijack),
            plain: Measured::of(case.plain),
            landing: Measured::of(case.landed),
        }
    }

    /// What was measured, by name.
    fn metrics(&self) -> [(&'static str, &Measured); 3] {
        [("hijack", &self.hijack), ("return", &self.plain), ("landing", &self.landing)]
    }
}
