//! `osr-bench thread`: the question of the llvm-dev thread of March 2015 ("replacing function bodies"), answered: every
//! mechanism side by side.
//!
//! ```text
//!   experiments x mechanisms x repetitions ── trials ──> processes ──> findings ──┬─> the answer: one table
//!                                                                                └─> results: lines of JSON
//! ```
//!
//! An experiment is a function from a [`Trial`] to findings, in a file of its own.

mod answer;
mod bindings;
mod campaign;
mod code_writes;
mod grids;
mod guest;
mod infinite_loop;
mod latency;
mod memory;
mod order;
mod osrkit;
mod polls;
mod predictor;
mod releases;
mod sizes;
mod sparse;
mod stamps;
mod steady;
mod trial;
mod update;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use osr_engine::{Mechanism, PRESETS};
use serde::Serialize;

use super::early_end::{self, Progress};
use super::results::{Appender, Finding, RebenchOptions};
use super::show::print;
use super::subjects::Line;
use crate::cli::mechanism;
use crate::error::Error;
use crate::output;

use answer::text as answer_text;
pub(crate) use answer::{Figure, LEGEND, answers, difference, tables};
pub(crate) use campaign::{Campaign, Planned, planned};
pub(crate) use grids::{Grid, grids};
pub(crate) use order::in_order;
pub(crate) use sizes::{Sizes, within};
pub(crate) use trial::{Trial, make, work};

/// Something to measure.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Experiment {
    /// The name.
    pub(crate) name: &'static str,
    /// What it measures.
    pub(crate) measures: &'static str,
    /// The question that it answers.
    pub(crate) question: &'static str,
    /// Who asks it.
    pub(crate) source: &'static str,
    /// The mechanisms that it compares if none is named; none: all presets.
    #[serde(skip)]
    pub(crate) own_mechanisms: Option<fn() -> Vec<Mechanism>>,
    #[serde(skip)]
    run: fn(&Trial) -> Result<Vec<Finding>, String>,
}

/// All experiments.
pub(crate) static EXPERIMENTS: &[Experiment] = &[
    Experiment {
        name: "steady",
        measures: "time and code of kernels and programs against code that cannot be replaced; by call, by iteration",
        question: "What does being replaceable cost while nothing is replaced?",
        source: "Lin et al., \"Stop and Go\", ISMM 2015: polls cost 0.3 to 1.9 %; the thread: lower overhead of patchpoints?",
        own_mechanisms: None,
        run: steady::run,
    },
    Experiment {
        name: "polls",
        measures: "what each poll adds to the stack check, in time and code, with loops unrolled and as they are",
        question: "Which poll costs running code least?",
        source: "Lin et al., \"Stop and Go\", ISMM 2015: conditional 1.9 %, load that traps 1.2 %, patched nop 0.3 %",
        own_mechanisms: Some(polls::mechanisms),
        run: polls::run,
    },
    Experiment {
        name: "update",
        measures: "the time of an update against call sites and against active frames",
        question: "How many call sites are truly huge? From how many frames on does an update hurt?",
        source: "llvm-dev, March 2015: \"unless you have a truly huge number of callsites to update?\"",
        own_mechanisms: None,
        run: update::run,
    },
    Experiment {
        name: "bindings",
        measures: "each call binding against a cell, all else equal: by call, by update, by call site; and when patching pays",
        question: "From how many calls between two updates on is it cheaper to patch the calls?",
        source: "llvm-dev, March 2015: \"the patchpoint approach would have lower overhead, unless ..\"",
        own_mechanisms: Some(bindings::mechanisms),
        run: bindings::run,
    },
    Experiment {
        name: "latency",
        measures: "from an invalidation to the first new code, to the last old code, to the memory given back: of what runs out, \
                   mostly at the next arrival in the runtime",
        question: "How long is old code in use, and in memory?",
        source: "LLVM, ReOptimizeLayer.h: old code must be kept until every invocation of it has ended",
        own_mechanisms: None,
        run: latency::run,
    },
    Experiment {
        name: "releases",
        measures: "each code release, all else equal: by call, on programs, and when it gives memory back",
        question: "What does it cost to know that nobody is inside old code any more?",
        source: "llvm-dev, March 2015: code could count its activations in and out, and be freed at zero",
        own_mechanisms: Some(releases::mechanisms),
        run: releases::run,
    },
    Experiment {
        name: "infinite-loop",
        measures: "whether code of a callee that loops for ever is released, and of what waits for it; after how long",
        question: "What if the old function never returns?",
        source: "llvm-dev, March 2015: a callee in an infinite loop",
        own_mechanisms: None,
        run: infinite_loop::run,
    },
    Experiment {
        name: "sparse",
        measures: "update, way back and both, by depth, with every frame hijacked, with sparse hijacks, and under orc",
        question: "From how deep a stack on is it cheaper to hijack frames as control gets there?",
        source: "Go 1.5 to 1.8, runtime/mstkbar.go: stack barriers at every 2^k-th frame",
        own_mechanisms: Some(sparse::mechanisms),
        run: sparse::run,
    },
    Experiment {
        name: "code-writes",
        measures: "the same update with code memory that is mapped twice, and with pages that change their protection",
        question: "What does W^X cost each mechanism that writes code?",
        source: "no published figure",
        own_mechanisms: Some(code_writes::mechanisms),
        run: code_writes::run,
    },
    Experiment {
        name: "predictor",
        measures: "swapped returns against plain ones, alone and in chains: only noticed, and with a landing",
        question: "What do swapped return PCs cost the return predictor?",
        source: "no published figure",
        own_mechanisms: Some(predictor::mechanisms),
        run: predictor::run,
    },
    Experiment {
        name: "osrkit",
        measures: "(always firing - never firing) / fired, and how long a continuation takes to be compiled",
        question: "What does one transition cost?",
        source: "D'Elia and Demetrescu, \"Flexible On-Stack Replacement in LLVM\", CGO 2016, Tables 2 and 3",
        own_mechanisms: None,
        run: osrkit::run,
    },
    Experiment {
        name: "memory",
        measures: "bytes of code, frame maps, unwind rows; of a frame, of its record; what updates leave in memory",
        question: "What does a mechanism need memory for?",
        source: "HotSpot: scopes and PCs are 28 to 43 % of main code (JDK-8329433)",
        own_mechanisms: None,
        run: memory::run,
    },
];

