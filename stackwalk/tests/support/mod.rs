//! Stacks laid out in an array, with the frames that a walk over them must find.
#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod cfi;

use osr_stackwalk::{ArrayStack, ExitRecord, Frame};

/// Where the array's first word is.
pub const BASE: u64 = 0x7fff_0000_1000;
/// The return PC inside the entry stub.
pub const BOUNDARY: u64 = 0x40_0010;
/// The landing PC.
pub const LANDING: u64 = 0x40_0020;
/// What fills every word that no walk should use. Not readable, not a PC of any frame.
pub const POISON: u64 = 0xdead_dead_dead_dead;

/// An array stack under construction.
#[derive(Clone, Default)]
pub struct Layout {
    pub words: Vec<u64>,
}

/// One segment in a [`Layout`].
#[derive(Clone)]
pub struct Segment {
    pub exit: ExitRecord,
    pub frames: Vec<Frame>,
    pub boundary_slot: u64,
}

impl Layout {
    pub fn stack(&self) -> ArrayStack<'_> {
        ArrayStack { base: BASE, words: &self.words }
    }

    /// The address of the next word to be pushed.
    pub fn next_address(&self) -> u64 {
        BASE + 8 * self.words.len() as u64
    }

    pub fn poison(&mut self, count: usize) {
        self.words.extend(std::iter::repeat_n(POISON, count));
    }

    pub fn set(&mut self, address: u64, value: u64) {
        self.words[((address - BASE) / 8) as usize] = value;
    }

    /// Lays out frames with frame pointers, innermost first: `(pc, words of locals)`.
    pub fn segment(&mut self, frames: &[(u64, usize)]) -> Segment {
        let mut expected = Vec::new();
        let mut saved_base: Option<u64> = None;
        for &(pc, locals) in frames {
            let slot = self.next_address();
            self.words.push(pc);
            self.poison(locals);
            let frame_base = self.next_address();
            if let Some(callee_base) = saved_base {
                self.set(callee_base, frame_base);
            }
            self.words.push(POISON);
            saved_base = Some(frame_base);
            expected.push(Frame { pc, return_slot: slot, stack_pointer: slot + 8, frame_base });
        }
        let boundary_slot = self.next_address();
        self.words.push(BOUNDARY);
        let exit = match expected.first() {
            Some(frame) => ExitRecord { return_slot: frame.return_slot, frame_base: frame.frame_base },
            None => ExitRecord { return_slot: boundary_slot, frame_base: POISON },
        };
        Segment { exit, frames: expected, boundary_slot }
    }
}
