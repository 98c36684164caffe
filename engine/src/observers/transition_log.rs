//! Transitions as lines of text, each written when it happens.
//!
//! ```text
//! @7 invalidate: stress: invalidate at safepoint 7
//! @7   retire v1 of sum (optimized)
//! @7   hijack a frame of v1 of sum at p2, 0x5f sum.c:12:9
//! @7   release v1 of sum
//! @7 land a frame of v1 of sum at p2, 0x5f sum.c:12:9: optimized to interpreter
//!  │                                   └ where that is, if the module says so
//!  └ safepoints so far, where they are counted
//! ```
//!
//! What a replacement does is indented. Times and addresses are left out: equal runs have equal logs.

use std::fmt::{self, Display};
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use osr_compiler::Guard;
use osr_ir::{FunctionIndex, Locator, Point, Shown};

use crate::code::CodeVersion;
use crate::event::{Continuation, Event, Replacement};
use crate::settings::Tier;
use crate::thread::observation::Observation;
use crate::thread::observer::Observer;

/// Writes a line for each transition to `W`. What cannot be written is lost.
pub struct TransitionLog<W> {
    out: Mutex<W>,
    locator: Locator,
}

impl<W: Write> TransitionLog<W> {
    /// A log that is written to `out`, a line at a time.
    pub fn new(out: W) -> TransitionLog<W> {
        TransitionLog { out: Mutex::new(out), locator: Locator::default() }
    }

    /// What it was written to.
    pub fn into_inner(self) -> W {
        self.out.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W> fmt::Debug for TransitionLog<W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TransitionLog").finish_non_exhaustive()
    }
}

impl<W: Write + Send> Observer for TransitionLog<W> {
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>) {
        let Some(line) = (Describe { at, locator: &self.locator }).line(event) else { return };
        let safepoints = at.transitions().safepoints;
        let prefix = if safepoints > 0 { format!("@{safepoints} ") } else { String::new() };
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing depends on it.
        let _ = writeln!(out, "{prefix}{line}");
    }
}

/// Describes events of an execution.
struct Describe<'d, 't> {
    at: &'d Observation<'t>,
    locator: &'d Locator,
}

impl Describe<'_, '_> {
    /// What is said of `event`, if it is a transition.
    fn line(&self, event: &Event<'_>) -> Option<String> {
        Some(match *event {
            Event::Compiled { version, cause, .. } => {
                let (tier, entry) = (Tier::from(version.tier).name(), version.entry);
                format!("compile {} ({tier}, entered at {entry}): {cause}", self.version(version))
            }
            Event::Refused { function, tier, error, .. } => {
                format!("refuse {} ({}): {error}", self.name(function), Tier::from(tier).name())
            }
            Event::TieredUp { to, state, .. } => {
                let place = self.place(state.function, state.point);
                format!(
                    "tier up {} at {place}: interpreter to {}",
                    self.name(state.function),
                    to_name(Some(to))
                )
            }
            Event::GuardFailed { version, guard, is_forced } => {
                let how = if is_forced { "is made to fail" } else { "fails" };
                format!("{} {how}", self.guard(version, guard))
            }
            Event::ExitLinked { version, guard, to, .. } => {
                format!("link {} to {}", self.guard(version, guard), self.version(to))
            }
            Event::Landed { version, to, state, further, .. } => {
                let (from, to) = (Tier::from(version.tier).name(), to_name(to));
                let further = if further > 0 { format!(", with {further} callers") } else { String::new() };
                let frame = self.frame(version, state.function, state.point);
                format!("land {frame}: {from} to {to}{further}")
            }
            Event::Continued { version, from, to, state, .. } => {
                let (function, place) = (self.name(state.function), self.place(state.function, state.point));
                let tiers = format!("{} to {}", Tier::from(from).name(), to_name(to));
                format!("continue {function}, inlined into {version}, at {place}: {tiers}")
            }
            Event::Redefined { function, from, to, activations, .. } => {
                let (function, from, to) = (self.name(function), self.name(from), self.name(to));
                format!("  redefine {function}: {from} to {to}, {activations}")
            }
            Event::Carried { from, state, to } => {
                let old =
                    format!("{} at {}", self.name(from.function), self.place(from.function, from.point));
                let new = self.name(state.function);
                let place = self.place(state.function, state.point);
                format!("carry {old} to {new} at {place}, in {}", to_name(to))
            }
            Event::Deoptimized { from, further, state, to } => {
                let old =
                    format!("{} at {}", self.name(from.function), self.place(from.function, from.point));
                let new = self.name(state.function);
                let place = self.place(state.function, state.point);
                let further = if further > 0 { format!(", with {further} callers") } else { String::new() };
                format!("deoptimize {old} to {new} at {place}{further}, in {}", to_name(to))
            }
            Event::ReplacementBegan { replacement, cause } => match replacement {
                Replacement::Invalidation => format!("invalidate: {cause}"),
                Replacement::Hijack => format!("hijack: {cause}"),
                Replacement::Redefinition => format!("redefine: {cause}"),
            },
            Event::Hijacked { version, function, point, .. } => {
                format!("  hijack {}", self.frame(version, function, point))
            }
            Event::Dropped { version, function, point, .. } => {
                format!("drop {}: a trap", self.frame(version, function, point))
            }
            Event::Restored { version, function, point, .. } => {
                format!("restore {}", self.frame(version, function, point))
            }
            Event::Retired { version, .. } => {
                format!("  retire {} ({})", self.version(version), Tier::from(version.tier).name())
            }
            Event::Released { version, .. } => format!("  release {}", self.version(version)),
            _ => return None,
        })
    }

    fn name(&self, function: FunctionIndex) -> impl Display {
        Shown(&self.at.instance().module().function(function).name).to_string()
    }

    fn version(&self, version: &CodeVersion) -> String {
        format!("{} of {}", version.id, self.name(version.function))
    }

    fn guard(&self, version: &CodeVersion, guard: &Guard) -> String {
        let (reason, at, body) = (guard.reason.name(), guard.at, self.name(guard.function));
        let exit = self.place(guard.function, guard.point);
        format!(
            "the guard of {} at {at} of {body}, {reason}, with its exit at {exit},",
            self.version(version)
        )
    }

    /// A frame of `version`; the function is named where it is one that is inlined.
    fn frame(&self, version: &CodeVersion, function: FunctionIndex, point: Point) -> String {
        let inlined = match function == version.function {
            true => String::new(),
            false => format!(" in {}", self.name(function)),
        };
        format!("a frame of {}{inlined} at {}", self.version(version), self.place(function, point))
    }

    fn place(&self, function: FunctionIndex, point: Point) -> String {
        match self.locator.place(self.at.instance().module(), function, point) {
            Some(place) => format!("{point}, {place}"),
            None => point.to_string(),
        }
    }
}

fn to_name(to: Option<Continuation>) -> &'static str {
    to.map_or(Tier::Interpreter, |to| to.tier.into()).name()
}
