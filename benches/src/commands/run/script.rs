//! Scripts of WebAssembly's test suite (`.wast`): their steps under the engine options, each failure with its place.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use osr_engine::explain::{Explain, Explanation};
use osr_engine::{CodeStatistics, Delegates, Observer, Observers, Settings, Transitions};
use osr_wast::{Failure, Made, Script, Summary};
use serde::Serialize;

use super::early_end::{Ending, Guest, Unfinished};
use super::outputs::{TraceFile, explanation_destination};
use super::{ExplainFormat, RunOptions, symbols, transitions_on};
use crate::asked_stderr::AskedStderr;
use crate::destination::Destination;
use crate::error::{Error, TextError};
use crate::guest::load;
use crate::guest::session::on_thread;
use crate::json;
use crate::output;
use crate::rendered::source;

/// Whether the file at `path` is a script.
pub(super) fn is_script(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "wast")
}

/// Runs the script that `options` name.
pub(super) fn run(options: &RunOptions) -> Result<(), Error> {
    check(options)?;
    let mut settings = options.call.engine.settings()?;
    settings.profile |= options.explain.is_some();
    let path = &options.call.program;
    let script = parse(path)?;
    let outputs = Outputs::open(options, &settings)?;
    let mut observers = symbols::observers(&options.symbols)?;
    observers.extend(outputs.trace.as_ref().map(TraceFile::observer));
    let stderr = AskedStderr::default();
    observers.extend(options.trace_deopt.then(|| transitions_on(&stderr)));
    let explained = outputs.explain.as_ref().map(|explained| Arc::clone(&explained.instances));
    let watch = |line| {
        let own = explained.as_ref().map(|instances| instances.add(line));
        Delegates { observer: Observers::join(observers.iter().cloned().chain(own).collect()), policy: None }
    };
    let ending = Ending::watch(outputs, options.timeout, &Guest::default());
    let is_quiet = options.quiet;
    let print = move |line: &str| {
        if !is_quiet {
            output::to_stderr(format_args!("{line}\n"));
        }
    };
    let begin = Instant::now();
    let summary = on_thread(options.call.engine.stack_size.bytes(), || {
        script.run_with(&settings, &watch, Arc::new(print))
    })?;
    let written = ending.take().write(&summary, begin.elapsed());
    output::to_stdout(&report(path, &summary))?;
    match summary.failures.len() {
        0 => written.and(stderr.check()),
        failures => Err(Error::ScriptFailed { path: path.clone(), failures }),
    }
}

/// What the run of a script writes beside its report.
struct Outputs {
    stats: Option<Destination>,
    trace: Option<TraceFile>,
    explain: Option<Explained>,
}

/// The explanation of each instance.
struct Explained {
    is_json: bool,
    instances: Arc<Instances>,
    destination: Destination,
}

/// What explains each instance, with the line of the step that made it.
#[derive(Default)]
struct Instances(Mutex<Vec<(usize, Arc<Explain>)>>);

impl Instances {
    /// What explains the next instance.
    fn add(&self, line: usize) -> Arc<dyn Observer> {
        let explain = Arc::<Explain>::default();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((line, Arc::clone(&explain)));
        explain
    }

    fn explained(&self) -> Vec<ExplainedInstance> {
        let instances = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let explained = |(line, explain): &(usize, Arc<Explain>)| ExplainedInstance {
            line: *line,
            explanation: explain.explanation(),
        };
        instances.iter().map(explained).collect()
    }
}

#[derive(Serialize)]
struct ExplainedInstance {
    line: usize,
    explanation: Explanation,
}

impl Outputs {
    fn open(options: &RunOptions, settings: &Settings) -> Result<Outputs, Error> {
        let run = || serde_json::json!({ "settings": settings });
        let trace = |path| TraceFile::open(path, &options.call.program, run());
        let explained = |format| -> Result<Explained, Error> {
            let destination = explanation_destination(options)?;
            Ok(Explained { is_json: format == ExplainFormat::Json, instances: Arc::default(), destination })
        };
        Ok(Outputs {
            stats: options.stats.as_deref().map(Destination::open).transpose()?,
            trace: options.trace.as_deref().map(trace).transpose()?,
            explain: options.explain.map(explained).transpose()?,
        })
    }

