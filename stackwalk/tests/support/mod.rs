//! Stacks laid out in an array, with the frames that a walk over them must find.
#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod cfi;

use osr_stackwalk::{ArrayStack, ExitRecord, Frame, ReturnPc, ReturnSlot};

/// Where the array's first word is.
pub const BASE: u64 = 0x7fff_0000_1000;
/// The return PC inside the entry stub.
pub const BOUNDARY: ReturnPc = ReturnPc::new(0x40_0010);
/// The landing PC.
pub const LANDING: ReturnPc = ReturnPc::new(0x40_0020);
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
    pub boundary_slot: ReturnSlot,
}

/// The frame that `pc` in the slot at `slot` returns into.
pub fn frame(pc: u64, slot: u64, frame_base: u64) -> Frame {
    Frame { pc: ReturnPc::new(pc), return_slot: ReturnSlot::new(slot), frame_base }
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

    pub fn set_slot(&mut self, slot: ReturnSlot, pc: ReturnPc) {
        self.set(slot.address(), pc.address());
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
            expected.push(frame(pc, slot, frame_base));
        }
        let boundary_slot = ReturnSlot::new(self.next_address());
        self.words.push(BOUNDARY.address());
        let exit = match expected.first() {
            Some(frame) => ExitRecord { return_slot: frame.return_slot, frame_base: frame.frame_base },
            None => ExitRecord { return_slot: boundary_slot, frame_base: POISON },
        };
        Segment { exit, frames: expected, boundary_slot }
    }
}
