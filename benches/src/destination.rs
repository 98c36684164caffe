//! Where data go that are asked for beside results: a file, or standard error.

use std::io::{self, Write};
use std::path::Path;

use crate::error::Error;
use crate::new_file::NewFile;
use crate::wrapped::{columns_of_stderr, wrapped};

/// A destination.
#[derive(Debug)]
pub(crate) enum Destination {
    /// Standard error.
    Stderr,
    /// A file.
    File(NewFile),
}

impl Destination {
    /// The destination that `path` names; `-` is standard error. Files are opened now: a run should not be in vain.
    pub(crate) fn open(path: &Path) -> Result<Destination, Error> {
        if path == Path::new("-") {
            return Ok(Destination::Stderr);
        }
        NewFile::create(path).map(Destination::File)
    }

    /// Writes `text`, lines of words; on a terminal they are as wide as that is.
    pub(crate) fn write_words(self, text: &str) -> Result<(), Error> {
        match (&self, columns_of_stderr()) {
            (Destination::Stderr, Some(width)) => {
                self.write(&text.split_inclusive('\n').map(|line| wrapped(line, width)).collect::<String>())
            }
            _ => self.write(text),
        }
    }

    /// Writes `text`, all of it. Data that were asked for and cannot be written are an error, also on standard error.
    pub(crate) fn write(self, text: &str) -> Result<(), Error> {
        match self {
            Destination::Stderr => io::stderr().lock().write_all(text.as_bytes()).map_err(Error::WriteStderr),
            Destination::File(file) => file.replace(text.as_bytes()),
        }
    }
}
