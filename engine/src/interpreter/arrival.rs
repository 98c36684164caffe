//! Frames that were executed often, and may continue in better code.

use osr_ir::{FunctionIndex, Point, PointKind, Points};

use super::calls::{executing, has_single_result};
use super::code::Code;
use super::exceptions::unwind;
use super::listed::caller;
use super::machine::{Activation, Bounds, Header, Next, Step};
use super::{Outcome, backtrace};
use crate::event::{Continuation, Event};
use crate::instance::function::FunctionState;
use crate::settings::Tier;
use crate::thread::Thread;
use crate::thread::trap::Innermost;
use crate::tiering;

/// What becomes of the frame of a function that was executed often.
pub(super) enum Arrival {
    /// It continues in the interpreter.
    Stays,
    /// It is the activation's only guest frame, and continues in this continuation.
    Leaves(*const u8),
    /// It continued in a continuation, and has returned; its results are in its window.
    Returned {
        /// Whether there is exactly one, of one word.
        single: bool,
    },
    /// It continued in a continuation, and trapped.
    Trapped,
}

/// Tells the observer that the frame at `window` continues in a continuation.
pub(super) fn observe(
    thread: &Thread,
    function: FunctionIndex,
    point: Point,
    window: *mut u64,
    to: Continuation,
) {
    let words = thread.instance().frame_words(function);
    // SAFETY: the window has the words of a frame state.
    let words = unsafe { std::slice::from_raw_parts(window, words) };
    thread.observe(|| Event::TieredUp {
        place: tiering::place_of(thread, function, point),
        to,
        state: thread.frame_state(function, point, words),
    });
}

/// The frame at `window` is at the loop header `point`, whose operation is at `ip`, and the counter has expired.
///
/// # Safety
/// There is such a frame of the activation.
#[cold]
#[inline(never)]
pub(super) unsafe fn at_header(
    activation: &Activation<'_>,
    window: *mut u64,
    ip: *const Step,
    point: Point,
) -> Next {
    let thread = activation.thread;
    // SAFETY: the caller vouches for the frame.
    let state = unsafe { activation.function_at(window) };
    let code = executing(state);
    if !thread.reached(code.function, point) {
        // SAFETY: the caller vouches for the frame.
        return unsafe { backtrace::trapped(activation, window) };
    }
    let arrival = if is_due(thread, state) { leave(activation, code, point, window) } else { Arrival::Stays };
    let next = Next { ip: ip.wrapping_add(1), window };
    // SAFETY: the frame is where it was.
    unsafe { go_on(activation, next, arrival) }
}

/// One of the calls of compiled code by the frame at `window` has returned; the operation at `ip` comes
/// next. Asks for a continuation there.
///
/// # Safety
/// There is such a frame of the activation.
#[cold]
#[inline(never)]
pub(super) unsafe fn come_back(activation: &Activation<'_>, ip: *const Step, window: *mut u64) -> Arrival {
    let thread = activation.thread;
    // SAFETY: the caller vouches for the frame.
    let state = unsafe { activation.function_at(window) };
    let code = executing(state);
    if !is_due(thread, state) {
        return Arrival::Stays;
    }
    let points = &activation.instance.analysis(code.function).points;
    let is_resumed = |(point, kind, _): &(Point, PointKind, _)| {
        *kind == PointKind::AfterCall && std::ptr::eq(code.start(*point), ip)
    };
    match points.iter().find(is_resumed) {
        Some((point, ..)) => leave(activation, code, point, window),
        None => Arrival::Stays,
    }
}

/// Where the activation continues after `arrival` of its innermost frame: at `next` if that stays.
///
/// # Safety
/// `next` is in the innermost frame of the activation.
pub(super) unsafe fn go_on(activation: &Activation<'_>, next: Next, arrival: Arrival) -> Next {
    activation.memory.set(Bounds::of(activation.thread));
    match arrival {
        Arrival::Stays => next,
        Arrival::Leaves(code) => activation.leave(Outcome::Continue { code, state: next.window }),
        // SAFETY: it is not the outermost frame, which leaves.
        Arrival::Returned { single } => unsafe {
            let window = next.window;
            let caller = *Header::Caller.of(window) as *mut u64;
            if single {
                *caller.add(*Header::Result.of(window) as usize) = *window;
            }
            Next { ip: *Header::Resume.of(window) as *const Step, window: caller }
        },
        // SAFETY: as above. The frame itself was one of compiled code.
        Arrival::Trapped => unsafe {
            let window = next.window;
            let caller = *Header::Caller.of(window) as *mut u64;
            unwind(activation, caller, *Header::Resume.of(window) as *const Step, Innermost::Waits)
        },
    }
}

/// Whether the function was executed often enough: where every arrival is observed, most are not due.
pub(super) fn is_due(thread: &Thread, state: &FunctionState) -> bool {
    state.counter.value() >= thread.instance().threshold(Tier::Interpreter)
}

/// Leaves the interpreter at `point`, if there is a continuation: enters it, or, if the frame is the
/// activation's only one, has it entered.
fn leave(activation: &Activation<'_>, code: &Code, point: Point, window: *mut u64) -> Arrival {
    let Some(to) = find(activation, code, point, window) else { return Arrival::Stays };
    observe(activation.thread, code.function, point, window, to);
    enter(activation, code, to, window)
}

/// The continuation that a frame which was carried to `point` is to enter, if its function was executed often enough.
/// There is none at the entry: frames that become hot there are entered as functions.
pub(super) fn continuation(
    activation: &Activation<'_>,
    code: &Code,
    point: Point,
    window: *mut u64,
) -> Option<Continuation> {
    let is_due =
        point != Points::entry() && is_due(activation.thread, activation.instance.function(code.function));
    is_due.then(|| find(activation, code, point, window)).flatten()
}

fn find(activation: &Activation<'_>, code: &Code, point: Point, window: *mut u64) -> Option<Continuation> {
    let thread = activation.thread;
    if !thread.has_native_stack() {
        return None;
    }
    thread.values().set_top(window.wrapping_add(code.frame_words));
    let (continuation, tier) = tiering::continuation(thread, code.function, point)?;
    Some(Continuation { tier, code: continuation as u64 })
}

/// Enters the continuation `to`, or, if the frame is the activation's only one, has it entered.
pub(super) fn enter(activation: &Activation<'_>, code: &Code, to: Continuation, window: *mut u64) -> Arrival {
    let (thread, continuation) = (activation.thread, to.code as *const u8);
    if window == activation.base {
        return Arrival::Leaves(continuation);
    }
    // SAFETY: the frame is one of the activation. It does not wait, as it continues there.
    activation.next.set(unsafe { caller(activation, window) });
    if thread.call_continuation(code.function, continuation, window, window) {
        Arrival::Returned { single: has_single_result(thread.instance(), code.function) }
    } else {
        Arrival::Trapped
    }
}
