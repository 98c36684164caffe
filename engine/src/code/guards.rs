//! The guards of a version, with what became of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use osr_compiler::Guard;

/// How often a guard of a body has failed, in all versions and all copies.
#[derive(Clone, Debug, Default)]
pub(crate) struct FailureCount(Arc<Failures>);

#[derive(Debug, Default)]
struct Failures {
    /// The runtime has seen so many.
    seen: AtomicU32,
    /// So many took an exit that is linked: code counts them.
    linked: AtomicU64,
}

impl FailureCount {
    /// How often frames have left by an exit that is linked.
    pub(crate) fn linked(&self) -> u64 {
        self.0.linked.load(Ordering::Relaxed)
    }
}

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

    /// How often it has failed, as far as the runtime has seen.
    pub(crate) fn failures(&self) -> u32 {
        self.failures.0.seen.load(Ordering::Relaxed)
    }

    /// How often it has failed.
    pub(crate) fn all_failures(&self) -> u64 {
        u64::from(self.failures()) + self.failures.linked()
    }

    /// Where code counts those that leave by a linked exit. The word is there as long as the function is.
    pub(crate) fn linked_count(&self) -> u64 {
        (&raw const self.failures.0.linked) as u64
    }

    /// Counts a failure. Returns how many there are. To be called on the native thread that executes the code.
    #[inline(always)]
    pub(crate) fn count(&self) -> u32 {
        let failures = self.failures().saturating_add(1);
        self.failures.0.seen.store(failures, Ordering::Relaxed);
        failures
    }
}
