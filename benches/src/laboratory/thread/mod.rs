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

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use osr_engine::{Mechanism, PRESETS};
use serde::Serialize;
use serde_json::Value;

use super::early_end::{self, Progress};
use super::measuring::Machine;
use super::results::{Appender, Finding, Origin, RebenchOptions, Record, Versions};
use super::show::print;
use super::subjects::Line;
use crate::cli::mechanism;
use crate::error::Error;
use crate::output;

use answer::text as answer_text;
pub(crate) use answer::{Figure, LEGEND, answers, difference, tables};
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
            // Three minutes are what an answer may take.
            _ => 3,
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
    let mut text = answer_text(&answers);
    for Grid { title, caption, corner, header, rows, notes, .. } in grids(&records) {
        let table = answer::table(corner, header.into_iter(), &rows);
        text += &format!("\n{title}\n{table}\n{caption}\n");
        text.extend(notes.iter().map(|note| format!("{note}\n")));
    }
    let line = Progress::line(interrupted);
    print(&format!("{line}{text}\n{}\n", campaign.machine.line()))?;
    Progress::verdict(interrupted)
}

/// `sizes` as results carry them: with hashes of programs that are files, which can change.
fn recorded(sizes: &Sizes) -> Value {
    let mut recorded = serde_json::to_value(sizes).expect("our data has string keys");
    let hash = |program: &String| match Line::read(program) {
        Ok(line @ Line::File(_)) => Some((program.clone(), line.load().ok()?.hash)),
        _ => None,
    };
    let hashes: BTreeMap<String, String> = sizes.programs.iter().filter_map(hash).collect();
    if !hashes.is_empty() {
        recorded["program_hashes"] = serde_json::to_value(hashes).expect("our data has string keys");
    }
    recorded
}

