//! One sample: a process of `osr-bench run`, from its start to its exit.

use std::fs;
use std::path::PathBuf;
use std::process::{self, Command};
use std::time::{Duration, Instant};

use super::peer::Peer;
use super::workload::Workload;
use crate::error::Error;
use crate::laboratory::child::{self, Ended};
use crate::laboratory::measuring::Clock;
use crate::temporary::Temporary;

/// A workload that can be run.
#[derive(Debug)]
pub(super) struct Prepared<'w> {
    workload: &'w Workload,
    binary: PathBuf,
    arguments: Vec<String>,
    /// The file that a program of this binary was written to.
    temporary: Option<Temporary>,
    expected: Output,
}

/// What a process writes to its standard output, and how it ends.
#[derive(Debug, PartialEq, Eq)]
struct Output {
    text: Vec<u8>,
    code: Option<i32>,
}

impl<'w> Prepared<'w> {
    /// Writes the program to a file if it is in this binary, and interprets it once: what it does then is expected of it.
    pub(super) fn new(workload: &'w Workload) -> Result<Prepared<'w>, Error> {
        let binary = std::env::current_exe().map_err(|error| failed(workload, error.to_string()))?;
        let mut arguments = workload.arguments.clone();
        let temporary = workload.bundled.as_ref().map(|(name, bytes)| {
            let file = format!("osr-bench-{}-{name}.wasm", std::process::id());
            (Temporary::new(std::env::temp_dir().join(file)), bytes)
        });
        if let Some((file, bytes)) = &temporary {
            let path = file.path();
            fs::write(path, bytes).map_err(|source| Error::Write { path: path.to_owned(), source })?;
            arguments.insert(0, path.display().to_string());
        }
        let temporary = temporary.map(|(file, _)| file);
        let expected = Output { text: Vec::new(), code: None };
        let mut prepared = Prepared { workload, binary, arguments, temporary, expected };
        prepared.expected = prepared.run(&["--tier", "interpreter"])?;
        Ok(prepared)
    }

    /// The time that a process takes with these options more, in nanoseconds.
    pub(super) fn took(&self, options: &[&str], clock: Clock) -> Result<f64, Error> {
        let (output, time) = timed(clock, || self.run(options))?;
        if output != self.expected {
            let options = options.join(" ");
            return Err(failed(
                self.workload,
                format!("with {options} it does not do what the interpreter does"),
            ));
        }
        Ok(time)
    }

    /// The time that a process of `peer` takes, in nanoseconds.
    pub(super) fn peer_took(&self, peer: &Peer, clock: Clock) -> Result<f64, Error> {
        let refused = |message| Err(failed(self.workload, format!("{}: {message}", peer.name)));
        let Some(file) = self.workload.file().or(self.arguments.first().filter(|_| self.temporary.is_some()))
        else {
            return refused("there is no file of the program to give it".to_owned());
        };
        let words = peer.command(file);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        let (output, time) = timed(clock, || {
            let failed = |message| failed(self.workload, format!("{}: {message}", peer.name));
            output(command, failed)
        })?;
        match output.status.success() {
            true => Ok(time),
            false => refused(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        }
    }

    fn run(&self, options: &[&str]) -> Result<Output, Error> {
        let mut command = Command::new(&self.binary);
        command.args(["run", "--quiet"]).args(options).args(&self.arguments);
        let output = output(command, |message| failed(self.workload, message))?;
        // That is how the command refuses what it is given.
        if output.status.code() == Some(2) && output.stdout.is_empty() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            return Err(failed(self.workload, complaint.trim().to_owned()));
        }
        Ok(Output { text: output.stdout, code: output.status.code() })
    }
}

/// What `command` does with an empty standard input. If that cannot be found out, it has `failed`.
fn output(command: Command, failed: impl Fn(String) -> Error) -> Result<process::Output, Error> {
    match child::run(command, &[], None).map_err(|error| failed(error.to_string()))? {
        Ended::Itself(output) => Ok(output),
        Ended::Interrupted | Ended::TooLate => Err(Error::Interrupted),
    }
}

/// What `run` returns, and the time that it takes, in nanoseconds, by the clock.
fn timed<T>(clock: Clock, run: impl FnOnce() -> Result<T, Error>) -> Result<(T, f64), Error> {
    let (began, before) = (Instant::now(), children());
    let output = run()?;
    let time = match clock {
        Clock::Wall => began.elapsed(),
        Clock::Cpu => children() - before,
    };
    Ok((output, time.as_nanos() as f64))
}

fn failed(workload: &Workload, message: String) -> Error {
    Error::Worker { program: workload.name.clone(), message }
}

/// The processor time of all processes that were waited for.
fn children() -> Duration {
    // SAFETY: all zero is a valid value, which the call fills.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        let status = libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        assert_eq!(status, 0, "the arguments are valid");
        usage
    };
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1_000);
    time(usage.ru_utime) + time(usage.ru_stime)
}
