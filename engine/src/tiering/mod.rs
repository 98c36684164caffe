//! Tiering: when a function continues in better code, and where hijacked frames land.
//!
//! A *policy* decides, this file carries out: it finds the code that an activation continues in, and
//! compiles it where there is none yet.

pub(crate) mod all_at_once;
pub(crate) mod compile;
mod directed;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use osr_compiler::{CompileError, EntryPoint, VersionKey};
use osr_ir::{FunctionIndex, Point, PointKind};

use crate::code::CodeVersion;
use crate::event::statistics::Place;
use crate::event::{Cause, Event};
use crate::settings::destination::Destination;
use crate::settings::mechanism::ActiveFrames;
use crate::settings::{CompiledTier, Settings, Tier, Tiers};
use crate::thread::Thread;

/// Decides where functions continue.
///
/// It is asked in the middle of a transition, and decides from what it is given and what it knows. Whatever it
/// asks a thread to do is refused. If it panics, the function stays in its tier, or the frame lands in the
/// interpreter, and the guest's call ends as after the panic of an [`Observer`](crate::Observer).
pub trait TieringPolicy: fmt::Debug + Send + Sync {
    /// After how many entries plus back-edges in `tier` the policy is asked whether a function
    /// [tiers up](Self::tier_up). 0: at once, at the first; `u32::MAX`: never. Asked once for each tier, when
    /// the instance is made.
    fn threshold(&self, tier: Tier) -> u32;

    /// `function` has reached the threshold of the tier `from`, and is at `place`: the tier that it goes
    /// on in, which is compiled if need be. None: it stays, and its count restarts.
    fn tier_up(&self, function: FunctionIndex, from: Tier, place: Place) -> Option<CompiledTier>;

    /// A hijacked frame of `version` arrives in the landing stub; it resumes at `point`.
    fn land(&self, version: &CodeVersion, point: Point) -> Destination;
}

/// The default policy: from the interpreter to baseline code to optimized code, by counts; hijacked
/// frames land where the settings say.
#[derive(Clone, Copy, Debug)]
pub struct Ladder {
    tiers: Tiers,
    threshold: u32,
    optimize_threshold: u32,
    landing: Destination,
}

impl Ladder {
    /// The policy that `settings` ask for.
    pub fn of(settings: &Settings) -> Ladder {
        let Settings { tiers, threshold, optimize_threshold, landing, .. } = *settings;
        Ladder { tiers, threshold, optimize_threshold, landing }
    }
}

impl TieringPolicy for Ladder {
    fn threshold(&self, tier: Tier) -> u32 {
        match (tier, self.tiers) {
            (_, Tiers::Interpreter) | (Tier::Optimized, _) => u32::MAX,
            (Tier::Interpreter, Tiers::Baseline | Tiers::Optimized) => 0,
            (Tier::Interpreter, Tiers::Auto) => self.threshold,
            (Tier::Baseline, Tiers::Auto) => self.optimize_threshold,
            (Tier::Baseline, Tiers::Baseline | Tiers::Optimized) => u32::MAX,
        }
    }

    fn tier_up(&self, _function: FunctionIndex, from: Tier, _place: Place) -> Option<CompiledTier> {
        match (from, self.tiers) {
            (_, Tiers::Interpreter) | (Tier::Optimized, _) => None,
            (Tier::Interpreter, Tiers::Baseline) => Some(CompiledTier::Baseline),
            (Tier::Interpreter, Tiers::Auto) if self.optimize_threshold > 0 => Some(CompiledTier::Baseline),
            (Tier::Interpreter, _) | (Tier::Baseline, Tiers::Auto) => Some(CompiledTier::Optimized),
            (Tier::Baseline, _) => None,
        }
    }

    fn land(&self, _version: &CodeVersion, _point: Point) -> Destination {
        self.landing
    }
}

/// `policy`, or what `settings` ask for; where frames land, the mechanism may decide.
pub(crate) fn policy(policy: Option<Arc<dyn TieringPolicy>>, settings: &Settings) -> Arc<dyn TieringPolicy> {
    let policy = policy.unwrap_or_else(|| Arc::new(Ladder::of(settings)));
    match settings.mechanism.frames {
        frames @ (ActiveFrames::HijackToInterpreter | ActiveFrames::HijackToVersion) => {
            Arc::new(directed::Directed { policy, frames })
        }
        _ => policy,
    }
}

