//! Threads: everything that one thread of guest execution owns.
//!
//! The struct starts with the machine-visible [`Context`], so that the address that compiled code
//! passes around is the thread's own. Its other parts are the runtime's. All of it is reached through
//! shared references, because the runtime nests (guest calls host calls guest): state is in cells.

pub(crate) mod agenda;
mod arrival;
mod call;
mod call_out;
mod context;
mod exit;
pub(crate) mod interrupt;
pub(crate) mod observation;
pub(crate) mod observer;
pub(crate) mod pending;
pub(crate) mod phase;
pub(crate) mod rebuilt;
pub(crate) mod reclaim;
pub(crate) mod return_pcs;
pub(crate) mod saved_state;
mod stored_global;
pub(crate) mod trap;
pub(crate) mod walk;

use std::cell::{Cell, RefCell, UnsafeCell};
use std::io;
use std::marker::PhantomPinned;
use std::mem::offset_of;
use std::pin::Pin;
use std::sync::Arc;

use osr_compiler::frame_map::VirtualActivation;
use osr_ir::{GlobalIndex, PointKind, Redefinition};
use osr_stackwalk::{DwarfWalker, StackBounds};
use osr_stubs::{CalleeSaved, Context, Hooks};

use crate::code::CodeVersion;
use crate::code::ledger::Ledger;
use crate::code::x86_64::linked_exit::WindowFields;
use crate::error::{RedefinitionError, ThreadError, Trap};
use crate::event::statistics::{MoveCounts, Moves, Place, Transitions};
use crate::instance::{Instance, MAXIMUM_VALUES};
use crate::memory::occupancy::Claim;
use crate::memory::value_stack::ValueStack;
use crate::settings::Tier;
use crate::settings::stress::Schedule;
use crate::thread::agenda::Agenda;
use crate::thread::pending::{Chain, Front, Landed, PendingPad, PollExit, TierUp};
use crate::thread::phase::{CurrentPhase, NotNow, Phase};
use crate::thread::rebuilt::Rebuilt;
use crate::thread::reclaim::Reclaim;
use crate::thread::trap::{Fault, Innermost};

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
    hooks: ThreadHooks,
    instance: Arc<Instance>,
    phase: CurrentPhase,
    agenda: Agenda,
    values: ValueStack,
    results: Box<[Cell<u64>]>,
    stack_high: u64,
    stack_limit: u64,
    ledger: RefCell<Ledger>,
    /// Slots that lead into landing tables, and so have no record.
    table_landings: Cell<usize>,
    rebuilt: RefCell<Rebuilt>,
    exit_registers: Cell<Option<CalleeSaved>>,
    reclaim: Reclaim,
    dwarf_walker: RefCell<Option<DwarfWalker>>,
    landed: Cell<Option<Landed>>,
    chain: Cell<Option<Chain>>,
    /// Activations that have landed and wait for those further in, outermost first.
    waiting: RefCell<Vec<VirtualActivation>>,
    pending_pad: RefCell<Option<PendingPad>>,
    poll_exit: Cell<PollExit>,
    tier_up: Cell<Option<TierUp>>,
    front: Cell<Option<Front>>,
    trap: RefCell<Option<Trap>>,
    fault: Cell<Option<Fault>>,
    innermost: Cell<Innermost>,
    transitions: Cell<Transitions>,
    moves: MoveCounts,
    /// Which guard that holds is the next to fail all the same.
    forced_guard: Cell<u64>,
    stale_words: Cell<u64>,
    schedule: RefCell<Schedule>,
    /// Threads that it made to call other instances.
    linked: RefCell<Vec<Pin<Box<Thread>>>>,
    /// Unfinished calls of guest code.
    calls: Cell<usize>,
    watches_landings: bool,
    /// Whether activations of the interpreter are more than executed.
    is_watched: Cell<bool>,
    /// The activations of the interpreter, outermost first, where they are listed.
    activations: RefCell<Vec<*const ()>>,
    _claim: Claim,
    /// Its instance has its address.
    _pinned: PhantomPinned,
}