    fn write(mut self, summary: &Summary, wall: Duration) -> Result<(), Error> {
        let stats = self.stats.take();
        self.write_unfinished()?;
        stats.map_or(Ok(()), |stats| stats.write(&as_json(&Stats::of(summary, wall))))
    }
}

impl Unfinished for Outputs {
    fn write_unfinished(self) -> Result<(), Error> {
        self.trace.map_or(Ok(()), TraceFile::write)?;
        self.explain.map_or(Ok(()), Explained::write)
    }
}

impl Explained {
    fn write(self) -> Result<(), Error> {
        let instances = self.instances.explained();
        if self.is_json {
            return self.destination.write(&as_json(&instances));
        }
        self.destination.write_words(&instances.iter().map(heading_and_text).collect::<String>())
    }
}

fn heading_and_text(instance: &ExplainedInstance) -> String {
    format!("the instance made at line {}:\n{}", instance.line, instance.explanation)
}

/// Statistics of a script.
#[derive(Serialize)]
struct Stats<'s> {
    passed: usize,
    failed: usize,
    /// Steps, by the feature that they need.
    left_out: &'s BTreeMap<&'static str, usize>,
    wall_ns: u64,
    instances: Vec<InstanceStats>,
}

#[derive(Serialize)]
struct InstanceStats {
    line: usize,
    transitions: Transitions,
    code: CodeStatistics,
}

impl Stats<'_> {
    fn of(summary: &Summary, wall: Duration) -> Stats<'_> {
        let instance = |&Made { line, transitions, code }: &Made| InstanceStats { line, transitions, code };
        Stats {
            passed: summary.passed,
            failed: summary.failures.len(),
            left_out: &summary.left_out,
            wall_ns: wall.as_nanos() as u64,
            instances: summary.instances.iter().map(instance).collect(),
        }
    }
}

fn as_json(data: &impl Serialize) -> String {
    json::pretty(data) + "\n"
}

/// A line for each failure, and one for all steps.
fn report(path: &Path, summary: &Summary) -> String {
    let mut text = String::new();
    for Failure { line, message } in &summary.failures {
        writeln!(text, "{}:{line}: {message}", path.display()).expect("a string grows");
    }
    let failed = match summary.failures.len() {
        0 => String::new(),
        failures => format!("{failures} failed, "),
    };
    writeln!(text, "{}: {failed}{summary}", path.display()).expect("a string grows");
    text
}

fn parse(path: &Path) -> Result<Script, Error> {
    let text = load::text_of(path, load::read(path)?)?;
    Script::parse(&text).map_err(|error| {
        let name = path.display().to_string();
        let (line, column) = (error.line, error.column);
        let span = load::offset_of(&text, line, column).into();
        let (message, text) = (error.message, source(&name, &text));
        let help = "this is the text format of WebAssembly's test scripts";
        TextError { name, line, column, message, text, span, help }.into()
    })
}

/// A script says itself what it calls, imports and expects, and has many instances: what asks for one call is refused.
fn check(options: &RunOptions) -> Result<(), Error> {
    let (call, host) = (&options.call, &options.host);
    let given = [
        ("an argument", !call.arguments.is_empty()),
        ("--invoke", !call.invoke.is_empty()),
        ("--init", call.init.is_some()),
        ("--write", !call.write.is_empty()),
        ("--read", !call.read.is_empty()),
        ("--replay", call.replay.is_some()),
        ("--imports", host.imports.is_some()),
        ("--global", !host.global.is_empty()),
        ("--record-imports", host.record_imports.is_some()),
        ("--dir", !host.dir.is_empty()),
        ("--env", !host.env.is_empty()),
        ("--record", options.record.is_some()),
        ("--explain=html", options.explain == Some(ExplainFormat::Html)),
        ("--verify", options.verify),
        ("--shadow", options.shadow),
        ("--fuel", options.fuel.is_some()),
    ];
    match given.into_iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => Err(Error::OptionWithScript { option }),
        None => Ok(()),
    }
}
