//! `osr-bench steady`: our tiers and other engines against one another, in the steady state.

mod samples;
mod vary;

use std::path::PathBuf;

use clap::Args;
use comfy_table::{Cell, CellAlignment};
use osr_engine::{Settings, Tiers};
use serde::Serialize;

use super::early_end::Progress;
use super::measuring::{
    self, Compared, Effort, Engine, Machine, Mean, Measurements, Replies, Subject, Variant,
};
use super::show::{interval, mark, print, table, time};
use super::subjects;
use super::subjects::{Rewinding, SubjectOptions};
use crate::cli::percent;
use crate::error::Error;
use crate::laboratory::wide_table::WideTable;
use crate::new_file::NewFile;
use crate::output;
use vary::{Fixed, Varied};

const STEADY_EXAMPLES: &str = "\
Each program runs in several processes; in each, rounds sample every engine once, in random order. Steady \
samples are found by changepoint analysis, ratios are taken within rounds, intervals (95%, Student's t) are \
over processes. All results are checked.

Other engines need a build with the feature `peers`: cargo build --release -p osr-bench --features peers. \
Node.js is taken if `node` is installed.

Examples:
  osr-bench steady                                    all bundled programs
  osr-bench steady fib richards --engines optimized,wasmtime
  osr-bench steady --size bench --budget 120 --engines optimized,wasmtime,node
  osr-bench steady --unoptimized --engines inlined,optimized,wasmtime --base wasmtime
  osr-bench steady my.wasm --invoke run --argument 1000 --json
  osr-bench steady replayed.wasm --rewind             a program that has changed its state when a call ends
  osr-bench steady fib richards --vary unrolling=1,4 --samples samples.csv
  osr-bench steady --vary mechanism.poll=stack-limit,flag,patched-nop
  osr-bench steady --vary 'speculate=[],[\"branch\"]' --with tiers=auto     guarded code against unguarded

Exit codes: 0; 1 if results differ, or after a trap; 2 for bad input.";

/// Options of `steady`.
#[derive(Debug, Args)]
#[command(after_help = STEADY_EXAMPLES)]
pub(crate) struct SteadyOptions {
    /// What is measured.
    #[command(flatten)]
    pub(crate) subjects: SubjectOptions,
    /// What calls find.
    #[command(flatten)]
    pub(crate) rewinding: Rewinding,
    /// The engines and tiers [default: all that there are].
    #[arg(long, value_name = "NAME", value_enum, value_delimiter = ',')]
    pub(crate) engines: Vec<Engine>,
    /// What the others are relative to.
    #[arg(long, value_name = "NAME", value_enum, default_value_t = Engine::Optimized)]
    pub(crate) base: Engine,
    /// Compare values of a setting of optimized code, or with `tiers` of the tiers, instead of engines: the others are relative
    /// to the first. Names and values are those of a run's settings in files of schedules (`run --record`).
    #[arg(long, value_name = "SETTING=A,B", conflicts_with_all = ["engines", "base"])]
    pub(crate) vary: Option<Varied>,
    /// A setting that all have which --vary compares; may be repeated.
    #[arg(long, value_name = "SETTING=VALUE", requires = "vary")]
    pub(crate) with: Vec<Fixed>,
    /// Write each sample to FILE, as a line of comma-separated values.
    #[arg(long, value_name = "FILE")]
    pub(crate) samples: Option<PathBuf>,
    /// Intervals that are wider than this many percent to either side are marked as noisy.
    #[arg(long, value_name = "PERCENT", default_value_t = 3.0, value_parser = percent)]
    pub(crate) noise: f64,
    /// How much is measured.
    #[command(flatten)]
    pub(crate) effort: Effort,
    /// Print JSON instead of a table.
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
    /// What times are relative to.
    base: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    interrupted: Option<Progress>,
    programs: Vec<Row>,
    geometric_means: Vec<OverPrograms>,
}

/// The geometric mean of one engine.
#[derive(Debug, Serialize)]
struct OverPrograms {
    engine: String,
    #[serde(flatten)]
    mean: Mean,
}

