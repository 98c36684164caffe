//! Which native thread executes the instances of a store, and with that accesses their memories and tables.
//!
//! Guest code accesses both without any synchronization. So what lets other native threads look at them looks
//! while none executes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

/// The native thread that executes a store's instances, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Occupancy {
    claims: Mutex<Claims>,
    /// Whether a host function has a memory in its hands.
    lent: AtomicBool,
}

#[derive(Debug, Default)]
struct Claims {
    /// Who has them.
    native_thread: Option<ThreadId>,
    count: usize,
}

impl Claims {
    /// Whether a native thread other than the current one has claims.
    fn are_of_another(&self) -> bool {
        self.count > 0 && self.native_thread != Some(thread::current().id())
    }
}

impl Occupancy {
    /// Claims the store for the current native thread; `None` if another one has it, or a memory is lent.
    pub(crate) fn claim(self: &Arc<Occupancy>) -> Option<Claim> {
        let mut claims = self.claims();
        if claims.are_of_another() || self.is_lent() {
            return None;
        }
        *claims = Claims { native_thread: Some(thread::current().id()), count: claims.count + 1 };
        Some(Claim(Arc::clone(self)))
    }

    /// Does `access` while no other native thread executes, nor accesses. It must not claim the store.
    ///
    /// # Panics
    /// If another native thread executes, or a memory is lent.
    pub(crate) fn exclusively<T>(&self, access: impl FnOnce() -> T) -> T {
        let claims = self.claims();
        assert!(!claims.are_of_another(), "another native thread executes instances of the store");
        assert!(!self.is_lent(), "a host function accesses a memory of the store");
        access()
    }

    /// Does `access` while nothing else reaches the store's memories. The caller's native thread executes.
    ///
    /// # Panics
    /// If a memory is lent already.
    pub(crate) fn lend<T>(&self, access: impl FnOnce() -> T) -> T {
        assert!(!self.lent.swap(true, Ordering::Relaxed), "a host function accesses a memory of the store");
        let _lent = Lent(&self.lent);
        access()
    }

    /// Whether a memory is lent. Meaningful to the native thread that executes.
    pub(crate) fn is_lent(&self) -> bool {
        self.lent.load(Ordering::Relaxed)
    }

    fn claims(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the memory back, also if its borrower panics.
struct Lent<'o>(&'o AtomicBool);

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// While there are claims, other native threads cannot execute the store's instances.
#[derive(Debug)]
pub(crate) struct Claim(Arc<Occupancy>);

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.claims().count -= 1;
    }
}
