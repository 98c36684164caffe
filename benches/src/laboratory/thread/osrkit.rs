//! One transition by the formula of D'Elia and Demetrescu, "Flexible On-Stack Replacement in LLVM" (CGO 2016): the time
//! of a run whose points always fire, less that of one whose points never do, by transition.
//!
//! Theirs (Table 2, optimized): -0.03 to 8.3 ns, a tail call between two clones, with 0 to 15 live values. (Table 3: a
//! continuation takes 76 to 811 µs to be made, 4.2 to 6.6 µs for each IR instruction.) Here a transition takes a frame from the
//! stack, and rebuilds it in other code.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use osr_engine::{
    Cause, Delegates, Event, Instance, Land, Observation, Observer, Settings, Stress, Thread, Tier, Tiers,
};
use osr_ir::FunctionIndex;

use super::Trial;
use super::guest::STACK_BYTES;
use crate::guest::host;
use crate::guest::suite;
use crate::laboratory::results::Finding;
use crate::laboratory::statistics::steadiness;

/// One of their programs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theirs {
    /// The name that it has here.
    pub(super) name: &'static str,
    /// Their figure of a transition in nanoseconds, where it is known.
    pub(super) transition: Option<f64>,
    /// Their live values, where they are known.
    pub(super) live: Option<u32>,
}

const fn theirs(name: &'static str, transition: Option<f64>, live: Option<u32>) -> Theirs {
    Theirs { name, transition, live }
}

/// Their programs that are bundled. Of those without figures only the ranges are known that are in the captions.
pub(super) const PROGRAMS: [Theirs; 8] = [
    theirs("binary-trees", Some(0.97), None),
    theirs("fannkuch", Some(0.62), None),
    theirs("fasta", None, None),
    theirs("fasta-redux", None, None),
    theirs("mandelbrot", Some(3.63), Some(15)),
    theirs("n-body", Some(6.93), None),
    theirs("reverse-complement", None, None),
    theirs("spectral-norm", None, None),
];

/// Points fire every so many safepoints: as often as possible would have code compiled for half of the time.
const EVERY: u64 = 7;

/// Measures their programs.
pub(super) fn run(trial: &Trial) -> Result<Vec<Finding>, String> {
    if !trial.mechanism.hijacks() {
        return Ok(vec![Finding::nothing("it hijacks no frames")]);
    }
    let mut findings = Vec::new();
    for Theirs { name, .. } in PROGRAMS {
        findings.extend(program(trial, name)?);
    }
    Ok(findings)
}

/// Calls a program again and again, with points that never fire and with ones that always do, by turns.
fn program(trial: &Trial, name: &str) -> Result<[Finding; 5], String> {
    let (never, always) = (Guest::open(trial, name, u64::MAX)?, Guest::open(trial, name, EVERY)?);
    let (mut plain, mut firing, mut fired) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..trial.sizes.updates.clamp(1, 10) {
        plain.push(never.call()?.as_nanos() as f64);
        let before = always.thread.transitions().landings;
        firing.push(always.call()?.as_nanos() as f64);
        fired.push((always.thread.transitions().landings - before) as f64);
    }
    // Differences may be negative: what is steady is told by the times themselves.
    let steady = [&plain, &firing].map(|times| steadiness(times));
    let from = steady[0].from.max(steady[1].from);
    let kind = steady.map(|steady| steady.kind).into_iter().max();
    let differences = firing.iter().zip(&plain).zip(&fired);
    let mut warmup: Vec<f64> =
        differences.map(|((firing, plain), fired)| (firing - plain) / fired.max(1.0)).collect();
    let transitions = warmup.split_off(from);
    let noted = always.noted.locked();
    let live = noted.live.clone();
    let by_instruction = noted.continuations.iter().map(|&(time, instructions)| time / instructions);
    let finding = |metric, unit, samples| Finding::new(name, metric, unit, samples);
    Ok([
        Finding { warmup, steadiness: kind, ..finding("transition", "ns", transitions) },
        finding("fired", "transitions", fired.split_off(from)),
        finding("live values", "values", live),
        finding("continuation", "ns", noted.continuations.iter().map(|&(time, _)| time).collect()),
        finding("continuation by instruction", "ns", by_instruction.collect()),
    ])
}

/// A program whose frames are hijacked every so many safepoints, and land in optimized code. It was called once: code and
/// continuations are there.
struct Guest {
    thread: Pin<Box<Thread>>,
    function: FunctionIndex,
    words: Vec<u64>,
    noted: Arc<Noted>,
}

impl Guest {
    fn open(trial: &Trial, name: &str, every: u64) -> Result<Guest, String> {
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
        let noted = Arc::new(Noted::default());
        let delegates = Delegates { observer: Some(noted.clone()), policy: None };
        let instance = Instance::with_delegates(settings, delegates, module, &host::env::imports(true));
        let thread =
            Thread::new(&instance.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
        let function =
            thread.instance().exported_function(&program.invoke).ok_or("it exports no such function")?;
        let words: Vec<u64> = program.small.iter().map(|&word| word as u64).collect();
        let guest = Guest { thread, function, words, noted };
        guest.call()?;
        // Only there are live values counted, which takes time.
        guest.noted.is_steady.store(true, Ordering::Relaxed);
        Ok(guest)
    }

    fn call(&self) -> Result<Duration, String> {
        let begin = Instant::now();
        self.thread.call(self.function, &self.words).map_err(|error| error.to_string())?;
        Ok(begin.elapsed())
    }
}

/// Notes what continuations took, and the live values of the first landings.
#[derive(Debug, Default)]
struct Noted {
    is_steady: AtomicBool,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Nanoseconds, and the instructions of the body.
    continuations: Vec<(f64, f64)>,
    live: Vec<f64>,
}

impl Noted {
    fn locked(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Noted {
    fn observe(&self, observation: &Observation<'_>, event: &Event<'_>) {
        /// As many landings are looked at.
        const LANDINGS: usize = 1_000;
        match event {
            Event::Compiled { duration, version, cause: Cause::Landing } => {
                let body = observation.instance().module().function(version.function).body();
                let blocks = body.map_or(&[][..], |body| &body.blocks);
                let instructions: usize = blocks.iter().map(|block| block.instructions.len() + 1).sum();
                let times = (duration.as_nanos() as f64, instructions.max(1) as f64);
                self.locked().continuations.push(times);
            }
            Event::Landed { state, .. } if !self.is_steady.load(Ordering::Relaxed) => {
                let mut seen = self.locked();
                if seen.live.len() < LANDINGS {
                    seen.live.push(state.values().count() as f64);
                }
            }
            _ => {}
        }
    }
}
