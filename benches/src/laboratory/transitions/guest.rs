//! What is measured: a descent, what is done at its bottom, and the way back.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use osr_engine::{
    Destination, HostCall, HostError, Imports, Instance, InvokeError, Mechanism, Settings, Thread, Tiers,
    Trap,
};
use osr_ir::{FunctionIndex, Signature};

use super::recursion::{Shape, recursion};
use crate::laboratory::measuring::Clock;

/// Native stack of the guest, and as much for interpreter frames.
pub(super) const STACK_BYTES: usize = 256 << 20;

/// The value that a descent passes on.
const ARGUMENT: u64 = 3;

/// A recursion in optimized code whose hijacked frames land at one destination.
pub(super) struct Guest {
    thread: Pin<Box<Thread>>,
    descend: FunctionIndex,
    bottom: Arc<Mutex<Bottom>>,
    clock: Clock,
}

/// What is done at the bottom, and what was seen there.
#[derive(Debug, Default)]
struct Bottom {
    hijacks: bool,
    frames: u64,
    hijack: Duration,
    left: Duration,
}

/// A descent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Descent {
    /// What it returned.
    pub(super) result: u64,
    /// Frames that were hijacked.
    pub(super) frames: u64,
    /// The walk and the hijack, if there was one.
    pub(super) hijack: Duration,
    /// The way back.
    pub(super) back: Duration,
}

impl Guest {
    /// A guest of so many `live` values, which is measured by `clock`.
    pub(super) fn new(
        (live, shape): (usize, Shape),
        landing: Destination,
        mechanism: Mechanism,
        clock: Clock,
    ) -> Result<Guest, String> {
        let bottom = Arc::new(Mutex::new(Bottom::default()));
        let shared = Arc::clone(&bottom);
        let mut imports = Imports::new();
        imports.function("env", "bottom", Signature::default(), move |call, _, _| {
            lock(&shared).reached(call, clock)
        });
        let settings = Settings {
            tiers: Tiers::Optimized,
            landing,
            mechanism,
            checked: false,
            value_stack_bytes: STACK_BYTES,
            ..Settings::default()
        };
        let instance = Instance::new(settings, recursion(live, shape), &imports);
        let instance = instance.map_err(|error| error.to_string())?;
        let descend = instance.exported_function("descend").ok_or("it exports `descend`")?;
        let thread = Thread::new(&instance).map_err(|error| error.to_string())?;
        Ok(Guest { thread, descend, bottom, clock })
    }

    /// Descends, hijacks all frames there or not, and comes back.
    pub(super) fn descend(&self, depth: u64, hijacks: bool) -> Result<Descent, String> {
        *lock(&self.bottom) = Bottom { hijacks, ..Bottom::default() };
        let called = self.thread.call(self.descend, &[depth, ARGUMENT]);
        let end = self.clock.now();
        let result = called.map_err(message)?[0];
        let Bottom { frames, hijack, left, .. } = *lock(&self.bottom);
        Ok(Descent { result, frames, hijack, back: end - left })
    }

    /// Frames that have landed so far.
    pub(super) fn landings(&self) -> u64 {
        self.thread.transitions().landings
    }
}

impl Bottom {
    /// A reading of the clock is subtracted from what is between two.
    fn reached(&mut self, call: &HostCall<'_>, clock: Clock) -> Result<(), HostError> {
        if self.hijacks {
            let first = clock.now();
            let begin = clock.now();
            let hijacked = call.thread().hijack(|_| true);
            let end = clock.now();
            self.frames = hijacked.map_err(|error| HostError::Failed(error.to_string()))?.frames;
            self.hijack = (end - begin).saturating_sub(begin - first);
        }
        self.left = clock.now();
        Ok(())
    }
}

/// What went wrong: what the host said, if it ended the call.
fn message(error: InvokeError) -> String {
    match error {
        InvokeError::Trap(Trap { message: Some(message), .. }) => message,
        other => other.to_string(),
    }
}

fn lock(bottom: &Mutex<Bottom>) -> MutexGuard<'_, Bottom> {
    bottom.lock().unwrap_or_else(PoisonError::into_inner)
}
