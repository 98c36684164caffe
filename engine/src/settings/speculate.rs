//! What optimized code may speculate on.

use osr_compiler::listed;

listed! {
    /// A kind of speculation. Guards that are in a body are there whatever is chosen.
    pub enum SpeculationKind {
        /// Branches of which baseline code has always seen the same side taken: the other side is not compiled, and code
        /// that would go there leaves.
        #[default]
        Branch = "branch",
    }
}
