//! This engine as a runner.

use std::pin::Pin;
use std::sync::Arc;

use osr_engine::{Instance, Settings, Thread};

use super::clock::Clock;
use super::job::Subject;
use super::runner::{Call, Runner, Sample, timed};
use crate::guest::host;
use crate::guest::load::Program;

/// Stack of interpreter frames; the worker's native stack is as large.
pub(super) const STACK_BYTES: usize = 512 << 20;

/// A program on this engine.
pub(super) struct Ours {
    thread: Pin<Box<Thread>>,
    call: Call,
    words: Vec<u64>,
}

impl Ours {
    /// Makes an instance and runs its start function.
    pub(super) fn open(settings: Settings, subject: &Subject, program: &Program) -> Result<Ours, String> {
        let call = Call::of(subject, program)?;
        let instance = Instance::new(settings, program.module.clone(), &host::env::imports(true));
        let instance: Arc<Instance> = instance.map_err(|error| error.to_string())?;
        let thread = Thread::new(&instance).map_err(|error| error.to_string())?;
        thread.start().map_err(|error| error.to_string())?;
        let words = call.arguments.iter().flat_map(|value| value.to_words()).collect();
        Ok(Ours { thread, call, words })
    }
}

impl Runner for Ours {
    fn sample(&mut self, calls: u32, clock: Clock) -> Result<Sample, String> {
        timed(calls, clock, &self.call.signature.results, || {
            self.thread.call(self.call.function, &self.words).map_err(|error| error.to_string())
        })
    }

    fn code_bytes(&self) -> Option<u64> {
        let versions = self.thread.instance().versions();
        Some(versions.into_iter().map(|version| u64::from(version.code_bytes)).sum())
    }
}
