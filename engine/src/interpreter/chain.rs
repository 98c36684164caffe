//! Activations that landed together, from one frame: they become frames of one activation of the interpreter, as if it had
//! made the calls itself.
//!
//! ```text
//!   before   | v0's registers | v1's registers | v2's registers |
//!   after    | window of v0 | header | window of v1 | header | window of v2 |
//! ```
//!
//! Windows move away from the base, the innermost one first. Where they go, and what their headers say, follows from the site
//! that the frame was at, and is worked out when the first one lands from there. So a further activation costs a copy of its
//! registers and the four words of a header; nothing returns to the runtime when it continues.

use std::ptr;

use osr_compiler::frame_map::VirtualActivation;
use osr_ir::{FunctionIndex, Point};

use super::Outcome;
use super::calls::code_of;
use super::code::{Code, HEADER_WORDS};
use super::execute::execute;
use super::lists;
use super::machine::{Header, Next, Step};
use crate::code::stackings::{StackedCallee, Stacking};
use crate::instance::Instance;
use crate::settings::Tier;
use crate::thread::Thread;

/// Frames of the interpreter that have been made of activations, and wait to be executed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stacked {
    /// The function of the outermost one.
    pub(crate) function: FunctionIndex,
    /// Where the innermost one continues.
    next: Next,
}

/// How `chain` becomes frames, innermost first: each activation but the innermost waits after a call of the one before.
pub(crate) fn stacking(instance: &Instance, chain: &[VirtualActivation]) -> Stacking {
    let code = |activation: &VirtualActivation| {
        code_of(instance, instance.function(activation.function), activation.function)
    };
    let room = |activation: &VirtualActivation| code(activation).frame_words + HEADER_WORDS;
    let (inner, outer) = (&chain[0], &chain[chain.len() - 1]);
    debug_assert_eq!(outer.offset, 0, "the outermost activation is at the base");
    let innermost = chain[1..].iter().map(room).sum();
    let mut window = innermost;
    let callees = chain.windows(2).map(|pair| {
        let [callee, caller] = pair else { unreachable!("pairs") };
        let (resume, result) = return_of(instance, code(caller), caller.point);
        let at = window;
        window -= room(caller);
        StackedCallee {
            state: callee.offset as u32,
            registers: callee.registers as u32,
            window: at as u32,
            caller: window as u32,
            resume: resume as u64,
            function: ptr::from_ref(instance.function(callee.function)) as u64,
            result: result as u64,
        }
    });
    Stacking {
        outermost: outer.function,
        callees: callees.collect(),
        innermost,
        ip: code(inner).start(inner.point) as u64,
        words: innermost + code(inner).frame_words,
    }
}

/// Makes frames as `stacking` says. None, and nothing done, if there is no room for them.
///
/// # Safety
/// The state of the chain is at the top of the value stack of `thread`, and the stacking was made by its instance.
pub(crate) unsafe fn stack(thread: &Thread, stacking: &Stacking) -> Option<Stacked> {
    let base = thread.values().top();
    if !thread.values().fits(base, stacking.words) {
        return None;
    }
    for callee in &stacking.callees {
        let window = base.wrapping_add(callee.window as usize);
        // SAFETY: the caller vouches for the state, and the frames fit. A window is no nearer to the base than its registers
        // were, so that those of callers stay; and there is a header's room between windows.
        unsafe {
            move_away(base.wrapping_add(callee.state as usize), window, callee.registers as usize);
            *Header::Resume.of(window) = callee.resume;
            *Header::Caller.of(window) = base.wrapping_add(callee.caller as usize) as u64;
            *Header::Function.of(window) = callee.function;
            *Header::Result.of(window) = callee.result;
        }
    }
    let window = base.wrapping_add(stacking.innermost);
    Some(Stacked { function: stacking.outermost, next: Next { ip: stacking.ip as *const Step, window } })
}

/// Copies so many words to where they overlap only words that were copied. They are few: a call of `memmove` takes longer.
///
/// # Safety
/// The words are there, and `to` is not below `from`.
#[inline(always)]
unsafe fn move_away(from: *const u64, to: *mut u64, words: usize) {
    for word in (0..words).rev() {
        // SAFETY: the caller says so.
        unsafe { to.add(word).write(from.add(word).read()) };
    }
}

/// The operation to which the call returns that `point` of the function of `code` is after, and the register for a single
/// result.
pub(super) fn return_of(instance: &Instance, code: &Code, point: Point) -> (*const Step, usize) {
    let position = instance.points(code.function).position(point);
    let call = &instance.body(code.function).block(position.block).instructions[position.index];
    let behind = code.start(point);
    match *call.definitions() {
        [] => (behind, 0),
        [result] => (behind, result.index()),
        ref several => (behind.wrapping_sub(1 + lists::length(several.len() as u16)), 0),
    }
}

/// Executes what was stacked at `base`, as [`run`](super::run) does where nothing watches.
pub(crate) fn run_stacked(thread: &Thread, Stacked { function, next }: Stacked, base: *mut u64) -> Outcome {
    let threshold = thread.instance().threshold(Tier::Interpreter);
    execute(thread, (function, base), next, threshold, |_| ())
}
