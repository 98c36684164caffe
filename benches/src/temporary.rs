//! Files and directories that vanish with what they are for, also when Ctrl-C ends the process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::interrupt::{forget_path, remove, watch_path};

/// A path that is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    /// What is about to be made at `path`.
    pub(crate) fn new(path: PathBuf) -> Temporary {
        watch_path(&path);
        Temporary(path)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// It takes the place of what is at `path`, and stays.
    pub(crate) fn rename(self, path: &Path) -> io::Result<()> {
        // An interrupt before leaves nothing, one after the whole.
        fs::rename(&self.0, path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        forget_path(&self.0);
        // It may not have been made, or have been renamed.
        let _ = remove(&self.0);
    }
}
