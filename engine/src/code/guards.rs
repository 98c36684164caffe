//! The guards of a version, with what became of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use osr_compiler::Guard;

/// How often a guard of a body has failed, in all versions and all copies.
#[derive(Clone, Debug, Default)]
pub(crate) struct FailureCount(Arc<AtomicU32>);

/// A guard of a version.
#[derive(Debug)]
pub(crate) struct VersionGuard {
    pub(crate) guard: Guard,
    failures: FailureCount,
}

impl VersionGuard {
    /// `guard`, whose failures are counted there.
    pub(crate) fn new(guard: Guard, failures: FailureCount) -> VersionGuard {
        VersionGuard { guard, failures }
    }

    /// How often it has failed.
    pub(crate) fn failures(&self) -> u32 {
        self.failures.0.load(Ordering::Relaxed)
    }

    /// Counts a failure. Returns how many there are. To be called on the native thread that executes the code.
    #[inline(always)]
    pub(crate) fn count(&self) -> u32 {
        let failures = self.failures().saturating_add(1);
        self.failures.0.store(failures, Ordering::Relaxed);
        failures
    }
}
