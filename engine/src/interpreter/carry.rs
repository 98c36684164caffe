//! Carrying a frame from one body of its function to another.

use osr_ir::{Expression, MapEntry, Point, TrapKind};

use super::arrival::{self, Arrival, go_on};
use super::backtrace;
use super::calls::{code_of, executing};
use super::code::Code;
use super::machine::{Activation, Bounds, Machine, Next, Step};
use super::numeric::{evaluate_binary, evaluate_unary};
use crate::event::{Continuation, Event};

/// The handler of an operation at which a frame is carried.
pub(super) unsafe fn carry(ip: *const Step, window: *mut u64, memory: Bounds, activation: &Activation<'_>) {
    // SAFETY: the operation is one at which a point of the function resumes whose frame is at `window`.
    unsafe { Machine { ip, window, memory, activation }.resume(carried(activation, window, ip)) }
}

/// Carries the innermost frame, which is at `window`, to another body.
///
/// # Safety
/// There is such a frame of the activation, and execution resumes at `ip`, at a point that is mapped.
#[cold]
#[inline(never)]
unsafe fn carried(activation: &Activation<'_>, window: *mut u64, ip: *const Step) -> Next {
    let (thread, instance) = (activation.thread, activation.instance);
    // SAFETY: the caller vouches for the frame.
    let old = executing(unsafe { activation.function_at(window) });
    let point = old.resume_point(ip).expect("execution resumes here");
    let map = instance.bodies().carried(old.function).expect("the operation says so");
    let entry = map.at(point).expect("the operation says so");
    let state = instance.function(map.to);
    let new = code_of(instance, state, map.to);
    if !activation.fits(window, new.frame_words) {
        thread.set_trap(TrapKind::StackExhausted, old.function, point);
        // SAFETY: the caller vouches for the frame.
        return unsafe { backtrace::trapped(activation, window) };
    }
    // SAFETY: a window has a word for each register of its body, and there is room for the new one's.
    let before = unsafe { translate(entry, window, instance.body(old.function).registers.len()) };
    // SAFETY: the caller vouches for the frame, whose window is one of the new body now.
    unsafe { activation.set_function_at(window, state) };
    thread.count(|transitions| transitions.carried += 1);
    let continuation = arrival::continuation(activation, new, entry.to, window);
    observe(activation, (old, point, &before), (new, entry.to, window), continuation);
    let arrival = continuation.map_or(Arrival::Stays, |to| arrival::enter(activation, new, to, window));
    // SAFETY: the frame is where it was.
    unsafe { go_on(activation, Next { ip: new.start(entry.to), window }, arrival) }
}

/// Replaces the frame state in `window`, of so many old `registers`, by what `entry` makes of it. Returns the old one.
///
/// # Safety
/// The window has words for the old registers and for those of the new body.
unsafe fn translate(entry: &MapEntry, window: *mut u64, registers: usize) -> Box<[u64]> {
    // SAFETY: the caller vouches for the window.
    let before: Box<[u64]> = unsafe { std::slice::from_raw_parts(window, registers) }.into();
    for (register, expression) in &entry.values {
        let word = evaluate(expression, &before);
        // SAFETY: as above; the register is one of the new body.
        unsafe { *window.add(register.index()) = word };
    }
    before
}

/// The word of `expression` over registers that hold `words`.
pub(crate) fn evaluate(expression: &Expression, words: &[u64]) -> u64 {
    expression.evaluate(
        |register| words[register.index()],
        |op, word| evaluate_unary(op, word).expect("the verifier admits none that traps"),
        |op, lhs, rhs| evaluate_binary(op, lhs, rhs).expect("the verifier admits none that traps"),
    )
}

fn observe(
    activation: &Activation<'_>,
    (old, from, before): (&Code, Point, &[u64]),
    (new, to, window): (&Code, Point, *mut u64),
    continuation: Option<Continuation>,
) {
    let thread = activation.thread;
    let registers = activation.instance.body(new.function).registers.len();
    // SAFETY: the window is one of the new body.
    let after = unsafe { std::slice::from_raw_parts(window, registers) };
    thread.observe(|| Event::Carried {
        from: thread.frame_state(old.function, from, before),
        state: thread.frame_state(new.function, to, after),
        to: continuation,
    });
}
