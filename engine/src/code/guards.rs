//! The guards of a version, with what became of them.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use osr_compiler::Guard;

use super::ledger::PendingSite;

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
    exit: OnceLock<Box<Exit>>,
}

/// Where frames are that have left at a guard.
#[derive(Debug)]
struct Exit(PendingSite);

// SAFETY: it points to the version that has the guard, which may be shared, and to what that owns and does not change.
unsafe impl Send for Exit {}
// SAFETY: the same.
unsafe impl Sync for Exit {}

impl VersionGuard {
    /// `guard`, whose failures are counted there.
    pub(crate) fn new(guard: Guard, failures: FailureCount) -> VersionGuard {
        VersionGuard { guard, failures, exit: OnceLock::new() }
    }

    /// Where frames are that have left by its exit: what `find` returned when the first one had.
    #[inline(always)]
    pub(crate) fn exit(&self, find: impl FnOnce() -> PendingSite) -> &PendingSite {
        &self.exit.get_or_init(|| Box::new(Exit(find()))).0
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
