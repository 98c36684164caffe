//! Standard error where it is asked for: what cannot be written there is an error, once the run has ended.

use std::fmt::Arguments;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;

/// Standard error. Of what cannot be written, the first failure is kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct AskedStderr(Arc<Mutex<Option<io::Error>>>);

impl AskedStderr {
    /// Fails if something could not be written.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let failure = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.map_or(Ok(()), |source| Err(Error::WriteStderr(source)))
    }

    /// Writes a message that was asked for.
    pub(crate) fn say(&self, message: Arguments<'_>) {
        self.keep(io::stderr().lock().write_fmt(message));
    }

    /// What is kept does not stop who writes: the guest runs on.
    fn keep<T: Default>(&self, written: io::Result<T>) -> T {
        written.unwrap_or_else(|failure| {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
            T::default()
        })
    }
}

impl Write for AskedStderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.keep(io::stderr().lock().write_all(bytes));
        Ok(bytes.len())
    }

    /// All at once: lines of other threads do not come in between.
    fn write_fmt(&mut self, arguments: Arguments<'_>) -> io::Result<()> {
        self.say(arguments);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
