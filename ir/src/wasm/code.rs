//! Code: the blocks of a body while it is translated.

use super::offsets::Offsets;
use crate::body::{BasicBlock, Body, Instruction, Terminator};
use crate::index::{Block, Register};
use crate::operation::UnaryOp;
use crate::value::Type;

/// Blocks, and the one that is being filled.
pub(super) struct Code {
    blocks: Vec<BasicBlock>,
    /// Blocks in the order in which they were started: the order of the source.
    order: Vec<Block>,
    /// Blocks that only lead from a conditional branch to its target. They go last, out of the way.
    edges: Vec<Block>,
    current: Block,
    offsets: Offsets,
}

impl Code {
    /// The entry block, being filled. `offsets` is empty.
    pub(super) fn new(offsets: Offsets) -> Code {
        let current = Block::new(Body::ENTRY);
        let mut code = Code { blocks: vec![], order: vec![], edges: vec![], current, offsets };
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
        self.offsets.block(0);
        self.blocks.push(BasicBlock { instructions: vec![], terminator: Terminator::Unreachable });
        Block::new(self.blocks.len() - 1)
    }

    /// Fills `block` from here on.
    pub(super) fn start(&mut self, block: Block) {
        self.order.push(block);
        self.current = block;
    }

    /// A complete block for an edge of the graph.
    pub(super) fn edge(&mut self, instructions: Vec<Instruction>, terminator: Terminator) -> Block {
        self.offsets.block(instructions.len());
        self.blocks.push(BasicBlock { instructions, terminator });
        let edge = Block::new(self.blocks.len() - 1);
        self.edges.push(edge);
        edge
    }

    fn instructions(&mut self) -> &mut Vec<Instruction> {
        &mut self.blocks[self.current.index()].instructions
    }

    /// Appends to the current block.
    pub(super) fn emit(&mut self, instruction: Instruction) {
        self.instructions().push(instruction);
        self.offsets.insert(self.current, self.blocks[self.current.index()].instructions.len() - 1);
    }

    /// Puts `instruction` before the last one.
    pub(super) fn emit_before_last(&mut self, instruction: Instruction) {
        let instructions = self.instructions();
        let index = instructions.len() - 1;
        instructions.insert(index, instruction);
        self.offsets.insert(self.current, index);
    }

    /// Completes the current block.
    pub(super) fn terminate(&mut self, terminator: Terminator) {
        self.blocks[self.current.index()].terminator = terminator;
        self.offsets.terminate(self.current);
    }

    /// Whether the last instruction defines `from`, and could define `to` in its place.
    pub(super) fn can_retarget(&mut self, from: Register, to: Register) -> bool {
        let last = self.instructions().last().map_or(&[][..], Instruction::definitions);
        last.contains(&from) && !last.contains(&to)
    }

    /// Makes the last instruction define `to` in place of `from`.
    pub(super) fn retarget(&mut self, from: Register, to: Register) {
        if let Some(last) = self.instructions().last_mut() {
            crate::renaming::rename_definitions(
                last,
                |register| if register == from { to } else { register },
            );
        }
    }

    /// If the last instruction defines `condition` as the negation of a register, takes it back and
    /// gives that register.
    pub(super) fn take_negation(&mut self, condition: Register) -> Option<Register> {
        let instructions = self.instructions();
        match instructions.last() {
            Some(&Instruction::Unary { op: UnaryOp::I32Eqz, dst, src }) if dst == condition => {
                instructions.pop();
                let index = instructions.len();
                self.offsets.remove(self.current, index);
                Some(src)
            }
            _ => None,
        }
    }

    /// The body before any cleaning, with the offsets of its instructions, and the order of its blocks in the source.
    pub(super) fn finish(self, registers: Vec<Type>) -> (Body, Offsets, Vec<Block>) {
        let mut layout = self.order;
        layout.extend(self.edges);
        (Body { registers, blocks: self.blocks }, self.offsets, layout)
    }
}
