//! Files and directories that vanish with what they are for, also when Ctrl-C ends the process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use crate::error::Error;

/// A path that is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Temporary(PathBuf);

/// What an interrupt does.
struct Interrupts {
    /// Paths that are to be removed.
    paths: Vec<PathBuf>,
    /// What is done before, if there is more to do. False: the process is about to end, and is left to it.
    action: Option<Box<dyn FnOnce() -> bool + Send>>,
}

static INTERRUPTS: Mutex<Interrupts> = Mutex::new(Interrupts { paths: Vec::new(), action: None });

fn interrupts() -> MutexGuard<'static, Interrupts> {
    INTERRUPTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From here on an interrupt, or the end of a terminal, removes what is temporary. Where that cannot be, it ends the process
/// all the same.
fn watch() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        let _ = ctrlc::set_handler(|| {
            let action = interrupts().action.take();
            if !action.is_none_or(|action| action()) {
                return;
            }
            interrupts().paths.iter().for_each(|path| drop(remove(path)));
            Error::Interrupted.show();
            process::exit(Error::Interrupted.exit_code().into());
        });
    });
}

/// An interrupt does this first. If it returns true, what is temporary is removed, and the process ends.
pub(crate) fn on_interrupt(action: impl FnOnce() -> bool + Send + 'static) {
    watch();
    interrupts().action = Some(Box::new(action));
}

fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

impl Temporary {
    /// What is about to be made at `path`.
    pub(crate) fn new(path: PathBuf) -> Temporary {
        watch();
        interrupts().paths.push(path.clone());
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
        interrupts().paths.retain(|path| *path != self.0);
        // It may not have been made, or have been renamed.
        let _ = remove(&self.0);
    }
}
