//! `osr-bench sweep`: a campaign of trials that a file describes, which can be ended and continued.
//!
//! ```toml
//! experiments = ["update", "latency"]          # all, if there are none
//! mechanisms = ["orc", "thread-2015", "v8,poll=flag"]
//! repetitions = 5
//! seed = 1
//! [sizes]
//! programs = ["fib", "richards"]
//! sites = [1, 100, 10000]
//! ```

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use miette::Diagnostic;
use osr_engine::Mechanism;
use serde::Deserialize;
use toml::Spanned;

use super::early_end::{self, Progress};
use super::results::Appender;
use super::thread::{
    Campaign, EXPERIMENTS, Experiment, Planned, REPETITIONS, Sizes, check_program, experiment, planned,
    unique, within,
};
use crate::cli::mechanism;
use crate::error::{Error, TextError};
use crate::output;
use crate::rendered::source;

const SWEEP_EXAMPLES: &str = "\
FILE.toml:
  experiments = [\"update\", \"latency\"]           # all, if there are none
  mechanisms = [\"orc\", \"thread-2015\", \"v8,poll=flag\"]   # all presets, if there are none
  repetitions = 5                               # processes for each trial, 5 if it is not said
  seed = 1
  patience = 600                                # seconds that a trial may take
  [sizes]                                       # each is --quick's, if it is not said
  programs = [\"fib\", \"x.wasm --invoke run 24\"]  # for steady, polls and memory: bundled programs, or files as in \
                                                # `osr-bench run`
  sites = [1, 100, 10000]
  frames = [1, 1000, 1000000]
  depths = [10, 100000]
  updates = 25
  replacements = 1000
  depth = 100
  loop_thousands = 2000
  rounds = 40                                   # of a steady state, in each process
  milliseconds = 200

Trials whose results are in the file already are left out: a sweep that was ended continues. Results of another version or
machine, or of other sizes, are not those: such trials are made again, and so are those that failed.

Examples:
  osr-bench sweep experiment.toml -o results.jsonl
  osr-bench report results.jsonl -o report.html

Exit codes: 0, also where mechanisms are refused or trials fail; 2 for bad input.";

/// Options of `sweep`.
#[derive(Debug, Args)]
#[command(after_help = SWEEP_EXAMPLES)]
pub(crate) struct SweepOptions {
    /// What to measure.
    #[arg(value_name = "FILE.toml")]
    file: PathBuf,
    /// The file that results are appended to.
    #[arg(long, short, value_name = "RESULTS.jsonl")]
    output: PathBuf,
    /// Make at most so many trials.
    #[arg(long, value_name = "N")]
    trials: Option<usize>,
    /// Show no progress.
    #[arg(long, short)]
    quiet: bool,
}

/// What the file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Plan {
    experiments: Vec<String>,
    mechanisms: Vec<String>,
    #[serde(deserialize_with = "within::<_, _, 1, 1_000>")]
    repetitions: u32,
    seed: u64,
    #[serde(deserialize_with = "within::<_, _, 1, 1_000_000>")]
    patience: u64,
    sizes: Sizes,
}

impl Default for Plan {
    fn default() -> Plan {
        let (experiments, mechanisms, sizes) = (Vec::new(), Vec::new(), Sizes::quick());
        Plan { experiments, mechanisms, repetitions: REPETITIONS, seed: 0, patience: 600, sizes }
    }
}

/// Makes the trials that are missing.
pub(crate) fn run(options: &SweepOptions) -> Result<(), Error> {
    let plan = plan(&options.file)?;
    let planned = trials(&plan)?;
    let (mut appender, there) = Appender::open(&options.output)?;
    let campaign = Campaign::new(plan.sizes.clone(), plan.seed, Duration::from_secs(plan.patience));
    let records = campaign.own(&options.output, there);
    let is_missing = |(repetition, experiment, mechanism): &Planned| {
        !campaign.is_done(experiment, mechanism, *repetition, &records)
    };
    let missing: Vec<Planned> = planned.iter().copied().filter(is_missing).collect();
    let progress = output::progress(planned.len() as u64, options.quiet);
    progress.set_position((planned.len() - missing.len()) as u64);
    let command = format!("osr-bench sweep {} -o {}", options.file.display(), options.output.display());
    early_end::watch();
    let (mut made, mut failed) = (0, 0);
    for (repetition, experiment, mechanism) in missing.iter().take(options.trials.unwrap_or(usize::MAX)) {
        progress.set_message(format!("{}, {}", experiment.name, mechanism::name(mechanism)));
        let trial = campaign.trial(experiment, *mechanism, *repetition, &command);
        let Some(records) = trial else { break };
        appender.append(&records)?;
        made += 1;
        failed += usize::from(records.iter().any(|record| record.finding.has_failed()));
        progress.inc(1);
    }
    progress.finish_and_clear();
    let (there, left) = (planned.len() - missing.len(), missing.len() - made);
    let failures = match failed {
        0 => String::new(),
        failed => format!("{failed} of those made have failed: the same command makes them again\n"),
    };
    output::to_stdout(&format!(
        "{made} trials made, {there} were there already, {left} are left\n{failures}"
    ))?;
    let parts = ((planned.len() - left) as u64, planned.len() as u64);
    Progress::verdict(Progress::new(parts, "trials", Some(plan.seed)).if_early()?)
}

/// Where in the file names are.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Places {
    experiments: Vec<Spanned<String>>,
    mechanisms: Vec<Spanned<String>>,
    sizes: Programs,
}

/// See above.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Programs {
    programs: Vec<Spanned<String>>,
}

