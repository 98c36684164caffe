//! What optimized code may speculate on.

use osr_compiler::listed;

listed! {
    /// A kind of speculation. Guards that are in a body are there whatever is chosen.
    pub enum SpeculationKind {
        /// Branches of which baseline code has always seen the same side taken: the other side is not compiled, and code
        /// that would go there leaves.
        #[default]
        Branch = "branch",
        /// Indirect calls of which baseline code has seen few targets, three at most: the call is compared with them, and
        /// the one that it is is called directly, or inlined. What is another target is called as before.
        CallTarget = "call-target",
        /// Besides, that such a call has no other target than those that baseline code has seen: code leaves that would
        /// call another.
        OnlyTargets = "only-targets",
    }
}
