//! `osr-bench shrink`: from a run that fails to a small program and schedule that fail, too.

mod ends;
mod judge;
mod reduction;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use osr_engine::{Schedule, Stress};
use reduction::{Candidate, Trial, shrink};
use serde_json::json;

use crate::cli::{CallOptions, HostOptions};
use crate::error::Error;
use crate::guest::call::Call;
use crate::guest::schedule_file::{self, ScheduledRun};
use crate::new_file::NewFile;
use crate::output;
use crate::temporary::Temporary;
use judge::{Failure, Judge, command_line};

const SHRINK_ABOUT: &str = "\
Makes a failing run small: its program, its arguments and its schedule of forced transitions.

A run fails if it differs from the interpreter alone, as `osr-bench run --verify` finds, or if it crashes. \
Candidates run in child processes. What is given is the failing run: a schedule of --record with --replay, \
or --stress, which is written out as a schedule first.";

const SHRINK_EXAMPLES: &str = "\
Prints the command that reproduces the failure with the small program and schedule.

Examples:
  osr-bench shrink richards.wasm 100 --stress random=3
  osr-bench shrink richards.wasm 100 --replay r.json --output small --seconds 600

Exit codes: 0; 2 for bad input, and if nothing fails.";

/// Options of `shrink`.
#[derive(Debug, Args)]
#[command(long_about = SHRINK_ABOUT, after_help = SHRINK_EXAMPLES)]
pub(crate) struct ShrinkOptions {
    /// What is called.
    #[command(flatten)]
    pub(crate) call: CallOptions,
    /// Where to write: STEM.ir and STEM.json [default: PROGRAM-shrunk, in the current directory].
    #[arg(long, short, value_name = "STEM")]
    pub(crate) output: Option<PathBuf>,
    /// Stop after that many seconds with what is smallest then. Also how long the first run may take.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: u64,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Show no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// Safepoints and landings up to which stress by a rule is written out as a schedule, in turn.
const LENGTHS: [u64; 5] = [1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// Shrinks what `options` say.
pub(crate) fn run(options: &ShrinkOptions) -> Result<(), Error> {
    let call = Call::of(&options.call, &HostOptions::default(), false)?;
    if !call.steps.is_empty() || !call.added.is_empty() || call.host.is_wasi() {
        return Err(Error::NotOneCall);
    }
    let stem = options.output.clone().unwrap_or_else(|| default_stem(&options.call.program));
    let [program_file, schedule_file] = ["ir", "json"].map(|extension| stem.with_extension(extension));
    // Opened now, so that the work is not in vain.
    let files = (NewFile::create(&program_file)?, NewFile::create(&schedule_file)?);
    let mut judge = Judge::new(&call, options)?;
    let (first, failure) = first_failure(&call, &mut judge)?;
    let before = first.size();
    let progress = progress(options.quiet);
    let deadline = Instant::now() + Duration::from_secs(options.seconds);
    let mut smallest = before;
    let (best, tried) = shrink(first, &mut |candidate| {
        progress.set_message(format!("{} entries, {} instructions", smallest.0, smallest.1));
        progress.inc(1);
        if Instant::now() > deadline {
            return Trial::OutOfTime;
        }
        // A candidate that cannot be run is none.
        if judge.failure(candidate).ok().flatten() != Some(failure) {
            return Trial::Passes;
        }
        smallest = candidate.size();
        Trial::Fails
    });
    progress.finish_and_clear();
    let text = osr_ir::text::print(&best.module);
    let run = scheduled_run(&call, &best, text.as_bytes());
    files.0.replace(text.as_bytes())?;
    schedule_file::write(files.1, &run, &best.schedule, None)?;
    let arguments = command_line(&run, &options.call, (&program_file, &schedule_file));
    report(options, (before, best.size()), tried, failure, &arguments)
}

fn report(
    options: &ShrinkOptions,
    ((entries, instructions), (fewer_entries, fewer_instructions)): ((usize, usize), (usize, usize)),
    tried: u64,
    failure: Failure,
    arguments: &[String],
) -> Result<(), Error> {
    let quoted: Vec<String> = arguments.iter().map(|argument| quote(argument)).collect();
    let command = format!("osr-bench {}", quoted.join(" "));
    if options.json {
        return output::json_to_stdout(&json!({
            "failure": failure.name(),
            "tried": tried,
            "before": { "entries": entries, "instructions": instructions },
            "after": { "entries": fewer_entries, "instructions": fewer_instructions },
            "command": command,
        }));
    }
    output::to_stderr(format_args!(
        "{}: from {entries} entries and {instructions} instructions to {fewer_entries} and \
         {fewer_instructions}, with {tried} runs\n",
        failure.name()
    ));
    output::to_stdout(&format!("{command}\n"))
}

/// The run as it was asked for, with its stress as a schedule, and how it fails.
fn first_failure(call: &Call, judge: &mut Judge<'_>) -> Result<(Candidate, Failure), Error> {
    let candidate = |schedule: Schedule| Candidate {
        module: call.program.module.clone(),
        invoke: call.invoke.clone(),
        arguments: call.arguments.clone(),
        schedule,
        settings: call.settings.clone(),
    };
    let lengths = match &call.settings.stress {
        Stress::Replay(_) | Stress::None => &LENGTHS[..1],
        _ => &LENGTHS[..],
    };
    for &length in lengths {
        let schedule = match &call.settings.stress {
            Stress::Replay(schedule) => Schedule::clone(schedule),
            rule => rule.schedule(length, length, length),
        };
        let first = candidate(schedule);
        if let Some(failure) = judge.first_failure(&first)? {
            return Ok((first, failure));
        }
    }
    let name = call.program.path.display();
    Err(Error::NothingFails(format!("{name} does what the interpreter does, or takes too long")))
}

/// What a schedule of `candidate`, whose program's file has these contents, is known by.
fn scheduled_run(call: &Call, candidate: &Candidate, program: &[u8]) -> ScheduledRun {
    let types: Vec<osr_ir::Type> = candidate.arguments.iter().map(|value| value.ty()).collect();
    let words: Vec<u64> = candidate.arguments.iter().flat_map(|value| value.to_words()).collect();
    let shown = crate::number::show_all(&types, &words);
    ScheduledRun::new(
        schedule_file::program_hash(program),
        &candidate.invoke,
        shown,
        &candidate.settings,
        call.run.stack_bytes,
    )
}

/// Beside nothing of the user's: in the current directory.
fn default_stem(program: &Path) -> PathBuf {
    let name = program.file_stem().unwrap_or_default().to_string_lossy();
    PathBuf::from(format!("{name}-shrunk"))
}

fn progress(quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {pos} runs in {elapsed}: {msg}");
    ProgressBar::new_spinner().with_style(style.expect("a valid template"))
}

/// `text` as a word of a shell's command line.
fn quote(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=+,@".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A directory for candidates, which is removed afterwards.
#[derive(Debug)]
struct Scratch(Temporary);

impl Scratch {
    fn new() -> Result<Scratch, Error> {
        let path = std::env::temp_dir().join(format!("osr-bench-shrink-{}", std::process::id()));
        let directory = Temporary::new(path.clone());
        match fs::create_dir_all(&path) {
            Ok(()) => Ok(Scratch(directory)),
            Err(source) => Err(Error::Write { path, source }),
        }
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn words_are_quoted_where_they_must_be() {
        assert_eq!(quote("--tier"), "--tier");
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
    }
}
