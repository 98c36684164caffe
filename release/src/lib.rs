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
//! A frame in an endless loop keeps its code with all of them: nothing here replaces frames.
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
//! `examples/free_functions` does it with plain cranelift-jit, by each of the five strategies: functions that call one
//! another through cells, single ones freed while the program runs, with frames of the host between theirs. What it has,
//! and any program needs:
//!
//! - **A way in that can be cut**: calls load the code's address from a cell, or go through a stub. Frames that have loaded
//!   it and not called yet must not exist where a census is taken: compiled code calls right after the load.
//! - **Exits that say where the frames are** (scan, count, barrier): where compiled code calls the host, a few instructions
//!   of assembly keep the stack and frame pointers, an [`ExitRecord`](osr_stackwalk::ExitRecord); walks begin there, and
//!   cross the host's own frames by these records. Compiled code keeps frame pointers, or a
//!   [`DwarfWalker`](osr_stackwalk::DwarfWalker) goes by its unwind tables.
//! - **A walker that looks through barriers**: [`Reclaimer::original`] says what a swapped slot held.
//! - **A stub that keeps all results** (barrier): whatever a function may return in, `rax`, `rdx`, `xmm0` and `xmm1` on
//!   x86-64 System V, whether the functions of today do or not: one that keeps integers alone corrupts the floats
//!   that others return, without a word. Debuggers, profilers and C++ exceptions do not see through it unless it
//!   has unwind information; with shadow stacks (CET), a swapped return faults.
//!
//! # Several threads
//!
//! A reclaimer is of one thread: it counts frames of that thread's stack, and only the thread itself, or who has stopped
//! it, may swap its return slots. Give each thread its own, and have all of them retire the same code, each a handle of
//! it: the last handle that drains frees it. Each thread does so where it can be seen, at its next safepoint, when it takes
//! a census of its own stack; nobody needs to be stopped. Threads that begin later cannot be inside, since the way in
//! was cut before. One that does not reach a safepoint, because it computes or blocks in the host, keeps the code: in a call
//! of the host its stack can be counted for it, if it cannot return meanwhile.
//!
//! ```
//! use std::sync::{Arc, Mutex, mpsc};
//!
//! use osr_release::{ActiveFrame, Census, CodeRange, Reclaimer, Strategy};
//! use osr_stackwalk::{ReturnPc, ReturnSlot};
//!
//! /// A function; dropping the last handle frees its code.
//! struct Function(CodeRange, Arc<Mutex<Vec<&'static str>>>);
//! impl Drop for Function {
//!     fn drop(&mut self) {
//!         self.1.lock().unwrap().push("freed");
//!     }
//! }
//!
//! /// A thread that is inside, or not, when it is told that the function is retired.
//! fn thread(is_inside: bool, retired: mpsc::Receiver<Arc<Function>>, log: &Mutex<Vec<&'static str>>) {
//!     let mut reclaimer = Reclaimer::new(Strategy::Scan);
//!     // A safepoint.
//!     let function = retired.recv().unwrap();
//!     let frame = ActiveFrame { pc: ReturnPc::new(0x1010), end: ReturnSlot::new(0x7f00) };
//!     let census = Census::of(&[function.0], is_inside.then_some(frame));
//!     reclaimer.retire([(function.0, function)], &census);
//!     drop(reclaimer.take_drained());
//!     if is_inside {
//!         // The frame returns. The next safepoint.
//!         log.lock().unwrap().push("returned");
//!         reclaimer.scan(&Census::of::<ActiveFrame>(&reclaimer.waiting(), []));
//!         drop(reclaimer.take_drained());
//!     }
//! }
//!
//! let log = Arc::new(Mutex::new(Vec::new()));
//! std::thread::scope(|scope| {
//!     let threads = [true, false].map(|is_inside| {
//!         let (sender, receiver) = mpsc::channel();
//!         let log = Arc::clone(&log);
//!         scope.spawn(move || thread(is_inside, receiver, &log));
//!         sender
//!     });
//!     // No new call enters it. Then all threads that there are get a handle.
//!     let function = Arc::new(Function(CodeRange::new(0x1000, 0x80), Arc::clone(&log)));
//!     threads.iter().for_each(|thread| thread.send(Arc::clone(&function)).unwrap());
//! });
//! assert_eq!(*log.lock().unwrap(), ["returned", "freed"]);
//! ```

mod barriers;
mod census;
mod epochs;
mod reclaimer;

pub use census::{ActiveFrame, Census, CodeRange};
pub use epochs::{Epoch, Epochs};
pub use reclaimer::{Drained, Reclaimer, Strategy};