/// A trial that is to be made: its repetition, and what it is of.
pub(crate) type Planned = (u32, &'static Experiment, Mechanism);

/// All trials of `experiments` with the `chosen` mechanisms, or else with their own. Repetitions are outermost, and all trials of
/// one are in random order: what disturbs the machine for a while does not disturb one mechanism alone.
pub(crate) fn planned(
    experiments: &[&'static Experiment],
    chosen: &[Mechanism],
    repetitions: u32,
    seed: u64,
) -> Vec<Planned> {
    let mut random = fastrand::Rng::with_seed(seed);
    let repetition = |repetition| {
        let of = |&experiment: &&'static Experiment| {
            let mechanisms = experiment.mechanisms(chosen).into_iter();
            mechanisms.map(move |mechanism| (repetition, experiment, mechanism))
        };
        let mut trials: Vec<Planned> = experiments.iter().flat_map(of).collect();
        random.shuffle(&mut trials);
        trials
    };
    (1..=repetitions).flat_map(repetition).collect()
}

/// Trials that belong together.
#[derive(Debug)]
pub(crate) struct Campaign {
    sizes: Sizes,
    /// As results carry them.
    recorded: Value,
    seed: u64,
    patience: Duration,
    /// Where.
    pub(crate) machine: Machine,
    versions: Versions,
    origin: Origin,
}

impl Campaign {
    /// On this machine.
    pub(crate) fn new(sizes: Sizes, seed: u64, patience: Duration) -> Campaign {
        let (machine, versions) = (Machine::current(), Versions::current());
        let recorded = recorded(&sizes);
        let origin = Origin::new(&machine, &versions, &recorded);
        Campaign { sizes, recorded, seed, patience, machine, versions, origin }
    }

    /// The seed of a repetition in a campaign with the seed `seed`.
    pub(crate) fn seed(seed: u64, repetition: u32) -> u64 {
        seed.wrapping_add(u64::from(repetition) << 32)
    }

    /// Whether `record` would be of this campaign, if it were of here and now.
    fn has_seed(&self, record: &Record) -> bool {
        record.seed == Campaign::seed(self.seed, record.repetition)
    }

    /// Those of `records`, from the file at `path`, that are of this campaign: of its seed and sizes, made on this machine by
    /// this version. Others of its seed are told of. Trials that failed are not among them: they are made again.
    pub(crate) fn own(&self, path: &Path, records: Vec<Record>) -> Vec<Record> {
        let seeded = records.into_iter().filter(|record| self.has_seed(record));
        let (own, others): (Vec<Record>, Vec<Record>) =
            seeded.partition(|record| Origin::of(record) == self.origin);
        let trials = others.iter().filter(|record| record.part.0 == 1).count();
        let reasons: BTreeSet<String> =
            others.iter().flat_map(|record| Origin::of(record).differences(&self.origin)).collect();
        if trials > 0 {
            output::to_stderr(format_args!(
                "{}: {trials} trials of this seed are left out, and made again: they are of {}\n",
                path.display(),
                output::join_some(reasons.into_iter())
            ));
        }
        own.into_iter().filter(|record| !record.finding.has_failed()).collect()
    }

    /// Tells of `records`, from the file at `path`, that a report of the file would mix with those that are to come.
    fn warn_of_others(&self, path: &Path, records: &[Record]) {
        let others: BTreeSet<String> =
            records.iter().flat_map(|record| Origin::of(record).elsewhere(&self.origin)).collect();
        if !others.is_empty() {
            output::to_stderr(format_args!(
                "{}: there are results of {} in it; a report of the file mixes them with what comes\n",
                path.display(),
                output::join_some(others.into_iter())
            ));
        }
    }

    /// Whether all lines of the trial are in `records`, which are of this campaign.
    pub(crate) fn is_done(
        &self,
        experiment: &Experiment,
        mechanism: &Mechanism,
        repetition: u32,
        records: &[Record],
    ) -> bool {
        let of = |record: &&Record| {
            (&*record.experiment, record.repetition, &record.settings)
                == (experiment.name, repetition, mechanism)
        };
        let parts: BTreeMap<usize, usize> = records.iter().filter(of).map(|record| record.part).collect();
        parts.values().next().is_some_and(|&all| parts.len() == all)
    }

    /// Makes one trial, as `command` does. `None` if an interrupt ended it.
    pub(crate) fn trial(
        &self,
        experiment: &Experiment,
        settings: Mechanism,
        repetition: u32,
        command: &str,
    ) -> Option<Vec<Record>> {
        let seed = Campaign::seed(self.seed, repetition);
        let (sizes, name) = (self.sizes.clone(), experiment.name.to_owned());
        let trial = Trial { experiment: name, mechanism: settings, sizes, seed };
        let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let findings = make(&trial, self.patience)?;
        let parts = findings.len();
        let mechanism = mechanism::name(&settings);
        let record = |(position, finding)| Record {
            experiment: experiment.name.to_owned(),
            finding,
            mechanism: mechanism.clone(),
            settings,
            seed,
            repetition,
            part: (position + 1, parts),
            sizes: self.recorded.clone(),
            time: Some(time.clone()),
            machine: self.machine.clone(),
            versions: self.versions.clone(),
            command: command.to_owned(),
        };
        Some(findings.into_iter().enumerate().map(record).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{EXPERIMENTS, Experiment, Planned, planned};

    #[test]
    fn mechanisms_take_turns_in_random_order() {
        let experiments: Vec<&Experiment> = EXPERIMENTS.iter().collect();
        let trials = planned(&experiments, &[], 2, 7);
        let name = |(repetition, experiment, mechanism): &Planned| {
            (*repetition, experiment.name, mechanism.to_string())
        };
        let (first, second) = trials.split_at(trials.len() / 2);
        let made = |trials: &[Planned]| trials.iter().map(name).collect::<Vec<_>>();
        let sorted = |trials: &[Planned]| {
            let mut names: Vec<_> =
                made(trials).into_iter().map(|(_, name, mechanism)| (name, mechanism)).collect();
            names.sort();
            names
        };
        assert!(first.iter().all(|trial| trial.0 == 1) && second.iter().all(|trial| trial.0 == 2));
        assert_eq!(sorted(first), sorted(second), "each repetition has every trial");
        let listed = experiments.iter().flat_map(|experiment| experiment.mechanisms(&[]));
        assert_eq!(first.len(), listed.count());
        let order = |trials| made(trials).into_iter().map(|(_, name, _)| name).collect::<Vec<_>>();
        assert_ne!(order(first), order(second), "in another order");
        assert!(!order(first).is_sorted_by_key(|name| experiments.iter().position(|of| of.name == *name)));
        assert_eq!(made(&trials), made(&planned(&experiments, &[], 2, 7)), "it is a function of the seed");
    }
}
