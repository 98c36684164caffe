//! Virtual frames: a frame of code with inlined bodies lands, and each activation that it stands for continues.
//!
//! ```text
//!   landing    value stack:  | v0's registers | v1's registers | v2's registers |    the state, in one piece
//!   resuming   v2 continues, and returns; its results go to registers of v1
//!              v1 continues behind its call, and returns; its results go to registers of v0
//!              v0 continues where the frame was, as the activation of any other frame does
//! ```
//!
//! Where the landing ends in the interpreter, they become frames of one activation of it, unless something watches.
//! Otherwise the innermost one and then its callers continue each in its own turn: in the interpreter, or, where the landing
//! is to end in compiled code, in a continuation of its own, which is compiled when control comes to it. All but the
//! outermost are called from here, so one native frame stands for those that wait. That is no more than there would be if
//! they had been interpreted and had called one another.
//!
//! Observers see a landing, and each further activation when it [continues](Event::Continued): with the results of its
//! call, like a frame that was hijacked on its own.

use osr_compiler::frame_map::VirtualActivation;
use osr_ir::{FunctionIndex, PointKind};
use osr_stackwalk::ReturnSlot;
use osr_stubs::x86_64 as stubs;

use crate::code::ledger::PendingSite;
use crate::event::statistics::Place;
use crate::event::{Continuation, Event};
use crate::interpreter::{self, Outcome, Stacked, Start};
use crate::settings::destination::Destination;
use crate::settings::{CompiledTier, Tier};
use crate::thread::Thread;
use crate::thread::pending::{Chain, Landed};
use crate::tiering;

/// The frame at `frame_base`, which was pending at `pending` and returned to through `slot`, lands as several activations,
/// whose state is `state`, in `destination`. Returns the code to jump to.
pub(super) fn resume(
    thread: &Thread,
    (slot, pending): (ReturnSlot, &PendingSite),
    state: &[u64],
    frame_base: u64,
    destination: Destination,
) -> *const u8 {
    let is_watched = thread.watches_landings() || thread.is_watched();
    let can_be_stacked = destination == Destination::Interpreter && !is_watched;
    match if can_be_stacked { stack(thread, pending) } else { None } {
        Some(stacked) => thread.set_landed(Landed::Stacked(stacked)),
        None => wait(thread, (slot, pending), state, frame_base, destination),
    }
    stubs::resume_interpreter as *const u8
}

/// Makes frames of the interpreter of the activations at `pending`, whose state is at the value stack's top. None, and nothing
/// done, if there is no room for them.
fn stack(thread: &Thread, pending: &PendingSite) -> Option<Stacked> {
    let (version, site) = (pending.version(), pending.number());
    let stacking = version.stackings.of(site, version.frame_maps.len(), || {
        interpreter::stacking(thread.instance(), &version.activations(site).collect::<Vec<_>>())
    });
    // SAFETY: the landing has put the state there, and the version is one of the thread's instance.
    let stacked = unsafe { interpreter::stack(thread, stacking) }?;
    let (tier, further) = (version.tier.into(), stacking.callees.len());
    thread.count(|transitions| transitions.virtual_frames += further as u64);
    thread.count_move(tier, Tier::Interpreter, pending.kind().into());
    thread.count_waiting_moves(tier, Tier::Interpreter, further);
    Some(stacked)
}

/// The activations wait to be resumed, each in its own turn.
#[cold]
fn wait(
    thread: &Thread,
    (slot, pending): (ReturnSlot, &PendingSite),
    state: &[u64],
    frame_base: u64,
    destination: Destination,
) {
    let (version, site) = (pending.version(), pending.number());
    let mut waiting = thread.waiting().borrow_mut();
    let first = waiting.len();
    version.each_activation(site, |activation| waiting.push(activation));
    waiting[first..].reverse();
    let innermost = waiting.pop().expect("every frame is one of some activation");
    let further = waiting.len() - first;
    drop(waiting);
    thread.count(|transitions| transitions.virtual_frames += further as u64);
    let continuation = continuation(thread, innermost, state.as_ptr().cast_mut(), destination);
    let to = tier(continuation);
    let place = pending.kind().into();
    thread.count_move(version.tier.into(), to, place);
    if destination == Destination::Interpreter {
        // It is known where those that wait continue.
        thread.count_waiting_moves(version.tier.into(), Tier::Interpreter, further);
    }
    thread.observe(|| Event::Landed {
        place,
        version,
        slot: slot.address(),
        frame: frame_base,
        further,
        to: announced(continuation),
        state: thread.frame_state(innermost.function, innermost.point, &state[innermost.offset..]),
    });
    thread.cover(version, site, to);
    if pending.destination().is_none() {
        thread.record_landing(destination, to);
    }
    let (version, from) = (version.id, version.tier);
    thread.set_chain(Chain { innermost, further, continuation, destination, version, from, frame_base });
    thread.set_landed(Landed::Chain);
}

