//! This engine as a runner.

use std::pin::Pin;
use std::sync::Arc;

use osr_engine::{Instance, SavedState, Settings, Thread};

use super::clock::Clock;
use super::job::Subject;
use super::runner::{Call, Runner, Sample, timed, timed_apart};
use crate::guest::host;
use crate::guest::load::Program;

/// Stack of interpreter frames; the worker's native stack is as large.
pub(super) const STACK_BYTES: usize = 512 << 20;

/// A program on this engine.
pub(super) struct Ours {
    thread: Pin<Box<Thread>>,
    call: Call,
    words: Vec<u64>,
    rewinder: Option<Rewinder>,
}

/// What puts back the state that the first call has found, and sees to it that calls do the same.
struct Rewinder {
    state: SavedState,
    /// What memory hashes to after a call, and whether that was checked.
    memory: Option<(Option<u64>, bool)>,
}

impl Rewinder {
    /// After a call: the first two must leave the same memory.
    fn check(&mut self, thread: &Thread) -> Result<(), String> {
        let hash = || thread.instance().memory_hash();
        self.memory = Some(match self.memory {
            None => (hash(), false),
            Some((first, false)) if first != hash() => {
                return Err("its second call leaves another memory than the first".to_owned());
            }
            Some((first, _)) => (first, true),
        });
        Ok(())
    }
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
        let state =
            subject.rewind.then(|| thread.save_state()).transpose().map_err(|error| error.to_string())?;
        let rewinder = state.map(|state| Rewinder { state, memory: None });
        Ok(Ours { thread, call, words, rewinder })
    }
}

impl Runner for Ours {
    fn sample(&mut self, calls: u32, clock: Clock) -> Result<Sample, String> {
        let (thread, types) = (&self.thread, &self.call.signature.results);
        let call = || thread.call(self.call.function, &self.words).map_err(|error| error.to_string());
        let Some(Rewinder { state, .. }) = &self.rewinder else { return timed(calls, clock, types, call) };
        let rewind = || thread.restore_state(state).map_err(|error| error.to_string());
        let sample = timed_apart(calls, clock, types, rewind, call)?;
        self.rewinder.as_mut().expect("it rewinds").check(&self.thread)?;
        Ok(sample)
    }

    fn code_bytes(&self) -> Option<u64> {
        let versions = self.thread.instance().versions();
        Some(versions.into_iter().map(|version| u64::from(version.code_bytes)).sum())
    }
}
