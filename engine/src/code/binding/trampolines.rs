//! Trampolines: a stub for each function of a module, which jumps to the code that calls of it enter.
//!
//! ```text
//!   trampoline-cell:   | jmp [w0] | jmp [w1] | ..   | w0 | w1 | ..      the words in granules of their own
//!   trampoline:        | jmp c0   | jmp c1   | ..
//! ```
//!
//! A word is the stub's own, not the call cell: cells may be out of the reach of the distance that stubs have.

use std::ops::Range;

use osr_ir::FunctionIndex;

use crate::code::memory::{Allocation, GRANULE, Memory};
use crate::code::x86_64::jump_stub::{self, DISTANCE_OFFSET};

/// Bytes of a word.
const WORD: usize = size_of::<u64>();

/// See the module.
#[derive(Debug)]
pub(crate) struct Trampolines {
    kind: Kind,
    allocation: Allocation,
    start: u64,
    functions: usize,
}

/// How a trampoline knows where to jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    Near,
}

impl Trampolines {
    /// Those of so many functions, calls of which enter `code`; `None` if there is no room.
    pub(super) fn new(
        memory: &mut Memory,
        kind: Kind,
        functions: usize,
        code: impl Fn(FunctionIndex) -> u64,
    ) -> Option<Trampolines> {
        let words = words(functions);
        let mut bytes = match kind {
            Kind::Near => jump_stub::near().repeat(functions),
            Kind::Word => jump_stub::through_word(words.start).repeat(functions),
        };
        if kind == Kind::Word {
            bytes.resize(words.end, 0);
        }
        let allocation = memory.allocate(&bytes)?;
        let start = memory.range().start + allocation.offset as u64;
        let trampolines = Trampolines { kind, allocation, start, functions };
        for function in (0..functions).map(FunctionIndex::new) {
            trampolines.change(function, code(function), |offset, bytes| {
                memory.write(allocation, offset, bytes);
            });
        }
        memory.seal(allocation);
        Some(trampolines)
    }

    /// The address of that of `function`.
    pub(super) fn stub(&self, function: FunctionIndex) -> u64 {
        self.start + (function.index() * jump_stub::BYTES) as u64
    }

    /// From now on that of `function` leads to `code`. Nothing executes meanwhile.
    pub(super) fn lead(&self, memory: &mut Memory, function: FunctionIndex, code: u64) {
        self.change(function, code, |offset, bytes| memory.patch(self.allocation, [(offset, bytes)]));
        if matches!(self.kind, Kind::Near) {
            memory.synchronize();
        }
    }

    /// What is to be written where, so that the trampoline of `function` leads to `code`.
    fn change(&self, function: FunctionIndex, code: u64, write: impl FnOnce(usize, &[u8])) {
        let index = function.index();
        match self.kind {
            Kind::Word => write(words(self.functions).start + index * WORD, &code.to_le_bytes()),
            Kind::Near => {
                let offset = index * jump_stub::BYTES + DISTANCE_OFFSET;
                write(offset, &jump_stub::distance(self.start + offset as u64, code));
            }
        }
    }

    /// Bytes of code memory that they take.
    pub(super) fn bytes(&self) -> u64 {
        self.allocation.bytes as u64
    }
}

/// Where the words of so many functions are: each as far from its stub, since stubs are as large.
fn words(functions: usize) -> Range<usize> {
    const { assert!(WORD == jump_stub::BYTES) };
    let start = (functions * jump_stub::BYTES).next_multiple_of(GRANULE);
    start..start + functions * WORD
}
