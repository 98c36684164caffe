//! Threads: everything that one thread of guest execution owns.
//!
//! The struct starts with the machine-visible [`Context`], so that the address that compiled code
//! passes around is the thread's own. Its other parts are the runtime's. All of it is reached through
//! shared references, because the runtime nests (guest calls host calls guest): state is in cells.

pub(crate) mod agenda;
pub(crate) mod phase;
pub(crate) mod walk;

use std::cell::{Cell, RefCell, UnsafeCell};
use std::io;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use osr_compiler::calling_convention::canonical;
use osr_ir::{FunctionIndex, Point, Points, TrapKind, Type, Value};
use osr_stackwalk::{DwarfWalker, StackBounds};
use osr_stubs::{Context, LandingRegisters, NativeArguments, NativeCall, NativeResults, x86_64 as stubs};

use crate::boundary::fault;
use crate::boundary::hooks;
use crate::boundary::shadow_stack;
use crate::code::CodeVersion;
use crate::code::ledger::Ledger;
use crate::error::{InvokeError, ThreadError, Trap};
use crate::event::statistics::{MoveCounts, Moves, Place, Transitions};
use crate::event::{Event, FrameState, Observation, Observer};
use crate::instance::host::{HostCall, HostError};
use crate::instance::link::ImportedFunction;
use crate::instance::{Instance, MAXIMUM_VALUES};
use crate::memory::occupancy::Claim;
use crate::memory::value_stack::ValueStack;
use crate::settings::Tier;
use crate::settings::destination::Destination;
use crate::settings::stress::{Action, Schedule};
use crate::thread::agenda::{Agenda, catch_panic};
use crate::thread::phase::{CurrentPhase, Phase, PhaseGuard};
use crate::tiering::TieringPolicy;
use crate::transition::landing::Landed;
use crate::transition::leaving::Leaving;
use crate::transition::pad::Pending;

/// One thread of guest execution: bound to the native thread that made it.
///
/// What asks the thread to call the guest, to walk the stack or to replace frames does so outside of guest code:
/// the embedder before and after calls, a host function during one. From anywhere else, such as an
/// observer, a policy or the choice of a [hijack](Self::hijack), it is refused with
/// [`NotNow`](crate::NotNow).
#[repr(C)]
#[derive(Debug)]
pub struct Thread {
    /// Must stay first: compiled code's pointer to the context is the pointer to the thread.
    context: UnsafeCell<Context>,
    instance: Arc<Instance>,
    phase: CurrentPhase,
    agenda: Agenda,
    values: ValueStack,
    results: Box<[Cell<u64>]>,
    stack_high: u64,
    stack_limit: u64,
    ledger: RefCell<Ledger>,
    dwarf_walker: RefCell<Option<DwarfWalker>>,
    landed: Cell<Option<Landed>>,
    pending_pad: RefCell<Option<Pending>>,
    leaving: Cell<Leaving>,
    trap: RefCell<Option<Trap>>,
    fault: Cell<Option<Fault>>,
    transitions: Cell<Transitions>,
    moves: MoveCounts,
    stale_words: Cell<u64>,
    schedule: RefCell<Schedule>,
    /// Threads that it made to call other instances.
    linked: RefCell<Vec<Pin<Box<Thread>>>>,
    /// Calls of guest code that are not over.
    calls: Cell<usize>,
    watches_landings: bool,
    _claim: Claim,
    /// Its instance has its address.
    _pinned: PhantomPinned,
}

/// A trap that the machine noticed in compiled code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// Why.
    pub(crate) kind: TrapKind,
    /// The function whose code it is.
    pub(crate) function: FunctionIndex,
    /// The point of the instruction.
    pub(crate) point: Point,
}