/// The experiment of that name.
pub(crate) fn experiment(name: &str) -> Result<&'static Experiment, Error> {
    EXPERIMENTS.iter().find(|experiment| experiment.name == name).ok_or_else(|| Error::NoSuchExperiment {
        name: name.to_owned(),
        experiments: EXPERIMENTS.iter().map(|experiment| experiment.name).collect::<Vec<_>>().join(", "),
    })
}

const THREAD_EXAMPLES: &str = "\
Each trial, an experiment with a mechanism, is a process of its own: one that crashes or hangs is listed, with the \
others. Each is repeated in several processes, and all mechanisms take turns in random order: what disturbs the machine \
for a while does not disturb one of them alone. Warm-up is detected, and left out. Medians, 95% intervals by bootstrap \
over processes and their samples; ~ marks those that are wide, ~~ very wide ones, ! processes that reached no steady \
state, ? figures of a single process. Mechanisms that are refused are listed with the reason.

Examples:
  osr-bench thread                                        all experiments, all presets
  osr-bench thread --full --seed 1 -o results.jsonl       the data of a report; continues what was ended
  osr-bench thread update --mechanism orc --mechanism thread-2015
  osr-bench thread steady --mechanism poll=flag --mechanism poll=guard-page
  osr-bench thread update --mechanism v8 --rebench --metric unbind --size 100     benches/rebench.conf
  osr-bench thread steady --program 'x.wasm --invoke run 24' --program fib
  osr-bench report results.jsonl -o report.html

Exit codes: 0, also where mechanisms are refused or trials fail; 2 for bad input.";

/// Processes for each trial, unless it is said: as many as an interval needs.
pub(crate) const REPETITIONS: u32 = 5;

/// Those of a quick answer, which may take three minutes. Its intervals are widened for that.
const QUICK_REPETITIONS: u32 = 3;

/// Options of `thread`.
#[derive(Debug, Args)]
#[command(after_help = THREAD_EXAMPLES)]
pub(crate) struct ThreadOptions {
    /// The experiments [default: all]; `osr-bench list` says what each measures.
    #[arg(value_name = "EXPERIMENT")]
    experiments: Vec<String>,
    /// Measure enough for an answer; the default.
    #[arg(long)]
    quick: bool,
    /// Measure enough for a report.
    #[arg(long, conflicts_with = "quick")]
    full: bool,
    /// Measure as little as can be, for tests.
    #[arg(long, hide = true, conflicts_with_all = ["quick", "full"])]
    tiny: bool,
    /// A mechanism; may be repeated. A preset, `AXIS=VALUE,..`, or a preset with changes [default: all presets, but for
    /// experiments that compare values of an axis].
    #[arg(long, value_name = "PRESET|AXIS=VALUE,..")]
    mechanism: Vec<Mechanism>,
    /// A program of steady, polls and memory, instead of the bundled ones; may be repeated. The name of a bundled one, or what
    /// follows `osr-bench run`: a file, the function, its arguments.
    #[arg(long, value_name = "NAME|'FILE [--invoke NAME] [ARG]..'")]
    program: Vec<String>,
    /// Processes for each experiment with each mechanism [default: 3; with --full 5]. Of a single one no interval is known.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    repetitions: Option<u32>,
    /// Seed of everything random [default: the clock].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Append what is found to FILE, as lines of JSON: for `report`, `compare`, and other tools. With the seed of what is
    /// there already, trials are left out that this version made on this machine with these sizes, and their results are part
    /// of the answer; those that failed are made again.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print the answer as JSON instead of a table.
    #[arg(long, conflicts_with = "rebench")]
    json: bool,
    /// ReBench's form, instead of a table.
    #[command(flatten)]
    rebench: RebenchOptions,
    /// Show no progress.
    #[arg(long, short)]
    quiet: bool,
}

