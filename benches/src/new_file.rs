//! Files that replace others as a whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::temporary::Temporary;

/// A file that takes another's place when it is complete, and vanishes otherwise.
#[derive(Debug)]
pub(crate) struct NewFile {
    path: PathBuf,
    temporary: Option<Temporary>,
    file: File,
}

impl NewFile {
    /// A file that is to take the place of the one at `path`.
    pub(crate) fn create(path: &Path) -> Result<NewFile, Error> {
        NewFile::create_here(path).map_err(|source| Error::Write { path: path.to_owned(), source })
    }

    fn create_here(path: &Path) -> io::Result<NewFile> {
        // Through symbolic links: what they lead to is replaced, not they.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let special = fs::metadata(&path).is_ok_and(|there| !there.is_file());
        if special {
            // A directory fails here; a device or a pipe cannot be replaced, and is written to.
            let file = File::options().write(true).open(&path)?;
            return Ok(NewFile { path, temporary: None, file });
        }
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
        let temporary = Temporary::new(path.with_file_name(format!(".{name}.{}.tmp", std::process::id())));
        let file = File::create(temporary.path())?;
        Ok(NewFile { path, temporary: Some(temporary), file })
    }

    /// Writes `contents`, and takes the other file's place.
    pub(crate) fn replace(mut self, contents: &[u8]) -> Result<(), Error> {
        match self.file.write_all(contents) {
            Ok(()) => self.commit(),
            Err(source) => Err(Error::Write { path: self.path.clone(), source }),
        }
    }

    /// What was written is complete: it takes the other file's place.
    pub(crate) fn commit(mut self) -> Result<(), Error> {
        self.commit_here().map_err(|source| Error::Write { path: self.path.clone(), source })
    }

    /// A handle for writing.
    pub(crate) fn handle(&self) -> Result<File, Error> {
        self.file.try_clone().map_err(|source| Error::Write { path: self.path.clone(), source })
    }

    /// Where it will be.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn commit_here(&mut self) -> io::Result<()> {
        if self.temporary.is_some() {
            self.file.sync_all()?;
        }
        self.temporary.take().map_or(Ok(()), |temporary| temporary.rename(&self.path))
    }
}
