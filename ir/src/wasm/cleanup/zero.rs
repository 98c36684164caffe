//! Zeroes: WebAssembly's locals start as zero, registers as nothing.
//!
//! A local needs a zero only if some path reads it before writing it, which for most is not so. Each
//! local is followed on its own, backward from the blocks that read it first, since most are live in
//! few blocks; the work is bounded, and locals beyond the bound get a zero without looking.

use std::ops::Range;

use super::super::offsets::Offsets;
use crate::body::{BasicBlock, Body, Instruction};
use crate::index::{Block, Register};
use crate::value::Value;

/// Blocks looked at in one function, over all locals, before giving up precision.
const MOST_STEPS: usize = 1 << 22;

/// Adds zeroes for `locals` to the entry block.
pub(super) fn initialize(body: &mut Body, offsets: &mut Offsets, locals: Range<usize>) {
    let access = Access::of(body, &locals);
    let mut search = Search::new(body);
    let zeroes: Vec<Instruction> = locals
        .clone()
        .filter(|local| search.reaches_entry(&access, local - locals.start))
        .map(|local| Instruction::Const {
            dst: Register::new(local),
            value: Value::zero(body.registers[local]),
        })
        .collect();
    offsets.prepend(Block::new(Body::ENTRY), zeroes.len());
    body.blocks[Body::ENTRY].instructions.splice(..0, zeroes);
}

/// Per local, the blocks that read it first, and those that write it.
struct Access {
    reads: Vec<Vec<Block>>,
    writes: Vec<Vec<Block>>,
}

impl Access {
    fn of(body: &Body, locals: &Range<usize>) -> Access {
        let none = vec![Vec::new(); locals.len()];
        let mut access = Access { reads: none.clone(), writes: none };
        for index in body.block_indices() {
            let block: &BasicBlock = body.block(index);
            for instruction in &block.instructions {
                instruction.each_use(|register| access.read(index, register, locals));
                for register in instruction.definitions().iter().filter(|r| locals.contains(&r.index())) {
                    add(&mut access.writes[register.index() - locals.start], index);
                }
            }
            block.terminator.each_use(|register| access.read(index, register, locals));
        }
        access
    }

    fn read(&mut self, block: Block, register: Register, locals: &Range<usize>) {
        if locals.contains(&register.index()) {
            let local = register.index() - locals.start;
            if self.writes[local].last() != Some(&block) {
                add(&mut self.reads[local], block);
            }
        }
    }
}

/// Blocks come in ascending order, so a double is always the last.
fn add(blocks: &mut Vec<Block>, block: Block) {
    if blocks.last() != Some(&block) {
        blocks.push(block);
    }
}

/// A search over predecessors. Marks hold the number of the search, so that none need be cleared.
struct Search {
    predecessors: Vec<Vec<Block>>,
    visited: Vec<usize>,
    written: Vec<usize>,
    searches: usize,
    steps: usize,
}

impl Search {
    fn new(body: &Body) -> Search {
        let mut predecessors = vec![Vec::new(); body.blocks.len()];
        for block in body.block_indices() {
            let add = |successor: Block| add(&mut predecessors[successor.index()], block);
            body.block(block).terminator.each_successor(add);
        }
        let marks = vec![0; body.blocks.len()];
        Search { predecessors, visited: marks.clone(), written: marks, searches: 0, steps: 0 }
    }

    /// Whether a path from the entry leads to a read of `local` without a write before it.
    fn reaches_entry(&mut self, access: &Access, local: usize) -> bool {
        self.searches += 1;
        access.writes[local].iter().for_each(|block| self.written[block.index()] = self.searches);
        let mut work = Vec::new();
        access.reads[local].iter().for_each(|&block| self.visit(block, &mut work));
        while let Some(block) = work.pop() {
            if block.index() == Body::ENTRY || self.steps > MOST_STEPS {
                return true;
            }
            for i in 0..self.predecessors[block.index()].len() {
                let predecessor = self.predecessors[block.index()][i];
                if self.written[predecessor.index()] != self.searches {
                    self.visit(predecessor, &mut work);
                }
            }
        }
        false
    }

    fn visit(&mut self, block: Block, work: &mut Vec<Block>) {
        self.steps += 1;
        if std::mem::replace(&mut self.visited[block.index()], self.searches) != self.searches {
            work.push(block);
        }
    }
}
