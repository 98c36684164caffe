//! `osr-bench regret`: what tiering policies take against the best choice of tiers that could have been fixed before.
//!
//! The best choice is found by trying: tiers alone, and tiers by counts with several thresholds. What a policy takes beyond
//! it is its *regret*. Policies that decide as they go cannot know what comes, and a function that is optimized too early
//! costs what one that is optimized too late does: see Karlin, Manasse, McGeoch, Owicki, "Competitive Randomized Algorithms
//! for Nonuniform Problems", Algorithmica 1994, on renting and buying.
//!
//! ```text
//!   program x way (a fixed choice or a policy) ──> a process from start to exit, in random order, again and again
//!        └── medians ──> the best fixed choice ──> each way against it, with an interval
//! ```

mod peer;
mod process;
mod ways;
mod workload;

use clap::Args;
use comfy_table::Cell;
use serde::Serialize;

use super::early_end::{self, Progress};
use super::measuring::{Clock, Machine, Turns};
use super::show::{self, print, table};
use super::statistics::{Estimate, Processes, estimate, ratio_of_medians};
use super::subjects::SubjectOptions;
use crate::error::Error;
use crate::output;
use peer::Peer;
use process::Prepared;
use ways::{WAYS, Way};
use workload::Workload;

/// The policy that is compared with peers: the default.
const AUTO: &str = "auto";

const REGRET_EXAMPLES: &str = "\
Each sample is a process from its start to its exit, compilation included. All ways are tried in each round, in random \
order; medians over rounds, 95% intervals by bootstrap. Whatever a program writes and returns has to be what it does in \
the interpreter.

Examples:
  osr-bench regret                                 all bundled programs, short calls
  osr-bench regret richards --size bench --rounds 10
  osr-bench regret my.wasm --invoke run --argument 1000 --json
  osr-bench regret --command 'tool.wasm --dir data::/data -- --fast /data/input' --command 'other.wasm -- -x'
  osr-bench regret my.wasm other.wasm --peer 'v8=node benches/peers/run.mjs {}'
  osr-bench regret --clock cpu                     on a machine that is not quiet: processor time of all threads

Exit codes: 0; 1 if results differ, or after a trap; 2 for bad input.";

/// Options of `regret`.
#[derive(Debug, Args)]
#[command(after_help = REGRET_EXAMPLES)]
pub(crate) struct RegretOptions {
    /// What is measured.
    #[command(flatten)]
    subjects: SubjectOptions,
    /// What else is measured: arguments of `osr-bench run`, in one word, quoted as for a shell; may be repeated. Standard
    /// input is empty.
    #[arg(long, value_name = "ARGUMENTS")]
    command: Vec<String>,
    /// Another engine that runs the same files, as NAME=COMMAND, with {} in the place of the file; may be repeated. Its
    /// processes are measured in turn with ours, and have to succeed; what they print is not looked at.
    #[arg(long = "peer", value_name = "NAME=COMMAND")]
    peers: Vec<Peer>,
    /// Processes for each program in each way.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// How rounds are made.
    #[command(flatten)]
    turns: Turns,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// What is found.
#[derive(Debug, Serialize)]
struct Findings {
    machine: Machine,
    clock: Clock,
    /// Of each program, but the last one before an interrupt.
    rounds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    interrupted: Option<Progress>,
    programs: Vec<Row>,
    /// Per way, the geometric mean of its times against those of the best fixed choice of each program.
    geometric_means: Vec<(&'static str, f64)>,
    /// Per peer, the geometric mean of the times of `auto` against its.
    auto_against_peers: Vec<(String, f64)>,
}

/// One program.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    /// Of `osr-bench run`; of a bundled program, without its file.
    arguments: Vec<String>,
    /// The fixed choice that took least.
    best: &'static str,
    ways: Vec<Taken>,
    peers: Vec<PeerTaken>,
}

/// What a program took in one way.
#[derive(Debug, Serialize)]
struct Taken {
    way: &'static str,
    /// Whether it decides as it goes.
    is_policy: bool,
    options: &'static [&'static str],
    /// In nanoseconds.
    time: Estimate,
    /// Against the best fixed choice of this program.
    ratio: Estimate,
}

/// What a program took in another engine.
#[derive(Debug, Serialize)]
struct PeerTaken {
    peer: String,
    /// In nanoseconds.
    time: Estimate,
    /// The time of `auto` against it.
    auto: Estimate,
}

/// Measures what `options` say.
pub(crate) fn run(options: &RegretOptions) -> Result<(), Error> {
    let workloads = Workload::chosen(options)?;
    let (clock, rounds) = (options.turns.clock, options.rounds);
    let machine = Machine::current();
    early_end::watch();
    let mut programs = Vec::new();
    for workload in &workloads {
        match measure(workload, options) {
            Err(Error::Interrupted | Error::EndedEarly(_)) => break,
            row => programs.push(row?),
        }
        if early_end::is_wanted() {
            break;
        }
    }
    let parts = (programs.len() as u64, workloads.len() as u64);
    let interrupted = options.turns.progress(parts, "programs").if_early()?;
    let geometric_means = means(&programs);
    let auto_against_peers = auto_against(&options.peers, &programs);
    let findings =
        Findings { machine, clock, rounds, interrupted, programs, geometric_means, auto_against_peers };
    match options.json {
        true => output::json_to_stdout(&findings)?,
        false => print(&findings.text())?,
    }
    Progress::verdict(findings.interrupted)
}

