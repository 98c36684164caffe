//! Measurements that Ctrl-C ends early: they show what was measured so far, and how far that is.
//!
//! Whatever measures in a loop [watches](watch), and asks in each turn whether it [is to end](is_wanted). What it has
//! then is shown as marked by a [`Progress`], and the command [fails](Progress::verdict) with exit code 130. A second Ctrl-C ends the
//! process at once.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::Error;
use crate::interrupt::on_interrupt;

static WANTED: AtomicBool = AtomicBool::new(false);

/// An interrupt from here on has measurements end early.
pub(crate) fn watch() {
    on_interrupt(|| {
        WANTED.store(true, Ordering::SeqCst);
        false
    });
}

/// Whether a measurement is to end.
pub(crate) fn is_wanted() -> bool {
    WANTED.load(Ordering::SeqCst)
}

/// Whether a child process that has failed was ended by an interrupt. A terminal interrupts children, too, and theirs may come
/// first.
pub(crate) fn has_ended_child(status: std::process::ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    let by_signal =
        status.signal().is_some_and(|signal| [libc::SIGINT, libc::SIGTERM, libc::SIGHUP].contains(&signal));
    let by_itself = status.code() == Some(Error::Interrupted.exit_code().into());
    let until = Instant::now() + Duration::from_millis(500);
    while (by_signal || by_itself) && !is_wanted() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    is_wanted()
}

/// How far a measurement came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Progress {
    /// What was made.
    made: u64,
    /// What was to be made.
    wanted: u64,
    /// What is counted.
    what: &'static str,
    /// Of everything random.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
}

impl Progress {
    /// `made` of the `wanted`, as they are called in the plural.
    pub(crate) fn new((made, wanted): (u64, u64), what: &'static str, seed: Option<u64>) -> Progress {
        Progress { made, wanted, what, seed }
    }

    /// The same, if the measurement ended early. It fails if there is nothing to show.
    pub(crate) fn if_early(self) -> Result<Option<Progress>, Error> {
        match is_wanted() {
            true if self.made == 0 => Err(Error::EndedEarly(self)),
            is_early => Ok(is_early.then_some(self)),
        }
    }

    /// A line that marks what is shown.
    pub(crate) fn line(progress: Option<Progress>) -> String {
        progress.map_or(String::new(), |progress| format!("Interrupted {progress}.\n"))
    }

    /// Fails if the measurement ended early.
    pub(crate) fn verdict(progress: Option<Progress>) -> Result<(), Error> {
        progress.map_or(Ok(()), |progress| Err(Error::EndedEarly(progress)))
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Progress { made, wanted, what, seed } = self;
        write!(formatter, "after {made} of {wanted} {what}")?;
        seed.map_or(Ok(()), |seed| write!(formatter, " (--seed {seed})"))
    }
}
