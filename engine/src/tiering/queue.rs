//! The queue: code that is compiled beside the guest.
//!
//! ```text
//!   guest's native thread                      compiling threads
//!     order ──> waiting: key, gain ──────────>   the one with the largest gain ──> compile
//!     arrive <── finished: body or error <────────┘
//! ```
//!
//! Ordering never waits, and a compilation belongs to its order only: the compiler is a function of a unit, which is
//! immutable. What it made is installed by the guest's native thread, whenever a count expires or the runtime is reached
//! at a safepoint. There is no need to interrupt the guest: who waits for better code executes slower code, whose counts
//! expire. An order is made again while it waits, each time a count expires, and so its gain grows.
//!
//! The compiling threads hold the instance only while they compile for it. When it is dropped they end, and what waits is
//! forgotten: a run that ends does not wait for its orders.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use osr_compiler::{CompileError, CompiledBody, CompiledTier, VersionKey};

use super::compile;
use crate::event::Cause;
use crate::instance::Instance;
use crate::settings::compilation::Compilation;
use crate::settings::stress::mix;
use crate::thread::agenda::catch_panic;

/// Code that is compiled beside the guest of one instance.
#[derive(Debug)]
pub(crate) struct Queue {
    shared: Arc<Shared>,
    /// With [`Compilation::Simulated`], its seed.
    simulated: Option<u64>,
}

/// An order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    /// The code.
    pub(crate) key: VersionKey,
    /// What it gains: the larger, the sooner it is compiled.
    pub(crate) gain: i64,
    /// Why.
    pub(crate) cause: Cause,
    /// How often code of the function had been retired.
    pub(crate) generation: u32,
}

/// What came of an order.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) order: Order,
    pub(crate) body: Result<CompiledBody, CompileError>,
    /// Of the compilation.
    pub(crate) duration: Duration,
    /// Simulated: the arrival that it is there at.
    at: u64,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    ordered: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<(Order, Weak<Instance>)>,
    compiling: Vec<VersionKey>,
    finished: Vec<Finished>,
    threads: usize,
    idle: usize,
    is_closed: bool,
    /// Times that arrivals were looked for.
    looked: u64,
    /// Orders so far.
    orders: u64,
}

impl Queue {
    /// The queue that `compilation` asks for, if any.
    pub(crate) fn of(compilation: Compilation) -> Option<Queue> {
        let simulated = match compilation {
            Compilation::Sync => return None,
            Compilation::Background => None,
            Compilation::Simulated(seed) => Some(seed),
        };
        let shared = Shared { state: Mutex::default(), ordered: Condvar::new() };
        Some(Queue { shared: Arc::new(shared), simulated })
    }

    /// Whether it takes what costs so much to compile. Baseline code that is quickly made is made while the guest waits:
    /// handing it over, and interpreting meanwhile, costs more. What is simulated is there to be tested, and takes
    /// everything.
    pub(crate) fn takes(&self, tier: CompiledTier, cost_ns: u64) -> bool {
        self.simulated.is_some() || tier == CompiledTier::Optimized || cost_ns > QUICK_NS
    }

    /// Has `order` compiled for `instance`, or, if it was ordered before, notes its gain. Whether it is new.
    pub(crate) fn order(&self, instance: &Arc<Instance>, order: Order) -> bool {
        let mut state = self.shared.state();
        if let Some((waiting, _)) = state.waiting.iter_mut().find(|(waiting, _)| waiting.key == order.key) {
            waiting.gain = order.gain;
            return false;
        }
        let is_known = state.compiling.contains(&order.key)
            || state.finished.iter().any(|finished| finished.order.key == order.key);
        if is_known {
            return false;
        }
        state.orders += 1;
        match self.simulated {
            Some(seed) => {
                let at = state.looked + 1 + mix(seed ^ state.orders) % LONGEST_DELAY;
                drop(state);
                let finished = compiled(instance, order, at);
                self.shared.state().finished.push(finished);
            }
            None => {
                state.waiting.push((order, Arc::downgrade(instance)));
                self.shared.wake(state);
            }
        }
        true
    }

    /// What has arrived since the last time.
    pub(crate) fn arrived(&self) -> Vec<Finished> {
        let mut state = self.shared.state();
        state.looked += 1;
        if state.finished.is_empty() {
            return Vec::new();
        }
        let looked = state.looked;
        state.finished.extract_if(.., |finished| finished.at <= looked).collect()
    }
}

/// Baseline code that costs no more than this, in nanoseconds, is quickly made.
const QUICK_NS: u64 = 250_000;

/// Simulated code arrives after at most so many looks.
const LONGEST_DELAY: u64 = 64;

/// Threads that compile for one instance, at most.
const MOST_THREADS: usize = 4;

/// The native stack of a compiling thread: address space; memory is used as it is touched.
const STACK_BYTES: usize = 64 << 20;

impl Drop for Queue {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.is_closed = true;
        state.waiting.clear();
        self.shared.ordered.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was ordered: a thread takes it, a new one if all are busy and there may be more.
    fn wake(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let limit = processors.saturating_sub(1).clamp(1, MOST_THREADS);
        if state.idle == 0 && state.threads < limit {
            let shared = Arc::clone(self);
            let builder = thread::Builder::new().name("osr-compiler".to_owned()).stack_size(STACK_BYTES);
            match builder.spawn(move || shared.work()) {
                Ok(_) => state.threads += 1,
                Err(error) => tracing::warn!(%error, "no thread to compile on; code waits for the others"),
            }
        }
        drop(state);
        self.ordered.notify_one();
    }

    /// Compiles what waits, the best first, until the queue is closed.
    fn work(&self) {
        while let Some((order, instance)) = self.next() {
            // The instance may have gone since.
            let Some(instance) = instance.upgrade() else { continue };
            let finished = compiled(&instance, order, 0);
            // The last handle of an instance closes the queue, whose lock is not held here.
            drop(instance);
            let mut state = self.state();
            state.compiling.retain(|key| *key != order.key);
            if !state.is_closed {
                state.finished.push(finished);
            }
        }
    }

    /// The order with the largest gain; waits for one. None: the queue is closed.
    fn next(&self) -> Option<(Order, Weak<Instance>)> {
        let mut state = self.state();
        loop {
            if state.is_closed {
                return None;
            }
            let best = (0..state.waiting.len()).max_by_key(|&at| state.waiting[at].0.gain);
            if let Some(best) = best {
                let taken = state.waiting.swap_remove(best);
                state.compiling.push(taken.0.key);
                return Some(taken);
            }
            state.idle += 1;
            state = self.ordered.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}

/// Compiles what `order` asks for. A panic of the compiler is an error that says so.
fn compiled(instance: &Instance, order: Order, at: u64) -> Finished {
    let began = Instant::now();
    let body = catch_panic(|| compile::compile_body(instance, order.key));
    let body = body.unwrap_or_else(|message| Err(CompileError::Panicked(message)));
    Finished { order, body, duration: began.elapsed(), at }
}
