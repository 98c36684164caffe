//! What Ctrl-C, a termination and the end of a terminal do.
//!
//! ```text
//!   interrupt ──> child processes are ended
//!             ──> a measurement is going on: it ends early, and shows what it has (laboratory/early_end.rs)
//!                 a program runs: its outputs are written (commands/run/early_end.rs)
//!             ──> otherwise, and at the second interrupt: temporary files are removed, the process ends
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Error;

/// What an interrupt does.
struct Interrupts {
    /// Paths that are to be removed.
    paths: Vec<PathBuf>,
    /// Child processes that run, and have not been waited for.
    children: Vec<u32>,
    /// What is done before, if there is more to do. False: the process is about to end, and is left to it.
    action: Option<Box<dyn FnOnce() -> bool + Send>>,
    /// When there was one.
    last: Option<Instant>,
}

static INTERRUPTS: Mutex<Interrupts> =
    Mutex::new(Interrupts { paths: Vec::new(), children: Vec::new(), action: None, last: None });

fn interrupts() -> MutexGuard<'static, Interrupts> {
    INTERRUPTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From here on an interrupt does what it is to do. Where that cannot be arranged, it ends the process all the same.
fn watch() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        let _ = ctrlc::set_handler(|| {
            if is_repeated() {
                return;
            }
            let action = interrupts().action.take();
            // Before children are ended: who waits for one sees that it was an interrupt.
            let is_last = action.is_none_or(|action| action());
            let children = interrupts();
            children.children.iter().for_each(|&child| end(child));
            drop(children);
            if !is_last {
                return;
            }
            interrupts().paths.iter().for_each(|path| drop(remove(path)));
            Error::Interrupted.show();
            process::exit(Error::Interrupted.exit_code().into());
        });
    });
}

/// Whether the interrupt is one with that before: what signals a process and its group, as timeout(1) does, signals it twice.
fn is_repeated() -> bool {
    const ONE: Duration = Duration::from_millis(300);
    let now = Instant::now();
    let before = interrupts().last.replace(now);
    before.is_some_and(|before| now - before < ONE)
}

/// An interrupt does this first. If it returns true, what is temporary is removed, and the process ends.
pub(crate) fn on_interrupt(action: impl FnOnce() -> bool + Send + 'static) {
    watch();
    interrupts().action = Some(Box::new(action));
}

/// An interrupt removes what is at `path`.
pub(crate) fn watch_path(path: &Path) {
    watch();
    interrupts().paths.push(path.to_owned());
}

/// An interrupt leaves what is at `path` alone.
pub(crate) fn forget_path(path: &Path) {
    interrupts().paths.retain(|watched| watched != path);
}

/// An interrupt ends the child process with that number, which must not have been waited for.
pub(crate) fn watch_child(child: u32) {
    watch();
    interrupts().children.push(child);
}

/// An interrupt leaves that process alone, which is about to be waited for.
pub(crate) fn forget_child(child: u32) {
    interrupts().children.retain(|&watched| watched != child);
}

/// Removes what is at `path`.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

fn end(child: u32) {
    // One that has children itself ends them, too.
    // SAFETY: a child that was not waited for: the number is not another process's.
    let _ = unsafe { libc::kill(child.cast_signed(), libc::SIGTERM) };
}