impl Thread {
    /// A thread that executes `instance` on the current native thread, whose stack it shares. An
    /// instance has one thread at a time; those of the instances of a store are of one native thread.
    ///
    /// The first thread of the process installs a handler of `SIGSEGV`, `SIGBUS`, `SIGILL` and `SIGFPE`, which
    /// makes traps of what compiled code does wrong. It hands every other such signal to the handler that was
    /// there before. A handler that is installed later has to do the same, or guest code that traps ends the
    /// process.
    ///
    /// # Errors
    /// If there is one already, return addresses cannot be hijacked, or the system gives no memory.
    pub fn new(instance: &Arc<Instance>) -> Result<Pin<Box<Thread>>, ThreadError> {
        if shadow_stack::is_enabled() {
            return Err(ThreadError::ShadowStack);
        }
        if !instance.store().process().is_current() {
            return Err(ThreadError::Forked);
        }
        let settings = instance.settings();
        let values = ValueStack::new(settings.value_stack_bytes)
            .map_err(|source| ThreadError::System { what: "no memory for the value stack", source })?;
        let bounds = StackBounds::current().map_err(|error| ThreadError::System {
            what: "the bounds of the native stack are unknown",
            source: io::Error::other(error),
        })?;
        let claim = instance.store().claim().ok_or(ThreadError::StoreInUse)?;
        if instance.thread().is_some() {
            return Err(ThreadError::InUse);
        }
        let stack_limit = bounds.low + settings.stack_reserve_bytes as u64;
        let results: Box<[Cell<u64>]> = (0..MAXIMUM_VALUES).map(|_| Cell::new(0)).collect();
        let context = Context {
            stack_limit: AtomicU64::new(stack_limit),
            leaving: 0,
            memory_base: instance.memory().map_or(ptr::null_mut(), |memory| memory.base()),
            memory_pages: instance.memory().map_or(ptr::null(), |memory| memory.pages_cell()),
            globals: instance.globals().as_ptr().cast_mut().cast(),
            cells: instance.cells(),
            tables: instance.table_views().as_ptr(),
            results: results.as_ptr().cast_mut().cast(),
            poll_stub: stubs::poll as *const u8,
            left_poll_stub: stubs::left_poll as *const u8,
            runtime_stub: stubs::runtime_call as *const u8,
            interpreter_stub: stubs::enter_interpreter as *const u8,
            exit_slot: 0,
            exit_frame: 0,
            entry: ptr::null(),
            landing: LandingRegisters::default(),
            hooks: hooks::HOOKS,
        };
        fault::install_handler();
        let thread = Box::pin(Thread {
            context: UnsafeCell::new(context),
            instance: Arc::clone(instance),
            phase: CurrentPhase::new(),
            agenda: Agenda::default(),
            values,
            results,
            stack_high: bounds.high,
            stack_limit,
            ledger: RefCell::new(Ledger::new(bounds.high)),
            dwarf_walker: RefCell::default(),
            landed: Cell::new(None),
            pending_pad: RefCell::new(None),
            leaving: Cell::default(),
            trap: RefCell::new(None),
            fault: Cell::new(None),
            transitions: Cell::default(),
            moves: MoveCounts::default(),
            stale_words: Cell::default(),
            schedule: RefCell::default(),
            linked: RefCell::default(),
            calls: Cell::new(0),
            watches_landings: settings.watches_landings() || instance.observer().is_some(),
            _claim: claim,
            _pinned: PhantomPinned,
        });
        instance.attach_thread(&thread);
        thread.update_polls();
        Ok(thread)
    }

    /// The instance that it executes.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The stack of interpreter frames.
    pub(crate) fn values(&self) -> &ValueStack {
        &self.values
    }

    /// The hijacked slots.
    pub(crate) fn ledger(&self) -> &RefCell<Ledger> {
        &self.ledger
    }

    /// The walker through everything, made on first use.
    pub(crate) fn dwarf_walker(&self) -> &RefCell<Option<DwarfWalker>> {
        &self.dwarf_walker
    }

    /// The words of results that do not fit the return registers.
    pub(crate) fn results(&self) -> *mut u64 {
        self.results.as_ptr().cast_mut().cast()
    }

    /// What happened so far.
    pub fn transitions(&self) -> Transitions {
        self.transitions.get()
    }

    /// The most bytes that interpreter frames took.
    pub fn peak_value_stack_bytes(&self) -> u64 {
        self.values.peak_bytes()
    }

    /// Words on the stack that looked like a PC into code that was just released, but were not return
    /// slots: left over by earlier calls. How many there are is chance. Checked runs only.
    pub fn stale_words(&self) -> u64 {
        self.stale_words.get()
    }

    /// Counts such words.
    pub(crate) fn count_stale_words(&self, words: u64) {
        self.stale_words.set(self.stale_words.get() + words);
    }

    /// Slots that are hijacked now.
    pub fn hijacked_slots(&self) -> usize {
        self.ledger.borrow().len()
    }

    /// Counts what happened.
    #[inline(always)]
    pub(crate) fn count(&self, change: impl FnOnce(&mut Transitions)) {
        let mut transitions = self.transitions.get();
        change(&mut transitions);
        self.transitions.set(transitions);
    }

