//! The replayer: does what host functions have done, as long as they are called as they were.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use osr_engine::{HostCall, HostError, Imports};
use osr_ir::{ImportName, Module, Shown};

use super::{Call, Record, recorded};

/// Does what host functions have done in a recorded run.
#[derive(Debug)]
pub(crate) struct Replayer {
    record: Arc<Record>,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    /// Calls that were replayed.
    calls: usize,
    /// How the run first differed from the recorded one.
    divergence: Option<String>,
}

impl Replayer {
    /// Replays `record` from its beginning.
    pub(crate) fn new(record: Arc<Record>) -> Arc<Replayer> {
        Arc::new(Replayer { record, progress: Mutex::default() })
    }

    /// Provides what `module` imports and is recorded.
    pub(crate) fn provide(self: &Arc<Replayer>, module: &Module, imports: &mut Imports) {
        for (name, function) in recorded(module) {
            let (replayer, called) = (Arc::clone(self), name.clone());
            let signature = module.signature_of(function).clone();
            imports.function(&name.module, &name.name, signature, move |call, arguments, results| {
                replayer.call(&called, call, arguments, results)
            });
        }
    }

    fn call(
        &self,
        name: &ImportName,
        call: &HostCall<'_>,
        arguments: &[u64],
        results: &mut [u64],
    ) -> Result<(), HostError> {
        let mut progress = self.lock();
        let recorded = self.record.calls.get(progress.calls);
        match recorded {
            Some(recorded) if self.is_of(recorded, name) && recorded.arguments == arguments => {
                progress.calls += 1;
                repeat(recorded, call, results)
            }
            other => {
                let message = self.difference(progress.calls + 1, name, arguments, other);
                progress.divergence.get_or_insert(message.clone());
                Err(HostError::Failed(message))
            }
        }
    }

    fn is_of(&self, call: &Call, name: &ImportName) -> bool {
        let function = self.record.functions.get(call.function);
        function.is_some_and(|function| function.module == name.module && function.name == name.name)
    }

    fn difference(
        &self,
        number: usize,
        name: &ImportName,
        arguments: &[u64],
        recorded: Option<&Call>,
    ) -> String {
        let given = show(&name.module, &name.name, arguments);
        match recorded {
            None => format!("host call {number} is {given}, and {} were recorded", number - 1),
            Some(recorded) => {
                let function = self.record.functions.get(recorded.function);
                let (module, name) =
                    function.map_or(("", "?"), |function| (&function.module, &function.name));
                let expected = show(module, name, &recorded.arguments);
                format!("host call {number} is {given}, and the recorded one {expected}")
            }
        }
    }

    /// How the run, which has ended, differed from the recorded one in its host calls.
    pub(crate) fn divergence(&self) -> Option<String> {
        let progress = self.lock();
        let (made, recorded) = (progress.calls, self.record.calls.len());
        let fewer =
            (made < recorded).then(|| format!("it made {made} host calls, and the recorded one {recorded}"));
        progress.divergence.clone().or(fewer)
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn repeat(recorded: &Call, call: &HostCall<'_>, results: &mut [u64]) -> Result<(), HostError> {
    let cannot = |what: &str| HostError::Failed(format!("the record cannot be replayed: {what}"));
    if let Some(memory) = call.memory() {
        if recorded.grown > 0 {
            memory.grow(recorded.grown).ok_or_else(|| cannot("memory cannot grow as it did"))?;
        }
        if !recorded.writes.iter().all(|write| memory.write(write.address, &write.bytes)) {
            return Err(cannot("it writes beyond the memory's end"));
        }
    }
    match &recorded.outcome {
        super::Outcome::Returned(words) if words.len() != results.len() => {
            Err(cannot("wrong number of results"))
        }
        outcome => outcome.repeat(results),
    }
}

fn show(module: &str, name: &str, arguments: &[u64]) -> String {
    let mut text = format!("{}.{}(", Shown(module), Shown(name));
    for (position, argument) in arguments.iter().enumerate() {
        let separator = if position == 0 { "" } else { ", " };
        write!(text, "{separator}{argument:#x}").expect("a string grows");
    }
    text + ")"
}