/// The functions above this folder that a thread calls, through pointers: arrows lead down only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadHooks {
    /// What the stubs call.
    pub(crate) stubs: Hooks,
    /// Carries out what observers have requested.
    pub(crate) carry_out: fn(&Thread),
    /// Invalidates what takes a global for a constant.
    pub(crate) invalidate_for_global: fn(&Thread, GlobalIndex),
    /// Whether functions can be redefined so.
    pub(crate) check_redefinition: fn(&Thread, &Redefinition) -> Result<(), RedefinitionError>,
    /// A trap has jumped over frames deeper than that address.
    pub(crate) frames_dropped: fn(&Thread, u64),
    /// No frame of a version that is retired is pending any more.
    pub(crate) emptied: fn(&Thread, &Arc<CodeVersion>),
}

impl Thread {
    /// A thread with these hooks; otherwise as [`Thread::new`].
    pub(crate) fn with_hooks(
        instance: &Arc<Instance>,
        hooks: ThreadHooks,
    ) -> Result<Pin<Box<Thread>>, ThreadError> {
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
        let thread = Box::pin(Thread::idle(instance, hooks, values, bounds, claim));
        instance.attach_thread(&thread);
        thread.update_polls(Phase::Outside);
        Ok(thread)
    }

    /// A thread that executes nothing, and whose instance does not know it.
    fn idle(
        instance: &Arc<Instance>,
        hooks: ThreadHooks,
        values: ValueStack,
        StackBounds { low, high }: StackBounds,
        claim: Claim,
    ) -> Thread {
        let settings = instance.settings();
        let stack_limit = low + settings.stack_reserve_bytes as u64;
        let results: Box<[Cell<u64>]> = (0..MAXIMUM_VALUES).map(|_| Cell::new(0)).collect();
        let forced_guard = settings.stress.next_guard(0).unwrap_or(u64::MAX);
        let context = context::new(instance, &hooks, &results, (stack_limit, forced_guard));
        Thread {
            context: UnsafeCell::new(context),
            hooks,
            instance: Arc::clone(instance),
            phase: CurrentPhase::new(),
            agenda: Agenda::default(),
            values,
            results,
            stack_high: high,
            stack_limit,
            ledger: RefCell::new(Ledger::new(high)),
            table_landings: Cell::new(0),
            rebuilt: RefCell::default(),
            exit_registers: Cell::default(),
            reclaim: Reclaim::new(&settings.mechanism),
            dwarf_walker: RefCell::default(),
            landed: Cell::new(None),
            chain: Cell::new(None),
            waiting: RefCell::default(),
            pending_pad: RefCell::new(None),
            poll_exit: Cell::default(),
            tier_up: Cell::new(None),
            front: Cell::new(None),
            trap: RefCell::new(None),
            fault: Cell::new(None),
            innermost: Cell::new(Innermost::Waits),
            transitions: Cell::default(),
            moves: MoveCounts::default(),
            forced_guard: Cell::new(forced_guard),
            stale_words: Cell::default(),
            schedule: RefCell::default(),
            linked: RefCell::default(),
            calls: Cell::new(0),
            watches_landings: settings.watches_landings() || instance.observer().is_some(),
            is_watched: Cell::new(settings.points || settings.guest_frames),
            activations: RefCell::default(),
            _claim: claim,
            _pinned: PhantomPinned,
        }
    }

    /// Where a thread has the bounds of its value stack.
    pub(crate) const WINDOW_FIELDS: WindowFields = WindowFields {
        top: (offset_of!(Thread, values) + ValueStack::TOP_OFFSET) as u32,
        end: (offset_of!(Thread, values) + ValueStack::END_OFFSET) as u32,
    };

