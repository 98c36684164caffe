//! What happened, in numbers.

use serde::Serialize;

/// Transitions of one thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Transitions {
    /// Times that an interpreted activation continued in compiled code, at a loop header or as a call.
    pub tier_up: u64,
    /// Return slots that were swapped for the landing stub's.
    pub hijacked_frames: u64,
    /// Times that control arrived in the landing stub.
    pub landings: u64,
    /// Times that a frame was chosen whose slot was hijacked already.
    pub rehijacked: u64,
    /// Safepoints reached in compiled code. Polls count only while they are requested.
    #[serde(skip)]
    pub safepoints: u64,
    /// Words on the stack that look like a PC into code that was just released, but are not return
    /// slots: left over by earlier calls. Checked runs only.
    #[serde(skip)]
    pub stale_words: u64,
}