/// Continues the activations that have landed, up to the outermost. Its function, and how it ended or where it continues.
#[cold]
pub(crate) fn run(thread: &Thread) -> (FunctionIndex, Outcome) {
    let base = thread.values().top();
    let chain = thread.take_chain();
    let bottom = thread.waiting().borrow().len() - chain.further;
    let (mut activation, mut continuation) = (chain.innermost, chain.continuation);
    for _ in 0..chain.further {
        let returned = call(thread, activation, base, continuation);
        thread.values().set_top(base);
        if !returned {
            for waiting in thread.waiting().borrow_mut().drain(bottom..).rev() {
                thread.trap_leaves(waiting.function, waiting.point);
            }
            return (activation.function, Outcome::Trap);
        }
        let callee = activation;
        activation = thread.waiting().borrow_mut().pop().expect("so many wait");
        // SAFETY: the state of the chain is there: all that was called since has used what is further on.
        unsafe { pass_results(thread, callee, activation, base) };
        continuation = self::continuation(thread, activation, base, chain.destination);
        observe(thread, &chain, activation, base, continuation);
    }
    let outcome = match continuation {
        Some((code, _)) => Outcome::Continue { code, state: base },
        None => interpreter::run(thread, activation.function, Start::Point(activation.point), base),
    };
    (activation.function, outcome)
}

/// Continues `activation`, whose window is in the state at `base`, until it returns: its results are in its window. False
/// if it trapped: then the trap is pending.
fn call(
    thread: &Thread,
    VirtualActivation { function, point, offset, .. }: VirtualActivation,
    base: *mut u64,
    continuation: Option<(*const u8, CompiledTier)>,
) -> bool {
    let window = base.wrapping_add(offset);
    thread.values().set_top(window);
    if let Some((code, _)) = continuation {
        return thread.call_continuation(function, code, window, window);
    }
    match interpreter::run(thread, function, Start::Point(point), window) {
        Outcome::Done => true,
        Outcome::Trap => false,
        Outcome::Continue { code, state } => thread.call_continuation(function, code, state, window),
    }
}

/// Where `activation` continues, if that is to be in compiled code, and there is room for calling it.
fn continuation(
    thread: &Thread,
    VirtualActivation { function, point, offset, .. }: VirtualActivation,
    base: *mut u64,
    destination: Destination,
) -> Option<(*const u8, CompiledTier)> {
    let window = base.wrapping_add(offset);
    let fits = thread.values().fits(window, thread.instance().window_words(function));
    if !fits || !thread.has_native_stack() {
        return None;
    }
    tiering::landing(thread, function, point, destination)
}

/// What the call returned for which `caller` waited goes from the window of `callee` to registers of its own.
///
/// # Safety
/// Both windows are in the state at `base`, and the results in the first words of the callee's.
unsafe fn pass_results(
    thread: &Thread,
    callee: VirtualActivation,
    caller: VirtualActivation,
    base: *mut u64,
) {
    let instance = thread.instance();
    let position = instance.analysis(caller.function).points.position(caller.point);
    let call = &instance.body(caller.function).block(position.block).instructions[position.index];
    let (from, to) = (base.wrapping_add(callee.offset), base.wrapping_add(caller.offset));
    for (number, register) in call.definitions().iter().enumerate() {
        // SAFETY: the caller says so.
        unsafe { *to.add(register.index()) = *from.add(number) };
    }
}

/// Tells that `activation` of `chain` continues.
fn observe(
    thread: &Thread,
    chain: &Chain,
    activation: VirtualActivation,
    base: *mut u64,
    continuation: Option<(*const u8, CompiledTier)>,
) {
    let VirtualActivation { function, point, offset, registers } = activation;
    let &Chain { version, from, frame_base, destination, .. } = chain;
    let place = Place::from(PointKind::AfterCall);
    if destination != Destination::Interpreter {
        thread.count_move(from.into(), tier(continuation), place);
    }
    thread.observe(|| Event::Continued {
        place,
        version,
        from,
        frame: frame_base,
        to: announced(continuation),
        // SAFETY: the state of the chain is there.
        state: thread
            .frame_state(function, point, unsafe { std::slice::from_raw_parts(base.add(offset), registers) }),
    });
}

fn tier(continuation: Option<(*const u8, CompiledTier)>) -> Tier {
    continuation.map_or(Tier::Interpreter, |(_, tier)| tier.into())
}

fn announced(continuation: Option<(*const u8, CompiledTier)>) -> Option<Continuation> {
    continuation.map(|(code, tier)| Continuation { tier, code: code as u64 })
}
