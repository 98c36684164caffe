//! A log of what was observed, for comparing runs: all that two runs of one schedule have in common.
//!
//! ```text
//! @7 hijacked #3 v1 sum p2; stress: invalidate at safepoint 7
//!  │           │  │  │    └ the point where the frame resumes, and why it was hijacked
//!  │           │  │  └ the function
//!  │           │  └ the version
//!  │           └ the number of the hijack, which names the slot
//!  └ safepoints so far
//! ```
//!
//! Times, addresses and references to functions are left out, since they differ from process to process.

use std::collections::HashMap;
use std::sync::Mutex;

use osr_engine::{
    CodeVersion, Event, FrameState, Observation, Observer, Place, Replacement, Tier, Trap, VersionKey,
};
use osr_ir::{Body, FunctionIndex, Module, Point};

use crate::case::print_word;

/// Writes down every event.
#[derive(Debug, Default)]
pub struct EventLog(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    lines: Vec<String>,
    /// By address, the numbers of the slots that are hijacked.
    slots: HashMap<u64, u64>,
    hijacks: u64,
}

impl EventLog {
    /// One line per event so far.
    ///
    /// # Panics
    /// If an observed thread has panicked while it wrote.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no writer has panicked").lines.clone()
    }
}

impl Observer for EventLog {
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>) {
        let mut log = self.0.lock().expect("no writer has panicked");
        let what = log.describe(at.instance().module(), event);
        log.lines.push(format!("@{} {what}", at.transitions().safepoints));
    }
}

impl Log {
    fn describe(&mut self, module: &Module, event: &Event<'_>) -> String {
        let name = |function: FunctionIndex| &*module.function(function).name;
        let point = |own, place| point_of(module, own, place);
        let of = |version| of(module, version);
        let wanted = |key: VersionKey| {
            format!("{}, {}, entered at {}", name(key.function), Tier::from(key.tier).name(), key.entry)
        };
        match *event {
            Event::Invoked { function, .. } => format!("invoked {}", name(function)),
            Event::Finished { outcome } => format!("finished{}", failure(outcome)),
            Event::HostCalled { function, .. } => format!("host function {} called", name(function)),
            Event::HostReturned { function, outcome } => {
                format!("host function {} returned{}", name(function), failure(outcome))
            }
            Event::Reached { function, point, .. } => format!("reached {} {point}", name(function)),
            Event::Ordered { key, cause, .. } => format!("ordered {}; {cause}", wanted(key)),
            Event::Discarded { key, cause } => format!("discarded {}; {cause}", wanted(key)),
            Event::Compiled { version, cause, .. } => {
                let (tier, entry) = (Tier::from(version.tier).name(), version.entry);
                format!("compiled {}, {tier}, entered at {entry}; {cause}", of(version))
            }
            Event::FellBack { key, fallback, .. } => format!("fell back, {}: {fallback}", wanted(key)),
            Event::Refused { function, tier, entry, error, cause } => {
                let tier = Tier::from(tier).name();
                format!("refused {}, {tier}, entered at {entry}: {error}; {cause}", name(function))
            }
            Event::Entered { function, .. } => format!("entered {}", name(function)),
            Event::TieredUp { to, state, .. } => {
                let (function, to) = (name(state.function), Tier::from(to.tier).name());
                format!("tiered up {function} {}, to {to}{}", state.point, values(module, &state))
            }
            Event::ExitLinked { version, guard, to, .. } => {
                format!("linked the exit of {} at {} to {}", of(version), guard.at, of(to))
            }
            Event::GuardFailed { version, guard, is_forced } => {
                let (reason, body, point) = (guard.reason.name(), name(guard.function), guard.point);
                let how = if is_forced { "forced" } else { "failed" };
                let at = guard.at;
                format!("guard {how} in {}, {reason} at {at} of {body}, exits at {point}", of(version))
            }
            Event::Landed { .. } | Event::Continued { .. } => self.landed(module, event),
            Event::ReplacementBegan { replacement, cause } => match replacement {
                Replacement::Invalidation => format!("invalidation began; {cause}"),
                Replacement::Hijack => format!("hijack began; {cause}"),
                Replacement::Redefinition => format!("redefinition began; {cause}"),
            },
            Event::Redefined { function, from, to, activations, .. } => {
                format!("redefined {}, from {} to {}, {activations}", name(function), name(from), name(to))
            }
            Event::Carried { .. } | Event::Deoptimized { .. } => became(module, event),
            Event::ReplacementEnded => "ended".to_owned(),
            Event::Hijacked { version, function, point: at, slot, cause } => {
                self.hijacks += 1;
                let before = self.slots.insert(slot, self.hijacks);
                assert_eq!(before, None, "a slot is hijacked once");
                let point = point(version.function, (function, at));
                format!("hijacked #{} {} {point}; {cause}", self.hijacks, of(version))
            }
            Event::Dropped { version, function, point: at, slot } => {
                self.gone("dropped", slot, &of(version), &point(version.function, (function, at)))
            }
            Event::Restored { version, function, point: at, slot } => {
                self.gone("restored", slot, &of(version), &point(version.function, (function, at)))
            }
            Event::Retired { version, cause } => format!("retired {}; {cause}", of(version)),
            Event::Drained { version, cause, .. } => format!("drained {}; {cause}", of(version)),
            Event::Released { version, cause } => format!("released {}; {cause}", of(version)),
        }
    }