    /// How often activations went over from one tier to another, and where.
    pub fn moves(&self) -> Vec<Moves> {
        self.moves.list()
    }

    /// Counts a move.
    #[inline(always)]
    pub(crate) fn count_move(&self, from: Tier, to: Tier, place: Place) {
        self.moves.count(from, to, place);
    }

    /// What was forced so far, if it is [recorded](crate::Settings::record).
    pub fn schedule(&self) -> Schedule {
        self.schedule.borrow().clone()
    }

    /// Notes what was done at a safepoint.
    pub(crate) fn record_action(&self, safepoint: u64, action: Action) {
        if self.instance.settings().record {
            self.schedule.borrow_mut().safepoints.push((safepoint, action));
        }
    }

    /// Notes where the last landing ended: for `destination` in the tier `to`. What is noted is the tier
    /// that was asked for, so that a replay asks for it, too, and is refused where this was.
    #[inline(always)]
    pub(crate) fn record_landing(&self, destination: Destination, to: Tier) {
        let tier = if let Destination::Compiled(tier) = destination { tier.into() } else { to };
        if self.instance.settings().record && tier != Tier::Interpreter {
            self.schedule.borrow_mut().landings.push((self.transitions().landings, tier));
        }
    }

    /// Whether someone sees what happens.
    pub(crate) fn is_observed(&self) -> bool {
        self.instance.observer().is_some()
    }

    /// Whether more is done at landings than landing.
    #[inline(always)]
    pub(crate) fn watches_landings(&self) -> bool {
        self.watches_landings
    }

