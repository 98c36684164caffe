//! What replacing one frame costs, measured directly.
//!
//! A recursion D deep calls the host, which looks at the clock, invalidates everything on the stack,
//! looks at the clock, and returns. The first interval, by frame, is the cost of a hijack: walking (for
//! the versions, and for the slots), recording, swapping, and releasing the code. The time from there to
//! the end of the outermost call, by frame, less the same without the invalidation, is the cost of a
//! landing: rebuilding the frame, and interpreting the two instructions and the return that are left of
//! it, where compiled code would have executed them.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use osr_engine::{HostCall, HostError, Imports, Instance, Invalidated, Settings, Thread, Tiers};
use osr_ir::{Module, Signature, Value};
use serde::Serialize;

use crate::error::Error;
use crate::guest::session::on_thread;
use crate::laboratory::early_end;

const SOURCE: &str = include_str!("../../../programs/descent.ir");
const STACK_BYTES: usize = 256 << 20;
/// Depths with the number of times each is measured: one that fits the first-level cache, one that fits
/// none.
const DEPTHS: [(i32, usize); 3] = [(100, 301), (10_000, 101), (100_000, 15)];

/// What was measured at one depth. Times are medians.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Descent {
    /// How deep the recursion is.
    pub(crate) depth: i32,
    /// Frames that one invalidation hijacks.
    pub(crate) frames: u64,
    /// The invalidation by frame: two walks, hijack, release.
    pub(crate) hijack_ns: f64,
    /// The way back by frame, not hijacked.
    pub(crate) return_ns: f64,
    /// What a landing adds to that.
    pub(crate) landing_ns: f64,
    /// Bytes of code that one invalidation releases.
    pub(crate) released_bytes: u64,
    /// Whether all calls gave the same result.
    pub(crate) agrees: bool,
}

/// Measures at all depths; after an interrupt, at no more.
pub(crate) fn measure(progress: impl Fn(i32) + Sync) -> Result<Vec<Descent>, Error> {
    let module = osr_ir::text::parse(SOURCE).expect("the bundled program parses");
    on_thread(STACK_BYTES, || {
        let measured = DEPTHS.iter().take_while(|_| !early_end::is_wanted()).map(|&(depth, rounds)| {
            progress(depth);
            Descents::new(&module)?.measure(depth, rounds)
        });
        measured.collect()
    })?
}

/// What the innermost frame notes.
#[derive(Debug, Default)]
struct Probe {
    /// Whether to invalidate.
    armed: bool,
    invalidation: Duration,
    invalidated: Invalidated,
    /// When the host returned to the guest.
    left: Option<Instant>,
}

impl Probe {
    fn hit(&mut self, call: &HostCall<'_>) -> Result<(), HostError> {
        if self.armed {
            let begin = Instant::now();
            let invalidated = call.thread().invalidate_active();
            self.invalidation = begin.elapsed();
            self.invalidated = invalidated.map_err(|error| HostError::Failed(error.to_string()))?;
        }
        self.left = Some(Instant::now());
        Ok(())
    }
}

struct Descents {
    thread: Pin<Box<Thread>>,
    probe: Arc<Mutex<Probe>>,
}

impl Descents {
    fn new(module: &Module) -> Result<Descents, Error> {
        let refused = |source| Error::Instantiate { path: "descent.ir".into(), source };
        let probe = Arc::new(Mutex::new(Probe::default()));
        let mut imports = Imports::new();
        let shared = Arc::clone(&probe);
        imports.function("env", "probe", Signature::default(), move |call, _, _| lock(&shared).hit(call));
        let settings = Settings {
            tiers: Tiers::Optimized,
            threshold: Some(0),
            checked: false,
            value_stack_bytes: STACK_BYTES,
            ..Settings::default()
        };
        let instance = Instance::new(settings, module.clone(), &imports).map_err(refused)?;
        let thread = Thread::new(&instance)?;
        Ok(Descents { thread, probe })
    }

    fn measure(&self, depth: i32, rounds: usize) -> Result<Descent, Error> {
        let (mut hijacks, mut returns, mut landings) = (Vec::new(), Vec::new(), Vec::new());
        let expected = (1..=depth).fold(0_i32, i32::wrapping_add);
        let mut agrees = true;
        let mut invalidated = Invalidated::default();
        for _ in 0..rounds {
            // The first call compiles what the round before has invalidated.
            for (armed, measured) in [(false, false), (false, true), (true, true)] {
                lock(&self.probe).armed = armed;
                let (result, way_back) = self.descend(depth)?;
                agrees &= result == expected;
                match (armed, measured) {
                    (true, _) => {
                        let probe = lock(&self.probe);
                        hijacks.push(probe.invalidation);
                        landings.push(way_back);
                        invalidated = probe.invalidated;
                    }
                    (false, true) => returns.push(way_back),
                    (false, false) => {}
                }
            }
        }
        let by_frame =
            |times: Vec<Duration>| median(times).as_nanos() as f64 / invalidated.frames.max(1) as f64;
        let return_ns = by_frame(returns);
        Ok(Descent {
            depth,
            frames: invalidated.frames,
            hijack_ns: by_frame(hijacks),
            return_ns,
            landing_ns: by_frame(landings) - return_ns,
            released_bytes: invalidated.code_bytes,
            agrees,
        })
    }

    /// One descent: its result, and the time from the innermost frame back.
    fn descend(&self, depth: i32) -> Result<(i32, Duration), Error> {
        let called = self.thread.invoke("run", &[Value::I32(depth)]);
        let end = Instant::now();
        let words = called.map_err(|error| Error::ResultsDiffer(format!("descent {depth}: {error}")))?;
        let left = lock(&self.probe).left.expect("the innermost frame calls the host");
        Ok((words[0] as i32, end - left))
    }
}

fn lock(probe: &Mutex<Probe>) -> MutexGuard<'_, Probe> {
    probe.lock().unwrap_or_else(PoisonError::into_inner)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
