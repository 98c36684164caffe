//! A callee in a loop that does not end: is code released while it loops, and after how long? That of the loop itself, and
//! that of a function which waits for the loop.
//!
//! The loop has no calls, so that nothing returns into it. The frame that waits is never returned to either: its code is free
//! as soon as its return slot leads elsewhere, if that is enough; else never.
//!
//! The loop itself is invalidated at a poll; where it has none, and for what waits, the host asks for it just before the loop
//! begins. The loop ends after all, when it can be said that it outlasts the release, or the other way round.

use std::sync::Arc;
use std::time::Instant;

use osr_engine::{Action, Schedule, Settings, Stress};

use super::Trial;
use super::guest::{Guest, SPIN, refused};
use super::stamps::{Kind, Stamps};
use crate::laboratory::results::Finding;

/// The safepoint at which the loop's code is invalidated.
const SAFEPOINT: u64 = 1_000;

/// Which code is invalidated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Old {
    /// That of the loop.
    Loop,
    /// That of its caller.
    Caller,
}

impl Old {
    /// What results call it.
    fn program(self) -> &'static str {
        match self {
            Old::Loop => "infinite loop",
            Old::Caller => "waits for the loop",
        }
    }
}

/// What happened while it looped, in nanoseconds from the invalidation on.
struct Looped {
    new_code: Option<f64>,
    memory: Option<f64>,
    end: f64,
}

/// Loops, invalidates, and looks what is released before the loop ends: the code of the loop, and that of its caller.
pub(super) fn run(trial: &Trial) -> Result<Vec<Finding>, String> {
    let mut findings = Vec::new();
    for old in [Old::Loop, Old::Caller] {
        findings.extend(repeated(trial, old)?);
    }
    Ok(findings)
}

/// As often as an update is measured, if anything happens before the loop ends.
fn repeated(trial: &Trial, old: Old) -> Result<Vec<Finding>, String> {
    let longest = trial.sizes.loop_thousands.max(2) * 1_000;
    let first = once(trial, old, longest)?;
    let mut all = Vec::new();
    if let Some(last) = first.memory.or(first.new_code) {
        // A shorter loop will do: what happens happens well within it.
        let iterations = (100.0 * last / first.end * longest as f64) as u64;
        let iterations = iterations.clamp((2 * SAFEPOINT).min(longest), longest);
        for _ in 1..trial.sizes.updates {
            all.push(once(trial, old, iterations)?);
        }
    }
    all.push(first);
    let finding = |metric, of: fn(&Looped) -> Option<f64>| {
        let found = Finding::new(old.program(), metric, "ns", all.iter().filter_map(of).collect());
        if found.samples.is_empty() { found.noted("not while it loops") } else { found }
    };
    let memory = finding("memory", |looped| looped.memory);
    let end = finding("loop", |looped| Some(looped.end));
    Ok(match old {
        Old::Loop => vec![finding("new code", |looped| looped.new_code), memory, end],
        // Where new code begins for what waits is behind the loop.
        Old::Caller => vec![memory, end],
    })
}

fn once(trial: &Trial, old: Old, iterations: u64) -> Result<Looped, String> {
    let stamps = Arc::new(Stamps::default());
    let mechanism = &trial.mechanism;
    let at_poll = old == Old::Loop && mechanism.polls() && mechanism.replaces_frames();
    let schedule = Schedule { safepoints: vec![(SAFEPOINT, Action::Invalidate)], ..Schedule::default() };
    let stress = if at_poll { Stress::Replay(schedule.into()) } else { Stress::None };
    let guest = Guest::new(SPIN, trial, Some(stamps.clone()), |settings| Settings {
        stress,
        unrolling: 1,
        inlining: None,
        ..settings
    })?;
    let export = if old == Old::Caller { "wait" } else { "run" };
    let function = guest.thread.instance().exported_function(export).ok_or("the guest exports both")?;
    if !at_poll {
        guest.on_probe(move |call| call.thread().invalidate_function(function).map(drop).map_err(refused));
    }
    guest.call(export, iterations as i64)?;
    let ended = Instant::now();
    let events = stamps.take();
    let retired = events.iter().find(|(kind, _)| *kind == Kind::Retired).map(|&(_, then)| then);
    let retired = retired.ok_or("nothing was invalidated: the loop does not reach a safepoint")?;
    let since = |then: Instant| then.saturating_duration_since(retired).as_nanos() as f64;
    let end = since(ended);
    // What happens in the second half may happen because the loop ends.
    let when = |kind: Kind| {
        let found = events.iter().find(|&&(found, _)| found == kind)?;
        Some(since(found.1)).filter(|&then| then < 0.5 * end)
    };
    Ok(Looped { new_code: when(Kind::Landed), memory: when(Kind::Released), end })
}
