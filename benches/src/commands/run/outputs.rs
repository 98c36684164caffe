//! What a run writes beside its results. Files are opened before: a run should not be in vain.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use osr_engine::explain::Explain;
use osr_engine::trace::Trace;
use osr_engine::{Land, Observer, Observers, Periodic, Stress};

use super::early_end::{Unfinished, Why};
use super::page::Page;
use super::stats::Stats;
use super::{ExplainFormat, RunOptions};
use crate::cli::Variable;
use crate::destination::Destination;
use crate::error::Error;
use crate::guest::call::Call;
use crate::guest::host::record::{self, Record};
use crate::guest::schedule_file::{self, Reached};
use crate::guest::session::Outcome;
use crate::json::{self, Escaping};
use crate::new_file::NewFile;
use crate::output;

/// The trace of a run, and the file that it is written to.
pub(super) struct TraceFile {
    file: NewFile,
    trace: Arc<Trace<Escaping<BufWriter<File>>>>,
}

impl TraceFile {
    /// The trace of `program`, of whose run `run` says what there is to say.
    pub(super) fn open(path: &Path, program: &Path, mut run: serde_json::Value) -> Result<TraceFile, Error> {
        let file = NewFile::create(path)?;
        run["program"] = program.display().to_string().into();
        let trace = Trace::of_run(Escaping(BufWriter::new(file.handle()?)), &run);
        let trace = trace.map_err(|source| Error::Write { path: path.to_owned(), source })?;
        Ok(TraceFile { file, trace: Arc::new(trace) })
    }

    pub(super) fn observer(&self) -> Arc<dyn Observer> {
        self.trace.clone()
    }

    pub(super) fn write(self) -> Result<(), Error> {
        let failed = |source| Error::Write { path: self.file.path().to_owned(), source };
        self.trace.finish().map_err(failed)?;
        self.file.commit()
    }
}

/// The explanation of a run.
struct Explained {
    format: ExplainFormat,
    explain: Arc<Explain>,
    /// What a page has besides, and its title.
    page: Option<(Arc<Page>, String)>,
    destination: Destination,
}

impl Explained {
    fn open(options: &RunOptions, call: &Call) -> Result<Option<Explained>, Error> {
        let Some(format) = options.explain else { return Ok(None) };
        let title = || format!("{} {}", call.program.path.display(), call.invoke);
        let page = (format == ExplainFormat::Html).then(|| (Arc::default(), title()));
        let destination = explanation_destination(options)?;
        Ok(Some(Explained { format, explain: Arc::default(), page, destination }))
    }

    fn write(self) -> Result<(), Error> {
        let explanation = self.explain.explanation();
        match (self.format, &self.page) {
            (ExplainFormat::Json, _) => self.destination.write(&(json::pretty(&explanation) + "\n")),
            (ExplainFormat::Html, Some((page, title))) => {
                self.destination.write(&page.html(title, &explanation))
            }
            _ => self.destination.write_words(&explanation.to_string()),
        }
    }
}

/// Where `options` have an explanation written.
pub(super) fn explanation_destination(options: &RunOptions) -> Result<Destination, Error> {
    options.explain_to.as_deref().map_or(Ok(Destination::Stderr), Destination::open)
}

/// What the run of a call writes.
pub(super) struct Outputs {
    stats: Option<Destination>,
    schedule: Option<NewFile>,
    /// And the globals that are given.
    imports: Option<(NewFile, Vec<Variable>)>,
    trace: Option<TraceFile>,
    explain: Option<Explained>,
    /// What a run that ends early is told to have been forced by.
    forced: Option<String>,
}

/// The option that has the seed of what is forced, if that is random.
fn forced(stress: &Stress) -> Option<String> {
    match stress {
        Stress::Random(seed) => Some(format!("--stress random={seed}")),
        Stress::Periodic(Periodic { land: Some(Land::Random(seed)), .. }) => {
            Some(format!("--stress land=random:{seed}"))
        }
        _ => None,
    }
}

impl Outputs {
    pub(super) fn open(options: &RunOptions, call: &Call) -> Result<Outputs, Error> {
        // What a schedule is known by leaves out what is forced; what is traced does not.
        let run = || {
            let mut run = serde_json::to_value(&call.run).expect("our data has string keys");
            run["settings"]["stress"] = serde_json::json!(call.settings.stress);
            run
        };
        let trace = |path| TraceFile::open(path, &call.program.path, run());
        let imports = |path| Ok::<_, Error>((NewFile::create(path)?, options.host.global.clone()));
        Ok(Outputs {
            stats: options.stats.as_deref().map(Destination::open).transpose()?,
            schedule: options.record.as_deref().map(NewFile::create).transpose()?,
            imports: options.host.record_imports.as_deref().map(imports).transpose()?,
            trace: options.trace.as_deref().map(trace).transpose()?,
            explain: Explained::open(options, call)?,
            forced: forced(&call.settings.stress),
        })
    }

    pub(super) fn observer(&self) -> Option<Arc<dyn Observer>> {
        let trace = self.trace.iter().map(TraceFile::observer);
        let explain = self.explain.iter().map(|explained| explained.explain.clone() as Arc<dyn Observer>);
        let pages = self.explain.iter().flat_map(|explained| &explained.page);
        let pages = pages.map(|(page, _)| page.clone() as Arc<dyn Observer>);
        Observers::join(trace.chain(explain).chain(pages).collect())
    }

    /// What is to be said of a run that ends early.
    fn say_what_was_forced(&self) {
        if let Some(option) = &self.forced {
            output::to_stderr(format_args!("note: what was forced until then is that of {option}\n"));
        }
    }

    pub(super) fn write(mut self, call: &Call, outcome: &Outcome, record: &Record) -> Result<(), Error> {
        if Why::of(outcome).is_some() {
            self.say_what_was_forced();
        }
        if let Some(file) = self.schedule.take() {
            // A replay of a run that was ended goes on from there.
            let reached = Why::of(outcome).is_none().then(|| Reached::by(outcome));
            schedule_file::write(file, &call.run, &outcome.schedule, reached)?;
        }
        if let Some((file, globals)) = self.imports.take() {
            record::file::write(file, &call.program.hash, &globals, record)?;
        }
        let stats = self.stats.take();
        self.write_observed()?;
        stats.map_or(Ok(()), |stats| stats.write(&Stats::of(outcome, call).text()))
    }

    /// Writes what observers have seen, and nothing else.
    fn write_observed(self) -> Result<(), Error> {
        self.trace.map_or(Ok(()), TraceFile::write)?;
        self.explain.map_or(Ok(()), Explained::write)
    }
}

impl Unfinished for Outputs {
    fn write_unfinished(self) -> Result<(), Error> {
        self.say_what_was_forced();
        self.write_observed()
    }
}
