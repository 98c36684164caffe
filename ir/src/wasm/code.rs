//! Code: the blocks of a body while it is translated.
//!
//! The instructions of all blocks are in one list, each block's in a row: blocks are filled one after the other. What makes
//! a body of that is [`cleanup`](super::cleanup).

use std::ops::Range;

use super::offsets::Offsets;
use crate::body::{Body, Instruction, Terminator};
use crate::index::{Block, Register};
use crate::operation::UnaryOp;

/// A block.
pub(super) struct Draft {
    /// Where its instructions are in the list.
    pub(super) instructions: Range<usize>,
    pub(super) terminator: Terminator,
}

/// Blocks, and the one that is being filled.
pub(super) struct Code {
    pub(super) instructions: Vec<Instruction>,
    pub(super) blocks: Vec<Draft>,
    /// Blocks in the order in which they were started: the order of the source.
    pub(super) order: Vec<Block>,
    /// Blocks that only lead from a conditional branch to its target. They go last, out of the way.
    edges: Vec<Block>,
    /// Their instructions, in order.
    edge_instructions: Vec<Instruction>,
    current: Block,
    pub(super) offsets: Offsets,
    edge_offsets: Offsets,
}

impl Code {
    /// The entry block, being filled. Of each instruction it is noted where it comes from if that is `wanted`.
    pub(super) fn new(wants_offsets: bool) -> Code {
        let mut code = Code {
            instructions: Vec::new(),
            blocks: Vec::new(),
            order: Vec::new(),
            edges: Vec::new(),
            edge_instructions: Vec::new(),
            current: Block::new(Body::ENTRY),
            offsets: Offsets::new(wants_offsets),
            edge_offsets: Offsets::new(wants_offsets),
        };
        let entry = code.block();
        code.start(entry);
        code
    }

    /// What is emitted from here on comes from `offset` in the module.
    pub(super) fn at(&mut self, offset: u64) {
        self.offsets.at(offset as u32);
    }

    /// A new block, to be started later. One that never is cannot be reached.
    pub(super) fn block(&mut self) -> Block {
        self.blocks.push(Draft { instructions: 0..0, terminator: Terminator::Unreachable });
        self.offsets.block();
        Block::new(self.blocks.len() - 1)
    }

    /// Fills `block` from here on.
    pub(super) fn start(&mut self, block: Block) {
        let begin = self.instructions.len();
        self.blocks[block.index()].instructions = begin..begin;
        self.order.push(block);
        self.current = block;
    }

    /// A complete block for an edge of the graph.
    pub(super) fn edge(&mut self, instructions: Vec<Instruction>, terminator: Terminator) -> Block {
        let edge = self.block();
        let begin = self.edge_instructions.len();
        self.edge_instructions.extend(instructions);
        let instructions = begin..self.edge_instructions.len();
        self.edge_offsets.at(self.offsets.current());
        instructions.clone().for_each(|_| self.edge_offsets.push());
        self.blocks[edge.index()] = Draft { instructions, terminator };
        self.edges.push(edge);
        edge
    }

    /// The last instruction of the current block.
    fn last(&mut self) -> Option<&mut Instruction> {
        let begin = self.blocks[self.current.index()].instructions.start;
        self.instructions[begin..].last_mut()
    }

    /// Appends to the current block.
    pub(super) fn emit(&mut self, instruction: Instruction) {
        self.instructions.push(instruction);
        self.offsets.push();
    }

    /// Puts `instruction` before the last one.
    pub(super) fn emit_before_last(&mut self, instruction: Instruction) {
        let index = self.instructions.len() - 1;
        self.instructions.insert(index, instruction);
        self.offsets.insert(index);
    }

    /// Completes the current block.
    pub(super) fn terminate(&mut self, terminator: Terminator) {
        let end = self.instructions.len();
        let block = &mut self.blocks[self.current.index()];
        block.instructions.end = end;
        block.terminator = terminator;
        self.offsets.terminate(self.current);
    }

    /// Whether the last instruction defines `from`, and could define `to` in its place.
    pub(super) fn can_retarget(&mut self, from: Register, to: Register) -> bool {
        let last = self.last().map_or(&[][..], |last| last.definitions());
        last.contains(&from) && !last.contains(&to)
    }

    /// Makes the last instruction define `to` in place of `from`.
    pub(super) fn retarget(&mut self, from: Register, to: Register) {
        if let Some(last) = self.last() {
            last.rename_definitions(|register| if register == from { to } else { register });
        }
    }

    /// If the last instruction defines `condition` as the negation of a register, takes it back and
    /// gives that register.
    pub(super) fn take_negation(&mut self, condition: Register) -> Option<Register> {
        match self.last() {
            Some(&mut Instruction::Unary { op: UnaryOp::I32Eqz, dst, src }) if dst == condition => {
                self.instructions.pop();
                self.offsets.pop();
                Some(src)
            }
            _ => None,
        }
    }

    /// All blocks are complete: edges come behind the others.
    pub(super) fn finish(&mut self) {
        let behind = self.instructions.len();
        for edge in &self.edges {
            let Range { start, end } = &mut self.blocks[edge.index()].instructions;
            (*start, *end) = (*start + behind, *end + behind);
        }
        self.instructions.append(&mut self.edge_instructions);
        self.offsets.append(&mut self.edge_offsets);
        self.order.append(&mut self.edges);
    }
}