/// A function is entered in the interpreter often enough. Returns its compiled code, if it is to be
/// entered.
#[cold]
pub(crate) fn entry(thread: &Thread, function: FunctionIndex) -> Option<*const u8> {
    let compiled = thread.instance().function(function).compiled();
    let code = match compiled {
        Some(code) => code,
        None => {
            let tier = tier_up(thread, function, Place::Entry, EntryPoint::Function)?;
            let cause = Cause::TierUp { from: Tier::Interpreter, place: Place::Entry };
            code_of(thread, function, tier, EntryPoint::Function, cause)?
        }
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
    let place = place_of(thread, function, point);
    let tier = tier_up(thread, function, place, EntryPoint::Continuation(point))?;
    let cause = Cause::TierUp { from: Tier::Interpreter, place };
    let code = code_of(thread, function, tier, EntryPoint::Continuation(point), cause)?;
    thread.count(|transitions| transitions.tier_up += 1);
    thread.count_move(Tier::Interpreter, tier.into(), place);
    Some((code, tier))
}

/// A frame of `version`, which profiles, is at the poll of `point`, and the function has been executed
/// often enough. At its entry, new calls will enter better code; at a loop header this frame continues in
/// better code, which is then there, by landing in the tier that is given.
#[cold]
pub(crate) fn baseline(thread: &Thread, version: &CodeVersion, point: Point) -> Option<CompiledTier> {
    let function = version.function;
    let place = place_of(thread, function, point);
    let threshold = thread.instance().threshold(Tier::Baseline);
    thread.instance().profile(function).reset_countdown(threshold);
    if threshold == NEVER {
        return None;
    }
    let tier = thread.ask_policy(None, |policy| policy.tier_up(function, Tier::Baseline, place))?;
    let cause = Cause::TierUp { from: Tier::Baseline, place };
    code_of(thread, function, tier, EntryPoint::Function, cause)?;
    thread.count(|transitions| transitions.tier_up += 1);
    if place == Place::Entry {
        return None;
    }
    code_of(thread, function, tier, EntryPoint::Continuation(point), cause)?;
    Some(tier)
}

/// A frame of `version` has landed, to continue at `point`: the continuation, and its tier; none if it goes
/// on in the interpreter.
#[inline(always)]
pub(crate) fn landing(
    thread: &Thread,
    version: &CodeVersion,
    point: Point,
    destination: Destination,
) -> Option<(*const u8, CompiledTier)> {
    let (tier, compile) = match destination {
        Destination::Interpreter => return None,
        Destination::Cached(tier) => (tier, false),
        Destination::Compiled(tier) => (tier, true),
    };
    let function = version.function;
    let code = match thread.instance().function(function).continuation(tier, point) {
        Some(code) => code,
        None if compile => code_of(thread, function, tier, EntryPoint::Continuation(point), Cause::Landing)?,
        None => return None,
    };
    Some((code, tier))
}

/// Where `point` of `function` is.
pub(crate) fn place_of(thread: &Thread, function: FunctionIndex, point: Point) -> Place {
    let kind: PointKind = thread.instance().analysis(function).points.kind(point);
    kind.into()
}

/// The threshold of a tier that is not left by itself.
const NEVER: u32 = u32::MAX;

/// The tier that `function`, which is interpreted, continues in, with code that is entered at `entry` and is
/// there, or may be compiled.
fn tier_up(
    thread: &Thread,
    function: FunctionIndex,
    place: Place,
    entry: EntryPoint,
) -> Option<CompiledTier> {
    let instance = thread.instance();
    let is_asked = instance.threshold(Tier::Interpreter) != NEVER;
    let tier = is_asked
        .then(|| thread.ask_policy(None, |policy| policy.tier_up(function, Tier::Interpreter, place)))
        .flatten();
    let state = instance.function(function);
    let is_possible = |tier: &CompiledTier| {
        let key = VersionKey { function, tier: *tier, entry };
        state.code_at(*tier, entry).is_some() || can_compile(thread, key)
    };
    let tier = tier.filter(is_possible);
    if tier.is_none() {
        // Do not ask again at once.
        state.counter.reset();
    }
    tier
}

/// Whether compiling what `key` asks for is worth trying: it was not refused, and there is native stack for
/// the compiler.
fn can_compile(thread: &Thread, key: VersionKey) -> bool {
    let instance = thread.instance();
    let released = instance.code_statistics().versions_released;
    let instructions = instance.body(key.function).instruction_count() as u64;
    !instance.function(key.function).is_refused(key.tier, key.entry, released)
        && thread.has_native_stack_for(COMPILER_STACK + instructions / 2)
}

/// Native stack that the compiler takes at most, but for what grows with the body: measured were 76 to 90
/// KB, and 24 KB more for a body of 140,000 instructions.
const COMPILER_STACK: u64 = 128 << 10;

/// The code of `tier` that is entered at `entry`, compiled if there is none.
#[cold]
fn code_of(
    thread: &Thread,
    function: FunctionIndex,
    tier: CompiledTier,
    entry: EntryPoint,
    cause: Cause,
) -> Option<*const u8> {
    let known = thread.instance().function(function).code_at(tier, entry);
    known.or_else(|| compile(thread, function, tier, entry, cause))
}

fn compile(
    thread: &Thread,
    function: FunctionIndex,
    tier: CompiledTier,
    entry: EntryPoint,
    cause: Cause,
) -> Option<*const u8> {
    let instance = thread.instance();
    let key = VersionKey { function, tier, entry };
    if !can_compile(thread, key) {
        return None;
    }
    let began = Instant::now();
    match compile::compile(instance, key) {
        Ok(version) => {
            instance.publish(&version);
            thread.observe(|| Event::Compiled { version: &version, duration: began.elapsed(), cause });
            Some(version.start as *const u8)
        }
        Err(error) => {
            let memory = matches!(error, CompileError::NoCodeMemory | CompileError::PlaceOccupied);
            let released = memory.then(|| instance.code_statistics().versions_released);
            instance.function(function).refuse(tier, entry, released);
            tracing::warn!(function = %instance.module().function(function).name, %error, "not compiled");
            thread.observe(|| Event::Refused { function, tier, entry, error: &error, cause });
            None
        }
    }
}
