//! What the dispatch loop does out of line: leaving interpreted code, and trapping.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use osr_ir::{FunctionIndex, FunctionKind, Point, PointKind, Points, TrapKind};

use super::code::Code;
use super::decode::decode;
use super::op::Op;
use crate::event::Event;
use crate::function::FunctionState;
use crate::instance::Instance;
use crate::settings::{CompiledTier, Tier};
use crate::thread::Thread;
use crate::tiering;

/// The code of `function`, whose state is `state`.
#[inline(always)]
pub(super) fn code_of<'a>(
    instance: &'a Instance,
    state: &'a FunctionState,
    function: FunctionIndex,
) -> &'a Code {
    state.code(|| decode(instance, function))
}

/// The code of a function that is executing.
#[inline(always)]
pub(super) fn executing(state: &FunctionState) -> &Code {
    state.code(|| unreachable!("it was decoded before it began"))
}

/// Words at a window through which `function` is called from outside the interpreter.
fn transfer_words(instance: &Instance, function: FunctionIndex) -> usize {
    let signature = instance.module().signature_of(function);
    signature.parameters.len().max(signature.results.len())
}

/// Makes the trap `kind` at the operation `op` of the executing function pending.
#[cold]
#[inline(never)]
pub(super) fn trap(thread: &Thread, state: &FunctionState, op: *const Op, kind: TrapKind) {
    let code = executing(state);
    thread.set_trap(kind, code.function, code.trap_point(op));
}

/// Makes stack exhaustion at the entry of `function` pending.
#[cold]
#[inline(never)]
pub(super) fn exhausted(thread: &Thread, function: FunctionIndex) {
    thread.set_trap(TrapKind::StackExhausted, function, Points::entry());
}

/// Asks for compiled code of `function`, which has been entered often. `top` is the first free word.
#[cold]
#[inline(never)]
pub(super) fn tier_up(thread: &Thread, function: FunctionIndex, top: *mut u64) -> *const u8 {
    if matches!(thread.instance().module().function(function).kind, FunctionKind::Import(_)) {
        return std::ptr::null();
    }
    thread.values().set_top(top);
    let code = is_due(thread, thread.instance().function(function)).then(|| tiering::entry(thread, function));
    code.flatten().unwrap_or_else(|| {
        thread.reached(function, Points::entry());
        std::ptr::null()
    })
}

/// Whether a call of `function` from outside finds room for its words at `window` and on the native
/// stack; otherwise that is pending as a trap.
#[inline(never)]
pub(super) fn has_room(thread: &Thread, function: FunctionIndex, window: *mut u64) -> bool {
    let words = transfer_words(thread.instance(), function);
    let has_room = thread.has_native_stack() && thread.values().fits(window, words);
    if has_room {
        thread.values().set_top(window.wrapping_add(words));
    } else {
        exhausted(thread, function);
    }
    has_room
}

/// Calls compiled code of `function`, for which there [is room](has_room), and puts a single result
/// into `result`. False if it trapped.
///
/// # Safety
/// The arguments are at `window`; `code` is code of `function`; `result` is a word of the value stack.
#[inline(never)]
pub(super) unsafe fn call_native(
    thread: &Thread,
    function: FunctionIndex,
    code: *const u8,
    window: *mut u64,
    result: *mut u64,
) -> bool {
    if !thread.call_native(function, code, window) {
        return false;
    }
    if has_single_result(thread.instance(), function) {
        // SAFETY: the caller vouches for both words.
        unsafe { *result = *window };
    }
    true
}

/// A function of another instance, which there is room to call.
pub(super) struct Foreign {
    instance: Arc<Instance>,
    function: FunctionIndex,
}

/// The foreign function of that number, for the indirect call `op` of the executing function, whose callee's
/// window is at `window`. `None` if its instance is gone or there is no room: that is pending as a trap.
#[cold]
#[inline(never)]
pub(super) fn foreign(
    thread: &Thread,
    state: &FunctionState,
    op: *const Op,
    number: u32,
    window: *mut u64,
) -> Option<Foreign> {
    let caller = executing(state);
    let (caller, point) = (caller.function, caller.trap_point(op));
    let (instance, function) = thread.foreign_function(number, caller, point)?;
    let words = transfer_words(&instance, function);
    if !thread.has_native_stack() || !thread.values().fits(window, words) {
        thread.set_trap(TrapKind::StackExhausted, caller, point);
        return None;
    }
    thread.values().set_top(window.wrapping_add(words));
    Some(Foreign { instance, function })
}