/// One engine on one program.
#[derive(Debug, Serialize)]
struct Comparison {
    engine: String,
    #[serde(flatten)]
    compared: Compared,
}

/// One program.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    arguments: Vec<String>,
    engines: Vec<Comparison>,
}

/// Measures what `options` say.
pub(crate) fn run(options: &SteadyOptions) -> Result<(), Error> {
    let Chosen { names, variants, base } = Chosen::of(options)?;
    let samples = options.samples.as_deref().map(NewFile::create).transpose()?;
    let subjects = options.rewinding.apply(subjects::chosen(&options.subjects)?);
    let effort = options.effort.seeded();
    let machine = Machine::current();
    let progress =
        output::progress(subjects.len() as u64 * u64::from(effort.processes), options.quiet || options.json);
    let measured = measuring::measure(&subjects, &variants, &effort, &progress)?;
    let Measurements { subjects, replies, early: interrupted } = measured;
    progress.finish_and_clear();
    if let Some(file) = samples {
        file.replace(samples::csv(&subjects, &replies, &names).as_bytes())?;
    }
    let noise = options.noise / 100.0;
    let programs = subjects.iter().zip(&replies);
    let programs: Vec<Row> =
        programs.map(|(subject, replies)| row(subject, replies, &names, base, noise)).collect();
    let mean = |(position, name): (usize, &String)| {
        let mean = measuring::mean(programs.iter().map(|row| &row.engines[position].compared), noise)?;
        Some(OverPrograms { engine: name.clone(), mean })
    };
    let geometric_means = names.iter().enumerate().filter_map(mean).collect();
    let findings =
        Findings { machine, effort, base: names[base].clone(), interrupted, programs, geometric_means };
    if options.json {
        output::json_to_stdout(&findings)?;
    } else {
        print(&findings.text(&names, base))?;
    }
    findings.verdict()?;
    Progress::verdict(findings.interrupted)
}

fn row(subject: &Subject, replies: &Replies, names: &[String], base: usize, noise: f64) -> Row {
    let comparison = |(position, name): (usize, &String)| {
        let compared = measuring::compare(replies, position, base, noise);
        Comparison { engine: name.clone(), compared }
    };
    Row {
        name: subject.name(),
        arguments: subject.arguments.clone(),
        engines: names.iter().enumerate().map(comparison).collect(),
    }
}

/// What is compared: names, and what they are names of.
struct Chosen {
    names: Vec<String>,
    variants: Vec<Variant>,
    /// The position of what the others are relative to.
    base: usize,
}

impl Chosen {
    fn of(options: &SteadyOptions) -> Result<Chosen, Error> {
        if let Some(varied) = &options.vary {
            let with = |settings: Settings, fixed: &Fixed| fixed.put_into(&settings);
            let settings = options.with.iter().try_fold(measuring::settings(Tiers::Optimized), with);
            let settings = settings.map_err(|message| Error::Varied { message })?;
            let variants = varied.variants(&settings).map_err(|message| Error::Varied { message })?;
            let variant = |(name, settings)| (name, Variant::Settings(Box::new(settings)));
            let (names, variants) = variants.into_iter().map(variant).unzip();
            return Ok(Chosen { names, variants, base: 0 });
        }
        let engines = engines(options)?;
        Ok(Chosen {
            names: engines.iter().map(|engine| engine.name().to_owned()).collect(),
            variants: engines.iter().copied().map(Variant::Engine).collect(),
            base: engines.iter().position(|&engine| engine == options.base).expect("it was checked"),
        })
    }
}

