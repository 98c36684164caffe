//! A callee in a loop that does not end: is its code released while it loops, and after how long?
//!
//! The loop has no calls, so that nothing returns into it. Where it polls, the invalidation happens at a poll; where it
//! does not, the host asks for it just before the loop begins. It ends after all, when it can be said that it outlasts
//! the release, or the other way round.

use std::sync::Arc;
use std::time::Instant;

use osr_engine::{Action, Schedule, Settings, Stress};

use super::Trial;
use super::guest::{Guest, SPIN, refused};
use super::stamps::{Kind, Stamps};
use crate::laboratory::results::Finding;

/// The safepoint at which the loop's code is invalidated.
const SAFEPOINT: u64 = 1_000;

/// Loops, invalidates, and looks what is released before the loop ends.
pub(super) fn run(trial: &Trial) -> Result<Vec<Finding>, String> {
    let stamps = Arc::new(Stamps::default());
    let at_poll = trial.mechanism.polls() && trial.mechanism.replaces_frames();
    let schedule = Schedule { safepoints: vec![(SAFEPOINT, Action::Invalidate)], ..Schedule::default() };
    let stress = if at_poll { Stress::Replay(schedule.into()) } else { Stress::None };
    let guest = Guest::new(SPIN, trial, Some(stamps.clone()), |settings| Settings {
        stress,
        unrolling: 1,
        ..settings
    })?;
    if !at_poll {
        guest.on_probe(|call| call.thread().invalidate_active().map(drop).map_err(refused));
    }
    let iterations = trial.sizes.loop_thousands.max(2) * 1_000;
    guest.call("run", iterations as i64)?;
    let ended = Instant::now();
    let events = stamps.take();
    let retired = events.iter().find(|(kind, _)| *kind == Kind::Retired).map(|&(_, then)| then);
    let retired = retired.ok_or("nothing was invalidated: the loop does not reach a safepoint")?;
    let since = |then: Instant| then.saturating_duration_since(retired).as_nanos() as f64;
    let when = |kind: Kind| {
        events.iter().find(|&&(found, then)| found == kind && then < ended).map(|&(_, then)| then)
    };
    let looped = since(ended);
    // What happens in the last tenth happens because the loop ends.
    let within = |kind, metric| {
        let found = when(kind).map(since).filter(|&then| then < 0.9 * looped);
        let finding = Finding::new("infinite loop", metric, "ns", found.into_iter().collect());
        if found.is_some() { finding } else { finding.noted("not while it loops") }
    };
    Ok(vec![
        within(Kind::Landed, "new code"),
        within(Kind::Released, "memory"),
        Finding::new("infinite loop", "loop", "ns", vec![looped]),
    ])
}
