//! A census: which frames of a stack are in which code.

use osr_stackwalk::{Frame, ReturnPc, ReturnSlot};

/// The addresses of a piece of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodeRange {
    start: u64,
    end: u64,
}

impl CodeRange {
    /// So many bytes from `start`.
    #[must_use]
    pub const fn new(start: u64, bytes: u64) -> CodeRange {
        CodeRange { start, end: start + bytes }
    }

    /// The address of the first byte.
    #[must_use]
    pub const fn start(self) -> u64 {
        self.start
    }

    /// Whether the call that returns to `pc` is in the code. The PC itself is past the end after a call that never
    /// returns.
    #[must_use]
    pub const fn holds(self, pc: ReturnPc) -> bool {
        self.start <= pc.lookup_address() && pc.lookup_address() < self.end
    }
}

/// A frame of a stack, suspended in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveFrame {
    /// Where control returns to in its code.
    pub pc: ReturnPc,
    /// The slot by which it ends: through which it returns to its own caller.
    pub end: ReturnSlot,
}

/// A frame of code that keeps frame pointers.
impl From<Frame> for ActiveFrame {
    #[inline]
    fn from(frame: Frame) -> ActiveFrame {
        ActiveFrame { pc: frame.pc, end: ReturnSlot::new(frame.frame_base + 8) }
    }
}

/// How many frames each of some pieces of code has, and where they end.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// By piece.
    counts: Vec<u64>,
    /// The pieces, by address.
    sorted: Vec<(CodeRange, usize)>,
    /// The frames in any of them, as they were met, with the piece.
    frames: Vec<(ReturnSlot, usize)>,
    visited: u64,
    keeps_frames: bool,
}

impl Census {
    /// Counts the frames in each of `ranges`, which do not overlap.
    pub fn of<F: Into<ActiveFrame>>(ranges: &[CodeRange], frames: impl IntoIterator<Item = F>) -> Census {
        let mut census = Census::begin(ranges);
        frames.into_iter().for_each(|frame| census.add(frame.into()));
        census
    }

    /// A census of frames to be [added](Self::add).
    #[must_use]
    pub fn begin(ranges: &[CodeRange]) -> Census {
        let mut sorted: Vec<_> = ranges.iter().copied().zip(0..).collect();
        sorted.sort_unstable();
        Census { counts: vec![0; ranges.len()], sorted, ..Census::default() }
    }

    /// The same, which remembers where the frames end: [`Strategy::Barrier`](crate::Strategy::Barrier) needs that.
    #[must_use]
    pub fn keeping_frames(self) -> Census {
        Census { keeps_frames: true, ..self }
    }

    /// Adds a frame. Frames come innermost first.
    #[inline]
    pub fn add(&mut self, frame: ActiveFrame) {
        self.visited += 1;
        let after = self.sorted.partition_point(|(range, _)| range.start <= frame.pc.lookup_address());
        let Some(&(range, piece)) = after.checked_sub(1).map(|position| &self.sorted[position]) else {
            return;
        };
        if range.holds(frame.pc) {
            self.counts[piece] += 1;
            if self.keeps_frames {
                self.frames.push((frame.end, piece));
            }
        }
    }

    /// How many frames are in the piece of that number.
    #[must_use]
    pub fn count(&self, piece: usize) -> u64 {
        self.counts[piece]
    }

    /// How many frames were visited.
    #[must_use]
    pub fn visited(&self) -> u64 {
        self.visited
    }

    /// The ends of the frames that are in a piece, and the piece.
    pub(crate) fn frames(&self) -> &[(ReturnSlot, usize)] {
        &self.frames
    }

    pub(crate) fn pieces(&self) -> usize {
        self.counts.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_in_the_code_of_its_call() {
        let ranges = [CodeRange::new(0x2000, 0x10), CodeRange::new(0x1000, 0x1000)];
        let frame = |pc| ActiveFrame { pc: ReturnPc::new(pc), end: ReturnSlot::new(0x10) };
        // The third call is the last instruction of its code; the fourth is before all code.
        let census = Census::of(&ranges, [0x2001, 0x1800, 0x2000, 0x1000, 0x2010, 0x2011].map(frame));
        assert_eq!((census.count(0), census.count(1), census.visited()), (2, 2, 6));
        assert!(census.frames().is_empty(), "they were not asked for");
    }
}
