//! Activations that become others, as their code says: the frame state of a guard, of one activation or of several.
//!
//! ```text
//!    | header | window of f: r0 r1 ... |
//!    | header | window of h: .. | header | window of g: .. |       deoptimize { g p1: ..   h p2: .. }
//!      where f returns to         where h resumes, with what g returns
//! ```
//!
//! The outermost of them takes the place of the frame, and returns to where that would have; callees are stacked on it. All
//! values are computed before any is written. Where landings end in compiled code, each of them continues in a continuation: the
//! innermost one at once, and the others when what they wait for has returned.
//!
//! Compiled code leaves for this ([`osr_ir::Instruction::Interpret`]): its frame lands here first, with all activations that it
//! stands for, of which the innermost becomes others.

use osr_ir::{Block, FunctionIndex, Point, ResumedFrame, Terminator, TrapKind};

use super::arrival::{self, Arrival, go_on};
use super::backtrace;
use super::calls::{code_of, executing};
use super::carry::evaluate;
use super::chain::return_of;
use super::code::{Code, HEADER_WORDS};
use super::lists::scatter;
use super::machine::{Activation, Header, Next};
use super::op::Op;
use crate::event::{Continuation, Event};
use crate::settings::destination::Destination;
use crate::settings::{CompiledTier, Tier};
use crate::thread::Thread;
use crate::tiering;

/// The frame at `window`, the innermost, becomes those that the end of `block` of its body says.
///
/// # Safety
/// There is such a frame of the activation, and execution is at that end.
#[cold]
#[inline(never)]
pub(super) unsafe fn deoptimize(activation: &Activation<'_>, window: *mut u64, block: u32) -> Next {
    let (thread, instance) = (activation.thread, activation.instance);
    // SAFETY: the caller vouches for the frame.
    let old = executing(unsafe { activation.function_at(window) });
    let (body, block) = (instance.body(old.function), Block::new(block as usize));
    let Terminator::Deoptimize { frames } = &body.block(block).terminator else {
        unreachable!("the operation says so")
    };
    let interpret = body.end(block).index - 1;
    let from = instance.analysis(old.function).points.at(block, interpret).expect("calls have points");
    // SAFETY: a window has a word for each register of its body, none of which is a vector.
    let before: Box<[u64]> = unsafe { std::slice::from_raw_parts(window, body.registers.len()) }.into();
    // SAFETY: the caller vouches for the frame.
    let Some(innermost) = (unsafe { stack(activation, window, frames, &before) }) else {
        thread.set_trap(TrapKind::StackExhausted, old.function, from);
        // SAFETY: as above: nothing was done.
        return unsafe { backtrace::trapped(activation, window) };
    };
    thread.count(|transitions| transitions.deoptimized += 1);
    let inner = &frames[0];
    let code = code_of(instance, instance.function(inner.body), inner.body);
    // Activations may become others in turn, without ever arriving anywhere.
    thread.carry_out_requests();
    let fails = thread.fails(inner.body, inner.point);
    let to = if fails { None } else { continuation(activation, code, inner.point, innermost) };
    let registers = instance.body(inner.body).registers.len();
    thread.observe(|| Event::Deoptimized {
        from: thread.frame_state(old.function, from, &before),
        further: frames.len() - 1,
        // SAFETY: the window is one of the body.
        state: thread.frame_state(inner.body, inner.point, unsafe {
            std::slice::from_raw_parts(innermost, registers)
        }),
        to,
    });
    if fails {
        // SAFETY: the innermost frame is the one that was made.
        return unsafe { backtrace::trapped(activation, innermost) };
    }
    let next = Next { ip: code.start(inner.point), window: innermost };
    // SAFETY: as above.
    let (mut next, mut has_returned) = unsafe { enter(activation, code, to, next) };
    for caller in &frames[1..] {
        if !has_returned {
            break;
        }
        // SAFETY: the frame of the caller is the innermost one now, and the one that has returned was behind it.
        (next, has_returned) = unsafe { land(activation, caller, next) };
    }
    next
}

/// The innermost frame, which would continue at `next`, continues in the continuation `to`, if there is one. What continues
/// then, and whether that is its caller.
///
/// # Safety
/// `next` is in the innermost frame of the activation.
unsafe fn enter(
    activation: &Activation<'_>,
    code: &Code,
    to: Option<Continuation>,
    next: Next,
) -> (Next, bool) {
    let arrival = to.map_or(Arrival::Stays, |to| arrival::enter(activation, code, to, next.window));
    let has_returned = matches!(arrival, Arrival::Returned { .. });
    // SAFETY: the caller's own contract.
    (unsafe { go_on(activation, next, arrival) }, has_returned)
}

