//! What yieldpoints cost in Lin, Wang, Blackburn, Hosking, Norrish, "Stop and Go: Understanding Yieldpoint Behavior" (ISMM
//! 2015), while nobody asks: geometric means over Java programs in Jikes RVM, on method entries, exits and back-edges,
//! against code without any.

use osr_engine::Poll;

/// The kind of yieldpoint that a poll is most like, and what it costs there, as a ratio of times; none for what has no
/// counterpart.
pub(crate) fn counterpart(poll: Poll) -> Option<(&'static str, f64)> {
    match poll {
        Poll::StackLimit | Poll::Flag => Some(("conditional", 1.019)),
        Poll::GuardPage => Some(("load that traps", 1.012)),
        Poll::PatchedNop | Poll::PatchedNopActive => Some(("nop, patched", 1.003)),
        Poll::None | Poll::StackCheck => None,
    }
}

/// Their figure, as it is shown: `1.9% (conditional)`.
pub(crate) fn figure(poll: Poll) -> String {
    counterpart(poll)
        .map_or_else(String::new, |(kind, ratio)| format!("{:+.1}% ({kind})", (ratio - 1.0) * 100.0))
}
