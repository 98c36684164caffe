//! Offsets: where in the module each instruction of a body comes from, while the body is made and cleaned.
//!
//! They are only kept if a [source map](crate::origin::SourceMap) is wanted. There is one for each instruction of the
//! [list](super::code::Code), and one for the terminator of each block.

use crate::index::Block;

/// The offsets of the instructions of a body, if they are wanted.
#[derive(Debug)]
pub(super) struct Offsets {
    is_wanted: bool,
    instructions: Vec<u32>,
    terminators: Vec<u32>,
    /// Of the operator that is being translated.
    current: u32,
}

impl Offsets {
    /// None yet.
    pub(super) fn new(is_wanted: bool) -> Offsets {
        Offsets { is_wanted, instructions: Vec::new(), terminators: Vec::new(), current: 0 }
    }

    /// What is emitted from here on comes from `offset`.
    pub(super) fn at(&mut self, offset: u32) {
        self.current = offset;
    }

    /// Where that comes from.
    pub(super) fn current(&self) -> u32 {
        self.current
    }

    /// There is a new block, whose terminator comes from here until it gets [another](Self::terminate).
    pub(super) fn block(&mut self) {
        if self.is_wanted {
            self.terminators.push(self.current);
        }
    }

    /// There is a new instruction.
    pub(super) fn push(&mut self) {
        if self.is_wanted {
            self.instructions.push(self.current);
        }
    }

    /// A new instruction is put before the one at `index`.
    pub(super) fn insert(&mut self, index: usize) {
        if self.is_wanted {
            self.instructions.insert(index, self.current);
        }
    }

    /// The last instruction is gone.
    pub(super) fn pop(&mut self) {
        self.instructions.pop();
    }

    /// `block` has its terminator.
    pub(super) fn terminate(&mut self, block: Block) {
        if self.is_wanted {
            self.terminators[block.index()] = self.current;
        }
    }

    /// The instructions of `more` come behind the others.
    pub(super) fn append(&mut self, more: &mut Offsets) {
        self.instructions.append(&mut more.instructions);
    }

    /// The terminator of `from` takes the place of that of `into`.
    pub(super) fn move_terminator(&mut self, into: Block, from: Block) {
        if self.is_wanted {
            self.terminators[into.index()] = self.terminators[from.index()];
        }
    }

    /// Those of the instructions at `indices`, and of the terminator of `block`.
    pub(super) fn of_block(&self, indices: &[usize], block: Block) -> Vec<u32> {
        let instructions = indices.iter().map(|&index| self.instructions[index]);
        instructions.chain([self.terminators[block.index()]]).collect()
    }

    /// Whether they are kept.
    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted
    }
}
