//! Tiering: when a function continues in better code, and where hijacked frames land.
//!
//! ```text
//!   a count expires ──> candidate: what it has executed, ──> policy ──> order ──> compile ──> install
//!                       what code for it costs and saves                 └── or the queue ──┘
//! ```
//!
//! A *policy* decides, this file carries out: it finds the code that an activation continues in, and
//! has it compiled where there is none yet. Only what will be entered is: for a frame at a loop header the continuation,
//! and the function when it is called again.

mod account;
pub(crate) mod all_at_once;
pub(crate) mod compile;
pub(crate) mod contexts;
mod cost;
mod directed;
mod growth;
pub(crate) mod invariants;
mod order;
mod passage;
pub(crate) mod policy;
mod queue;
pub(crate) mod speculation;
mod work;

use osr_compiler::{EntryPoint, VersionKey};
use osr_ir::{FunctionIndex, Point, PointKind};

pub(crate) use account::Account;
pub(crate) use cost::CostModel;
pub(crate) use growth::growth;
pub(crate) use order::compile_now;
pub(crate) use passage::passages;
pub(crate) use queue::Queue;
pub(crate) use work::Work;

use crate::code::CodeVersion;
use crate::event::statistics::Place;
use crate::event::{Cause, Estimate, Event};
use crate::settings::destination::Destination;
use crate::settings::{CompiledTier, Tier};
use crate::thread::Thread;

/// A function is entered in the interpreter often enough. Returns its compiled code, if it is to be
/// entered.
#[cold]
pub(crate) fn entry(thread: &Thread, function: FunctionIndex) -> Option<*const u8> {
    let compiled = thread.instance().function(function).compiled();
    let code = match compiled {
        Some(code) => code,
        None => from_interpreter(thread, function, osr_ir::Points::entry())?.0,
    };
    thread.observe(|| Event::Entered { function, code: code as u64 });
    thread.count(|transitions| transitions.tier_up += 1);
    Some(code)
}

/// An interpreted frame of a function that has been executed often enough is at `point`, a loop header or
/// after a call. Returns the continuation to enter.
#[cold]
pub(crate) fn continuation(
    thread: &Thread,
    function: FunctionIndex,
    point: Point,
) -> Option<(*const u8, CompiledTier)> {
    let (code, tier) = from_interpreter(thread, function, point)?;
    thread.count(|transitions| transitions.tier_up += 1);
    thread.count_move(Tier::Interpreter, tier.into(), place_of(thread, function, point));
    Some((code, tier))
}

/// The code in which `function`, which is interpreted and at `point`, continues, if it is there, with its tier.
fn from_interpreter(
    thread: &Thread,
    function: FunctionIndex,
    point: Point,
) -> Option<(*const u8, CompiledTier)> {
    let instance = thread.instance();
    let state = instance.function(function);
    arrive(thread);
    let arrival = Arrival::at(thread, Tier::Interpreter, function, point);
    state.account.charge_count(state.counter.value(), arrival.work(thread));
    let is_asked = instance.threshold(Tier::Interpreter) != NEVER;
    let tier = is_asked.then(|| arrival.ask(thread)).flatten();
    let code = tier.and_then(|tier| Some((order::code(thread, &arrival, tier)?, tier)));
    if code.is_none() {
        // Do not ask again at once.
        state.restart_count(0);
    }
    code
}

/// A frame of `version`, which profiles, is at the poll of `point`, and the function has been executed
/// often enough. At its entry, new calls will enter better code; at a loop header this frame, whose state is what `state`
/// returns, continues in better code, which is then there, by landing in the tier that is given.
#[cold]
pub(crate) fn baseline(
    thread: &Thread,
    version: &CodeVersion,
    point: Point,
    state: impl Fn() -> Vec<u64>,
) -> Option<CompiledTier> {
    let function = version.function;
    let function_state = thread.instance().function(function);
    let threshold = thread.instance().threshold(Tier::Baseline);
    thread.instance().restart_countdown(function);
    if threshold == NEVER {
        return None;
    }
    arrive(thread);
    let mut arrival = Arrival::at(thread, Tier::Baseline, function, point);
    function_state.account.charge(threshold, arrival.work(thread));
    let known = invariants::known(thread, function, point, &state);
    arrival.entry = known.unwrap_or(arrival.entry);
    let tier = arrival.ask(thread)?;
    if known.is_none() && arrival.place == Place::LoopHeader && tier == CompiledTier::Optimized {
        arrival.entry = invariants::choose(thread, function, point, &state);
    }
    let is_called_again = function_state.code_at(tier, arrival.entry).is_some();
    order::code(thread, &arrival, tier)?;
    thread.count(|transitions| transitions.tier_up += 1);
    if arrival.place == Place::Entry {
        return None;
    }
    // The function would be slower than what is made for these values. If its loops are short, its entry counts down soon.
    let is_specialized = matches!(arrival.entry, EntryPoint::Specialized { .. });
    if is_called_again && !is_specialized && function_state.code_at(tier, EntryPoint::Function).is_none() {
        // The frame that the continuation was compiled for did not come back here.
        let call = Arrival::at(thread, Tier::Baseline, function, osr_ir::Points::entry());
        if let Some(tier) = call.ask(thread) {
            order::code(thread, &call, tier);
        }
    }
    Some(tier)
}

