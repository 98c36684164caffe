//! Ends of a run that the program has no part in: a time limit, and Ctrl-C. What was observed until then is written, by the native
//! thread that ends the process; the program may be in an endless loop, and is not asked.

use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::error::Error;
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

/// The outputs of a run: whoever ends it takes them, and writes them.
pub(super) struct Ending<O: Unfinished>(Arc<Mutex<Option<O>>>);

impl<O: Unfinished> Ending<O> {
    /// The run may end early from now on: by Ctrl-C, and after `limit`.
    pub(super) fn watch(outputs: O, limit: Option<Duration>) -> Ending<O> {
        let ending = Ending(Arc::new(Mutex::new(Some(outputs))));
        let interrupted = ending.again();
        on_interrupt(move || interrupted.write_unfinished());
        if let Some(limit) = limit {
            let timed_out = ending.again();
            thread::spawn(move || {
                thread::sleep(limit);
                if timed_out.write_unfinished() {
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
        Ending(Arc::clone(&self.0))
    }

    fn take_once(&self) -> Option<O> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
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
