//! What an experiment can choose about code.

use serde::{Deserialize, Serialize};

use crate::readiness::Readiness;

/// The tiers that compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CompiledTier {
    /// Code that is compiled quickly, and profiles.
    Baseline,
    /// Code that is optimized.
    Optimized,
}

impl CompiledTier {
    /// Both, slowest first.
    pub const ALL: [CompiledTier; 2] = [CompiledTier::Baseline, CompiledTier::Optimized];
}

/// How optimized code makes the frame state known at its calls. Baseline code, and polls, which are in
/// cold blocks, always use slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateRecording {
    /// Not at all: no active frame can be replaced, and whatever would do so is refused. Only good for
    /// measuring what the others cost.
    None,
    /// Live values are stored into slots of the frame before the call.
    Slots,
    /// Live values are wherever the register allocator keeps them across the call: callee-saved registers
    /// and spill slots. Nothing is stored: the default, since it costs running code least.
    #[default]
    Locations,
    /// Cold code of the call site, compiled with the rest, stores live values when a landing asks for them.
    Pads,
    /// All three at once, for tests: a landing at which they do not agree ends the process.
    CrossChecked,
}

impl StateRecording {
    /// All; the first records nothing.
    pub const ALL: [StateRecording; 5] = [
        StateRecording::None,
        StateRecording::Slots,
        StateRecording::Locations,
        StateRecording::Pads,
        StateRecording::CrossChecked,
    ];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            StateRecording::None => "none",
            StateRecording::Slots => "slots",
            StateRecording::Locations => "locations",
            StateRecording::Pads => "pads",
            StateRecording::CrossChecked => "cross-checked",
        }
    }

    /// Whether calls store into slots.
    pub fn stores(self) -> bool {
        matches!(self, StateRecording::Slots | StateRecording::CrossChecked)
    }

    /// Whether the allocator says where values are across calls.
    pub fn locates(self) -> bool {
        matches!(self, StateRecording::Locations | StateRecording::CrossChecked)
    }

    /// Whether calls have pads.
    pub fn has_pads(self) -> bool {
        matches!(self, StateRecording::Pads | StateRecording::CrossChecked)
    }
}

/// Everything that a [unit](crate::Unit) says about code besides the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeSettings {
    /// How optimized code makes its frame states known.
    pub recording: StateRecording,
    /// What else optimized code has, so that its frames can be replaced.
    pub readiness: Readiness,
    /// How often small innermost loops are unrolled in optimized code, at most. 0 and 1: not at all.
    pub unrolling: u8,
    /// Whether functions that call nothing poll at their entry, too, so that every arrival there can be seen.
    pub polls_in_leaves: bool,
    /// The largest frame, in bytes: a function that needs more is refused. Frames are allocated before the stack is
    /// checked.
    pub frame_limit: u32,
}
