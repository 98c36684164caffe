//! Analyses of a body that the interpreter, the compiler and landings share.

use std::ops::Range;
use std::sync::Arc;

use osr_ir::{Body, Liveness, Points, Register, WordLayout};

/// Points and liveness of a body.
#[derive(Debug)]
pub struct Analysis {
    /// The points.
    pub points: Points,
    /// The live registers at each; shared with frame maps that follow from it.
    pub liveness: Arc<Liveness>,
    /// The words of a frame state that each register takes.
    pub words: WordLayout,
}

impl Analysis {
    /// Those of `body`.
    pub fn of(body: &Body) -> Analysis {
        Analysis::with_points(body, Points::of(body))
    }

    /// Those of `body`, with the points at which code continues that speculates.
    pub fn speculative(body: &Body) -> Analysis {
        Analysis::with_points(body, Points::speculative(body))
    }

    fn with_points(body: &Body, points: Points) -> Analysis {
        let liveness = Liveness::of(body, &points);
        Analysis::new(body, points, liveness)
    }

    /// Those of `body` that are given.
    pub(crate) fn new(body: &Body, points: Points, liveness: Liveness) -> Analysis {
        let words = WordLayout::of(body.registers.iter().copied());
        Analysis { points, liveness: Arc::new(liveness), words }
    }

    /// The first word of `register` in a frame state.
    #[inline(always)]
    pub fn word(&self, register: Register) -> usize {
        self.words.first(register.index())
    }

    /// All words of `register` in a frame state.
    pub fn words_of(&self, register: Register) -> Range<usize> {
        self.words.range(register.index())
    }
}
