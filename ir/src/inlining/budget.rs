//! How much is inlined.

/// How much is inlined into one function. Sizes are instructions and terminators of bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InlineBudget {
    /// The size of the largest body that is inlined.
    pub callee: u32,
    /// The most that is added, all inlined bodies together.
    pub growth: u32,
    /// The most virtual frames of one activation besides the function's own.
    pub depth: u8,
    /// How often a function may be among its own callers, if these are virtual frames.
    pub recursion: u8,
}

impl InlineBudget {
    /// Nothing is inlined.
    pub const NOTHING: InlineBudget = InlineBudget { callee: 0, growth: 0, depth: 0, recursion: 0 };

    /// How many virtual frames a merged body has at most, whatever the budget.
    pub const MOST_FRAMES: usize = u16::MAX as usize;
}
