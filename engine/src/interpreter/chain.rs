//! Activations that landed together, from one frame: they become frames of one activation of the interpreter, as if it had
//! made the calls itself.
//!
//! ```text
//!   before   | v0's registers | v1's registers | v2's registers |
//!   after    | window of v0 | header | window of v1 | header | window of v2 |
//! ```
//!
//! Windows move away from the base, the innermost one first. So a further activation costs a copy of its registers and the
//! four words of a header; nothing returns to the runtime when it continues.

use std::ptr;

use osr_compiler::frame_map::VirtualActivation;
use osr_ir::{FunctionIndex, Point};

use super::Outcome;
use super::calls::code_of;
use super::code::{Code, HEADER_WORDS};
use super::execute::execute;
use super::lists;
use super::machine::{Header, Next, Step};
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

/// Makes frames of `chain`, innermost first, whose state is at `base`. None, and nothing done, if there is no room for them.
///
/// # Safety
/// The state is there, each activation but the innermost waits after a call of the one before, and the words behind the state
/// are free.
pub(crate) unsafe fn stack(
    thread: &Thread,
    chain: impl Iterator<Item = VirtualActivation> + Clone,
    base: *mut u64,
) -> Option<Stacked> {
    let instance = thread.instance();
    let code = |activation: VirtualActivation| {
        code_of(instance, instance.function(activation.function), activation.function)
    };
    let room = |activation: VirtualActivation| code(activation).frame_words + HEADER_WORDS;
    let mut callers = chain.clone();
    let mut inner = callers.next()?;
    let mut window = base.wrapping_add(callers.clone().map(room).sum());
    if !thread.values().fits(window, code(inner).frame_words) {
        return None;
    }
    let next = Next { ip: code(inner).start(inner.point), window };
    for outer in callers {
        let callee = window;
        window = window.wrapping_sub(room(outer));
        // SAFETY: the caller vouches for the state. It fits where it goes, which is no nearer to the base than it was, so that
        // the states of callers stay; and there is a header's room between the windows.
        unsafe {
            ptr::copy(base.add(inner.offset), callee, inner.registers);
            let (resume, result) = return_of(instance, code(outer), outer.point);
            *Header::Resume.of(callee) = resume as u64;
            *Header::Caller.of(callee) = window as u64;
            *Header::Function.of(callee) = ptr::from_ref(instance.function(inner.function)) as u64;
            *Header::Result.of(callee) = result as u64;
        }
        inner = outer;
    }
    debug_assert!(window == base && inner.offset == 0, "the outermost activation is at the base");
    Some(Stacked { function: inner.function, next })
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