    /// The frame state in `words`.
    pub(crate) fn frame_state<'s>(
        &'s self,
        function: FunctionIndex,
        point: Point,
        words: &'s [u64],
    ) -> FrameState<'s> {
        FrameState::new(function, point, self.instance.analysis(function), words)
    }

    /// The phase that it is in.
    pub(crate) fn phase(&self) -> &CurrentPhase {
        &self.phase
    }

    /// What it is to do at its next safepoint.
    pub(crate) fn agenda(&self) -> &Agenda {
        &self.agenda
    }

    /// Tells the observer, if there is one.
    #[inline(always)]
    pub(crate) fn observe<'e>(&self, event: impl FnOnce() -> Event<'e>) {
        if let Some(observer) = self.instance.observer() {
            self.tell(observer, &event());
        }
    }

    #[cold]
    fn tell(&self, observer: &dyn Observer, event: &Event<'_>) {
        let observation = Observation::new(self, self.phase.get());
        let _observing = self.phase.enter(Phase::Observing);
        self.contain("an observer", || observer.observe(&observation, event));
    }

    /// Asks the policy; if it panics, its answer is `default`.
    #[inline(always)]
    pub(crate) fn ask_policy<T>(&self, default: T, ask: impl FnOnce(&dyn TieringPolicy) -> T) -> T {
        let policy = self.instance.policy();
        if self.instance.has_own_policy() {
            self.contain("the tiering policy", || ask(policy)).unwrap_or(default)
        } else {
            // The engine's does not panic.
            ask(policy)
        }
    }

    /// Runs code of the embedder. A panic ends the guest's call at the next safepoint.
    fn contain<T>(&self, who: &str, run: impl FnOnce() -> T) -> Option<T> {
        let value = self.agenda.contain(who, run);
        if value.is_none() {
            self.update_polls();
        }
        value
    }

    /// Whether code of the embedder has panicked: that is pending now as a trap, at `point` of `function`.
    #[inline(always)]
    pub(crate) fn fails(&self, function: FunctionIndex, point: Point) -> bool {
        let fails = self.agenda.has_panic();
        if fails {
            self.trap.replace(self.panic_trap(function, point));
        }
        fails
    }

    /// The panic of code of the embedder, as a trap.
    #[cold]
    fn panic_trap(&self, function: FunctionIndex, point: Point) -> Option<Trap> {
        let message = self.agenda.take_panic()?;
        self.update_polls();
        Some(Trap { message: Some(message), ..self.trap_at(TrapKind::HostError, function, point) })
    }

    /// The frame at a poll that it leaves apart.
    pub(crate) fn leaving(&self) -> &Cell<Leaving> {
        &self.leaving
    }

    /// A landing goes on when its pad has stored what it knows.
    #[inline(always)]
    pub(crate) fn set_pending_pad(&self, pending: Pending) {
        *self.pending_pad.borrow_mut() = Some(pending);
    }

    /// The landing whose pad was executed.
    #[inline(always)]
    pub(crate) fn take_pending_pad(&self) -> Pending {
        self.pending_pad.borrow_mut().take().expect("pads are executed by landings")
    }

    /// A frame has landed in the interpreter, and waits to be resumed.
    #[inline(always)]
    pub(crate) fn set_landed(&self, landed: Landed) {
        self.landed.set(Some(landed));
    }

    /// The frame that has landed.
    #[inline(always)]
    pub(crate) fn take_landed(&self) -> Landed {
        self.landed.take().expect("resumed after a landing")
    }

    /// Notes for the coverage of landings.
    #[inline(always)]
    pub(crate) fn cover(&self, version: &CodeVersion, site: u32, to: Tier) {
        if let Some(coverage) = self.instance.coverage() {
            coverage.landed(version, site, to);
        }
    }

    /// The machine-visible part.
    pub(crate) fn context(&self) -> *mut Context {
        self.context.get()
    }

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
        let function = self.instance.exported_function(name).ok_or_else(|| self.no_such_function(name))?;
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
        let words: Vec<u64> = arguments.iter().map(|value| value.to_bits()).collect();
        self.call(function, &words)
    }

    fn no_such_function(&self, name: &str) -> InvokeError {
        let exports = &self.instance.module().exports;
        let functions =
            exports.iter().filter(|export| matches!(export.item, osr_ir::ExportItem::Function(_)));
        let available = functions.map(|export| export.name.as_str()).collect::<Vec<_>>().join(", ");
        InvokeError::NoSuchFunction { name: name.to_owned(), available }
    }

    /// Calls `function` with `arguments`, one word each.
    ///
    /// # Errors
    /// If the thread is in no [phase](crate::Phase) to call the guest, there are too many or too few arguments, one
    /// is not the function reference that it must be, or the function traps.
    pub fn call(&self, function: FunctionIndex, arguments: &[u64]) -> Result<Vec<u64>, InvokeError> {
        let signature = self.instance.module().signature_of(function);
        if !self.instance.store().process().is_current() {
            return Err(InvokeError::Forked);
        }
        self.phase.check_outside()?;
        let words = arguments.len().max(signature.results.len());
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
        Ok(self.panic_trap(function, Points::entry()).map_or(outcome, Err)?)
    }

    /// Executes `function` in a window of so many `words`, which fits.
    fn execute(
        &self,
        function: FunctionIndex,
        arguments: &[u64],
        window: *mut u64,
        words: usize,
    ) -> Result<Vec<u64>, Trap> {
        if let Some(trap) = self.panic_trap(function, Points::entry()) {
            return Err(trap);
        }
        if let Some(coverage) = self.instance.coverage() {
            coverage.called();
        }
        let signature = self.instance.module().signature_of(function);
        // SAFETY: the caller vouches for the window.
        unsafe { write_words(&signature.parameters, arguments, window) };
        let code = self.instance.cell(function).load(Ordering::Acquire);
        let active = Active::new(self, window, words);
        let returned = self.call_native(function, code, window);
        drop(active);
        let trap = (!returned).then(|| self.take_trap());
        match self.panic_trap(function, Points::entry()).or(trap) {
            Some(trap) => Err(trap),
            // SAFETY: `call_native` wrote the results there.
            None => Ok(unsafe { std::slice::from_raw_parts(window, signature.results.len()) }.to_vec()),
        }
    }

    /// Refuses arguments that are too many or too few, or that are no function references where they must be:
    /// compiled code relies on references.
    fn check_arguments(&self, function: FunctionIndex, arguments: &[u64]) -> Result<(), InvokeError> {
        let parameters = &self.instance.module().signature_of(function).parameters;
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
    fn forged(&self, types: &[Type], words: &[u64]) -> Option<usize> {
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
        let types = &self.instance.module().signature_of(function).results;
        for (position, &ty) in types.iter().enumerate() {
            // SAFETY: the window has room for the results; the context's words are this thread's.
            unsafe {
                *window.add(position) = layout.read_result(position, ty, &call.results, self.results())
            };
        }
        true
    }

    /// Calls the imported `function`: arguments and results in `window`. False if it failed: then the
    /// trap is pending. A panic of the host's code is a failure, too.
    pub(crate) fn call_host(&self, function: FunctionIndex, window: *mut u64) -> bool {
        let signature = self.instance.module().signature_of(function);
        // SAFETY: the window holds the arguments. They are copied, for the results go there too.
        let arguments = unsafe { std::slice::from_raw_parts(window, signature.parameters.len()) }.to_vec();
        let mut results = vec![0; signature.results.len()];
        self.observe(|| Event::HostCalled { function, arguments: &arguments });
        let outcome = match self.panic_trap(function, Points::entry()) {
            Some(trap) => Err(trap),
            None => self
                .call_imported(function, &arguments, &mut results)
                .map_err(|error| self.trap_of(function, error)),
        };
        if outcome.is_ok() {
            // SAFETY: the window has room for the results.
            unsafe { write_words(&signature.results, &results, window) };
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
                let types = &self.instance.module().signature_of(function).results;
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
            self.linked.borrow_mut().push(Thread::new(instance)?);
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
        let signature = instance.module().signature_of(function);
        // SAFETY: the caller vouches for the window.
        let arguments = unsafe { std::slice::from_raw_parts(window, signature.parameters.len()) }.to_vec();
        match self.call_linked(instance, function, &arguments) {
            Ok(results) => {
                // SAFETY: the caller vouches for the window.
                unsafe { write_words(&signature.results, &results, window) };
                true
            }
            Err(HostError::Trap(trap)) => {
                self.trap.replace(Some(trap));
                false
            }
            Err(HostError::Failed(message)) => {
                let function_name = instance.module().function(function).name.clone();
                let (kind, point, message) = (TrapKind::HostError, Points::entry(), Some(message));
                self.trap.replace(Some(Trap { kind, function, function_name, point, message }));
                false
            }
        }
    }

    /// What the failure of the host's `function` is to the guest.
    fn trap_of(&self, function: FunctionIndex, error: HostError) -> Trap {
        match error {
            HostError::Trap(trap) => trap,
            HostError::Failed(message) => {
                let trap = self.trap_at(TrapKind::HostError, function, Points::entry());
                Trap { message: Some(message), ..trap }
            }
        }
    }

    /// Whether there is enough native stack for the runtime to go deeper.
    pub(crate) fn has_native_stack(&self) -> bool {
        let here = 0u8;
        (&raw const here) as u64 > self.stack_limit
    }

    /// Whether there are `bytes` of native stack left, the reserve included.
    pub(crate) fn has_native_stack_for(&self, bytes: u64) -> bool {
        let here = 0u8;
        let low = self.stack_limit - self.instance.settings().stack_reserve_bytes as u64;
        (&raw const here) as u64 - low > bytes
    }

    /// The real stack limit, whether or not a poll is requested.
    pub(crate) fn stack_limit(&self) -> u64 {
        self.stack_limit
    }

    /// Where the native stack ends outwards.
    pub(crate) fn stack_high(&self) -> u64 {
        self.stack_high
    }

    /// Notes what the machine noticed. Called by the fault handler.
    pub(crate) fn set_fault(&self, fault: Fault) {
        self.fault.set(Some(fault));
    }

    /// The pending trap.
    fn take_trap(&self) -> Trap {
        match self.fault.take() {
            Some(Fault { kind, function, point }) => self.trap_at(kind, function, point),
            None => self.trap.take().expect("a trap is pending"),
        }
    }

    /// Makes a trap pending.
    #[cold]
    pub(crate) fn set_trap(&self, kind: TrapKind, function: FunctionIndex, point: Point) {
        let trap = self.trap_at(kind, function, point);
        self.trap.replace(Some(trap));
    }

    fn trap_at(&self, kind: TrapKind, function: FunctionIndex, point: Point) -> Trap {
        let function_name = self.instance.module().function(function).name.clone();
        Trap { kind, function, function_name, point, message: None }
    }
}

/// Writes the host's `words`, values of `types`, to `window`; whatever the host left in the high half of
/// those that have 32 bits.
///
/// # Safety
/// The window has room for them.
unsafe fn write_words(types: &[Type], words: &[u64], window: *mut u64) {
    for (position, (&ty, &word)) in types.iter().zip(words).enumerate() {
        // SAFETY: see above.
        unsafe { *window.add(position) = canonical(ty, word) };
    }
}

/// An unfinished call of the guest.
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

impl Drop for Thread {
    /// Ends the process if the thread executes: another instance's thread has called it.
    fn drop(&mut self) {
        if self.calls.get() > 0 {
            eprintln!("osr-engine: a thread was dropped while it executed");
            std::process::abort();
        }
        self.instance.detach_thread();
    }
}
