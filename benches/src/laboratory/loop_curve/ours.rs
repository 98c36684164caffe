//! The loop on this engine: each sample in an instance of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use osr_engine::{
    Compilation, CompiledTier, Delegates, Event, Imports, Instance, Observation, Observer, Settings, Thread,
    Tiers,
};
use osr_ir::{FunctionIndex, Register, wasm};

use super::{Sample, kernel};
use crate::error::Error;
use crate::guest::session::{on_thread, trap_of};

pub(super) fn auto(iterations: u32, again: u32) -> Result<Option<Sample>, Error> {
    sample(Settings::default(), iterations, again)
}

pub(super) fn background(iterations: u32, again: u32) -> Result<Option<Sample>, Error> {
    sample(Settings { compilation: Compilation::Background, ..Settings::default() }, iterations, again)
}

pub(super) fn baseline(iterations: u32, again: u32) -> Result<Option<Sample>, Error> {
    sample(Settings { tiers: Tiers::Baseline, ..Settings::default() }, iterations, again)
}

pub(super) fn optimized(iterations: u32, again: u32) -> Result<Option<Sample>, Error> {
    sample(Settings { tiers: Tiers::Optimized, ..Settings::default() }, iterations, again)
}

/// Sees when the loop continues in optimized code.
#[derive(Debug, Default)]
struct Watch {
    /// The iterations that were left then, plus one; 0 if it has not happened.
    left: AtomicU32,
}

impl Observer for Watch {
    fn observe(&self, _: &Observation<'_>, event: &Event<'_>) {
        let (to, state) = match *event {
            Event::TieredUp { to, state, .. } => (Some(to), state),
            Event::Landed { to, state, .. } => (to, state),
            _ => return,
        };
        if to.is_some_and(|to| to.tier == CompiledTier::Optimized)
            && let Some((_, left)) = state.values().find(|&(register, _)| register == Register::new(0))
        {
            // The first time counts.
            let _ = self.left.compare_exchange(0, left as u32 + 1, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

const STACK_BYTES: usize = 4 << 20;

fn sample(settings: Settings, iterations: u32, again: u32) -> Result<Option<Sample>, Error> {
    on_thread(STACK_BYTES, || {
        let path = || PathBuf::from("loop");
        let module = wasm::import(kernel::BYTES).map_err(|source| Error::Wasm { path: path(), source })?;
        let watch = Arc::new(Watch::default());
        let delegates = Delegates { observer: Some(Arc::clone(&watch) as Arc<dyn Observer>), policy: None };
        let instance = Instance::with_delegates(settings, delegates, module, &Imports::new())
            .map_err(|source| Error::Instantiate { path: path(), source })?;
        let thread = Thread::new(&instance)?;
        let call = || {
            let begin = Instant::now();
            let result = trap_of(thread.call(FunctionIndex::new(0), &[u64::from(iterations)]));
            (begin.elapsed().as_nanos() as f64, result)
        };
        let (first, result) = call();
        let left = watch.left.load(Ordering::Relaxed);
        let later = (0..again).map(|_| call().0).reduce(f64::min);
        let optimized_after = left.checked_sub(1).map(|left| iterations - left);
        let trapped = |trap| Error::ResultsDiffer(format!("the loop does not end: {trap}"));
        let result = result.map_err(trapped)?[0] as u32;
        Ok(Some(Sample { first, again: later, result, optimized_after }))
    })?
}
