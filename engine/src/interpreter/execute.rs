//! Activations of the interpreter.
//!
//! A call of interpreted code writes the header of the callee's frame and continues there; a return reads
//! it back. Only calls that leave the interpreter use the native stack, and only before those is the
//! value stack's top brought up to date. Nothing allocates, and what is rare or large is out of line, in
//! [`calls`]. A trap ends the activation; where the operation stands in the body is looked up then.

use std::cell::Cell;

use osr_ir::FunctionIndex;

use super::calls::{self, code_of};
use super::listed::Listed;
use super::machine::{Activation, Bounds, Next};
use super::{Outcome, Start};
use crate::settings::Tier;
use crate::thread::Thread;

/// Executes `function` from `start` in the frame at `window`, as the base of an activation. The value
/// stack's top is on return what it was.
pub(crate) fn run(thread: &Thread, function: FunctionIndex, start: Start, window: *mut u64) -> Outcome {
    if thread.is_watched() {
        return run_watched(thread, function, start, window);
    }
    let threshold = thread.instance().threshold(Tier::Interpreter);
    activate(thread, function, start, window, threshold, |_| ())
}

/// The same where arrivals are looked at, which are out of line then, or frames.
#[cold]
#[inline(never)]
fn run_watched(thread: &Thread, function: FunctionIndex, start: Start, window: *mut u64) -> Outcome {
    let threshold =
        if thread.watches_arrivals() { 0 } else { thread.instance().threshold(Tier::Interpreter) };
    let is_listed = thread.instance().settings().guest_frames;
    activate(thread, function, start, window, threshold, |activation| {
        is_listed.then(|| Listed::new(thread, activation))
    })
}

/// Either of them: after so many entries and back-edges the policy is asked, and what `list` returns is kept meanwhile.
#[inline(always)]
fn activate<L>(
    thread: &Thread,
    function: FunctionIndex,
    start: Start,
    window: *mut u64,
    threshold: u32,
    list: impl FnOnce(&Activation<'_>) -> L,
) -> Outcome {
    let instance = thread.instance();
    let state = instance.function(function);
    let code = code_of(instance, state, function);
    if !thread.values().fits(window, code.frame_words) {
        calls::exhausted(thread, function);
        return Outcome::Trap;
    }
    let ip = match start {
        Start::Entry => code.entry(),
        Start::Point(point) => code.start(point),
    };
    execute(thread, (function, window), Next { ip, window }, threshold, list)
}

/// The same from `next` on, in the innermost frame of an activation whose outermost frame, at `base`, is one of `function`.
#[inline(always)]
pub(super) fn execute<L>(
    thread: &Thread,
    (function, base): (FunctionIndex, *mut u64),
    next: Next,
    threshold: u32,
    list: impl FnOnce(&Activation<'_>) -> L,
) -> Outcome {
    let instance = thread.instance();
    let top = thread.values().top();
    let activation = Activation {
        thread,
        instance,
        functions: instance.functions(),
        base,
        function: Cell::new(instance.function(function)),
        threshold,
        end: thread.values().end(),
        memory: Cell::new(Bounds::of(thread)),
        next: Cell::new(next),
        outcome: Cell::new(Outcome::Done),
    };
    let listed = list(&activation);
    loop {
        let Next { ip, window } = activation.next.get();
        if ip.is_null() {
            break;
        }
        // SAFETY: the windows fit, and hold what the functions read from there on. After that, each handler says where
        // the code continues.
        unsafe { ((*ip).handler)(ip, window, activation.memory.get(), &activation) };
    }
    drop(listed);
    thread.values().set_top(top);
    activation.outcome.get()
}
