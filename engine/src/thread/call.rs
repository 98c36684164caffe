//! Calls of guest code.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::Ordering;

use osr_compiler::calling_convention::canonical;
use osr_ir::{FunctionIndex, Points, Shown, TrapKind, Type, Value};
use osr_stubs::{Context, NativeArguments, NativeCall, NativeResults, x86_64 as stubs};

use crate::code::ledger::Record;
use crate::error::{InvokeError, Trap};
use crate::event::Event;
use crate::thread::Thread;
use crate::thread::phase::{Phase, PhaseGuard};

/// Names that an error lists, at most.
const SHOWN_NAMES: usize = 20;

impl Thread {
    /// Runs the module's start function, if it has one.
    ///
    /// # Errors
    /// If it traps.
    pub fn start(&self) -> Result<(), InvokeError> {
        match self.instance.module().start {
            Some(function) => self.call(function, &[]).map(drop),
            None => Ok(()),
        }
    }

    /// Calls the exported function `name`.
    ///
    /// # Errors
    /// If there is none, the arguments do not fit its signature, or it traps.
    pub fn invoke(&self, name: &str, arguments: &[Value]) -> Result<Vec<u64>, InvokeError> {
        let function = self.exported(name)?;
        let expected = &self.instance.module().signature_of(function).parameters;
        if expected.len() != arguments.len() {
            let (function, expected) = (name.to_owned(), expected.len());
            return Err(InvokeError::ArgumentCount { function, expected, given: arguments.len() });
        }
        for (position, (&expected, given)) in expected.iter().zip(arguments).enumerate() {
            if expected != given.ty() {
                let (function, given) = (name.to_owned(), given.ty());
                return Err(InvokeError::ArgumentType { function, position: position + 1, expected, given });
            }
        }
        let words: Vec<u64> = arguments.iter().flat_map(|value| value.to_words()).collect();
        self.call(function, &words)
    }

    /// The exported function `name`.
    pub(crate) fn exported(&self, name: &str) -> Result<FunctionIndex, InvokeError> {
        self.instance.exported_function(name).ok_or_else(|| self.no_such_function(name))
    }

    fn no_such_function(&self, name: &str) -> InvokeError {
        let exports = &self.instance.module().exports;
        let functions =
            exports.iter().filter(|export| matches!(export.item, osr_ir::ExportItem::Function(_)));
        let mut names: Vec<String> = functions.map(|export| Shown(&export.name).to_string()).collect();
        let more = names.len().saturating_sub(SHOWN_NAMES);
        names.truncate(SHOWN_NAMES);
        if more > 0 {
            names.push(format!("and {more} more"));
        }
        let available = names.join(", ");
        InvokeError::NoSuchFunction { name: name.to_owned(), available }
    }

    /// Calls `function` with `arguments`, one word each, two of a vector ([`Value::to_words`]). Results are such words.
    ///
    /// # Errors
    /// If the thread is in no [phase](crate::Phase) to call the guest, there are too many or too few arguments, one
    /// is not the function reference that it must be, or the function traps.
    pub fn call(&self, function: FunctionIndex, arguments: &[u64]) -> Result<Vec<u64>, InvokeError> {
        let layout = self.instance.layout_of(function);
        if !self.instance.store().process().is_current() {
            return Err(InvokeError::Forked);
        }
        self.check_outside()?;
        let words = arguments.len().max(layout.results.len());
        self.check_arguments(function, arguments)?;
        let window = self.values.top();
        if !self.has_native_stack() || !self.values.fits(window, words) {
            return Err(self.trap_at(TrapKind::StackExhausted, function, Points::entry()).into());
        }
        let calling = Calling::new(self);
        self.observe(|| Event::Invoked { function, arguments });
        let outcome = self.execute(function, arguments, window, words);
        self.observe(|| Event::Finished { outcome: outcome.as_deref() });
        drop(calling);
        self.carry_out_requests();
        Ok(self.end_trap(function, Points::entry()).map_or(outcome, Err)?)
    }

    /// Executes `function` in a window of so many `words`, which fits.
    fn execute(
        &self,
        function: FunctionIndex,
        arguments: &[u64],
        window: *mut u64,
        words: usize,
    ) -> Result<Vec<u64>, Trap> {
        if let Some(trap) = self.end_trap(function, Points::entry()) {
            return Err(trap);
        }
        if let Some(coverage) = self.instance.coverage() {
            coverage.called();
        }
        let layout = self.instance.layout_of(function);
        // SAFETY: the caller vouches for the window.
        unsafe { write_words(&layout.parameter_types, arguments, window) };
        let code = self.instance.cell(function).load(Ordering::Acquire);
        let active = Active::new(self, window, words);
        let returned = self.call_native(function, code, window);
        drop(active);
        let trap = (!returned).then(|| self.take_trap());
        if trap.is_some() {
            self.instance.forget_caught();
        }
        match self.end_trap(function, Points::entry()).or(trap) {
            Some(trap) => Err(trap),
            // SAFETY: `call_native` wrote the results there.
            None => Ok(unsafe { std::slice::from_raw_parts(window, layout.results.len()) }.to_vec()),
        }
    }

    /// Refuses arguments that are too many or too few, or that are no function references where they must be:
    /// compiled code relies on references.
    fn check_arguments(&self, function: FunctionIndex, arguments: &[u64]) -> Result<(), InvokeError> {
        let parameters = &self.instance.layout_of(function).parameter_types;
        let name = || self.instance.module().function(function).name.clone();
        if parameters.len() != arguments.len() {
            let (expected, given) = (parameters.len(), arguments.len());
            return Err(InvokeError::ArgumentCount { function: name(), expected, given });
        }
        match self.forged(parameters, arguments) {
            Some(position) => Err(InvokeError::ForgedReference { function: name(), position }),
            None => Ok(()),
        }
    }

