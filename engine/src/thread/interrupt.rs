//! Interrupts: another native thread has a call of the guest end.
//!
//! ```text
//!   handle, on any native thread                  thread, at a poll, an arrival, or behind a call of the host
//!   keeps why, sets a bit of the agenda    ──>    ends the call with a trap, of which that is the cause
//!   requests a poll (a word of the context)
//! ```
//!
//! A thread without a handle has nothing to do with any of it. One that has one leaves a word of its context alone only
//! after looking at its agenda once more: neither request of a poll is lost, whichever thread writes last.

use std::error::Error as StdError;
use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use osr_stubs::POLL_REQUEST;

use crate::error::{EmbedderError, TransitionError};
use crate::thread::Thread;
use crate::thread::agenda::END;

/// Ends a call of a thread from another native thread: [`Thread::interrupt_handle`].
#[derive(Clone)]
pub struct InterruptHandle(Arc<Interrupt>);

impl fmt::Debug for InterruptHandle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_pending = self.is_pending();
        formatter.debug_struct("InterruptHandle").field("is_pending", &is_pending).finish_non_exhaustive()
    }
}

impl InterruptHandle {
    /// Has the call end that the thread executes, or, if it executes none, the next one: at the next poll, at the next arrival
    /// of the interpreter at an entry or a loop header, or when a host function returns; an atomic wait of the guest's returns
    /// at once. It ends with
    /// [`TrapKind::HostError`](osr_ir::TrapKind::HostError), whose [`Trap::cause`](crate::Trap::cause) is `error`.
    ///
    /// Of several interrupts before a call is about to end the first one counts. If the thread is gone nothing happens.
    pub fn interrupt(&self, error: impl StdError + Send + Sync + 'static) {
        self.0.request(EmbedderError::new(error));
    }

    /// Whether no call has ended with the interrupt yet.
    pub fn is_pending(&self) -> bool {
        self.0.lock().why.is_some()
    }
}

/// What a thread shares with its handles.
pub(crate) struct Interrupt {
    state: Mutex<State>,
    /// Something was requested.
    requested: Condvar,
}

struct State {
    /// `None` once the thread is gone.
    polled: Option<Polled>,
    /// Why a call is to end, until one does.
    why: Option<EmbedderError>,
}

/// The words of a thread that an interrupt writes.
struct Polled {
    agenda: NonNull<AtomicU8>,
    stack_limit: NonNull<AtomicU64>,
    flag: NonNull<AtomicU64>,
    near: NonNull<AtomicU64>,
}

// SAFETY: the words are atomic, and belong to a thread that does not move and takes them back before it is gone
// (`Interrupt::detach`), under the lock under which they are written.
unsafe impl Send for Polled {}

impl fmt::Debug for Interrupt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Interrupt")
    }
}

impl Interrupt {
    fn new(polled: Polled) -> Interrupt {
        let state = State { polled: Some(polled), why: None };
        Interrupt { state: Mutex::new(state), requested: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self, why: EmbedderError) {
        let mut state = self.lock();
        let State { polled: Some(polled), why: pending } = &mut *state else { return };
        pending.get_or_insert(why);
        // SAFETY: the words are there as long as the thread has not taken them back, for which it needs the lock.
        let (agenda, stack_limit, flag, near) = unsafe {
            (polled.agenda.as_ref(), polled.stack_limit.as_ref(), polled.flag.as_ref(), polled.near.as_ref())
        };
        agenda.fetch_or(END, Ordering::SeqCst);
        // Pairs with that of `Thread::update_polls`.
        fence(Ordering::SeqCst);
        stack_limit.store(POLL_REQUEST, Ordering::Relaxed);
        flag.store(1, Ordering::Relaxed);
        near.store(POLL_REQUEST, Ordering::Relaxed);
        self.requested.notify_all();
    }

    /// Sleeps for `time`, or until a call is to end.
    pub(super) fn sleep(&self, time: Duration) {
        let is_undisturbed = |state: &mut State| state.why.is_none();
        // Poisoned or not, the time is over, or a call is to end.
        drop(self.requested.wait_timeout_while(self.lock(), time, is_undisturbed));
    }

    /// Takes out why a call is to end, if one is, and has `clear` take the bit of the agenda back that says so: no interrupt
    /// comes in between.
    pub(super) fn take(&self, clear: impl FnOnce()) -> Option<EmbedderError> {
        let mut state = self.lock();
        clear();
        state.why.take()
    }

    /// The thread is about to be gone.
    pub(super) fn detach(&self) {
        self.lock().polled = None;
    }
}

impl Thread {
    /// A handle by which other native threads end calls of this one: after a time limit, for instance. Ending one needs no
    /// help of the guest's; a host function is waited for.
    ///
    /// From the first handle on the interpreter is slower, as each arrival at an entry or a loop header looks for it;
    /// activations that have begun before do not look. Compiled code is as fast as without: it has polls. Code of other
    /// instances, which have threads of their own, is left when it returns.
    ///
    /// ```
    /// use std::time::Duration;
    /// use osr_engine::{Imports, Instance, InvokeError, Settings, Thread};
    ///
    /// #[derive(Debug)]
    /// struct TimeIsUp;
    /// impl std::fmt::Display for TimeIsUp {
    ///     fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    ///         formatter.write_str("time is up")
    ///     }
    /// }
    /// impl std::error::Error for TimeIsUp {}
    ///
    /// let module = osr_ir::wasm::import_text(r#"(module (func (export "forever") (loop (br 0))))"#)?;
    /// let instance = Instance::new(Settings::default(), module, &Imports::new())?;
    /// let thread = Thread::new(&instance)?;
    /// let handle = thread.interrupt_handle()?;
    /// std::thread::spawn(move || {
    ///     std::thread::sleep(Duration::from_millis(10));
    ///     handle.interrupt(TimeIsUp);
    /// });
    /// let Err(InvokeError::Trap(trap)) = thread.invoke("forever", &[]) else { panic!("it ends with a trap") };
    /// assert!(trap.cause::<TimeIsUp>().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If compiled code cannot be asked to poll by another native thread: with a [poll](crate::Poll) that is neither
    /// `stack-limit` nor `flag`.
    pub fn interrupt_handle(&self) -> Result<InterruptHandle, TransitionError> {
        let is_word = !self.instance().registry().has_polls_in_code();
        if !is_word || !self.instance().settings().mechanism.polls() {
            return Err(TransitionError::NotInterruptible);
        }
        self.is_watched.set(true);
        let interrupt = self.agenda().interrupt(|entries| {
            // SAFETY: the fields are atomic, and the context is where it is for good.
            let (stack_limit, flag) =
                unsafe { (&(*self.context()).stack_limit, &(*self.context()).poll_flag) };
            let near = self.instance().registry().cells.poll_request();
            let polled = Polled {
                agenda: entries.into(),
                stack_limit: stack_limit.into(),
                flag: flag.into(),
                near: near.into(),
            };
            Interrupt::new(polled)
        });
        Ok(InterruptHandle(Arc::clone(interrupt)))
    }

    /// Takes an interrupt back that no call has ended with: it came too late. Returns whether there was one.
    pub fn withdraw_interrupt(&self) -> bool {
        let withdrawn = self.agenda().withdraw_interrupt();
        self.update_polls(self.phase().get());
        withdrawn
    }
}
