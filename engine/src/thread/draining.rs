//! Retired versions whose code stays until the ledger says that nothing will return into it: each until its last hijacked
//! frame has landed, or all of them until a sparse hijack has reached the outermost frame. What has to be found out by other
//! means [waits elsewhere](super::reclaim).

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use crate::code::{CodeVersion, VersionId};
use crate::event::Cause;

/// The retired versions of a thread's instance that are not drained, each with what retired it.
#[derive(Debug, Default)]
pub(crate) struct Draining(RefCell<HashMap<VersionId, (Arc<CodeVersion>, Cause)>>);

impl Draining {
    /// From now on `version` drains.
    pub(crate) fn add(&self, version: Arc<CodeVersion>, cause: Cause) {
        self.0.borrow_mut().insert(version.id, (version, cause));
    }

    /// The version of that number does not drain any more. Returns it, if it did.
    pub(crate) fn remove(&self, version: VersionId) -> Option<(Arc<CodeVersion>, Cause)> {
        self.0.borrow_mut().remove(&version)
    }

    /// All of them, in the order of their numbers: none drains any more.
    pub(crate) fn take(&self) -> Vec<(Arc<CodeVersion>, Cause)> {
        let mut all: Vec<_> = self.0.take().into_values().collect();
        all.sort_unstable_by_key(|(version, _)| version.id);
        all
    }
}
