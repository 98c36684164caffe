//! Frames, named from the word that returns into them.
//!
//! ```text
//!     high addresses
//!     |  ...the caller's frame        |
//!     +-------------------------------+  <- this frame's CFA (canonical frame address)
//!     |  return PC into the caller    |     caller.return_slot = CFA - 8
//!     |  the caller's rbp             |  <- frame_base (rbp while this frame runs)
//!     |  saves, spills, slots         |
//!     |  outgoing arguments           |  <- rsp once the call has returned: return_slot + 8
//!     +-------------------------------+
//!     |  pc: return PC into THIS frame|  <- return_slot: the word that a hijack swaps
//!     |  ...the callee's frame        |
//!     low addresses
//! ```
//!
//! So the slot through which control comes back *into* a frame belongs to that frame here, although the
//! callee's `ret` reads it: hijacking `return_slot` redirects the frame that is described by the same
//! value. Stack arguments that a callee pops (`CallConv::Tail`) move the slot: `rsp` is `return_slot + 8` just
//! after `ret`, before the caller adjusts anything.

use crate::{ReturnPc, ReturnSlot};

/// One suspended frame: control will return to `pc` through `return_slot`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The return PC into this frame; the original one if the slot is hijacked.
    pub pc: ReturnPc,
    /// The stack word that `pc` is returned through.
    pub return_slot: ReturnSlot,
    /// `rbp` in this frame.
    pub frame_base: u64,
}

/// Where compiled code was left: what an exit stub stores, and where a walk of its segment starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct ExitRecord {
    /// The slot that holds the return PC into the innermost compiled frame.
    pub return_slot: ReturnSlot,
    /// `rbp` of that frame.
    pub frame_base: u64,
}

/// How a walk ended when it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkEnd {
    /// At a boundary PC.
    Boundary {
        /// The slot that holds it: the return slot of the entry stub.
        slot: ReturnSlot,
    },
    /// At a frame whose unwind information says that it has no caller (DWARF walks only).
    Outermost,
}
