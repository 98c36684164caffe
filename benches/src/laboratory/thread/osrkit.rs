//! One transition by the formula of D'Elia and Demetrescu, "Flexible On-Stack Replacement in LLVM" (CGO 2016): the time
//! of a run whose points always fire, less that of one whose points never do, by transition.
//!
//! Theirs (Table 2, optimized): -0.03 to 8.3 ns, a tail call between two clones. (Table 3: a continuation takes 76 to
//! 811 µs to be made.) Here a transition takes a frame from the stack, and rebuilds it in other code.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use osr_engine::{
    Cause, Delegates, Event, Instance, Land, Observation, Observer, Settings, Stress, Thread, Tier, Tiers,
};

use super::Trial;
use super::guest::STACK_BYTES;
use crate::guest::host;
use crate::guest::suite;
use crate::laboratory::results::Finding;

/// Their programs, by the names that they have here, with their figure of a transition in nanoseconds.
pub(super) const PROGRAMS: [(&str, f64); 4] =
    [("binary-trees", 0.97), ("fannkuch", 0.62), ("mandelbrot", 3.63), ("n-body", 6.93)];

/// Points fire every so many safepoints: as often as possible would have code compiled for half of the time.
const EVERY: u64 = 7;

/// Measures their programs.
pub(super) fn run(trial: &Trial) -> Result<Vec<Finding>, String> {
    if !trial.mechanism.hijacks() {
        return Ok(vec![Finding::nothing("it hijacks no frames")]);
    }
    let mut findings = Vec::new();
    for (name, theirs) in PROGRAMS {
        let (mut transitions, mut continuations) = (Vec::new(), Vec::new());
        for _ in 0..trial.sizes.updates.min(5) {
            let never = timed(trial, name, u64::MAX)?;
            let always = timed(trial, name, EVERY)?;
            let fired = always.fired.max(1) as f64;
            transitions.push((always.took.as_nanos() as f64 - never.took.as_nanos() as f64) / fired);
            continuations.extend(always.continuations.iter().map(|time| time.as_nanos() as f64));
        }
        let note = format!("CGO'16, Table 2: {theirs} ns");
        findings.push(Finding::new(name, "transition", "ns", transitions).noted(note));
        findings.push(
            Finding::new(name, "continuation", "ns", continuations).noted("CGO'16, Table 3: 76 to 811 µs"),
        );
    }
    Ok(findings)
}

/// A run.
struct Timed {
    took: Duration,
    /// Transitions.
    fired: u64,
    /// What each continuation took to be compiled.
    continuations: Vec<Duration>,
}

/// The second call of a program, in which frames are hijacked every `every` safepoints, and land in optimized code.
fn timed(trial: &Trial, name: &str, every: u64) -> Result<Timed, String> {
    let program = suite::named(&[name.to_owned()]).map_err(|error| error.to_string())?.remove(0);
    let module = program.load().map_err(|error| error.to_string())?.module;
    let settings = Settings {
        tiers: Tiers::Optimized,
        mechanism: trial.mechanism,
        stress: Stress::hijack(every).landing(Land::In(Tier::Optimized)),
        unrolling: 1,
        checked: false,
        value_stack_bytes: STACK_BYTES,
        ..Settings::default()
    };
    let compiled = Arc::new(Continuations::default());
    let delegates = Delegates { observer: Some(compiled.clone()), policy: None };
    let instance = Instance::with_delegates(settings, delegates, module, &host::env::imports(true));
    let thread =
        Thread::new(&instance.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
    let function =
        thread.instance().exported_function(&program.invoke).ok_or("it exports no such function")?;
    let words: Vec<u64> = program.small.iter().map(|&word| word as u64).collect();
    thread.call(function, &words).map_err(|error| error.to_string())?;
    let before = thread.transitions().landings;
    let begin = Instant::now();
    thread.call(function, &words).map_err(|error| error.to_string())?;
    let took = begin.elapsed();
    let continuations = std::mem::take(&mut *compiled.0.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Timed { took, fired: thread.transitions().landings - before, continuations })
}

/// Notes what continuations took.
#[derive(Debug, Default)]
struct Continuations(Mutex<Vec<Duration>>);

impl Observer for Continuations {
    fn observe(&self, _: &Observation<'_>, event: &Event<'_>) {
        if let Event::Compiled { duration, cause: Cause::Landing, .. } = event {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(*duration);
        }
    }
}
