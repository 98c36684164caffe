//! Tiering: when a function goes on in better code, and where hijacked frames land.
//!
//! A *policy* decides, this file carries out: it finds the code that an activation goes on in, and
//! compiles it where there is none yet.

pub(crate) mod all_at_once;
pub(crate) mod compile;

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Instant;

use osr_compiler::{CompileError, EntryPoint, VersionKey};
use osr_ir::{FunctionIndex, Point, PointKind};
use serde::{Deserialize, Serialize};

use crate::code::CodeVersion;
use crate::event::statistics::Place;
use crate::event::{Cause, Event};
use crate::settings::{CompiledTier, Settings, Tier, Tiers};
use crate::thread::Thread;

/// Where a hijacked frame goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Destination {
    /// In the interpreter.
    #[default]
    Interpreter,
    /// In the continuation of that tier, if there is one; in the interpreter otherwise.
    Cached(CompiledTier),
    /// In the continuation of that tier, which the landing compiles if there is none.
    Compiled(CompiledTier),
}

/// Decides where functions go on.
pub trait TieringPolicy: fmt::Debug + Send + Sync {
    /// After how many entries plus back-edges in `tier` the policy is asked whether a function
    /// [tiers up](Self::tier_up). `u32::MAX`: never. Asked once, when the instance is made.
    fn threshold(&self, tier: Tier) -> u32;

    /// `function` has reached the threshold of the tier `from`, and is at `place`: the tier that it goes
    /// on in, which is compiled if need be. None: it stays, and its count begins anew.
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
            (Tier::Baseline, Tiers::Auto) => self.optimize_threshold.max(1),
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

/// A function is entered in the interpreter often enough. Gives its compiled code, if it is to be
/// entered.
#[cold]
pub(crate) fn entry(thread: &Thread, function: FunctionIndex) -> Option<*const u8> {
    let compiled = thread.instance().function(function).compiled();
    let code = match compiled {
        Some(code) => code,
        None => {
            let tier = tier_up(thread, function, Tier::Interpreter, Place::Entry)?;
            let cause = Cause::TierUp { from: Tier::Interpreter, place: Place::Entry };
            code_of(thread, function, tier, EntryPoint::Function, cause)?
        }
    };
    thread.observe(|| Event::Entered { function, code: code as u64 });
    thread.count(|transitions| transitions.tier_up += 1);
    Some(code)
}

/// An interpreted frame of a function that has been executed often enough is at `point`, a loop header or
/// after a call. Gives the continuation to enter.
#[cold]
pub(crate) fn continuation(
    thread: &Thread,
    function: FunctionIndex,
    point: Point,
) -> Option<(*const u8, CompiledTier)> {
    let place = place_of(thread, function, point);
    let tier = tier_up(thread, function, Tier::Interpreter, place)?;
    let cause = Cause::TierUp { from: Tier::Interpreter, place };
    let code = code_of(thread, function, tier, EntryPoint::Continuation(point), cause)?;
    thread.count(|transitions| transitions.tier_up += 1);
    thread.count_move(Tier::Interpreter, tier.into(), place);
    Some((code, tier))
}

/// A frame of `version`, which profiles, is at the poll of `point`, and the function has been executed
/// often enough. At its entry, new calls will enter better code; at a loop header this frame goes on in
/// better code, which is then there, by landing in the tier that is given.
#[cold]
pub(crate) fn baseline(thread: &Thread, version: &CodeVersion, point: Point) -> Option<CompiledTier> {
    let function = version.function;
    let place = place_of(thread, function, point);
    thread.instance().profile(function).reset_countdown(thread.instance().threshold(Tier::Baseline));
    let tier = thread.instance().policy().tier_up(function, Tier::Baseline, place)?;
    let cause = Cause::TierUp { from: Tier::Baseline, place };
    code_of(thread, function, tier, EntryPoint::Function, cause)?;
    thread.count(|transitions| transitions.tier_up += 1);
    if place == Place::Entry {
        return None;
    }
    code_of(thread, function, tier, EntryPoint::Continuation(point), cause)?;
    Some(tier)
}

/// A frame of `version` has landed, to go on at `point`: the continuation, and its tier; none if it goes
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

fn tier_up(thread: &Thread, function: FunctionIndex, from: Tier, place: Place) -> Option<CompiledTier> {
    let tier = thread.instance().policy().tier_up(function, from, place);
    if tier.is_none() || thread.instance().function(function).never_compile.load(Ordering::Relaxed) {
        // Do not ask again at once.
        thread.instance().function(function).counter.reset();
        return None;
    }
    tier
}

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
    let state = instance.function(function);
    if state.never_compile.load(Ordering::Relaxed) {
        return None;
    }
    let began = Instant::now();
    match compile::compile(instance, VersionKey { function, tier, entry }) {
        Ok(version) => {
            instance.publish(&version);
            thread.observe(|| Event::Compiled { version: &version, duration: began.elapsed(), cause });
            Some(version.start as *const u8)
        }
        Err(CompileError::NoCodeMemory) => None,
        Err(error) => {
            tracing::warn!(function = %instance.module().function(function).name, %error, "stays interpreted");
            thread.observe(|| Event::Refused { function, tier, entry, error: &error, cause });
            state.never_compile.store(true, Ordering::Relaxed);
            None
        }
    }
}