/// The engines to measure, all of which are there, each once.
fn engines(options: &SteadyOptions) -> Result<Vec<Engine>, Error> {
    let mut engines = options.engines.clone();
    if engines.is_empty() {
        engines =
            Engine::OURS.into_iter().chain(Engine::PEERS).filter(|engine| engine.is_available()).collect();
    }
    if let Some(missing) = engines.iter().find(|engine| !engine.is_available()) {
        return Err(Error::NoSuchPeer { engine: missing.name(), help: missing.how_to_get() });
    }
    let mut seen = Vec::new();
    engines.retain(|&engine| {
        let is_new = !seen.contains(&engine);
        seen.push(engine);
        is_new
    });
    if !engines.contains(&options.base) {
        let measured = engines.iter().map(|engine| engine.name()).collect::<Vec<_>>().join(", ");
        return Err(Error::BaseNotMeasured { base: options.base.name(), measured });
    }
    Ok(engines)
}

impl Findings {
    fn text(&self, names: &[String], base: usize) -> String {
        let Effort { processes, rounds, clock, .. } = self.effort;
        let mut text = format!(
            "Time relative to {}, in the steady state, with 95% intervals over {processes} processes of up to \
             {rounds} rounds ({} time).\n{}{}\n{}\n",
            self.base,
            clock.name(),
            Progress::line(self.interrupted),
            self.machine.line(),
            self.table(names, base),
        );
        text += &legend(&self.programs);
        if !cfg!(feature = "peers") {
            text += "Other engines (wasmtime, wasmi, node): ";
            text += Engine::BUILD_WITH_PEERS;
            text += "\n";
        }
        text
    }

    fn table(&self, names: &[String], base: usize) -> WideTable {
        let mut header = vec!["program".to_owned(), "argument".to_owned(), format!("{}, time", self.base)];
        let others = || (0..names.len()).filter(|&position| position != base);
        header.extend(others().map(|position| names[position].clone()));
        let mut table = table(&header.iter().map(|text| &**text).collect::<Vec<_>>());
        for row in &self.programs {
            let mut cells = vec![
                Cell::new(&row.name).set_alignment(CellAlignment::Left),
                Cell::new(row.arguments.join(" ")),
                Cell::new(base_time(&row.engines[base].compared)),
            ];
            cells.extend(others().map(|position| Cell::new(show(&row.engines[position].compared))));
            table.add_row(cells);
        }
        let mean = |position: usize| {
            let means = &mut self.geometric_means.iter();
            let found = means.find(|mean| mean.engine == names[position]);
            found.map_or(String::new(), |found| interval(&found.mean.relative, found.mean.noisy))
        };
        let mut cells = vec![Cell::new("geometric mean").set_alignment(CellAlignment::Left)];
        cells.extend(["", ""].map(Cell::new));
        cells.extend(others().map(|position| Cell::new(mean(position))));
        table.add_row(cells);
        table
    }

    fn verdict(&self) -> Result<(), Error> {
        let mut differing = Vec::new();
        for row in &self.programs {
            for Comparison { engine, compared } in &row.engines {
                if let Compared::Differs(message) = compared {
                    differing.push(format!("{} on {engine}: {message}", row.name));
                }
            }
        }
        if differing.is_empty() { Ok(()) } else { Err(Error::ResultsDiffer(differing.join("; "))) }
    }
}

/// What marks mean, and why cells are empty.
fn legend(programs: &[Row]) -> String {
    let mut text =
        "~ noisy: the interval is wide. ! no steady state in some process: the second half of its \
                    rounds was taken. ? too few rounds to tell.\n"
            .to_owned();
    for row in programs {
        for Comparison { engine, compared } in &row.engines {
            if let Compared::Failed(message) | Compared::Differs(message) = compared {
                text += &format!("{} on {engine}: {message}\n", row.name);
            }
        }
    }
    text
}

fn base_time(compared: &Compared) -> String {
    match compared {
        Compared::Measured { nanoseconds, steadiness, .. } => time(*nanoseconds) + mark(steadiness),
        _ => show(compared),
    }
}

fn show(compared: &Compared) -> String {
    match compared {
        Compared::Measured { relative, noisy, steadiness, .. } => {
            interval(relative, *noisy) + mark(steadiness)
        }
        Compared::Failed(_) => "failed".to_owned(),
        Compared::Differs(_) => "DIFFERS".to_owned(),
    }
}
