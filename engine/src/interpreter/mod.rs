//! The interpreter: the definition of correct for everything else.
//!
//! ```text
//!   Body ── decode ──> Code: operations, each with its handler ── execute ──> Outcome
//!            │ select, block by block, backwards                    │
//!            │ (fuses, folds constants)                             ├─ machine: from handler to handler
//!            │                                                      ├─ handlers: what operations do
//!            └─ op: the operations                                  ├─ calls, runtime: what is out of line
//!                                                                  ├─ exceptions: which frame catches
//!                                                                  ├─ listed: frames that can be seen from outside
//!                                                                  ├─ patch, carry: redefined functions
//!                                                                  ├─ chain: activations that landed together
//!                                                                  └─ deoptimize: activations that become others
//! ```
//!
//! A guest frame is a *window* of the thread's value stack, one word per register, so it is a frame
//! state by itself. Calls from interpreted code to interpreted code push a window and stay in the same
//! native frame:
//!
//! ```text
//!    | window of f: r0 r1 ... | scratch | resume window function dst | window of g: r0 r1 ... |
//!      ^ base of the activation            header of g's frame         ^ window
//! ```
//!
//! What may be relied on: at every resumable point (entry, loop header, after a call) each register
//! that is live there is in its word, whatever was fused; 32-bit values leave the upper half of their
//! word zero; the window of a call out of the interpreter lies beyond all of the activation's frames.

mod arrival;
mod backtrace;
mod calls;
mod carry;
mod chain;
mod code;
mod decode;
mod deoptimize;
mod exceptions;
mod execute;
mod handlers;
mod listed;
mod lists;
mod machine;
mod numeric;
mod op;
mod patch;
mod runtime;
mod select;
mod tail_calls;
#[cfg(test)]
mod tests;
mod vector;

use osr_ir::Point;

pub(crate) use carry::evaluate;
pub(crate) use chain::{Stacked, run_stacked, stack, stacking};
pub(crate) use code::Code;
pub(crate) use execute::run;
pub(crate) use listed::waiting_frames;
pub(crate) use numeric::{evaluate_binary, evaluate_unary};
pub(crate) use patch::adapt_all;
pub(crate) use runtime::execute as execute_runtime;

/// Where an activation begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    /// At the function's entry; the window begins with the arguments.
    Entry,
    /// At a loop header or after a call; the window holds the frame state.
    Point(Point),
}

/// How an activation ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// It returned; the results are the first words of its window.
    Done,
    /// It trapped; the trap is pending in the thread.
    Trap,
    /// Its only guest frame continues in compiled code.
    Continue {
        /// The continuation.
        code: *const u8,
        /// The frame state that it takes.
        state: *const u64,
    },
}