impl Experiment {
    /// The mechanisms that it is made with, unless others are `chosen`.
    pub(crate) fn mechanisms(&self, chosen: &[Mechanism]) -> Vec<Mechanism> {
        match (chosen, self.own_mechanisms) {
            ([], Some(own)) => own(),
            ([], None) => PRESETS.iter().map(|preset| preset.mechanism).collect(),
            (chosen, _) => unique(chosen),
        }
    }
}

/// `items` without those that are there before: one may have two names.
pub(crate) fn unique<T: Clone + PartialEq>(items: &[T]) -> Vec<T> {
    let first = |(position, item): (usize, &T)| (!items[..position].contains(item)).then(|| item.clone());
    items.iter().enumerate().filter_map(first).collect()
}

impl ThreadOptions {
    fn sizes(&self) -> Result<Sizes, Error> {
        let sizes = match (self.full, self.tiny) {
            (true, _) => Sizes::full(),
            (_, true) => Sizes::tiny(),
            _ => Sizes::quick(),
        };
        if self.program.is_empty() {
            return Ok(sizes);
        }
        for (position, program) in self.program.iter().enumerate() {
            check_program(program, &self.program[..position])?;
        }
        Ok(Sizes { programs: self.program.clone(), ..sizes })
    }

    fn repetitions(&self) -> u32 {
        self.repetitions.unwrap_or(match (self.full, self.tiny) {
            (true, _) => REPETITIONS,
            (_, true) => 1,
            _ => QUICK_REPETITIONS,
        })
    }

    /// How long a trial may take.
    fn patience(&self) -> Duration {
        Duration::from_secs(if self.full { 600 } else { 60 })
    }

    fn effort(&self) -> &'static str {
        if self.full { "--full" } else { "--quick" }
    }
}

/// Whether the line `program` can be measured, beside those `before` it.
pub(crate) fn check_program(program: &str, before: &[String]) -> Result<(), Error> {
    let line = Line::read(program)?;
    line.subject()?;
    let name = line.name();
    let is_same = |before: &String| Line::read(before).is_ok_and(|line| line.name() == name);
    if before.iter().any(is_same) { Err(Error::ProgramTwice { name }) } else { Ok(()) }
}

/// Runs the experiments, and answers.
pub(crate) fn run(options: &ThreadOptions) -> Result<(), Error> {
    let experiments: Vec<&Experiment> = match &*options.experiments {
        [] => EXPERIMENTS.iter().collect(),
        names => unique(names).iter().map(|name| experiment(name)).collect::<Result<_, _>>()?,
    };
    let sizes = options.sizes()?;
    let opened = options.output.as_deref().map(Appender::open).transpose()?;
    let (mut appender, there) =
        opened.map_or((None, Vec::new()), |(appender, there)| (Some(appender), there));
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let campaign = Campaign::new(sizes, options.seed.unwrap_or_else(clock), options.patience());
    let mut records = match (&options.output, options.seed) {
        (Some(path), Some(_)) => campaign.own(path, there),
        (Some(path), None) => {
            campaign.warn_of_others(path, &there);
            Vec::new()
        }
        (None, _) => Vec::new(),
    };
    let trials = planned(&experiments, &options.mechanism, options.repetitions(), campaign.seed);
    let progress = output::progress(trials.len() as u64, options.quiet || options.json);
    early_end::watch();
    let (mut made, wanted) = (0, trials.len() as u64);
    for (repetition, experiment, mechanism) in trials {
        if !campaign.is_done(experiment, &mechanism, repetition, &records) {
            progress.set_message(format!("{}, {}", experiment.name, mechanism::name(&mechanism)));
            let command = format!(
                "osr-bench thread {} {} --mechanism {} --seed {}",
                experiment.name,
                options.effort(),
                mechanism::name(&mechanism),
                campaign.seed
            );
            let Some(found) = campaign.trial(experiment, mechanism, repetition, &command) else { break };
            appender.as_mut().map_or(Ok(()), |appender| appender.append(&found))?;
            records.extend(found);
        }
        made += 1;
        progress.inc(1);
    }
    progress.finish_and_clear();
    let interrupted = Progress::new((made, wanted), "trials", Some(campaign.seed)).if_early()?;
    if options.rebench.is_wanted() {
        output::to_stdout(&options.rebench.text(&records)?)?;
        return Progress::verdict(interrupted);
    }
    let answers = answers(&records);
    if options.json {
        output::json_to_stdout(&answers)?;
        return Progress::verdict(interrupted);
    }
    let line = Progress::line(interrupted);
    let tables: String = grids(&records).into_iter().map(grid_text).collect();
    print(&format!("{line}{}{tables}\n{}\n", answer_text(&answers), campaign.machine.line()))?;
    Progress::verdict(interrupted)
}

fn grid_text(Grid { title, caption, corner, header, rows, notes, .. }: Grid) -> String {
    let table = answer::table(corner, header.into_iter(), &rows);
    let notes: String = notes.iter().map(|note| format!("{note}\n")).collect();
    format!("\n{title}\n{table}\n{caption}\n{notes}")
}
