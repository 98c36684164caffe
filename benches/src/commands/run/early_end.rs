//! Ends of a run that the program has no part in: a time limit, and Ctrl-C.
//!
//! If more is to be written than what observers have seen, the guest's call is ended by its [handle](InterruptHandle), and the run
//! ends as any other. Where that is not so, or the call does not end, what observers have seen is written by the native thread that
//! ends the process: the program may be in a host function, or in an endless loop, and is not asked.

use std::process;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use osr_engine::InterruptHandle;

use crate::error::Error;
use crate::guest::session::Outcome;
use crate::interrupt::on_interrupt;

/// What a run that ends early has to write.
pub(super) trait Unfinished: Send + 'static {
    /// Writes what there is.
    fn write_unfinished(self) -> Result<(), Error>;
}

impl Unfinished for () {
    fn write_unfinished(self) -> Result<(), Error> {
        Ok(())
    }
}

/// Why a run ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Why {
    #[error("interrupted")]
    Interrupted,
    #[error("it did not end within {0:?}")]
    TimedOut(Duration),
}

impl Why {
    /// Why the call ended whose `outcome` this is, if it was ended early.
    pub(super) fn of(outcome: &Outcome) -> Option<Why> {
        outcome.result.as_ref().err()?.cause().copied()
    }

    /// What the command ends with.
    pub(super) fn error(self) -> Error {
        match self {
            Why::Interrupted => Error::Interrupted,
            Why::TimedOut(limit) => Error::TimedOut { limit },
        }
    }
}

/// Where the handle of a guest's thread is put once there is one.
pub(super) type Guest = Arc<OnceLock<InterruptHandle>>;

/// The outputs of a run: whoever ends it takes them, and writes them.
pub(super) struct Ending<O: Unfinished> {
    outputs: Arc<Mutex<Option<O>>>,
    guest: Guest,
}

impl<O: Unfinished> Ending<O> {
    /// The run of `guest` may end early from now on: by Ctrl-C, and after `limit`.
    pub(super) fn watch(outputs: O, limit: Option<Duration>, guest: &Guest) -> Ending<O> {
        let ending = Ending { outputs: Arc::new(Mutex::new(Some(outputs))), guest: Arc::clone(guest) };
        let interrupted = ending.again();
        on_interrupt(move || interrupted.end(Why::Interrupted));
        if let Some(limit) = limit {
            let timed_out = ending.again();
            thread::spawn(move || {
                thread::sleep(limit);
                if timed_out.end(Why::TimedOut(limit)) {
                    let why = Error::TimedOut { limit };
                    why.show();
                    process::exit(why.exit_code().into());
                }
            });
        }
        ending
    }

    /// The program has ended: what is to be written. Does not return if the run has ended early.
    pub(super) fn take(&self) -> O {
        match self.take_once() {
            Some(outputs) => outputs,
            // The other thread ends the process.
            None => loop {
                thread::park();
            },
        }
    }

    fn again(&self) -> Ending<O> {
        Ending { outputs: Arc::clone(&self.outputs), guest: Arc::clone(&self.guest) }
    }

    fn take_once(&self) -> Option<O> {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn is_taken(&self) -> bool {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Ends the guest's call, or writes what there is. False if the run ends by itself.
    fn end(&self, why: Why) -> bool {
        !self.has_guest_end(why) && self.write_unfinished()
    }

    /// Whether the guest's call can be ended, and ends.
    fn has_guest_end(&self, why: Why) -> bool {
        const PATIENCE: Duration = Duration::from_secs(2);
        let Some(guest) = self.guest.get() else { return false };
        guest.interrupt(why);
        let until = Instant::now() + PATIENCE;
        while !self.is_taken() && Instant::now() < until {
            thread::sleep(Duration::from_millis(2));
        }
        self.is_taken()
    }

    /// Writes what there is. False if the program has ended meanwhile.
    fn write_unfinished(&self) -> bool {
        let Some(outputs) = self.take_once() else { return false };
        if let Err(error) = outputs.write_unfinished() {
            error.show();
        }
        true
    }
}

impl<O: Unfinished> Drop for Ending<O> {
    /// If the run fails, what was begun is thrown away.
    fn drop(&mut self) {
        drop(self.take_once());
    }
}
