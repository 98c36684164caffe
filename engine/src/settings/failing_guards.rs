//! What becomes of guards that fail again and again.

use osr_compiler::listed;

listed! {
    /// What becomes of a guard that has failed as often as [`Settings::guard_failures`](crate::Settings::guard_failures)
    /// says.
    pub enum FailingGuards {
        /// It is given up: versions that have it are retired, their frames replaced, and new ones do without.
        #[default]
        Remake = "remake",
        /// Its exit is linked to a continuation of its own, in which the guard is a branch: a frame that fails there
        /// jumps to it, without the runtime. The version stays as it is, for those that do not fail. For frames that stand
        /// for several activations each function has only so many (`contexts`); other such guards are given up.
        Link = "link",
        /// Its exit is linked to a continuation that is specialized for frames that fail there: it speculates on what the
        /// version does, but that this guard fails. When that fails, too, the way leads back. For each
        /// function there are only some such continuations (`contexts`); other exits are linked as above. Frames of such
        /// versions that are hijacked, and are to land in optimized code, land in continuations that are as specialized.
        Dispatch = "dispatch",
    }
}