/// Installs code that was compiled beside the guest, which is in the runtime.
pub(crate) fn arrive(thread: &Thread) {
    if let Some(queue) = thread.instance().queue() {
        order::arrive(thread, queue);
    }
}

/// A function whose count has expired, and where it is.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    from: Tier,
    function: FunctionIndex,
    point: Point,
    place: Place,
    /// Of the code that it would continue in.
    entry: EntryPoint,
}

impl Arrival {
    fn at(thread: &Thread, from: Tier, function: FunctionIndex, point: Point) -> Arrival {
        let place = place_of(thread, function, point);
        let entry = match place {
            Place::Entry => EntryPoint::Function,
            Place::LoopHeader | Place::PendingReturn | Place::Guard => EntryPoint::Continuation(point),
        };
        Arrival { from, function, point, place, entry }
    }

    fn key(&self, tier: CompiledTier) -> VersionKey {
        VersionKey { function: self.function, tier, entry: self.entry }
    }

    fn cause(&self) -> Cause {
        Cause::TierUp { from: self.from, place: self.place }
    }

    /// Instructions that such an arrival stands for.
    fn work(&self, thread: &Thread) -> u32 {
        let instance = thread.instance();
        instance.work(self.function).of_arrival(instance.points(self.function), self.point)
    }

    /// Where the policy has the function continue.
    fn ask(&self, thread: &Thread) -> Option<CompiledTier> {
        let candidate = self.candidate(thread);
        thread.ask_policy(None, |policy| policy.tier_up(&candidate))
    }

    fn candidate(&self, thread: &Thread) -> policy::Candidate {
        let instance = thread.instance();
        let state = instance.function(self.function);
        let work = state.account.work();
        let released = instance.code_statistics().versions_released;
        let estimate = |tier: CompiledTier| {
            let instructions = instance.unit_instructions(self.key(tier));
            let cost = match state.code_at(tier, self.entry) {
                Some(_) => 0,
                None if instance.is_refused(self.key(tier), released) => Estimate::NEVER,
                None => instance.costs().compilation(tier, instructions),
            };
            policy::estimate((self.from, tier), work, instructions, cost)
        };
        policy::Candidate {
            function: self.function,
            from: self.from,
            place: self.place,
            work,
            paid_ns: state.account.paid(),
            estimates: CompiledTier::ALL.map(estimate),
        }
    }
}

/// A frame of `function` has landed, to continue at `point`: the continuation, and its tier; none if it continues
/// in the interpreter.
#[inline(always)]
pub(crate) fn landing(
    thread: &Thread,
    function: FunctionIndex,
    point: Point,
    destination: Destination,
) -> Option<(*const u8, CompiledTier)> {
    let (tier, compile) = match destination {
        Destination::Interpreter => return None,
        Destination::Cached(tier) => (tier, false),
        Destination::Compiled(tier) => (tier, true),
    };
    let code = match thread.instance().function(function).continuation(tier, point) {
        Some(code) => code,
        None if compile && !is_interpreted_at(thread, function, point) => {
            let key = VersionKey { function, tier, entry: EntryPoint::Continuation(point) };
            order::compile_now(thread, key, Cause::Landing)?
        }
        None => return None,
    };
    Some((code, tier))
}

/// Whether `function` is to continue at `point` in the interpreter: compiled code has left there for that.
#[cold]
pub(crate) fn is_interpreted_at(thread: &Thread, function: FunctionIndex, point: Point) -> bool {
    let instance = thread.instance();
    let points = &instance.analysis(function).points;
    // A guard may lead to where nothing else comes first.
    matches!(points.kind(point), PointKind::AfterCall | PointKind::Guard)
        && instance.body(function).interprets_behind(points.position(point))
}

/// Where `point` of `function` is.
pub(crate) fn place_of(thread: &Thread, function: FunctionIndex, point: Point) -> Place {
    let kind: PointKind = thread.instance().analysis(function).points.kind(point);
    kind.into()
}

/// The threshold of a tier that is not left by itself.
pub(crate) const NEVER: u32 = u32::MAX;
