//! Ends of a run that the program has no part in: a time limit, and Ctrl-C. What was observed until then is written, by the native
//! thread that ends the process; the program may be in an endless loop, and is not asked.

use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::Outputs;
use crate::error::Error;

/// The outputs of a run: whoever ends it takes them, and writes them.
pub(super) struct Ending(Arc<Mutex<Option<Outputs>>>);

impl Ending {
    /// The run may end early from now on: by Ctrl-C, and after `limit`.
    pub(super) fn watch(outputs: Outputs, limit: Option<Duration>) -> Result<Ending, Error> {
        let ending = Ending(Arc::new(Mutex::new(Some(outputs))));
        let interrupted = ending.again();
        ctrlc::set_handler(move || interrupted.end_early(&Error::Interrupted)).map_err(Error::Handler)?;
        if let Some(limit) = limit {
            let timed_out = ending.again();
            thread::spawn(move || {
                thread::sleep(limit);
                timed_out.end_early(&Error::TimedOut { limit });
            });
        }
        Ok(ending)
    }

    /// The program has ended: what is to be written. Does not return if the run has ended early.
    pub(super) fn take(&self) -> Outputs {
        match self.take_once() {
            Some(outputs) => outputs,
            // The other thread ends the process.
            None => loop {
                thread::park();
            },
        }
    }

    fn again(&self) -> Ending {
        Ending(Arc::clone(&self.0))
    }

    fn take_once(&self) -> Option<Outputs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn end_early(&self, why: &Error) {
        let Some(outputs) = self.take_once() else { return };
        if let Err(error) = outputs.write_observed() {
            error.show();
        }
        why.show();
        process::exit(why.exit_code().into());
    }
}

impl Drop for Ending {
    /// If the run fails, what was begun is thrown away.
    fn drop(&mut self) {
        drop(self.take_once());
    }
}
