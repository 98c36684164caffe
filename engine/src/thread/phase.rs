//! The phase that a thread is in, and how it changes.

use std::cell::Cell;

pub(crate) use crate::phase::{NotNow, Phase};

/// The phase that a thread is in.
#[derive(Debug)]
pub(crate) struct CurrentPhase(Cell<Phase>);

impl CurrentPhase {
    /// That of a new thread.
    pub(crate) fn new() -> CurrentPhase {
        CurrentPhase(Cell::new(Phase::Outside))
    }

    pub(crate) fn get(&self) -> Phase {
        self.0.get()
    }

    /// Refuses whatever can only be done outside.
    pub(crate) fn check_outside(&self) -> Result<(), NotNow> {
        match self.get() {
            Phase::Outside => Ok(()),
            phase => Err(NotNow { phase }),
        }
    }

    /// The thread is in `phase` until the guard is dropped.
    pub(crate) fn enter(&self, phase: Phase) -> PhaseGuard<'_> {
        PhaseGuard { current: self, outer: self.0.replace(phase) }
    }
}

/// Ends a phase: the one before is current again.
#[must_use = "the phase ends when this is dropped"]
#[derive(Debug)]
pub(crate) struct PhaseGuard<'t> {
    current: &'t CurrentPhase,
    outer: Phase,
}

impl Drop for PhaseGuard<'_> {
    fn drop(&mut self) {
        self.current.0.set(self.outer);
    }
}
