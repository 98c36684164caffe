//! Whether a candidate ends: the interpreter says so, by counting. A candidate that runs on and on is no failure, and most of
//! those that do run on in the interpreter, too: they need no process that has to be waited for.

use std::sync::Arc;

use osr_engine::{Delegates, Instance, Observers, Script, Settings, Thread, Tiers};

use super::reduction::Candidate;
use crate::commands::run::fuel::Fuel;
use crate::guest::host::env;
use crate::guest::session::on_thread;

/// Arrivals at entries and loop headers of the first run, up to which candidates are counted: a second's worth.
const COUNTED: u64 = 20_000_000;

/// What a candidate may arrive more often than the first run did.
const MORE: u64 = 10;

/// The same for short runs.
const LEAST: u64 = 10_000;

/// Counts what the interpreter does for a candidate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    stack_bytes: usize,
    /// Arrivals that a candidate may have.
    limit: u64,
}

impl Ends {
    /// Candidates that come of `first`; `None` if that is too long to be counted.
    pub(super) fn after(first: &Candidate, stack_bytes: usize) -> Option<Ends> {
        let arrivals = Ends { stack_bytes, limit: COUNTED }.arrivals(first)?;
        Some(Ends { stack_bytes, limit: (arrivals * MORE).max(LEAST) })
    }

    /// Whether `candidate` ends, by returning or by a trap, or cannot be run so.
    pub(super) fn holds(&self, candidate: &Candidate) -> bool {
        self.arrivals(candidate).is_some()
    }

    /// How often the interpreter arrives at an entry or a loop header; `None` if more often than the limit.
    fn arrivals(&self, candidate: &Candidate) -> Option<u64> {
        let fuel = Arc::new(Fuel::new(self.limit));
        let settings = Settings {
            tiers: Tiers::Interpreter,
            points: true,
            checked: false,
            value_stack_bytes: self.stack_bytes,
            ..Settings::default()
        };
        let run = || {
            let module = candidate.module.clone();
            let script = Arc::new(Script::new(&module.script));
            let observer = Observers::join(vec![fuel.clone(), script]);
            let delegates = Delegates { observer, policy: None };
            let instance = Instance::with_delegates(settings, delegates, module, &env::imports(true)).ok()?;
            let thread = Thread::new(&instance).ok()?;
            // Whatever comes of it: it has ended.
            thread.start().ok()?;
            thread.invoke(&candidate.invoke, &candidate.arguments).ok()
        };
        // What cannot be run here the child refuses, too.
        let _ = on_thread(self.stack_bytes, run);
        fuel.remaining().map(|remaining| self.limit - remaining)
    }
}
