//! What a transition leaves in the thread between two of its steps, with machine code executing in between.

use osr_compiler::frame_map::VirtualActivation;
use osr_ir::{FunctionIndex, Point};
use osr_stackwalk::ReturnPc;

use crate::code::VersionId;
use crate::code::ledger::TakenRecord;
use crate::event::Cause;
use crate::interpreter::Stacked;
use crate::settings::CompiledTier;
use crate::settings::destination::Destination;

/// A landed frame that waits to be resumed. Its state is at the value stack's top.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Landed {
    /// It is one activation, of this function, which continues at that point.
    Frame(FunctionIndex, Point),
    /// It stood for several, which have become frames of the interpreter.
    Stacked(Stacked),
    /// It stood for several, each of which continues in its own turn: the thread has the [chain](Chain).
    Chain,
}

/// A landed frame that stands for several activations, which wait to be resumed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain {
    /// The activation that is resumed first.
    pub(crate) innermost: VirtualActivation,
    /// How many others wait.
    pub(crate) further: usize,
    /// The compiled code that the innermost one continues in, if it does.
    pub(crate) continuation: Option<(*const u8, CompiledTier)>,
    /// Where the landing ends.
    pub(crate) destination: Destination,
    /// The version that the frame was of.
    pub(crate) version: VersionId,
    /// Its tier.
    pub(crate) from: CompiledTier,
    /// The base of the frame.
    pub(crate) frame_base: u64,
}

/// A landing whose pad is executed.
#[derive(Debug)]
pub(crate) struct PendingPad {
    pub(crate) record: TakenRecord,
    /// What locations yielded.
    pub(crate) expected: Option<Box<[u64]>>,
}

/// Where a sparse hijack stopped: further out nothing is hijacked for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Front {
    /// The slot of the outermost frame that it has looked at, which is hijacked.
    pub(crate) slot: u64,
    /// How many frames it hijacks from there.
    pub(crate) next: u64,
    /// Why.
    pub(crate) cause: Cause,
}

/// The frame at a poll, if it stores its state apart.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PollExit {
    /// Its version.
    pub(crate) version: Option<VersionId>,
    /// What its slot holds when it is left.
    pub(crate) landing: ReturnPc,
    /// The start of that version's code, if it is to be released, and why.
    pub(crate) release: Option<(u64, Cause)>,
}

/// The frame at a poll, if its next return check has it leave code that is current.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TierUp {
    /// The tier that it continues in.
    pub(crate) tier: CompiledTier,
    /// The return limit of the frames further out.
    pub(crate) limit: u64,
}
