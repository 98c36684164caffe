//! Freeing code while the program runs: is anyone still inside this code; tell me when not; free it.
//!
//! Whoever replaces a function at run time has an old body that nothing new enters, and that some frames may still
//! execute. This crate says when the last of them is gone. It knows no engine: it is given *code ranges*, the *frames*
//! of a stack, and whatever frees the code, a value that it hands back.
//!
//! ```text
//!   retire(code) ──> waiting ────────────────────────────────────────> drained ──> the caller frees it
//!                    │ Scan:      a census of the stack finds no frame in it
//!                    │ Count:     each frame that the census found has ended
//!                    │ Barrier:   the same, noticed by swapped return PCs
//!                    │ Residence: the code's own count of its activations is zero
//!                    │ Epoch:     all calls have ended that were under way
//! ```
//!
//! | strategy | costs running code | costs at a retirement | frees |
//! |---|---|---|---|
//! | [`Strategy::Scan`] | nothing | a walk, and one for each further try | at the next try |
//! | [`Strategy::Count`] | nothing | a walk | when the owner has told of the last end |
//! | [`Strategy::Barrier`] | nothing | a walk, a store for each frame; each end takes a stub | at the last return |
//! | [`Strategy::Residence`] | a count up and a count down for each activation | nothing | at the next look |
//! | [`Strategy::Epoch`] | a counter for each outermost call | nothing | when the calls under way have ended |
//!
//! A frame in an endless loop keeps its code with all of them.
//!
//! The order is always the same: cut the ways in, take a [`Census`] of the frames, [retire](Reclaimer::retire) the code,
//! and free what [drains](Reclaimer::take_drained):
//!
//! ```
//! use osr_release::{ActiveFrame, Census, CodeRange, Reclaimer, Strategy};
//! use osr_stackwalk::{ReturnPc, ReturnSlot};
//!
//! let old = CodeRange::new(0x1000, 0x80);
//! // Two frames: one returns into the old code, the other, its caller, does not.
//! let stack = [(0x1010, 0x7f00), (0x9000, 0x7f40)]
//!     .map(|(pc, end)| ActiveFrame { pc: ReturnPc::new(pc), end: ReturnSlot::new(end) });
//!
//! let mut reclaimer = Reclaimer::new(Strategy::Scan);
//! reclaimer.retire([(old, "free me")], &Census::of(&[old], stack));
//! assert_eq!(reclaimer.take_drained().count(), 0, "a frame is inside");
//!
//! // The frame has returned.
//! reclaimer.scan(&Census::of(&reclaimer.waiting(), stack.into_iter().skip(1)));
//! let drained: Vec<_> = reclaimer.take_drained().map(|drained| drained.code).collect();
//! assert_eq!(drained, ["free me"]);
//! ```
//!
//! `examples/free_functions.rs` does it with plain cranelift-jit: one module for each function, single functions freed
//! while the program runs, by scan and by barrier.

mod barriers;
mod census;
mod epochs;
mod reclaimer;

pub use census::{ActiveFrame, Census, CodeRange};
pub use epochs::{Epoch, Epochs};
pub use reclaimer::{Drained, Reclaimer, Strategy};