    /// A frame has landed, or an activation of it continues.
    fn landed(&mut self, module: &Module, event: &Event<'_>) -> String {
        match *event {
            Event::Landed { place, version, slot, to, state, .. } => {
                let (from, to) =
                    (Tier::from(version.tier), to.map_or(Tier::Interpreter, |to| to.tier.into()));
                let tiers = format!("{} to {}", from.name(), to.name());
                let by_guard = place == Place::Guard;
                let leaves = || {
                    body(module, state.function).leaves_for_interpreter() && !self.slots.contains_key(&slot)
                };
                let slot = match by_guard {
                    true => "by a guard,".to_owned(),
                    false if leaves() => "for the interpreter,".to_owned(),
                    false => self.forget(slot),
                };
                let values = values(module, &state);
                let point = point_of(module, version.function, (state.function, state.point));
                format!("landed {slot} {} {point}, {tiers}{values}", of(module, version))
            }
            Event::Continued { version, from, to, state, .. } => {
                let (from, to) = (Tier::from(from), to.map_or(Tier::Interpreter, |to| to.tier.into()));
                let (function, tiers) =
                    (&module.function(state.function).name, format!("{} to {}", from.name(), to.name()));
                let values = values(module, &state);
                format!("continued {function} of {version} {}, {tiers}{values}", state.point)
            }
            _ => unreachable!("nothing else is a landing"),
        }
    }

    fn gone(&mut self, how: &str, slot: u64, version: &str, point: &str) -> String {
        format!("{how} {} {version} {point}", self.forget(slot))
    }

    /// The number of the hijacked slot at `slot`, which is hijacked no more.
    fn forget(&mut self, slot: u64) -> String {
        format!("#{}", self.slots.remove(&slot).expect("a slot is hijacked before its frame is gone"))
    }
}

/// An interpreted activation has become another, or several.
fn became(module: &Module, event: &Event<'_>) -> String {
    let name = |function: FunctionIndex| &*module.function(function).name;
    match *event {
        Event::Carried { from, state, to } => {
            let to = to.map_or(Tier::Interpreter, |to| to.tier.into());
            let (old, new) = (name(from.function), name(state.function));
            let values = values(module, &state);
            format!("carried {old} {} to {new} {}, to {}{values}", from.point, state.point, to.name())
        }
        Event::Deoptimized { from, further, state, to } => {
            let to = to.map_or(Tier::Interpreter, |to| to.tier.into());
            let (old, new) = (name(from.function), name(state.function));
            let further = if further > 0 { format!(", with {further} callers") } else { String::new() };
            let (values, to) = (values(module, &state), to.name());
            format!("deoptimized {old} {} to {new} {}{further}, to {to}{values}", from.point, state.point)
        }
        _ => unreachable!("nothing else becomes another activation"),
    }
}

/// The point, with the function where that is another than the version's `own`: one that is inlined.
fn point_of(module: &Module, own: FunctionIndex, (function, point): (FunctionIndex, Point)) -> String {
    match own == function {
        true => point.to_string(),
        false => format!("{point} of {}", module.function(function).name),
    }
}

fn of(module: &Module, version: &CodeVersion) -> String {
    format!("{} {}", version.id, module.function(version.function).name)
}

fn failure<T>(outcome: Result<T, &Trap>) -> String {
    outcome.err().map_or(String::new(), |trap| format!(", {trap}"))
}

fn body(module: &Module, function: FunctionIndex) -> &Body {
    module.function(function).body().expect("frames are of defined functions")
}

/// The live registers of `state` with their values.
fn values(module: &Module, state: &FrameState<'_>) -> String {
    let body = body(module, state.function);
    let value = |(register, word)| format!(", {register} = {}", print_word(body.ty(register), word));
    state.values().map(value).collect()
}
