//! Where data go that are asked for beside results: a file, or standard error.

use std::io::{self, Write};
use std::path::Path;

use crate::error::Error;
use crate::new_file::NewFile;

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

    /// Writes `text`, all of it. Data that were asked for and cannot be written are an error, also on standard error.
    pub(crate) fn write(self, text: &str) -> Result<(), Error> {
        match self {
            Destination::Stderr => io::stderr().lock().write_all(text.as_bytes()).map_err(Error::WriteStderr),
            Destination::File(file) => file.replace(text.as_bytes()),
        }
    }
}