impl Foreign {
    /// Calls it, and puts a single result into `result`. False if it trapped.
    ///
    /// # Safety
    /// The arguments are at `window`, as the room was asked for; `result` is a word of the value stack.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn call(self, thread: &Thread, window: *mut u64, result: *mut u64) -> bool {
        // SAFETY: the caller vouches for the window.
        if !unsafe { thread.call_foreign(&self.instance, self.function, window) } {
            return false;
        }
        if has_single_result(&self.instance, self.function) {
            // SAFETY: the caller vouches for both words.
            unsafe { *result = *window };
        }
        true
    }
}

fn has_single_result(instance: &Instance, function: FunctionIndex) -> bool {
    instance.module().signature_of(function).results.len() == 1
}

/// What becomes of the frame of a function that was executed often.
pub(super) enum Arrival {
    /// It goes on in the interpreter.
    Stays,
    /// It is the activation's only guest frame, and goes on in this continuation.
    Leaves(*const u8),
    /// It went on in a continuation, and has returned; its results are in its window.
    Returned {
        /// Whether there is exactly one.
        single: bool,
    },
    /// It went on in a continuation, and trapped.
    Trapped,
}

/// Tells the observer that the frame at `window` goes on in a continuation.
fn observe(
    thread: &Thread,
    function: FunctionIndex,
    point: Point,
    window: *mut u64,
    (code, tier): (*const u8, CompiledTier),
) {
    let registers = thread.instance().body(function).registers.len();
    // SAFETY: the window has a word for each register.
    let words = unsafe { std::slice::from_raw_parts(window, registers) };
    thread.observe(|| Event::Moved {
        place: tiering::place_of(thread, function, point),
        from: Tier::Interpreter,
        from_version: None,
        frame: None,
        to: tier.into(),
        to_code: Some(code as u64),
        slot: None,
        state: thread.frame_state(function, point, words),
    });
}

/// Asks for a continuation of the executing function at the loop header `point`. If the frame is the
/// activation's `only` one the caller enters it, else it is run here.
#[cold]
#[inline(never)]
pub(super) fn arrive(
    thread: &Thread,
    state: &FunctionState,
    point: Point,
    window: *mut u64,
    only: bool,
) -> Arrival {
    let code = executing(state);
    thread.reached(code.function, point);
    if !is_due(thread, state) {
        return Arrival::Stays;
    }
    leave(thread, code, point, window, only)
}

/// Asks for a continuation of the executing function, one of whose calls of compiled code has returned:
/// it is at the operation `op`. Otherwise like [`arrive`].
#[cold]
#[inline(never)]
pub(super) fn come_back(
    thread: &Thread,
    state: &FunctionState,
    op: *const Op,
    window: *mut u64,
    only: bool,
) -> Arrival {
    let code = executing(state);
    if !is_due(thread, state) {
        return Arrival::Stays;
    }
    let points = &thread.instance().analysis(code.function).points;
    let is_resumed = |(point, kind, _): &(Point, PointKind, _)| {
        *kind == PointKind::AfterCall && std::ptr::eq(code.start(*point), op)
    };
    match points.iter().find(is_resumed) {
        Some((point, ..)) => leave(thread, code, point, window, only),
        None => Arrival::Stays,
    }
}

/// Whether the function was executed often enough: where every arrival is observed, most are not due.
fn is_due(thread: &Thread, state: &FunctionState) -> bool {
    state.counter.load(Ordering::Relaxed) >= thread.instance().threshold(Tier::Interpreter)
}

/// Leaves the interpreter at `point`, if there is a continuation.
fn leave(thread: &Thread, code: &Code, point: Point, window: *mut u64, only: bool) -> Arrival {
    if !thread.has_native_stack() {
        return Arrival::Stays;
    }
    thread.values().set_top(window.wrapping_add(code.frame_words));
    let Some((continuation, tier)) = tiering::continuation(thread, code.function, point) else {
        return Arrival::Stays;
    };
    observe(thread, code.function, point, window, (continuation, tier));
    if only {
        return Arrival::Leaves(continuation);
    }
    if thread.call_continuation(code.function, continuation, window, window) {
        Arrival::Returned { single: has_single_result(thread.instance(), code.function) }
    } else {
        Arrival::Trapped
    }
}
