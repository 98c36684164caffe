//! `osr-bench run`: one call, its results on standard output.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use osr_engine::explain::Explain;
use osr_engine::trace::Trace;
use osr_engine::{Compared, Delegates, Difference, Observer, Observers, Settings, Shadow};

use crate::call::Call;
use crate::cli::{ExplainFormat, RunOptions};
use crate::error::Error;
use crate::host;
use crate::load::Program;
use crate::new_file::NewFile;
use crate::number::show_all;
use crate::output;
use crate::schedule_file::{self, Reached};
use crate::session::{Outcome, Session};
use crate::stats::{Destination, Stats};
use crate::verify::verify;

/// Runs what `options` say.
pub(crate) fn run(options: &RunOptions) -> Result<(), Error> {
    let call = Call::of(&options.call, options.shadow)?;
    let outputs = Outputs::open(options)?;
    let shadow = if options.shadow { Some(shadow_of(&call.program)?) } else { None };
    let observers = [outputs.observer(), shadow.clone().map(|shadow| shadow as Arc<dyn Observer>)];
    let observer = Observers::join(observers.into_iter().flatten().collect());
    let settings = Settings { record: options.record.is_some(), ..call.settings.clone() };
    let session = call.session(&settings, host::imports(options.quiet));
    let outcome = Session { delegates: Delegates { observer, policy: None }, ..session }.run()?;
    let written = outputs.write(&call, &outcome);
    shadow.map_or(Ok(()), |shadow| verdict(&shadow))?;
    if options.verify {
        verify(&call, &outcome)?;
    }
    check_replay(&call, &outcome)?;
    let words = outcome.result.map_err(Error::Trap)?;
    let types = &call.signature().results;
    let lines: String = show_all(types, &words).into_iter().map(|line| line + "\n").collect();
    output::to_stdout(&lines)?;
    written
}

/// A replay reaches as many safepoints and landings as the recorded run did, or it was another run.
fn check_replay(call: &Call, outcome: &Outcome) -> Result<(), Error> {
    let reached = Reached::by(outcome);
    match call.reached {
        Some(recorded) if recorded != reached => Err(Error::ReplayDiverged { recorded, reached }),
        _ => Ok(()),
    }
}

type TraceFile = Trace<BufWriter<File>>;

fn open_trace(path: &Path) -> Result<(NewFile, Arc<TraceFile>), Error> {
    let file = NewFile::create(path)?;
    let trace = Trace::new(BufWriter::new(file.handle()?));
    let trace = trace.map_err(|source| Error::Write { path: path.to_owned(), source })?;
    Ok((file, Arc::new(trace)))
}

/// What a run writes beside its results. Files are opened before: a run should not be in vain.
struct Outputs {
    stats: Option<Destination>,
    schedule: Option<NewFile>,
    trace: Option<(NewFile, Arc<TraceFile>)>,
    explain: Option<(ExplainFormat, Arc<Explain>)>,
}

impl Outputs {
    fn open(options: &RunOptions) -> Result<Outputs, Error> {
        Ok(Outputs {
            stats: options.stats.as_deref().map(Destination::open).transpose()?,
            schedule: options.record.as_deref().map(NewFile::create).transpose()?,
            trace: options.trace.as_deref().map(open_trace).transpose()?,
            explain: options.explain.map(|format| (format, Arc::default())),
        })
    }

    fn observer(&self) -> Option<Arc<dyn Observer>> {
        let trace = self.trace.iter().map(|(_, trace)| trace.clone() as Arc<dyn Observer>);
        let explain = self.explain.iter().map(|(_, explain)| explain.clone() as Arc<dyn Observer>);
        Observers::join(trace.chain(explain).collect())
    }

    fn write(self, call: &Call, outcome: &Outcome) -> Result<(), Error> {
        if let Some((file, trace)) = self.trace {
            trace.finish().map_err(|source| Error::Write { path: file.path().to_owned(), source })?;
            file.commit()?;
        }
        if let Some(file) = self.schedule {
            schedule_file::write(file, &call.run, &outcome.schedule, Some(Reached::by(outcome)))?;
        }
        if let Some((format, explain)) = self.explain {
            let explanation = explain.explanation();
            match format {
                ExplainFormat::Text => output::to_stderr(format_args!("{explanation}")),
                ExplainFormat::Json => {
                    let text = serde_json::to_string_pretty(&explanation).expect("our data has string keys");
                    output::to_stderr(format_args!("{text}\n"));
                }
            }
        }
        self.stats.map_or(Ok(()), |stats| stats.write(&Stats::of(outcome, &call.signature().results)))
    }
}

/// A shadow interpreter of `program`. It says at once if it finds a difference: who knows whether the program
/// ends after that.
fn shadow_of(program: &Program) -> Result<Arc<Shadow>, Error> {
    let shadow = Shadow::new(&program.module, &host::imports(true));
    let shadow = shadow.map_err(|source| Error::Instantiate { path: program.path.clone(), source })?;
    let say = |difference: &Difference| output::to_stderr(format_args!("shadow: {difference}\n"));
    Ok(Arc::new(shadow.on_difference(say)))
}

/// Says what was compared.
fn verdict(shadow: &Shadow) -> Result<(), Error> {
    let Compared { points, transitions, registers, memories } = shadow.compared();
    output::to_stderr(format_args!(
        "shadow: compared {transitions} transitions with {registers} registers, {points} points, memory \
         {memories} times\n"
    ));
    shadow.difference().map_or(Ok(()), |_| Err(Error::ShadowDiffers))
}
