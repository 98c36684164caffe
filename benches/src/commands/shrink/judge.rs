//! The judge: runs candidates in child processes, since a failure may well end its process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::ends::Ends;
use super::reduction::Candidate;
use super::{Scratch, ShrinkOptions, scheduled_run};
use crate::cli::CallOptions;
use crate::error::Error;
use crate::guest::call::Call;
use crate::guest::schedule_file::{self, ScheduledRun};
use crate::new_file::NewFile;

/// How a run fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The interpreter alone does something else.
    Differs,
    /// It panics, or a signal ends it.
    Crashes,
}

impl Failure {
    /// The name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Failure::Differs => "differs",
            Failure::Crashes => "crashes",
        }
    }

    fn of(status: ExitStatus) -> Option<Failure> {
        match status.code() {
            Some(3) => Some(Failure::Differs),
            Some(101) | None => Some(Failure::Crashes),
            Some(_) => None,
        }
    }
}

/// Runs candidates.
#[derive(Debug)]
pub(super) struct Judge<'c> {
    call: &'c Call,
    options: &'c CallOptions,
    binary: PathBuf,
    scratch: Scratch,
    limit: Duration,
    /// Whether candidates end, where that can be counted.
    ends: Option<Ends>,
}

impl<'c> Judge<'c> {
    /// A judge of what comes of `call`.
    pub(super) fn new(call: &'c Call, options: &'c ShrinkOptions) -> Result<Judge<'c>, Error> {
        let path = PathBuf::from("/proc/self/exe");
        let binary = std::env::current_exe().map_err(|source| Error::Read { path, source })?;
        let limit = Duration::from_secs(options.seconds);
        Ok(Judge { call, options: &options.call, binary, scratch: Scratch::new()?, limit, ends: None })
    }

    /// How `first` fails, if it does. Later ones may take ten times as long: those that do not end are not
    /// failures.
    pub(super) fn first_failure(&mut self, first: &Candidate) -> Result<Option<Failure>, Error> {
        let begin = Instant::now();
        let failure = self.failure(first)?;
        if failure.is_some() {
            self.ends = Ends::after(first, self.call.run.stack_bytes);
            self.limit = (begin.elapsed() * 10).max(Duration::from_secs(2)).min(self.limit);
        }
        Ok(failure)
    }

    /// How `candidate` fails, if it does.
    pub(super) fn failure(&self, candidate: &Candidate) -> Result<Option<Failure>, Error> {
        if self.ends.is_some_and(|ends| !ends.holds(candidate)) {
            return Ok(None);
        }
        let (program, schedule) = (self.scratch.join("candidate.ir"), self.scratch.join("candidate.json"));
        let text = osr_ir::text::print(&candidate.module);
        let run = scheduled_run(self.call, candidate, text.as_bytes());
        fs::write(&program, &text).map_err(|source| Error::Write { path: program.clone(), source })?;
        schedule_file::write(NewFile::create(&schedule)?, &run, &candidate.schedule, None)?;
        let arguments = command_line(&run, self.options, (&program, &schedule));
        let mut command = Command::new(&self.binary);
        command.args(arguments).arg("--quiet");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let cannot = |source| Error::Read { path: self.binary.clone(), source };
        let child = command.spawn().map_err(cannot)?;
        let status = wait(child, self.limit).map_err(cannot)?;
        Ok(status.and_then(Failure::of))
    }
}

/// The command line that runs a candidate, and compares it with the interpreter.
pub(super) fn command_line(
    run: &ScheduledRun,
    options: &CallOptions,
    (program, schedule): (&Path, &Path),
) -> Vec<String> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut line = vec!["run".to_owned(), text(program)];
    line.extend(run.options());
    line.extend(["--replay".to_owned(), text(schedule), "--verify".to_owned()]);
    if options.engine.checked {
        line.push("--checked".to_owned());
    }
    if let Some(defect) = &options.engine.plant_defect {
        line.extend(["--plant-defect".to_owned(), defect.to_string()]);
    }
    line
}

/// Waits for `child` to end; for so long at most, then it is ended.
fn wait(mut child: Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_micros(200);
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}
