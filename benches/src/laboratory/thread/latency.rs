//! How long a replacement takes: from the invalidation to the first instruction of new code, to the last of old code, and
//! to the memory given back.
//!
//! New code begins in two ways, which are told apart. `new call`: a function is called that was invalidated, and has been
//! compiled again: the same under every mechanism, compilation included. `new frame`: an old frame continues in other code,
//! which is the interpreter, unless the mechanism says otherwise; nothing is compiled for that. It never happens where
//! frames run out.
//!
//! `memory` is when the runtime has freed the code, which can be long after its last frame has ended: a scan, the code's own
//! count and an epoch are looked at when something arrives in the runtime. Here that is the next call, right after its
//! function was compiled again: so the two times are close together where frames run out (but for return barriers).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::Trial;
use super::guest::{DESCENT, Guest, refused};
use super::stamps::{Kind, Stamps};
use crate::laboratory::results::Finding;

/// What results call the guest.
pub(super) const PROGRAM: &str = "descent";

/// One replacement: what happened when, in nanoseconds since the invalidation was asked for.
struct Replacement {
    events: Vec<(Kind, f64)>,
    /// When the outermost call returned.
    ended: f64,
}

/// Measures the latencies of the trial's replacements.
pub(super) fn run(trial: &Trial) -> Result<Vec<Finding>, String> {
    let stamps = Arc::new(Stamps::default());
    let guest = Guest::new(DESCENT, trial, Some(stamps.clone()), |settings| settings)?;
    let mut replacements = Vec::new();
    for _ in 0..trial.sizes.replacements {
        replacements.push(replace(&guest, &stamps, trial.sizes.depth)?);
    }
    let of = |metric, latency: fn(&Replacement) -> Option<f64>| {
        let found: Vec<f64> = replacements.iter().filter_map(latency).collect();
        let missing = replacements.len() - found.len();
        let finding = Finding::new(PROGRAM, metric, "ns", found).at(trial.sizes.depth).steady();
        match missing {
            0 => finding,
            n if n == replacements.len() => finding.noted("never, before the instance ends"),
            n => finding.noted(format!("{n} of {} not before the instance ends", replacements.len())),
        }
    };
    let mut findings = vec![
        of("new call", |replacement| replacement.first(Kind::Compiled)),
        of("new frame", |replacement| replacement.first(Kind::Landed)),
        of("old code", |replacement| replacement.last_of_all(Kind::Drained)),
        of("memory", |replacement| replacement.last_of_all(Kind::Released)),
        of("call", |replacement| Some(replacement.ended)),
    ];
    findings.extend(replacements.last().map(Replacement::timeline).into_iter().flatten());
    Ok(findings)
}

/// Descends, invalidates all code at the bottom, and comes back through all frames; twice more, since some versions are
/// released when a later call begins or ends.
fn replace(guest: &Guest, stamps: &Stamps, depth: u64) -> Result<Replacement, String> {
    guest.on_probe(|_| Ok(()));
    guest.call("run", depth as i64)?;
    stamps.take();
    let began = Arc::new(Mutex::new(None));
    let shared = Arc::clone(&began);
    guest.on_probe(move |call| {
        *shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        call.thread().invalidate_all().map(drop).map_err(refused)
    });
    guest.call("run", depth as i64)?;
    let ended = Instant::now();
    guest.on_probe(|_| Ok(()));
    guest.call("run", 1)?;
    guest.call("run", 1)?;
    let began = began.lock().unwrap_or_else(PoisonError::into_inner).ok_or("the probe was not called")?;
    let since = |then: Instant| then.saturating_duration_since(began).as_nanos() as f64;
    let events = stamps.take().into_iter().filter(|(_, then)| *then >= began);
    Ok(Replacement { events: events.map(|(kind, then)| (kind, since(then))).collect(), ended: since(ended) })
}

impl Replacement {
    /// The first time that this happens.
    fn first(&self, kind: Kind) -> Option<f64> {
        self.events.iter().find(|(found, _)| *found == kind).map(|&(_, at)| at)
    }

    /// When the last of all retired versions got there; none if one did not.
    fn last_of_all(&self, kind: Kind) -> Option<f64> {
        let count = |kind| self.events.iter().filter(|(found, _)| *found == kind).count();
        let all = count(Kind::Retired);
        let mut there = self.events.iter().filter(|(found, _)| *found == kind).map(|&(_, at)| at);
        if all == 0 { None } else { there.nth(all - 1) }
    }

    /// When what happened, in the order of kinds.
    fn timeline(&self) -> Vec<Finding> {
        use Kind::{Compiled, Drained, Hijacked, Landed, Released, Retired};
        let of = |kind: Kind| {
            let times = self.events.iter().filter(|(found, _)| *found == kind).map(|&(_, at)| at).collect();
            Finding::new("timeline", kind.name(), "ns", times)
        };
        [Retired, Hijacked, Drained, Released, Landed, Compiled].map(of).into()
    }
}
