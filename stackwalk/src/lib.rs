//! Reading native stacks: frames, the return slots that a hijack swaps, and the walkers that find them.
//!
//! ```text
//!    innermost                                                          outermost
//!    exit stub -> compiled frames -> entry stub -> Rust frames -> exit stub -> compiled -> ...
//!               `----- segment ---'              (crossed by records)         `-- segment
//! ```
//!
//! | question | answer |
//! |---|---|
//! | what is a frame, which word is its return slot | [`Frame`], [`ExitRecord`] |
//! | how is raw memory read | [`StackMemory`]: an array ([`ArrayStack`]), a closure, or a [`LiveStack`] |
//! | where are the compiled frames, fast | [`FramePointerWalk`], over all segments [`SegmentedWalk`] |
//! | where are all the frames, Rust and libraries included | [`DwarfWalker`] |
//! | what did a hijacked slot hold | [`ReturnPcs`]: walkers look through it and see the original PC |
//! | what did a popped frame's caller hold in its callee-saved registers | [`CfiRow`], [`CfiRows`] |
//! | how do code versions describe themselves to an unwinder | [`UnwindSection`] |
//!
//! What may be relied on: a walker yields a frame only when it can account for it. Whatever it cannot
//! read, advance past, look through or find unwind information for is an [`Error`] that carries the
//! address; it never guesses. The frame-pointer walker believes its input that every frame up to the
//! boundary keeps a frame pointer: compiled code does, Rust and libc code does not.
//!
//! What may not: the walkers write nothing, and know nothing of tiers, versions or the ledger.

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
compile_error!("osr-stackwalk knows x86-64 System V Linux stacks only");

mod bounds;
mod dwarf_walk;
mod error;
mod fde_index;
mod frame;
mod memory;
mod modules;
mod return_pcs;
mod return_slot;
mod segments;
mod unwind_section;
mod x86_64;

pub use bounds::StackBounds;
pub use dwarf_walk::{DwarfWalk, DwarfWalker};
pub use error::Error;
pub use frame::{ExitRecord, Frame, WalkEnd};
pub use memory::{ArrayStack, LiveStack, StackMemory};
pub use modules::NativeModules;
pub use return_pcs::{NoHijacks, ReturnPcs, StubPcs};
pub use return_slot::{ReturnPc, ReturnSlot};
pub use segments::SegmentedWalk;
pub use unwind_section::UnwindSection;
pub use x86_64::{
    CalleeSaved, CalleeSavedRegs, CfiRow, CfiRows, CompactRows, FramePointerWalk, FrameRun, Popped, Save,
};
