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
        /// Integer arguments that baseline code has always seen with the same value: they are constants of code that the
        /// function is called in, which leaves where it begins if another value is passed.
        Argument = "argument",
        /// Mutable globals of one word: a constant of optimized code, which is invalidated when the interpreter stores another
        /// value. Other compiled code never does: a function that stores to such a global ends the speculation on it when it
        /// is compiled. Of globals that are imported the same holds if the instance that owns them speculates so, too.
        Global = "global",
    }
}
