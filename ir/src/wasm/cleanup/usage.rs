//! Usage: how often registers are read and mentioned, and which locals have to start as zero.
//!
//! WebAssembly's locals start as zero, registers as nothing. A local needs a zero only if some path reads it before writing
//! it, which for most is not so. Which locals are written on every path to a block is found in one pass over the blocks,
//! each after its predecessors: what comes along back-edges makes no difference, since it has come through the loop's
//! header before. (If some does, as it might in a loop with several entries, another pass is made.)

use std::ops::Range;

use super::super::code::Code;
use super::graph::Graph;
use crate::body::Body;
use crate::index::{Block, Register};

/// See the module's description.
pub(super) struct Usage {
    /// Per register, how often it is read.
    pub(super) reads: Vec<u32>,
    /// Per register, how often it is read or written.
    pub(super) mentions: Vec<u32>,
    /// The locals that are read before they are written, ascending.
    pub(super) zeroes: Vec<Register>,
}

impl Usage {
    /// That of the blocks of `graph`. There are so many `registers`, of which `locals` start as zero.
    pub(super) fn of(code: &Code, graph: &Graph, registers: usize, locals: Range<usize>) -> Usage {
        let mut written = Written::new(graph.blocks.len(), locals);
        loop {
            let usage = Usage::pass(code, graph, registers, &mut written);
            if !std::mem::take(&mut written.has_changed) {
                return usage;
            }
        }
    }

    fn pass(code: &Code, graph: &Graph, registers: usize, written: &mut Written) -> Usage {
        let (mut reads, mut mentions) = (vec![0; registers], vec![0; registers]);
        for &block in &graph.sequence {
            written.enter(block);
            for instruction in graph.parts(&code.blocks, block).flat_map(|part| &code.instructions[part]) {
                instruction.each_use(|register| {
                    reads[register.index()] += 1;
                    written.read(register);
                });
                for &register in instruction.definitions() {
                    mentions[register.index()] += 1;
                    written.write(register);
                }
            }
            let terminator = graph.terminator(code, block);
            terminator.each_use(|register| {
                reads[register.index()] += 1;
                written.read(register);
            });
            terminator.each_successor(|successor| written.leave(successor));
        }
        mentions.iter_mut().zip(&reads).for_each(|(mentions, reads)| *mentions += reads);
        Usage { reads, mentions, zeroes: written.zeroes() }
    }
}

/// Which locals are written on every path to each block.
struct Written {
    locals: Range<usize>,
    /// Words of a set of locals.
    words: usize,
    /// Per block, a set: everything, as long as no path to it is known.
    at: Vec<u64>,
    /// Per block, whether it was passed.
    is_passed: Vec<bool>,
    /// Those that are written here.
    here: Vec<u64>,
    /// Those that are read where they are not.
    unwritten: Vec<u64>,
    /// A path that leads back brings fewer than were assumed.
    has_changed: bool,
}

impl Written {
    fn new(blocks: usize, locals: Range<usize>) -> Written {
        let words = locals.len().div_ceil(64);
        let mut at = vec![u64::MAX; blocks * words];
        at[Body::ENTRY * words..][..words].fill(0);
        Written {
            words,
            at,
            is_passed: vec![false; blocks],
            here: vec![0; words],
            unwritten: vec![0; words],
            locals,
            has_changed: false,
        }
    }

    /// The word and the bit of `register`, if it is a local.
    fn bit(&self, register: Register) -> Option<(usize, u64)> {
        let number = register.index().wrapping_sub(self.locals.start);
        (number < self.locals.len()).then(|| (number / 64, 1 << (number % 64)))
    }

    fn enter(&mut self, block: Block) {
        self.is_passed[block.index()] = true;
        self.here.copy_from_slice(&self.at[block.index() * self.words..][..self.words]);
    }

    fn read(&mut self, register: Register) {
        if let Some((word, bit)) = self.bit(register) {
            self.unwritten[word] |= bit & !self.here[word];
        }
    }

    fn write(&mut self, register: Register) {
        if let Some((word, bit)) = self.bit(register) {
            self.here[word] |= bit;
        }
    }

    /// An edge leads to `block`.
    fn leave(&mut self, block: Block) {
        let known = &mut self.at[block.index() * self.words..][..self.words];
        let was_passed = self.is_passed[block.index()];
        for (known, here) in known.iter_mut().zip(&self.here) {
            self.has_changed |= was_passed && *known & !here != 0;
            *known &= here;
        }
    }

    fn zeroes(&self) -> Vec<Register> {
        let is_unwritten = |&number: &usize| self.unwritten[number / 64] >> (number % 64) & 1 == 1;
        let numbers = (0..self.locals.len()).filter(is_unwritten);
        numbers.map(|number| Register::new(self.locals.start + number)).collect()
    }
}
