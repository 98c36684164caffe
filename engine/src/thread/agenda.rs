//! What a thread is to do at its next safepoint: what observers have requested, and to end the call, because
//! code of the embedder has panicked, or an observer wants it.
//!
//! Observers and policies are called in the middle of things: frames half replaced, code about to be
//! entered. So they do not act on the thread. They put a request here, which is carried out where any
//! host function could have asked for it.

use std::any::Any;
use std::cell::{OnceCell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use osr_ir::{FunctionIndex, Redefinition};

use crate::error::EmbedderError;
use crate::thread::interrupt::Interrupt;
use crate::thread::observation::Request;

/// What is to be done at the next safepoint.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    /// A bit for each request, one for code of functions, one for a redefinition, one for code that waits to be freed, and one for the end of the call,
    /// which other native threads set, too, if there is an interrupt.
    entries: AtomicU8,
    redefinition: RefCell<Option<Redefinition>>,
    /// The functions whose code is to be invalidated.
    invalidated: RefCell<Vec<FunctionIndex>>,
    /// Why the call is to end: the first reason that was not reported yet.
    end: RefCell<Option<End>>,
    /// What is shared with handles, if there are any.
    interrupt: OnceCell<Arc<Interrupt>>,
}

/// Why a call of the guest is to end.
#[derive(Debug)]
pub(crate) enum End {
    /// Code of the embedder has panicked, and said this.
    Panic(String),
    /// An observer wants it.
    Wanted(EmbedderError),
}

/// The call is to end.
pub(super) const END: u8 = 1 << 7;

/// Retired code waits to be freed. That is no reason to poll.
const WAITING: u8 = 1 << 6;

/// Functions are to be redefined.
const REDEFINITION: u8 = 1 << 5;

/// Code of functions is to be invalidated.
const INVALIDATION: u8 = 1 << 4;

fn bit(request: Request) -> u8 {
    1 << request as u8
}

impl Agenda {
    #[inline(always)]
    fn entries(&self) -> u8 {
        self.entries.load(Ordering::Relaxed)
    }

    fn set(&self, bits: u8) {
        self.entries.fetch_or(bits, Ordering::Relaxed);
    }

    fn clear(&self, bits: u8) {
        self.entries.fetch_and(!bits, Ordering::Relaxed);
    }

    /// Whether there is nothing that a poll is needed for.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries() & !WAITING == 0
    }

    /// Whether there are requests, or code waits to be freed.
    #[inline(always)]
    pub(crate) fn has_requests(&self) -> bool {
        self.entries() & !END != 0
    }

    /// Whether the call is to end.
    #[inline(always)]
    pub(crate) fn has_end(&self) -> bool {
        self.entries() & END != 0
    }

    /// The call is to end. The first reason counts.
    pub(crate) fn end(&self, why: End) {
        self.set(END);
        self.end.borrow_mut().get_or_insert(why);
    }

    /// Adds a request. Requesting twice is requesting once.
    pub(crate) fn request(&self, request: Request) {
        self.set(bit(request));
    }

    /// Adds functions whose code is to be invalidated.
    pub(crate) fn invalidate(&self, functions: &[FunctionIndex]) {
        self.invalidated.borrow_mut().extend_from_slice(functions);
        self.set(INVALIDATION);
    }

    /// Takes them out.
    pub(crate) fn take_invalidated(&self) -> Vec<FunctionIndex> {
        self.clear(INVALIDATION);
        self.invalidated.take()
    }

    /// Adds a redefinition. False, and nothing added, if one waits already.
    pub(crate) fn redefine(&self, redefinition: Redefinition) -> bool {
        let mut waiting = self.redefinition.borrow_mut();
        let is_first = waiting.is_none();
        waiting.get_or_insert(redefinition);
        self.set(REDEFINITION);
        is_first
    }

    /// Takes the redefinition out.
    pub(crate) fn take_redefinition(&self) -> Option<Redefinition> {
        self.clear(REDEFINITION);
        self.redefinition.take()
    }

    /// Whether retired code waits to be freed.
    pub(crate) fn has_waiting(&self) -> bool {
        self.entries() & WAITING != 0
    }

    /// Notes whether retired code waits to be freed.
    pub(crate) fn set_waiting(&self, waits: bool) {
        match waits {
            _ if waits == self.has_waiting() => {}
            true => self.set(WAITING),
            false => self.clear(WAITING),
        }
    }

    /// Takes all requests out.
    pub(crate) fn take_requests(&self) -> impl Iterator<Item = Request> + use<> {
        let others = END | WAITING | REDEFINITION | INVALIDATION;
        let entries = self.entries.fetch_and(others, Ordering::Relaxed);
        Request::ALL.into_iter().filter(move |&request| entries & bit(request) != 0)
    }

    /// Takes out why the call is to end, if it is.
    pub(crate) fn take_end(&self) -> Option<End> {
        if !self.has_end() {
            return None;
        }
        let interrupt = match self.interrupt.get() {
            Some(interrupt) => interrupt.take(|| self.clear(END)),
            None => {
                self.clear(END);
                None
            }
        };
        self.end.take().or(interrupt.map(End::Wanted))
    }

    /// Takes an interrupt back. Returns whether there was one.
    pub(super) fn withdraw_interrupt(&self) -> bool {
        let is_alone = self.end.borrow().is_none();
        let clear = || {
            if is_alone {
                self.clear(END);
            }
        };
        self.interrupt.get().is_some_and(|interrupt| interrupt.take(clear).is_some())
    }

    /// What is shared with handles, made by `new`, which is given the bits, on first use.
    pub(super) fn interrupt(&self, new: impl FnOnce(&AtomicU8) -> Interrupt) -> &Arc<Interrupt> {
        self.interrupt.get_or_init(|| Arc::new(new(&self.entries)))
    }

    /// Whether there are handles, which request polls.
    pub(super) fn is_interruptible(&self) -> bool {
        self.interrupt.get().is_some()
    }

    /// Sleeps for `time`, or until a handle asks for the end of a call.
    pub(crate) fn sleep(&self, time: Duration) {
        match self.interrupt.get() {
            Some(interrupt) => interrupt.sleep(time),
            None => thread::sleep(time),
        }
    }

    /// The thread is about to be gone.
    pub(super) fn detach_interrupt(&self) {
        self.interrupt.get().inspect(|interrupt| interrupt.detach());
    }

    /// Takes a panic out, as a sentence, if that is why the call is to end.
    pub(crate) fn take_panic(&self) -> Option<String> {
        match self.take_end()? {
            End::Panic(message) => Some(message),
            wanted => {
                self.end(wanted);
                None
            }
        }
    }

    /// Runs code of the embedder, called `who`, that must not unwind into the runtime. If it panics, that is
    /// noted.
    pub(crate) fn contain<T>(&self, who: &str, run: impl FnOnce() -> T) -> Option<T> {
        let message = match catch_panic(run) {
            Ok(value) => return Some(value),
            Err(message) => message,
        };
        self.end(End::Panic(format!("{who} panicked: {message}")));
        None
    }
}

/// Runs code of the embedder. If it panics, returns what the panic says.
///
/// The code is taken for unwind-safe: what it shares with the embedder is the embedder's own.
pub(crate) fn catch_panic<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).map_err(|payload| {
        let message = message_of(&*payload).to_owned();
        // Its destructor is the embedder's, too, and may panic in turn.
        std::mem::forget(payload);
        message
    })
}

fn message_of(payload: &(dyn Any + Send)) -> &str {
    let literal = payload.downcast_ref::<&str>().copied();
    literal.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
