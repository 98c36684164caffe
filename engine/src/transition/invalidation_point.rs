//! Invalidation points: the code of retired versions is overwritten where it is returned into.
//!
//! Frames are not visited, and nothing remembers them: each arrives [where it leaves](super::leave), by a return that is
//! like any other. A frame that polls in a loop of optimized code leaves by [its own way](super::poll_exit), which is not
//! overwritten. What is released already has no frames, and needs no jumps.

use std::sync::Arc;

use crate::code::{CodeVersion, VersionState};
use crate::thread::Thread;

impl Thread {
    /// Has all frames of `versions`, which are retired, leave them where they are returned to.
    pub(crate) fn write_points(&self, versions: &[Arc<CodeVersion>]) {
        let remaining = versions.iter().filter(|version| version.state() != VersionState::Released);
        self.instance().registry().write_points(remaining.map(|version| &**version));
    }
}
