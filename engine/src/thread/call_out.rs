//! Calls out of guest code: of host functions, and of functions of other instances.

use std::sync::Arc;

use osr_ir::{FunctionIndex, Point, Points, TrapKind};

use crate::error::{Callers, ThreadError, Trap};
use crate::event::Event;
use crate::instance::Instance;
use crate::instance::host::{HostCall, HostError};
use crate::instance::link::ImportedFunction;
use crate::thread::Thread;
use crate::thread::agenda::catch_panic;
use crate::thread::call::write_words;
use crate::thread::phase::Phase;

impl Thread {
    /// Calls the imported `function`: arguments and results in `window`. False if it failed: then the
    /// trap is pending. A panic of the host's code is a failure, too.
    pub(crate) fn call_host(&self, function: FunctionIndex, window: *mut u64) -> bool {
        let layout = self.instance.layout_of(function);
        // SAFETY: the window holds the arguments. They are copied, for the results go there too.
        let arguments = unsafe { std::slice::from_raw_parts(window, layout.parameters.len()) }.to_vec();
        let mut results = vec![0; layout.results.len()];
        self.observe(|| Event::HostCalled { function, arguments: &arguments });
        let outcome = match self.end_trap(function, Points::entry()) {
            Some(trap) => Err(trap),
            None => self
                .call_imported(function, &arguments, &mut results)
                .map_err(|error| self.trap_of_import(function, error)),
        };
        if outcome.is_ok() {
            // SAFETY: the window has room for the results.
            unsafe { write_words(&layout.result_types, &results, window) };
        }
        // SAFETY: the window has room for the results.
        let words = unsafe { std::slice::from_raw_parts(window, results.len()) };
        self.observe(|| Event::HostReturned { function, outcome: outcome.as_ref().map(|()| words) });
        if let Err(trap) = outcome {
            self.trap.replace(Some(trap));
            return false;
        }
        !self.fails(function, Points::entry())
    }

    /// What the failure of the imported `function` is to the guest. A host function that passes on the trap of a call that
    /// it has made of the guest is one of the callers.
    fn trap_of_import(&self, function: FunctionIndex, error: HostError) -> Trap {
        let is_host = matches!(self.instance.imported_function(function), Some(ImportedFunction::Host(_)));
        let is_passed_on = is_host && matches!(error, HostError::Trap(_));
        let mut trap = trap_of(&self.instance, function, error);
        if is_passed_on {
            self.add_caller(&mut trap, function, Points::entry());
        }
        trap
    }

    /// Calls what is behind the imported `function`.
    fn call_imported(
        &self,
        function: FunctionIndex,
        arguments: &[u64],
        results: &mut Vec<u64>,
    ) -> Result<(), HostError> {
        match self.instance.imported_function(function).expect("an imported function") {
            ImportedFunction::Host(host) => {
                let _outside = self.phase.enter(Phase::Outside);
                let outcome = catch_panic(|| (host.code)(&HostCall::new(self), arguments, results));
                // A child that was forked there must not go back into code that it shares with its parent.
                self.instance.store().process().assert_current();
                let panicked = |message| HostError::Failed(format!("the host function panicked: {message}"));
                outcome.map_err(panicked)??;
                let types = &self.instance.layout_of(function).result_types;
                match self.forged(types, results) {
                    Some(position) => {
                        let what = "is no reference to a function of the store";
                        Err(HostError::Failed(format!("result {position} of the host function {what}")))
                    }
                    None => Ok(()),
                }
            }
            ImportedFunction::Linked(instance, function) => {
                *results = self.call_linked(instance, *function, arguments)?;
                Ok(())
            }
        }
    }

    /// Calls `function` of another `instance` of the store, in that instance's thread.
    fn call_linked(
        &self,
        instance: &Arc<Instance>,
        function: FunctionIndex,
        arguments: &[u64],
    ) -> Result<Vec<u64>, HostError> {
        let thread = self.linked_thread(instance).map_err(|error| HostError::Failed(error.to_string()))?;
        let _outside = self.phase.enter(Phase::Outside);
        Ok(thread.call(function, arguments)?)
    }

    /// The thread of another instance of the store: there is one, or it is made.
    fn linked_thread<'t>(&'t self, instance: &'t Arc<Instance>) -> Result<&'t Thread, ThreadError> {
        if instance.thread().is_none() {
            self.linked.borrow_mut().push(Thread::with_hooks(instance, self.hooks)?);
        }
        let thread = instance.thread().expect("it is attached");
        // SAFETY: both instances are of a store that this native thread has claimed, so the thread is this
        // native thread's, too. It is pinned, and lives: one that is dropped detaches itself, and none is
        // dropped while it executes (`Drop`), which is all that it is used for.
        Ok(unsafe { thread.as_ref() })
    }

    /// The function of another instance that has that number. If the instance is gone, that is pending as
    /// a trap of the indirect call at `point` of `caller`.
    #[cold]
    pub(crate) fn foreign_function(
        &self,
        number: u32,
        caller: FunctionIndex,
        point: Point,
    ) -> Option<(Arc<Instance>, FunctionIndex)> {
        let found = self.instance.store().function(number);
        if found.is_none() {
            let message = "the instance of the called function is gone: keep its store";
            let trap = self.trap_at(TrapKind::HostError, caller, point);
            self.trap.replace(Some(Trap { message: Some(message.into()), ..trap }));
        }
        found
    }

    /// Calls `function` of another instance: arguments and results in `window`. False if it failed: then the
    /// trap is pending.
    ///
    /// # Safety
    /// The arguments are in the window, which has room for the results.
    pub(crate) unsafe fn call_foreign(
        &self,
        instance: &Arc<Instance>,
        function: FunctionIndex,
        window: *mut u64,
    ) -> bool {
        let layout = instance.layout_of(function);
        // SAFETY: the caller vouches for the window.
        let arguments = unsafe { std::slice::from_raw_parts(window, layout.parameters.len()) }.to_vec();
        match self.call_linked(instance, function, &arguments) {
            Ok(results) => {
                // SAFETY: the caller vouches for the window.
                unsafe { write_words(&layout.result_types, &results, window) };
                true
            }
            Err(error) => {
                self.trap.replace(Some(trap_of(instance, function, error)));
                false
            }
        }
    }
}

/// What the failure of `function`, which `instance` imports or another calls, is to the guest.
fn trap_of(instance: &Instance, function: FunctionIndex, error: HostError) -> Trap {
    let (kind, message, cause, exception) = match error {
        HostError::Trap(trap) => return trap,
        HostError::Failed(message) => (TrapKind::HostError, message, None, None),
        HostError::Embedder(error) => (TrapKind::HostError, error.to_string(), Some(error), None),
        HostError::Exception(thrown) => (TrapKind::UncaughtException, thrown.to_string(), None, Some(thrown)),
    };
    Trap {
        kind,
        function,
        function_name: instance.module().function(function).name.clone(),
        point: Points::entry(),
        message: Some(message),
        cause,
        exception,
        callers: Callers::default(),
    }
}