    /// The position, from 1, of the first of `words`, values of `types`, that is to be a function reference and
    /// is none.
    pub(super) fn forged(&self, types: &[Type], words: &[u64]) -> Option<usize> {
        let is_forged =
            |(&ty, &word): (&Type, &u64)| ty == Type::Funcref && !self.instance.store().is_reference(word);
        types.iter().zip(words).position(is_forged).map(|index| index + 1)
    }

    /// Calls `code`, which is that of `function`: arguments and results in `window`. The value stack's
    /// top must be beyond the window. False if it trapped: then the trap is pending.
    pub(crate) fn call_native(&self, function: FunctionIndex, code: *const u8, window: *mut u64) -> bool {
        let layout = self.instance.layout_of(function);
        let mut few = [0u64; 8];
        let mut many = Vec::new();
        let stack = if layout.stack_words as usize <= few.len() {
            few.as_mut_ptr()
        } else {
            many.resize(layout.stack_words as usize, 0u64);
            many.as_mut_ptr()
        };
        // SAFETY: the window holds the arguments; `stack` is large enough.
        let arguments = unsafe { layout.write_arguments(window, stack) };
        self.enter(function, code, arguments, window)
    }

    /// Enters a continuation natively: `code` takes `state` and returns what `function` returns, to
    /// `window`. Otherwise like [`Self::call_native`].
    pub(crate) fn call_continuation(
        &self,
        function: FunctionIndex,
        code: *const u8,
        state: *const u64,
        window: *mut u64,
    ) -> bool {
        let integer = [state as u64, 0, 0, 0, 0];
        let arguments = NativeArguments { integer, float: [0; 8], stack: ptr::null(), stack_words: 0 };
        self.enter(function, code, arguments, window)
    }

    fn enter(
        &self,
        function: FunctionIndex,
        code: *const u8,
        arguments: NativeArguments,
        window: *mut u64,
    ) -> bool {
        let mut call = NativeCall { arguments, results: NativeResults::default(), code, state: ptr::null() };
        // SAFETY: this thread's context is current while guest code runs; the code takes such arguments.
        if !unsafe { stubs::enter(self.context(), &mut call) } {
            self.drop_frames();
            return false;
        }
        let layout = self.instance.layout_of(function);
        for position in 0..layout.results.len() {
            // SAFETY: the window has room for the results; the context's words are this thread's.
            unsafe { *window.add(position) = layout.read_result(position, &call.results, self.results()) };
        }
        true
    }

    /// Drops the records of frames that are gone because a trap or an exception jumped over them: all that are deeper
    /// in the stack than the caller.
    pub(crate) fn drop_frames(&self) {
        let here = 0u8;
        self.drop_deeper((&raw const here) as u64);
    }

    /// The same of those that are deeper than `depth`, where the exit is that of the innermost frame that stays.
    pub(crate) fn drop_deeper(&self, depth: u64) {
        let is_dropped = |record: Record<'_>| record.slot.address() < depth;
        while self.ledger().borrow().innermost().is_some_and(is_dropped) {
            let record = self.ledger().borrow_mut().pop().expect("just seen");
            let (slot, site) = (record.slot.address(), &record.site);
            self.observe(|| {
                let (version, function, point) = (site.version(), site.function(), site.point());
                Event::Dropped { version, function, point, slot }
            });
            if let Some(version) = record.dropped(self.ledger(), self.instance().registry()) {
                (self.hooks.emptied)(self, &version);
            }
        }
        (self.hooks.frames_dropped)(self, depth);
        self.drop_barriers(depth);
    }
}

/// Writes the host's `words`, values of `types`, to `window`; whatever the host left in the high half of
/// those that have 32 bits.
///
/// # Safety
/// The window has room for them.
pub(super) unsafe fn write_words(types: &[Type], words: &[u64], window: *mut u64) {
    for (position, (&ty, &word)) in types.iter().zip(words).enumerate() {
        // SAFETY: see above.
        unsafe { *window.add(position) = canonical(ty, word) };
    }
}

struct Calling<'t> {
    calls: &'t Cell<usize>,
    _guest: PhaseGuard<'t>,
}

impl<'t> Calling<'t> {
    fn new(thread: &'t Thread) -> Calling<'t> {
        thread.calls.set(thread.calls.get() + 1);
        Calling { calls: &thread.calls, _guest: thread.phase.enter(Phase::Guest) }
    }
}

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        self.calls.set(self.calls.get() - 1);
    }
}

/// The context of a thread is the native thread's current one, and its window is taken, as long as this
/// lives: no longer than the thread, whatever comes in between.
struct Active<'t> {
    thread: &'t Thread,
    window: *mut u64,
    outer: *mut Context,
}

impl<'t> Active<'t> {
    /// Takes so many `words` at `window`, which fit.
    fn new(thread: &'t Thread, window: *mut u64, words: usize) -> Active<'t> {
        let outer = stubs::current();
        thread.values.set_top(window.wrapping_add(words));
        // SAFETY: the thread outlives the guard, which puts the outer context back.
        unsafe { stubs::set_current(thread.context()) };
        Active { thread, window, outer }
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.thread.values.set_top(self.window);
        // SAFETY: it is null, or that of a thread whose guard is further out on this stack.
        unsafe { stubs::set_current(self.outer) };
    }
}
