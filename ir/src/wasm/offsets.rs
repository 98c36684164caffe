//! Offsets: where in the module each instruction of a body comes from, while the body is made and cleaned.
//!
//! They are only kept if a [source map](crate::origin::SourceMap) is wanted. Per block there is one for each of its
//! instructions, and one for its terminator.

use crate::index::Block;

/// The offsets of the instructions of a body, if they are wanted.
#[derive(Debug)]
pub(super) struct Offsets {
    blocks: Option<Vec<Vec<u32>>>,
    /// Of the operator that is being translated.
    current: u32,
}

impl Offsets {
    /// None are kept.
    pub(super) fn unwanted() -> Offsets {
        Offsets { blocks: None, current: 0 }
    }

    /// They are kept.
    pub(super) fn wanted() -> Offsets {
        Offsets { blocks: Some(Vec::new()), current: 0 }
    }

    /// Whether they are kept.
    pub(super) fn are_wanted(&self) -> bool {
        self.blocks.is_some()
    }

    /// What is emitted from here on comes from `offset`.
    pub(super) fn at(&mut self, offset: u32) {
        self.current = offset;
    }

    /// A new block, with so many instructions already.
    pub(super) fn block(&mut self, instructions: usize) {
        if let Some(blocks) = &mut self.blocks {
            blocks.push(vec![self.current; instructions + 1]);
        }
    }

    /// An instruction is put before the one at `index` of `block`, or before the terminator.
    pub(super) fn insert(&mut self, block: Block, index: usize) {
        if let Some(blocks) = &mut self.blocks {
            blocks[block.index()].insert(index, self.current);
        }
    }

    /// So many instructions are put before all others of `block`: they come from where the first one does.
    pub(super) fn prepend(&mut self, block: Block, count: usize) {
        if let Some(blocks) = &mut self.blocks {
            let first = blocks[block.index()][0];
            blocks[block.index()].splice(..0, std::iter::repeat_n(first, count));
        }
    }

    /// The instruction at `index` of `block` is gone.
    pub(super) fn remove(&mut self, block: Block, index: usize) {
        if let Some(blocks) = &mut self.blocks {
            blocks[block.index()].remove(index);
        }
    }

    /// Of the instructions of `block`, those stay of which `kept` says so, by their numbers.
    pub(super) fn retain(&mut self, block: Block, kept: &[bool]) {
        if let Some(blocks) = &mut self.blocks {
            // The terminator stays.
            let mut kept = kept.iter().chain(&[true]);
            blocks[block.index()].retain(|_| *kept.next().expect("one for each"));
        }
    }

    /// `block` has its terminator.
    pub(super) fn terminate(&mut self, block: Block) {
        if let Some(blocks) = &mut self.blocks {
            *blocks[block.index()].last_mut().expect("the terminator's") = self.current;
        }
    }

    /// The instructions and the terminator of `from` take the place of the terminator of `into`.
    pub(super) fn append(&mut self, into: Block, from: Block) {
        if let Some(blocks) = &mut self.blocks {
            let mut moved = std::mem::take(&mut blocks[from.index()]);
            blocks[into.index()].pop();
            blocks[into.index()].append(&mut moved);
        }
    }

    /// The blocks `kept` are left, in that order.
    pub(super) fn reorder(&mut self, kept: &[Block]) {
        if let Some(blocks) = &mut self.blocks {
            *blocks = kept.iter().map(|block| std::mem::take(&mut blocks[block.index()])).collect();
        }
    }

    /// By block.
    pub(super) fn into_blocks(self) -> Vec<Vec<u32>> {
        self.blocks.unwrap_or_default()
    }
}
