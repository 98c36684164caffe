//! The life of a code version.
//!
//! ```text
//!   current ──retire──> retired ──drain──> drained ──release──> released
//!           (nothing new enters)  (nothing will return    (its code is gone;
//!                                  into it)                handles are still good)
//! ```
//!
//! One owner drives it, on the native thread that executes the instance: an invalidation. Handles, on whatever
//! native thread they are, read it, and can wait for it.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Where a version is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum VersionState {
    /// New calls or landings may enter it.
    Current,
    /// Nothing new enters it; frames of it may still be active.
    Retired,
    /// Nothing will return into it.
    Drained,
    /// Its code is gone. Ledger records may still name its frame maps.
    Released,
}

impl VersionState {
    const ALL: [VersionState; 4] =
        [VersionState::Current, VersionState::Retired, VersionState::Drained, VersionState::Released];
}

/// The life of one version.
#[derive(Debug)]
pub(crate) struct Life {
    /// Written with the lock held, so that who holds it can rely on the state.
    state: AtomicU8,
    times: Mutex<Times>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Times {
    retired: Option<Instant>,
    /// From retirement to drained.
    latency: Option<Duration>,
    /// Native threads that wait: without any, nobody has to be woken, which is a system call.
    waiters: usize,
}

impl Life {
    /// The life of a new version: current.
    pub(crate) fn new() -> Life {
        let state = AtomicU8::new(VersionState::Current as u8);
        Life { state, times: Mutex::default(), changed: Condvar::new() }
    }

    #[inline(always)]
    pub(crate) fn state(&self) -> VersionState {
        VersionState::ALL[usize::from(self.state.load(Ordering::Acquire) & 3)]
    }

    /// Nothing new enters the version. False if that was so before.
    pub(crate) fn retire(&self) -> bool {
        let mut times = self.times();
        if self.state() != VersionState::Current {
            return false;
        }
        times.retired = Some(Instant::now());
        self.enter(VersionState::Retired);
        true
    }

    /// Since `now` nothing returns into the version. Returns how long that took since it was retired.
    pub(crate) fn drain(&self, now: Instant) -> Duration {
        let mut times = self.times();
        self.enter(VersionState::Drained);
        let latency = now.duration_since(times.retired.expect("what is drained was retired"));
        times.latency = Some(latency);
        self.wake(&times);
        latency
    }

    /// The code is about to be freed: when this returns, no handle reads it.
    pub(crate) fn release(&self) {
        let _no_reader = self.times();
        self.enter(VersionState::Released);
    }

    /// The instance is gone, and with it the code, wherever in its life the version was.
    pub(crate) fn end(&self) {
        let times = self.times();
        self.state.store(VersionState::Released as u8, Ordering::Release);
        self.wake(&times);
    }

    fn wake(&self, times: &Times) {
        if times.waiters > 0 {
            self.changed.notify_all();
        }
    }

    /// What `read` returns, during which the code stays in memory; `None` if it is gone.
    pub(crate) fn while_in_memory<T>(&self, read: impl FnOnce() -> T) -> Option<T> {
        let _in_memory = self.times();
        (self.state() != VersionState::Released).then(read)
    }

    /// How long it took from retirement until nothing returned into the version; `None` if something may.
    pub(crate) fn latency(&self) -> Option<Duration> {
        self.times().latency
    }

    /// Waits until nothing will return into the version, or until `timeout` has passed. Returns whether nothing
    /// will.
    pub(crate) fn wait_until_drained(&self, timeout: Duration) -> bool {
        let is_active = |_: &mut Times| self.state() < VersionState::Drained;
        let mut times = self.times();
        times.waiters += 1;
        let waited = self.changed.wait_timeout_while(times, timeout, is_active);
        let (mut times, outcome) = waited.unwrap_or_else(PoisonError::into_inner);
        times.waiters -= 1;
        !outcome.timed_out()
    }

    /// Goes to `next`, which must follow. The caller holds the lock.
    fn enter(&self, next: VersionState) {
        let state = self.state();
        assert_eq!(state as u8 + 1, next as u8, "a version that is {state:?} does not become {next:?}");
        self.state.store(next as u8, Ordering::Release);
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_retired_drained_and_released_in_this_order() {
        let life = Life::new();
        assert_eq!(life.state(), VersionState::Current);
        assert!(life.retire());
        assert!(!life.retire(), "once");
        assert_eq!((life.state(), life.latency()), (VersionState::Retired, None));
        let latency = life.drain(Instant::now());
        assert_eq!((life.state(), life.latency()), (VersionState::Drained, Some(latency)));
        assert_eq!(life.while_in_memory(|| 1), Some(1));
        life.release();
        assert_eq!(life.while_in_memory(|| 1), None);
        assert!(life.wait_until_drained(Duration::ZERO), "no need to");
    }

    #[test]
    #[should_panic(expected = "a version that is Current does not become Drained")]
    fn what_is_current_does_not_drain() {
        Life::new().drain(Instant::now());
    }

    #[test]
    #[should_panic(expected = "a version that is Retired does not become Released")]
    fn what_is_not_drained_is_not_released() {
        let life = Life::new();
        life.retire();
        life.release();
    }

    #[test]
    fn another_thread_waits_until_it_is_drained() {
        let life = Life::new();
        assert!(!life.wait_until_drained(Duration::ZERO), "it is current");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| life.wait_until_drained(Duration::MAX));
            life.retire();
            life.drain(Instant::now());
            assert!(waiting.join().expect("it returns"));
        });
    }
}
