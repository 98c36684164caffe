//! Scripts of WebAssembly's test suite (`.wast`): their steps under the engine options, each failure with its place.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use miette::NamedSource;
use osr_engine::{Delegates, Observers};
use osr_wast::{Failure, Script, Summary};

use super::early_end::Ending;
use super::{RunOptions, symbols, transitions_on_stderr};
use crate::error::{Error, TextError};
use crate::guest::load;
use crate::guest::session::on_thread;
use crate::output;

/// Whether the file at `path` is a script.
pub(super) fn is_script(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "wast")
}

/// Runs the script that `options` name.
pub(super) fn run(options: &RunOptions) -> Result<(), Error> {
    check(options)?;
    let settings = options.call.engine.settings()?;
    let path = &options.call.program;
    let script = parse(path)?;
    let mut observers = symbols::observers(&options.symbols)?;
    observers.extend(options.trace_deopt.then(transitions_on_stderr));
    let delegates = Delegates { observer: Observers::join(observers), policy: None };
    let ending = Ending::watch((), options.timeout);
    let is_quiet = options.quiet;
    let print = move |line: &str| {
        if !is_quiet {
            output::to_stderr(format_args!("{line}\n"));
        }
    };
    let summary = on_thread(options.call.engine.stack_size.bytes(), || {
        script.run_with(&settings, &delegates, Arc::new(print))
    })?;
    ending.take();
    output::to_stdout(&report(path, &summary))?;
    match summary.failures.len() {
        0 => Ok(()),
        failures => Err(Error::ScriptFailed { path: path.clone(), failures }),
    }
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
        let (message, text) = (error.message, NamedSource::new(&name, text));
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
        ("--stats", options.stats.is_some()),
        ("--record", options.record.is_some()),
        ("--trace", options.trace.is_some()),
        ("--explain", options.explain.is_some()),
        ("--verify", options.verify),
        ("--shadow", options.shadow),
        ("--fuel", options.fuel.is_some()),
    ];
    match given.into_iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => Err(Error::OptionWithScript { option }),
        None => Ok(()),
    }
}
