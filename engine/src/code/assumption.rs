//! Assumptions of the embedder's: facts that code versions were made under, by which they are found when a fact ends.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::code::CodeVersion;

/// A fact of the embedder's that versions rely on: the program is not being debugged, a table of settings is as it was read.
/// An observer that is told of [`Compiled`](crate::Event::Compiled), for instance, says that a version
/// [relies on it](Self::cover); when the fact ends, [`Thread::end_assumption`](crate::Thread::end_assumption) invalidates those
/// versions, and no others. Like the `Assumption` of Graal's Truffle (Würthinger and others, "Practical Partial Evaluation
/// for High-Performance Dynamic Language Runtimes", PLDI 2017); compiled code does not look at it there either.
///
/// Clones are the same assumption.
#[derive(Clone)]
pub struct Assumption(Arc<Fact>);

struct Fact {
    name: String,
    holds: AtomicBool,
    versions: Mutex<Vec<Weak<CodeVersion>>>,
}

impl Assumption {
    /// An assumption that holds, called `name` for people.
    pub fn new(name: impl Into<String>) -> Assumption {
        Assumption(Arc::new(Fact {
            name: name.into(),
            holds: AtomicBool::new(true),
            versions: Mutex::default(),
        }))
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether it has not been ended.
    pub fn holds(&self) -> bool {
        self.0.holds.load(Ordering::Acquire)
    }

    /// From here on `version` relies on it. False if it does not hold any more: the version was made too late, and is to be
    /// invalidated by other means, for instance by a [request](crate::Observation::request).
    pub fn cover(&self, version: &CodeVersion) -> bool {
        let mut versions = self.0.versions.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock: it does not end in between.
        if !self.holds() {
            return false;
        }
        if versions.len().is_power_of_two() {
            versions.retain(|version| version.strong_count() > 0);
        }
        versions.push(Arc::downgrade(&version.handle()));
        true
    }

    /// It does not hold any more. Returns the versions that rely on it, and are there.
    pub(crate) fn end(&self) -> Vec<Arc<CodeVersion>> {
        let mut versions = self.0.versions.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.holds.store(false, Ordering::Release);
        std::mem::take(&mut *versions).iter().filter_map(Weak::upgrade).collect()
    }
}

impl fmt::Debug for Assumption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, holds) = (self.name(), self.holds());
        formatter
            .debug_struct("Assumption")
            .field("name", &name)
            .field("holds", &holds)
            .finish_non_exhaustive()
    }
}
