//! The recorder: calls host functions, and writes down what they do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use osr_engine::{HostCall, HostError, HostFunction, Imports};
use osr_ir::{ImportName, Module};

use super::changes::Before;
use super::{Call, Imported, Outcome, Record, recorded};

/// Writes down what host functions do.
#[derive(Debug)]
pub(crate) struct Recorder {
    record: Mutex<Record>,
    /// Whether functions that are not of WASI do nothing.
    stubs: bool,
}

impl Recorder {
    /// Puts a recorder in front of what `module` imports of `imports`. If there are `stubs` among them, they are what
    /// is not of WASI.
    pub(crate) fn wrap(module: &Module, imports: &mut Imports, stubs: bool) -> Arc<Recorder> {
        let recorder = Arc::new(Recorder { record: Mutex::default(), stubs });
        for (position, (name, function)) in recorded(module).enumerate() {
            let Some(host) = imports.host_function(name).cloned() else { continue };
            let Imported { module: from, name: called } = recorder.note_function(position, name);
            let (recorder, name, signature) =
                (Arc::clone(&recorder), name.clone(), module.signature_of(function));
            imports.function(&from, &called, signature.clone(), move |call, arguments, results| {
                recorder.call(&host, (position, &name), call, arguments, results)
            });
        }
        recorder
    }

    fn note_function(&self, position: usize, name: &ImportName) -> Imported {
        let imported = Imported { module: name.module.clone(), name: name.name.clone() };
        let functions = &mut self.lock().functions;
        debug_assert_eq!(functions.len(), position);
        functions.push(imported.clone());
        imported
    }

    fn call(
        &self,
        host: &HostFunction,
        (function, name): (usize, &ImportName),
        call: &HostCall<'_>,
        arguments: &[u64],
        results: &mut [u64],
    ) -> Result<(), HostError> {
        let before = Before::of(call, name, arguments, self.stubs);
        let done = (host.code)(call, arguments, results);
        let (grown, writes) = before.changes(call);
        let outcome = Outcome::of(&done, results);
        self.lock().calls.push(Call { function, arguments: arguments.to_vec(), outcome, grown, writes });
        done
    }

    /// What was written down so far.
    pub(crate) fn record(&self) -> Record {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
