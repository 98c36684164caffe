//! Frames, named from the word that returns into them.
//!
//! ```text
//!     high addresses
//!     |  ...the caller's frame        |
//!     +-------------------------------+  <- this frame's CFA (canonical frame address)
//!     |  return PC into the caller    |     caller.return_slot = CFA - 8
//!     |  the caller's rbp             |  <- frame_base (rbp while this frame runs)
//!     |  saves, spills, slots         |
//!     |  outgoing arguments           |  <- stack_pointer (rsp once the call has returned)
//!     +-------------------------------+
//!     |  pc: return PC into THIS frame|  <- return_slot: the word that a hijack swaps
//!     |  ...the callee's frame        |
//!     low addresses
//! ```
//!
//! So the slot through which control comes back *into* a frame belongs to that frame here, although the
//! callee's `ret` reads it: hijacking `return_slot` redirects the frame that is described by the same
//! value. Stack arguments that a callee pops (`CallConv::Tail`) move the slot: `stack_pointer` is then
//! the value just after `ret`, before the caller adjusts anything.

/// One suspended frame: control will return to `pc` through `return_slot`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The return PC into this frame; the original one if the slot is hijacked.
    pub pc: u64,
    /// The address of the stack word that holds `pc`.
    pub return_slot: u64,
    /// rsp in this frame just after the call returned: `return_slot + 8`.
    pub stack_pointer: u64,
    /// rbp in this frame.
    pub frame_base: u64,
}

impl Frame {
    /// The frame that `pc` in `return_slot` returns into.
    #[inline(always)]
    pub fn new(pc: u64, return_slot: u64, frame_base: u64) -> Self {
        Self { pc, return_slot, stack_pointer: return_slot.wrapping_add(8), frame_base }
    }

    /// The address to look up code by: one byte back, inside the call. The return PC itself may be the
    /// first byte of the next function, when the call was the last instruction.
    #[inline(always)]
    pub fn lookup_pc(&self) -> u64 {
        self.pc.wrapping_sub(1)
    }
}

/// Where compiled code was left: what an exit stub stores, and where a walk of its segment starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct ExitRecord {
    /// The slot that holds the return PC into the innermost compiled frame.
    pub return_slot: u64,
    /// rbp of that frame.
    pub frame_base: u64,
}

/// How a walk ended when it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkEnd {
    /// At a boundary PC.
    Boundary {
        /// The slot that holds it: the return slot of the entry stub.
        slot: u64,
    },
    /// At a frame whose unwind information says that it has no caller (DWARF walks only).
    Outermost,
}
