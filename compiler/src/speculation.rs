//! Speculation: what optimized code of a body relies on that need not be so.
//!
//! It is decided before the code is compiled, from a profile and from what has been learnt since; the compiler only
//! carries it out. So compiling stays a function of its unit.

use std::collections::{BTreeMap, BTreeSet};

use osr_ir::Block;

/// What optimized code of one body speculates on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Speculation {
    /// Per block that ends with a branch of which one side is taken always, whether that is the first one; and per block that
    /// ends with a guard, whether that holds, if it is said.
    branches: BTreeMap<Block, bool>,
    /// The blocks that end with a guard which is a branch.
    given_up: BTreeSet<Block>,
}

impl Speculation {
    /// The branch at the end of `block` always goes to its first successor, if `is_taken`, or to its second. A guard always
    /// holds, unless it is said that it always fails.
    pub fn add_branch(&mut self, block: Block, is_taken: bool) {
        self.branches.insert(block, is_taken);
    }

    /// Whether the branch at the end of `block` is always taken; none if it may go either way.
    pub fn taken(&self, block: Block) -> Option<bool> {
        self.branches.get(&block).copied()
    }

    /// The guard at the end of `block`, if there is one in the body, is a branch.
    pub fn give_up(&mut self, block: Block) {
        self.given_up.insert(block);
    }

    /// Whether the guard at the end of `block` is a branch.
    pub fn is_given_up(&self, block: Block) -> bool {
        self.given_up.contains(&block)
    }

    /// The same, where the branch or the guard at the end of `block` goes the other way.
    #[must_use]
    pub fn flipped(&self, block: Block) -> Speculation {
        let mut flipped = self.clone();
        flipped.branches.insert(block, !self.taken(block).unwrap_or(true));
        flipped
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.branches.is_empty() && self.given_up.is_empty()
    }
}
