//! Functions in place of those that nobody provides.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use osr_engine::{HostError, Imports};
use osr_ir::{ExportItem, Shown};

use super::super::load::Program;
use super::imported;

/// Functions that do nothing.
#[derive(Debug)]
pub(super) struct Stubs {
    traps: bool,
    /// What they stand for.
    names: Mutex<BTreeSet<String>>,
    /// How often each was called that was.
    calls: Mutex<BTreeMap<String, u64>>,
}

impl Stubs {
    /// They return zeros.
    pub(super) fn returning_zeros() -> Stubs {
        Stubs { traps: false, names: Mutex::default(), calls: Mutex::default() }
    }

    /// They trap.
    pub(super) fn trapping() -> Stubs {
        Stubs { traps: true, names: Mutex::default(), calls: Mutex::default() }
    }

    /// Provides every function that `program` imports and `imports` do not provide yet, or not of its type.
    pub(super) fn provide(self: &Arc<Stubs>, program: &Program, imports: &mut Imports) {
        let module = &program.module;
        for (name, item) in imported::distinct(module) {
            let ExportItem::Function(function) = item else { continue };
            let signature = module.signature_of(function);
            if imports.host_function(name).is_some_and(|host| host.signature.has_types_of(signature)) {
                continue;
            }
            let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            names.insert(format!("{}.{}", Shown(&name.module), Shown(&name.name)));
            let (stubs, shown) = (Arc::clone(self), format!("{}.{}", Shown(&name.module), Shown(&name.name)));
            imports.function(&name.module, &name.name, signature.clone(), move |_, _, _| stubs.call(&shown));
        }
    }

    fn call(&self, name: &str) -> Result<(), HostError> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        match calls.get_mut(name) {
            Some(count) => *count += 1,
            None => drop(calls.insert(name.to_owned(), 1)),
        }
        if self.traps {
            return Err(HostError::Failed(format!("{name} is not provided (--imports trap)")));
        }
        Ok(())
    }

    /// What they stand for in a run of `program`, in a line, and a line for each that was called, up to a limit.
    pub(super) fn report(&self, program: &Program) -> String {
        const LISTED: usize = 50;
        let (kind, imports) = (program.kind, imported::distinct(&program.module).count());
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let stubs = self.names.lock().unwrap_or_else(PoisonError::into_inner).len();
        let does = if self.traps { "trap" } else { "return zeros" };
        let mut text = format!(
            "stub: {kind}: {stubs} of {imports} imports {does}, {} of them {} called\n",
            calls.len(),
            if calls.len() == 1 { "was" } else { "were" },
        );
        for (name, count) in calls.iter().take(LISTED) {
            writeln!(text, "stub: {name} was called {}", times(*count)).expect("a string grows");
        }
        text
    }
}

/// `once`, or `2 times`.
fn times(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}
