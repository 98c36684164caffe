//! What an update costs: the time from the wish to replace a function until nothing new enters its old code, against the
//! number of its call sites and of its active frames.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use osr_engine::Settings;

use super::Trial;
use super::guest::{DESCENT, Guest, call_sites, refused};
use crate::laboratory::results::Finding;

/// Measures at all sizes of the trial.
pub(super) fn run(trial: &Trial) -> Result<Vec<Finding>, String> {
    let mut findings = Vec::new();
    for &sites in &trial.sizes.sites {
        findings.extend(by_sites(trial, sites, |settings| settings)?);
    }
    for &frames in &trial.sizes.frames {
        findings.extend(by_frames(trial, frames)?);
    }
    Ok(findings)
}

/// Replaces a function that has one active frame and `sites` call sites.
///
/// `unbind` is the invalidation; `bind` is the installation of the version that comes after, without compilation.
pub(super) fn by_sites(
    trial: &Trial,
    sites: u64,
    change: impl FnOnce(Settings) -> Settings,
) -> Result<[Finding; 2], String> {
    // All call sites are compiled with the instance.
    let placed = |settings| change(Settings { placement: Some(trial.seed), ..settings });
    let guest = Guest::new(&call_sites(sites), trial, None, placed)?;
    let took = Arc::new(Mutex::new(Duration::ZERO));
    let shared = Arc::clone(&took);
    guest.on_probe(move |call| {
        let begin = Instant::now();
        call.thread().invalidate_active().map_err(refused)?;
        *shared.lock().unwrap_or_else(PoisonError::into_inner) = begin.elapsed();
        Ok(())
    });
    let (mut unbind, mut bind) = (Vec::new(), Vec::new());
    for _ in 0..trial.sizes.updates {
        let before = guest.thread.instance().code_times().install_ns;
        guest.call("callee", 0)?;
        let after = guest.thread.instance().code_times().install_ns;
        if after > before {
            bind.push((after - before) as f64);
        }
        guest.call("callee", 1)?;
        unbind.push(took.lock().unwrap_or_else(PoisonError::into_inner).as_nanos() as f64);
    }
    let finding = |metric, samples| Finding::new("call sites", metric, "ns", samples).at(sites).steady();
    Ok([finding("unbind", unbind), finding("bind", bind)])
}

/// Replaces a function that has `frames` frames, besides the innermost one.
///
/// `replace` is the invalidation; `return` and `land` are the ways back, without and with one.
fn by_frames(trial: &Trial, frames: u64) -> Result<[Finding; 3], String> {
    let Descents { plain, replaced } = descents(trial, frames)?;
    let finding = |metric, descents: &[Descent], of: fn(&Descent) -> f64| {
        Finding::new("frames", metric, "ns", descents.iter().map(of).collect()).at(frames).steady()
    };
    Ok([
        finding("replace", &replaced, |descent| descent.update),
        finding("return", &plain, |descent| descent.back),
        finding("land", &replaced, |descent| descent.back),
    ])
}

/// A descent, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Descent {
    /// The invalidation at the bottom.
    pub(super) update: f64,
    /// From there to the end of the outermost call.
    pub(super) back: f64,
}

/// Descents without an invalidation, and with one.
pub(super) struct Descents {
    plain: Vec<Descent>,
    pub(super) replaced: Vec<Descent>,
}

/// Descends to so many frames besides the innermost one, again and again, and invalidates every second time.
pub(super) fn descents(trial: &Trial, frames: u64) -> Result<Descents, String> {
    let guest = Guest::new(DESCENT, trial, None, |settings| settings)?;
    let mut descents = Descents { plain: Vec::new(), replaced: Vec::new() };
    // A million frames land for a while: fewer times is enough, since each is long.
    let updates = if frames >= 100_000 { trial.sizes.updates.min(5) } else { trial.sizes.updates };
    for _ in 0..updates {
        // Compiles what the round before has invalidated.
        descend(&guest, frames, false)?;
        descents.plain.push(descend(&guest, frames, false)?);
        descents.replaced.push(descend(&guest, frames, true)?);
    }
    Ok(descents)
}

/// One descent, with an invalidation if it is `armed`.
fn descend(guest: &Guest, frames: u64, armed: bool) -> Result<Descent, String> {
    let noted = Arc::new(Mutex::new((Duration::ZERO, None)));
    let shared = Arc::clone(&noted);
    guest.on_probe(move |call| {
        let begin = Instant::now();
        if armed {
            // Who updates knows what: no walk looks for the versions on the stack.
            call.thread().invalidate_all().map_err(refused)?;
        }
        let end = Instant::now();
        *shared.lock().unwrap_or_else(PoisonError::into_inner) = (end - begin, Some(end));
        Ok(())
    });
    guest.call("run", frames as i64)?;
    let end = Instant::now();
    let (took, left) = *noted.lock().unwrap_or_else(PoisonError::into_inner);
    let left = left.ok_or("the innermost frame did not call the probe")?;
    Ok(Descent { update: took.as_nanos() as f64, back: (end - left).as_nanos() as f64 })
}
