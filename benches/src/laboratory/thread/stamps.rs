//! An observer that notes when what happens.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use osr_engine::{Event, Observation, Observer};

/// What is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A version was compiled: the code that asked for it is about to enter it.
    Compiled,
    /// Nothing new enters a version.
    Retired,
    /// A return slot was swapped.
    Hijacked,
    /// A frame continues in other code.
    Landed,
    /// Nothing will return into a version.
    Drained,
    /// Its memory is free.
    Released,
}

impl Kind {
    /// The name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Compiled => "compiled",
            Kind::Retired => "retired",
            Kind::Hijacked => "hijacked",
            Kind::Landed => "landed",
            Kind::Drained => "drained",
            Kind::Released => "released",
        }
    }
}

/// Notes everything, in order.
#[derive(Debug, Default)]
pub(super) struct Stamps(Mutex<Vec<(Kind, Instant)>>);

impl Stamps {
    fn noted(&self) -> MutexGuard<'_, Vec<(Kind, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was noted since the last time.
    pub(super) fn take(&self) -> Vec<(Kind, Instant)> {
        std::mem::take(&mut self.noted())
    }
}

impl Observer for Stamps {
    fn observe(&self, _: &Observation<'_>, event: &Event<'_>) {
        let kind = match event {
            Event::Compiled { .. } => Kind::Compiled,
            Event::Retired { .. } => Kind::Retired,
            Event::Hijacked { .. } => Kind::Hijacked,
            Event::Landed { .. } => Kind::Landed,
            Event::Drained { .. } => Kind::Drained,
            Event::Released { .. } => Kind::Released,
            _ => return,
        };
        self.noted().push((kind, Instant::now()));
    }
}