    /// The instance that it executes.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The same, to share it.
    pub(crate) fn shared_instance(&self) -> &Arc<Instance> {
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

    /// How many slots lead into landing tables.
    pub(crate) fn table_landings(&self) -> &Cell<usize> {
        &self.table_landings
    }

    /// The states of hijacked frames that are rebuilt already.
    pub(crate) fn rebuilt(&self) -> &RefCell<Rebuilt> {
        &self.rebuilt
    }

    /// The registers that the innermost compiled frame expects, where the one further in is popped by a landing: the native
    /// stack does not have them.
    pub(crate) fn exit_registers(&self) -> &Cell<Option<CalleeSaved>> {
        &self.exit_registers
    }

    /// The retired code that waits to be freed.
    pub(crate) fn reclaim(&self) -> &Reclaim {
        &self.reclaim
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
        // SAFETY: compiled code writes the word, which does not execute while this does.
        let countdown = unsafe { (*self.context()).guard_countdown };
        Transitions { guards: self.forced_guard.get() - countdown, ..self.transitions.get() }
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

    /// Whether a call of guest code is unfinished.
    pub(crate) fn is_executing(&self) -> bool {
        self.calls.get() > 0
    }

    /// Slots that are hijacked now.
    pub fn hijacked_slots(&self) -> usize {
        self.ledger.borrow().len() + self.table_landings.get()
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
        self.moves.count(from, to, place, 1);
    }

    /// Counts that so many further activations of a frame have moved, each of which waits for a call.
    #[inline(always)]
    pub(crate) fn count_waiting_moves(&self, from: Tier, to: Tier, moves: usize) {
        self.moves.count(from, to, PointKind::AfterCall.into(), moves as u64);
    }

    /// What was forced so far, if it is [recorded](crate::Settings::record).
    pub fn schedule(&self) -> Schedule {
        self.schedule.borrow().clone()
    }

    /// Whether more is done at landings than landing.
    #[inline(always)]
    pub(crate) fn watches_landings(&self) -> bool {
        self.watches_landings
    }

    /// The activations of the interpreter, outermost first, where they are listed.
    pub(crate) fn activations(&self) -> &RefCell<Vec<*const ()>> {
        &self.activations
    }

    /// Whether activations of the interpreter are more than executed: arrivals are looked at, or frames.
    #[inline(always)]
    pub(crate) fn is_watched(&self) -> bool {
        self.is_watched.get()
    }

    /// Whether each arrival of the interpreter at an entry or a loop header is looked at.
    pub(crate) fn watches_arrivals(&self) -> bool {
        self.instance.settings().points || self.agenda.is_interruptible()
    }

    /// Refuses what can only be done while the embedder has control, and no memory of the store in its hands.
    pub(crate) fn check_outside(&self) -> Result<(), NotNow> {
        self.phase.check_outside()?;
        match self.instance.store().occupancy().is_lent() {
            true => Err(NotNow { phase: Phase::MemoryLent }),
            false => Ok(()),
        }
    }

    /// The phase that it is in.
    pub(crate) fn phase(&self) -> &CurrentPhase {
        &self.phase
    }

    /// What it is to do at its next safepoint.
    pub(crate) fn agenda(&self) -> &Agenda {
        &self.agenda
    }

    /// The frame at a poll that it leaves apart.
    pub(crate) fn poll_exit(&self) -> &Cell<PollExit> {
        &self.poll_exit
    }

    /// The frame at a poll that its next return check has leave current code.
    pub(crate) fn tier_up(&self) -> &Cell<Option<TierUp>> {
        &self.tier_up
    }

    /// Where a sparse hijack stopped.
    pub(crate) fn front(&self) -> &Cell<Option<Front>> {
        &self.front
    }

    /// A landing continues when its pad has stored what it knows.
    #[inline(always)]
    pub(crate) fn set_pending_pad(&self, pending: PendingPad) {
        *self.pending_pad.borrow_mut() = Some(pending);
    }

    /// The landing whose pad was executed.
    #[inline(always)]
    pub(crate) fn take_pending_pad(&self) -> PendingPad {
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

    /// A frame has landed that stands for several activations, which wait to be resumed.
    pub(crate) fn set_chain(&self, chain: Chain) {
        self.chain.set(Some(chain));
    }

    /// The chain that has landed.
    pub(crate) fn take_chain(&self) -> Chain {
        self.chain.take().expect("resumed after a landing")
    }

    /// The activations that have landed and wait for those further in.
    pub(crate) fn waiting(&self) -> &RefCell<Vec<VirtualActivation>> {
        &self.waiting
    }

    /// The machine-visible part.
    pub(crate) fn context(&self) -> *mut Context {
        self.context.get()
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
}

/// An unfinished call of the guest.
impl Drop for Thread {
    /// Ends the process if the thread executes: another instance's thread has called it.
    fn drop(&mut self) {
        if self.calls.get() > 0 {
            eprintln!("osr-engine: a thread was dropped while it executed");
            std::process::abort();
        }
        self.agenda.detach_interrupt();
        self.instance.detach_thread();
    }
}
