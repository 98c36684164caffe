//! What an experiment can choose about code.

use osr_ir::InlineBudget;
use serde::{Deserialize, Serialize};

use crate::listed;

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

listed! {
    /// What makes baseline code.
    pub enum BaselineCompiler {
        /// This crate's own: one pass over the body, straight to machine code. Functions that it refuses are compiled
        /// by Cranelift, and so are all whose return sites are more than plain.
        #[default]
        SinglePass = "single-pass",
        /// Cranelift without optimizations, and with its register allocator that makes a single pass.
        Cranelift = "cranelift",
    }
}

listed! {
    /// How optimized code makes the frame state known at its calls. Baseline code and polls always use slots.
    pub enum StateRecording {
        /// Not at all: no active frame can be replaced, and whatever would do so is refused. Only good for
        /// measuring what the others cost.
        None = "none",
        /// Live values are stored into slots of the frame before the call.
        Slots = "slots",
        /// Live values are wherever the register allocator keeps them across the call: callee-saved registers
        /// and spill slots. Nothing is stored: the default, since it costs running code least.
        #[default]
        Locations = "locations",
        /// Cold code of the call site, compiled with the rest, stores live values when a landing asks for them. Call
        /// sites with more than a dozen live values have locations instead.
        Pads = "pads",
        /// All three at once, for tests: a landing at which they do not agree ends the process.
        CrossChecked = "cross-checked",
    }
}

impl StateRecording {
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

listed! {
    /// How new calls reach the current version of a function that the call names. A call through a cell has 6 bytes where
    /// [cells are near](crate::NearAccess), and a direct one 5.
    pub enum CallBinding {
        /// Through the function's call cell: one store binds all calls to another version.
        #[default]
        Cell = "cell",
        /// By `call rel32` to the function's stub, which jumps to what the function's call cell holds: `jmp [cell]`.
        TrampolineCell = "trampoline-cell",
        /// By `call rel32` to the function's stub, a `jmp rel32` that is patched to lead to another version.
        Trampoline = "trampoline",
        /// By `call rel32` to the version; all calls of the function are patched to lead to another version.
        Patchpoint = "patchpoint",
        /// By `call rel32` to the version that is current when the call is compiled. Its entry checks whether it still is,
        /// and else jumps to what the call cell holds; it stays mapped when the body is gone.
        EntryCheck = "entry-check",
        /// By `call rel32` to the only version there will be: all functions are compiled and linked when the
        /// instance is made.
        Direct = "direct",
    }
}

impl CallBinding {
    /// Whether there is something to write, besides the call cell, when a function has other code.
    pub fn follows_cells(self) -> bool {
        !matches!(self, CallBinding::Cell | CallBinding::Direct)
    }
}

listed! {
    /// What optimized code checks at the entries of functions that call something, and on back-edges. Frame pointers are no
    /// choice: Cranelift makes no code for x86-64 without them.
    pub enum Poll {
        /// Nothing. **A program that exhausts the stack ends the process**: there is no trap.
        None = "none",
        /// At entries, whether there is stack left; if not, the program traps.
        StackCheck = "stack-check",
        /// At entries and on back-edges, whether a poll is requested, which the stack limit says: at entries the poll is
        /// the stack check that is there anyway, as in V8 and Go.
        #[default]
        StackLimit = "stack-limit",
        /// At entries and on back-edges, whether a flag is set; at entries, besides, whether there is stack left.
        Flag = "flag",
        /// On back-edges, a load from a page that a request makes inaccessible: the fault is the poll. At entries the
        /// stack limit.
        GuardPage = "guard-page",
        /// On back-edges nothing, until a request patches every back-edge of every version to lead to a poll. At entries
        /// the stack limit.
        PatchedNop = "patched-nop",
        /// The same, but a request patches only versions that have frames on the stack, and those that can be entered
        /// without a poll: continuations, and functions that call nothing. A request that lasts, or is made where the stack
        /// cannot be walked, patches all.
        PatchedNopActive = "patched-nop-active",
    }
}

impl Poll {
    /// Whether a loop can be stopped.
    pub fn stops_loops(self) -> bool {
        !matches!(self, Poll::None | Poll::StackCheck)
    }

    /// Whether the polls of loops are overwritten with what is cheaper while nothing is requested.
    pub fn is_overwritten(self) -> bool {
        matches!(self, Poll::GuardPage | Poll::PatchedNop | Poll::PatchedNopActive)
    }
}

/// What has to be so where calls return to: how frames of retired code leave it, as far as that is the code's own business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ReturnSites {
    /// Nothing.
    #[default]
    Plain,
    /// A jump fits behind each call, over code that nothing else executes once the code is retired.
    Overwritable,
    /// After each call the code compares, and leaves if the frame is to. Only there does optimized code make its state
    /// known, and so do polls.
    Checked,
}

/// Everything that a [unit](crate::Unit) says about code besides the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeSettings {
    /// What makes baseline code.
    pub baseline: BaselineCompiler,
    /// How optimized code makes its frame states known.
    pub recording: StateRecording,
    /// How optimized code calls other functions of the module.
    pub binding: CallBinding,
    /// Whether call cells are so near to code memory that optimized code may have [near calls](crate::NearAccess).
    pub has_near_words: bool,
    /// What optimized code checks at entries and on back-edges.
    pub poll: Poll,
    /// Whether the code counts how many activations are inside it.
    pub counts_residents: bool,
    /// Whether each frame has a word for the return PC that leads into it, for when that is swapped.
    pub keeps_return_pc: bool,
    /// What has to be so where calls return to.
    pub return_sites: ReturnSites,
    /// How much is inlined into optimized code; nothing if it is none.
    pub inlining: Option<InlineBudget>,
    /// How often small innermost loops are unrolled in optimized code, at most. 0 and 1: not at all.
    pub unrolling: u8,
    /// Whether it is to be known which globals the code stores to.
    pub lists_stores: bool,
    /// Whether optimized code is left where a guard fails. If not, guards are branches, and nothing is speculated.
    pub guards_leave: bool,
    /// Whether a jump fits where code is left at a guard.
    pub exits_are_linked: bool,
    /// Whether guards count down to where one is to fail that holds.
    pub guards_fail: bool,
    /// Whether arrivals can be seen in the same way in all code: functions that call nothing poll at their entries,
    /// too, and all loops poll on their back-edges.
    pub shows_arrivals: bool,
    /// The largest frame, in bytes: a function that needs more is refused. Frames are allocated before the stack is
    /// checked.
    pub frame_limit: u32,
}
