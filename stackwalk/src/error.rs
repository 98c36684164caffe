//! Everything that can stop a walk or make unwind information unusable, each with its address.

use crate::{CalleeSaved, ReturnPc, ReturnSlot};

/// Why a walk stopped short, or why unwind information was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The stack word is outside the memory that may be read, or not aligned to eight bytes.
    #[error("stack word {address:#x} cannot be read")]
    Unreadable {
        /// The address of the word.
        address: u64,
    },
    /// The next frame is not further out than this one: a cycle, or a frame pointer that is not one.
    #[error("the frame returned to through slot {slot:#x} leads to no frame further out")]
    DidNotAdvance {
        /// The return slot of the frame that leads nowhere.
        slot: ReturnSlot,
    },
    /// A return slot holds zero.
    #[error("return slot {slot:#x} holds no return PC")]
    NullReturnPc {
        /// The slot.
        slot: ReturnSlot,
    },
    /// A slot holds the landing PC, but the ledger has no record of it.
    #[error("return slot {slot:#x} is hijacked, but no record says what it held")]
    UnrecordedHijack {
        /// The slot.
        slot: ReturnSlot,
    },
    /// A segment does not begin further out than the one before it ended.
    #[error("segment at slot {slot:#x} is not further out than slot {after:#x}, where the last one ended")]
    SegmentOrder {
        /// The segment's first return slot.
        slot: ReturnSlot,
        /// The boundary slot of the segment before it.
        after: ReturnSlot,
    },
    /// No known module describes the code at this PC.
    #[error("no unwind information covers pc {pc:#x}")]
    NoUnwindInfo {
        /// The return PC.
        pc: ReturnPc,
    },
    /// The unwind information at this address says something this crate does not support.
    #[error("unwind information at {address:#x} is not supported: {what}")]
    UnsupportedCfi {
        /// The code address.
        address: u64,
        /// What it says.
        what: &'static str,
    },
    /// The unwind information at this address cannot be parsed.
    #[error("unwind information at {address:#x} is malformed: {source}")]
    MalformedCfi {
        /// The code address, or the base of the section when it is not known.
        address: u64,
        /// What the parser says.
        source: gimli::Error,
    },
    /// The unwind information could not be written.
    #[error("unwind information cannot be written: {0}")]
    UnwritableCfi(gimli::write::Error),
    /// Two descriptions claim the same code address.
    #[error("two unwind descriptions claim address {address:#x}")]
    OverlappingCfi {
        /// The first address claimed twice.
        address: u64,
    },
    /// A description in the arena's section is about code outside the arena.
    #[error("the arena's unwind information describes {address:#x}, outside the arena")]
    OutsideArena {
        /// The start of the description.
        address: u64,
    },
    /// The unwinder's step differs from the step its unwind information asks for.
    #[error("the unwinder's step at pc {pc:#x} is not what the unwind information says")]
    UnwinderDisagrees {
        /// The return PC.
        pc: ReturnPc,
    },
    /// A callee-saved register of the caller cannot be recovered from this frame.
    #[error("the frame with CFA {cfa:#x} does not say where the caller's {register} is")]
    Unrecoverable {
        /// The canonical frame address of the popped frame.
        cfa: u64,
        /// The register.
        register: CalleeSaved,
    },
    /// The system does not say where the thread's stack is.
    #[error("the bounds of the thread's stack are unknown: error {errno}")]
    UnknownBounds {
        /// The error number of the system call.
        errno: i32,
    },
}