/// Reads the plan. Mistakes are shown where they are.
fn plan(path: &Path) -> Result<Plan, Error> {
    let text =
        fs::read_to_string(path).map_err(|source| Error::ReadPlan { path: path.to_owned(), source })?;
    if toml::from_str::<toml::Table>(&text).is_ok_and(|table| table.is_empty()) {
        let problem = "it says nothing; name experiments or mechanisms at least".to_owned();
        return Err(Error::Plan { path: path.to_owned(), problem });
    }
    let plan = toml::from_str(&text)
        .map_err(|error| mistake(path, &text, error.span().unwrap_or(0..0), error.message().to_owned()))?;
    let Places { experiments, mechanisms, sizes: Programs { programs } } = toml::from_str(&text)
        .map_err(|error| mistake(path, &text, error.span().unwrap_or(0..0), error.message().to_owned()))?;
    let check = |name: &Spanned<String>, result: Result<(), String>| {
        result.map_err(|message| mistake(path, &text, name.span(), message))
    };
    for name in &experiments {
        check(name, experiment(name.get_ref()).map(drop).map_err(|error| explained(&error)))?;
    }
    for name in &mechanisms {
        check(name, name.get_ref().parse::<Mechanism>().map(drop).map_err(|error| error.to_string()))?;
    }
    let lines: Vec<String> = programs.iter().map(|line| line.get_ref().clone()).collect();
    for (position, name) in programs.iter().enumerate() {
        let checked = check_program(name.get_ref(), &lines[..position]);
        check(name, checked.map_err(|error| explained(&error)))?;
    }
    Ok(plan)
}

/// What is wrong, and what there is instead.
fn explained(error: &Error) -> String {
    error.help().map_or_else(|| error.to_string(), |help| format!("{error}: {help}"))
}

/// A mistake in the plan `text`, with its place.
fn mistake(path: &Path, text: &str, span: Range<usize>, message: String) -> Error {
    let before = &text[..span.start.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.len() - before.rfind('\n').map_or(0, |newline| newline + 1) + 1;
    let name = path.display().to_string();
    let text = source(&name, text);
    let help = "`osr-bench sweep --help` shows what can be said, `osr-bench list` experiments and mechanisms";
    TextError { name, line, column, message, text, span: span.into(), help }.into()
}

/// All trials of `plan`, in the order in which they are made.
fn trials(plan: &Plan) -> Result<Vec<Planned>, Error> {
    let experiments: Vec<&Experiment> = match &*plan.experiments {
        [] => EXPERIMENTS.iter().collect(),
        names => unique(names).iter().map(|name| experiment(name)).collect::<Result<_, _>>()?,
    };
    // They were read before.
    let chosen: Vec<Mechanism> = plan.mechanisms.iter().filter_map(|text| text.parse().ok()).collect();
    Ok(planned(&experiments, &chosen, plan.repetitions, plan.seed))
}
