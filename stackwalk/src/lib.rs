//! Reading native stacks: frames, the return slots that a hijack swaps, and the walkers that find them.
//!
//! # Frames and return slots
//!
//! Every call pushes a *return PC* ([`ReturnPc`]); the word that holds it is the *return slot* ([`ReturnSlot`]) of the frame
//! that the PC leads into. A hijack swaps that word, so the slot belongs to a [`Frame`] as much as its base does:
//! a walk yields both.
//!
//! ```text
//!    innermost                                                          outermost
//!    exit stub -> compiled frames -> entry stub -> Rust frames -> exit stub -> compiled -> ...
//!               `----- segment ---'              (crossed by records)         `-- segment
//! ```
//!
//! Compiled code leaves an [`ExitRecord`] when it calls the runtime: where its return slot and its frame base are. Walks
//! begin there.
//!
//! # Two walkers
//!
//! [`FramePointerWalk`] follows saved frame pointers through one segment; [`SegmentedWalk`] crosses from one segment to
//! the next by their exit records. A step costs a few loads. [`DwarfWalker`] unwinds by tables, through Rust, libraries and
//! compiled code alike, for which code versions describe themselves in an [`UnwindSection`].
//!
//! A stack is memory that is read one word at a time ([`StackMemory`]): a [`LiveStack`], or an array that plays the
//! stack, so that every broken stack can be written down in a test.
//!
//! ```
//! use osr_stackwalk::{ArrayStack, ExitRecord, FramePointerWalk, NoHijacks, ReturnPc, ReturnSlot};
//!
//! // Two frames below an entry stub whose return PC is 0x9000. Addresses count up from 0x100.
//! let words = [
//!     0x5001, 0, 0x128, // 0x100: slot of the inner frame, a local, saved frame pointer
//!     0x5002, 0, 0,     // 0x118: slot of the outer frame, a local, saved frame pointer
//!     0x9000,           // 0x130: slot that leads back into the entry stub
//! ];
//! let stack = ArrayStack { base: 0x100, words: &words };
//! let exit = ExitRecord { return_slot: ReturnSlot::new(0x100), frame_base: 0x110 };
//! let pcs = NoHijacks { boundary: Some(ReturnPc::new(0x9000)) };
//!
//! let frames: Vec<_> = FramePointerWalk::new(stack, pcs, exit).collect::<Result<_, _>>()?;
//! let slots: Vec<u64> = frames.iter().map(|frame| frame.return_slot.address()).collect();
//! assert_eq!(slots, [0x100, 0x118]);
//! // The instruction that called is before the return PC.
//! assert_eq!(frames[1].pc.lookup_address(), 0x5001);
//! # Ok::<(), osr_stackwalk::Error>(())
//! ```
//!
//! # Hijacked slots
//!
//! A hijacked slot holds the landing stub's PC. [`ReturnPcs`] tells a walker what the slot held before, so that walks see
//! the original PC; without a record the walk ends in an [`Error`].
//!
//! # Popping a frame
//!
//! A frame that is left by other means than its epilogue still owes its caller the callee-saved registers. A [`CfiRow`] says
//! where the frame keeps them; [`CompactRows`] holds the rows of one version in a few bytes.
//!
//! # What may be relied on
//!
//! A walker yields a frame only when it can account for it. What it cannot read, advance past, look through or find
//! unwind information for is an [`Error`] that carries the address; it never guesses. The frame-pointer walker
//! assumes that every frame up to the boundary keeps a frame pointer: compiled code does, Rust and libc code
//! does not. The walkers write nothing, and know nothing of tiers, versions or the ledger.

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