/// What `workload` takes in every way. Of the last program before an interrupt there may be fewer rounds.
fn measure(workload: &Workload, options: &RegretOptions) -> Result<Row, Error> {
    let clock = options.turns.clock;
    let prepared = Prepared::new(workload)?;
    let variants = WAYS.len() + options.peers.len();
    let mut samples = vec![Vec::new(); variants];
    let taken = options.turns.take(&workload.name, (options.rounds, variants), options.json, |variant| {
        let took = match WAYS.get(variant) {
            Some(way) => prepared.took(way.options, clock),
            None => prepared.peer_took(&options.peers[variant - WAYS.len()], clock),
        };
        samples[variant].push(took?);
        Ok(())
    })?;
    // A round that is not complete would favor what was measured in it.
    samples.iter_mut().for_each(|samples| samples.truncate(taken.rounds as usize));
    Ok(row(workload, &samples, &options.peers))
}

fn row(workload: &Workload, samples: &[Vec<f64>], peers: &[Peer]) -> Row {
    // Each sample is of a process of its own.
    let samples: Vec<Processes> = samples.iter().map(|samples| Processes::of(samples.chunks(1))).collect();
    let time = |way: usize| estimate(&samples[way]).expect("there is a round");
    let fixed = (0..WAYS.len()).filter(|&way| !WAYS[way].is_policy);
    let best =
        fixed.min_by(|&a, &b| time(a).median.total_cmp(&time(b).median)).expect("there are fixed choices");
    let taken = |(position, way): (usize, &Way)| Taken {
        way: way.name,
        is_policy: way.is_policy,
        options: way.options,
        time: time(position),
        ratio: ratio_of_medians(&samples[position], &samples[best]).expect("there is a round"),
    };
    let auto = WAYS.iter().position(|way| way.name == AUTO).expect("it is one of the ways");
    let peer = |(peer, took): (&Peer, &Processes)| PeerTaken {
        peer: peer.name.clone(),
        time: estimate(took).expect("there is a round"),
        auto: ratio_of_medians(&samples[auto], took).expect("there is a round"),
    };
    Row {
        name: workload.name.clone(),
        arguments: workload.arguments.clone(),
        best: WAYS[best].name,
        ways: WAYS.iter().enumerate().map(taken).collect(),
        peers: peers.iter().zip(&samples[WAYS.len()..]).map(peer).collect(),
    }
}

fn means(programs: &[Row]) -> Vec<(&'static str, f64)> {
    let mean = |(position, way): (usize, &Way)| {
        (way.name, geometric_mean(programs.iter().map(|row| row.ways[position].ratio.median)))
    };
    WAYS.iter().enumerate().map(mean).collect()
}

fn auto_against(peers: &[Peer], programs: &[Row]) -> Vec<(String, f64)> {
    let mean = |(position, peer): (usize, &Peer)| {
        (peer.name.clone(), geometric_mean(programs.iter().map(|row| row.peers[position].auto.median)))
    };
    peers.iter().enumerate().map(mean).collect()
}

fn geometric_mean(ratios: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = ratios.len() as f64;
    (ratios.map(f64::ln).sum::<f64>() / count).exp()
}

impl Findings {
    /// Policies in columns; of fixed choices, the best for each program, and the mean of each.
    fn text(&self) -> String {
        let policies = || WAYS.iter().enumerate().filter(|(_, way)| way.is_policy);
        let mut header = vec!["program", "best fixed choice", "its time"];
        header.extend(policies().map(|(_, way)| way.name));
        let against: Vec<_> =
            self.auto_against_peers.iter().map(|(peer, _)| format!("{AUTO} / {peer}")).collect();
        header.extend(against.iter().map(String::as_str));
        let mut shown = table(&header);
        for row in &self.programs {
            let best = row.ways.iter().find(|taken| taken.way == row.best).expect("it was tried");
            let mut cells = vec![row.name.clone(), row.best.to_owned(), show::time(best.time.median)];
            cells.extend(policies().map(|(position, _)| ratio(&row.ways[position].ratio)));
            cells.extend(row.peers.iter().map(|peer| ratio(&peer.auto)));
            shown.add_row(cells.into_iter().map(Cell::new));
        }
        let mut cells = vec!["geometric mean".to_owned(), String::new(), String::new()];
        cells.extend(policies().map(|(position, _)| format!("{:.2}", self.geometric_means[position].1)));
        cells.extend(self.auto_against_peers.iter().map(|(_, mean)| format!("{mean:.2}")));
        shown.add_row(cells.into_iter().map(Cell::new));
        format!(
            "From start to exit ({} time), relative to the best fixed choice of each program; medians of {} processes, \
             with 95% intervals.\n{}{}\n{shown}\n{}",
            self.clock.name(),
            self.rounds,
            Progress::line(self.interrupted),
            self.machine.line(),
            self.legend(),
        )
    }

    /// What the ways are, and the geometric mean of each.
    fn legend(&self) -> String {
        let line = |(way, (_, mean)): (&Way, &(&str, f64))| {
            let kind = if way.is_policy { "policy" } else { "fixed choice" };
            let options = way.options.join(" ");
            format!("  {mean:5.2}  {kind:12}  {:14}  osr-bench run {options}\n", way.name)
        };
        WAYS.iter().zip(&self.geometric_means).map(line).collect()
    }
}

/// `1.07 (1.02 to 1.13)`
fn ratio(ratio: &Estimate) -> String {
    format!("{:.2} ({:.2} to {:.2})", ratio.median, ratio.low, ratio.high)
}