/// `frame`, which has waited for one that has returned and would continue at `next`, lands. What continues then, and whether
/// that is its caller.
///
/// # Safety
/// `next` is in the innermost frame of the activation, which is that of `frame`; the results of its call are where the callee
/// has left them.
unsafe fn land(activation: &Activation<'_>, frame: &ResumedFrame, mut next: Next) -> (Next, bool) {
    let instance = activation.instance;
    // What is carried to another body lands there.
    if instance.bodies().carried(frame.body).is_some_and(|map| map.at(frame.point).is_some()) {
        return (next, false);
    }
    // SAFETY: the operation is one of the frame's, and names where the results of its call are.
    unsafe {
        if let Op::Results { count, window: offset } = (*next.ip).op {
            next.ip = scatter(next.ip.add(1), count, next.window.add(offset as usize), next.window);
        }
    }
    let code = code_of(instance, instance.function(frame.body), frame.body);
    let to = continuation(activation, code, frame.point, next.window);
    if let Some(to) = to {
        arrival::observe(activation.thread, frame.body, frame.point, next.window, to);
    }
    // SAFETY: the caller's own contract.
    unsafe { enter(activation, code, to, next) }
}

/// Puts `frames` in the place of the frame at `window`, whose registers hold `before`. The window of the innermost; none, and
/// nothing done, if there is no room for them.
///
/// # Safety
/// There is such a frame of the activation, and it is the innermost.
unsafe fn stack(
    activation: &Activation<'_>,
    window: *mut u64,
    frames: &[ResumedFrame],
    before: &[u64],
) -> Option<*mut u64> {
    let instance = activation.instance;
    let code = |body: FunctionIndex| code_of(instance, instance.function(body), body);
    let room = |frame: &ResumedFrame| code(frame.body).frame_words + HEADER_WORDS;
    let innermost = window.wrapping_add(frames[1..].iter().map(room).sum());
    if !activation.fits(innermost, code(frames[0].body).frame_words) {
        return None;
    }
    let (mut at, mut caller) = (window, None::<(&ResumedFrame, *mut u64)>);
    for frame in frames.iter().rev() {
        let state = instance.function(frame.body);
        // SAFETY: there is room for all windows and headers; registers of values are those of the body. The outermost frame is
        // where the caller of this says that one is.
        unsafe {
            for (register, expression) in &frame.values {
                *at.add(register.index()) = evaluate(expression, before);
            }
            match caller {
                None => activation.set_function_at(at, state),
                Some((outer, window)) => {
                    let (resume, result) = return_of(instance, code(outer.body), outer.point);
                    *Header::Resume.of(at) = resume as u64;
                    *Header::Caller.of(at) = window as u64;
                    *Header::Function.of(at) = std::ptr::from_ref(state) as u64;
                    *Header::Result.of(at) = result as u64;
                }
            }
        }
        caller = Some((frame, at));
        at = at.wrapping_add(room(frame));
    }
    Some(innermost)
}

/// The continuation that the frame at `window`, which is at `point`, is to enter: where landings go, or because its function
/// was executed often enough.
fn continuation(
    activation: &Activation<'_>,
    code: &Code,
    point: Point,
    window: *mut u64,
) -> Option<Continuation> {
    let thread = activation.thread;
    if !thread.has_native_stack() {
        return None;
    }
    thread.values().set_top(window.wrapping_add(code.frame_words));
    let landing = tiering::landing(thread, code.function, point, destination(thread));
    let landed = landing.map(|(address, tier)| {
        thread.count_move(Tier::Interpreter, tier.into(), tiering::place_of(thread, code.function, point));
        Continuation { tier, code: address as u64 }
    });
    landed.or_else(|| arrival::continuation(activation, code, point, window))
}

/// Where landings go: what is forced is that of the landing that was last.
fn destination(thread: &Thread) -> Destination {
    let settings = thread.instance().settings();
    let landing = if thread.watches_landings() { thread.transitions().landings } else { 0 };
    let forced = (landing > 0).then(|| settings.stress.land(landing)).flatten();
    match forced.filter(|&tier| settings.mechanism.frames.may_land_in(tier)) {
        Some(tier) => CompiledTier::try_from(tier).map_or(Destination::Interpreter, Destination::Compiled),
        None => thread.instance().landing().unwrap_or(Destination::Interpreter),
    }
}
