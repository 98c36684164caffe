//! Fuel: a run that is to end by itself, at the same place in every repetition.

use std::sync::atomic::{AtomicU64, Ordering};

use osr_engine::{Event, Observation, Observer};
use thiserror::Error;

/// Why a run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("out of fuel")]
pub(in crate::commands) struct OutOfFuel;

/// Counts arrivals at entries and loop headers, and ends the guest's call at the last that it may have.
#[derive(Debug)]
pub(in crate::commands) struct Fuel {
    limit: u64,
    arrivals: AtomicU64,
}

impl Fuel {
    /// So many arrivals.
    pub(in crate::commands) fn new(limit: u64) -> Fuel {
        Fuel { limit, arrivals: AtomicU64::new(0) }
    }

    /// What is left; `None` if it was not enough.
    pub(in crate::commands) fn remaining(&self) -> Option<u64> {
        self.limit.checked_sub(self.arrivals.load(Ordering::Relaxed)).filter(|&remaining| remaining > 0)
    }
}

impl Observer for Fuel {
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>) {
        if let Event::Reached { .. } = event
            && self.arrivals.fetch_add(1, Ordering::Relaxed) + 1 >= self.limit
        {
            at.end(OutOfFuel);
        }
    }

    fn wants_points(&self) -> bool {
        true
    }
}
