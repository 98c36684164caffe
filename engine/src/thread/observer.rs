//! Observers, and how a thread tells them what happens.

use std::fmt;
use std::sync::Arc;

use osr_ir::{FunctionIndex, Point};

use crate::code::CodeVersion;
use crate::event::{Event, FrameState};
use crate::settings::Tier;
use crate::settings::destination::Destination;
use crate::settings::stress::Action;
use crate::thread::Thread;
use crate::thread::observation::Observation;
use crate::thread::phase::Phase;
use crate::tiering::policy::TieringPolicy;

/// Sees what happens. Called on the guest's thread, which waits.
///
/// An observer cannot act on the guest, but have its frames replaced at the next safepoint:
/// [`Observation::request`]. If it panics, the transition that it was told of is completed all the same. The
/// guest's call ends with [`TrapKind::HostError`](osr_ir::TrapKind::HostError) at the next safepoint, or when it
/// returns; what the host has asked for ends with
/// [`TransitionError::Panicked`](crate::TransitionError::Panicked).
pub trait Observer: fmt::Debug + Send + Sync {
    /// Something has happened.
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>);

    /// Whether each arrival at a function's entry and at a loop header is wanted, too
    /// ([`Event::Reached`]). That needs [`Settings::points`](crate::Settings::points): without it an instance with
    /// this observer is refused.
    fn wants_points(&self) -> bool {
        false
    }
}

/// Several observers as one: each is told, in order. If one panics, those after it are not told of that event.
#[derive(Clone, Debug, Default)]
pub struct Observers(Vec<Arc<dyn Observer>>);

impl Observers {
    /// All of `observers` as one, as [`Delegates`](crate::Delegates) take it; none if there are none.
    pub fn join(mut observers: Vec<Arc<dyn Observer>>) -> Option<Arc<dyn Observer>> {
        match observers.len() {
            0 | 1 => observers.pop(),
            _ => Some(Arc::new(Observers(observers))),
        }
    }
}

impl Observer for Observers {
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>) {
        self.0.iter().for_each(|observer| observer.observe(at, event));
    }

    fn wants_points(&self) -> bool {
        self.0.iter().any(|observer| observer.wants_points())
    }
}

impl Thread {
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
            self.update_polls(Phase::Observing);
        }
        value
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

    /// Whether there is an observer.
    pub(crate) fn is_observed(&self) -> bool {
        self.instance.observer().is_some()
    }

    /// Notes for the coverage of landings.
    #[inline(always)]
    pub(crate) fn cover(&self, version: &CodeVersion, site: u32, to: Tier) {
        if let Some(coverage) = self.instance.coverage() {
            coverage.landed(version, site, to);
        }
    }

    /// Notes what was done at a safepoint.
    pub(crate) fn record_action(&self, safepoint: u64, action: Action) {
        if self.instance.settings().record {
            self.schedule.borrow_mut().safepoints.push((safepoint, action));
        }
    }

    /// A guard was made to fail: notes it, and chooses the next.
    #[cold]
    pub(crate) fn force_next_guard(&self) {
        let executed = self.forced_guard.get();
        let next = self.instance.settings().stress.next_guard(executed).unwrap_or(u64::MAX);
        self.forced_guard.set(next);
        // SAFETY: the thread is in the runtime, so the context is not in use.
        unsafe { (*self.context()).guard_countdown = next - executed };
        if self.instance.settings().record {
            self.schedule.borrow_mut().guards.push(executed);
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
}
