//! Safepoints: polls and calls of the runtime, where an activation can be stopped and seen.

use osr_compiler::profile::Profile;
use osr_ir::Point;
use osr_stubs::LandingRegisters;

use crate::code::{CodeVersion, SiteRef, VersionState};
use crate::error::TransitionError;
use crate::event::Cause;
use crate::settings::stress::Action;
use crate::settings::{CompiledTier, Tier};
use crate::thread::Thread;
use crate::thread::observation::Request;
use crate::tiering;
use crate::transition::landing::rebuild;

impl Thread {
    /// Compiled code has reached the runtime.
    #[inline]
    pub(crate) fn safepoint(&self) {
        if self.instance().settings().counts_safepoints() {
            tiering::arrive(self);
            self.stress();
        }
        self.carry_out_requests();
    }

    /// Carries out what observers have requested, and frees code that has waited for it.
    #[cold]
    pub(crate) fn carry_out(&self) {
        let cause = Cause::Observer;
        for request in self.agenda().take_requests() {
            let carried_out = match request {
                Request::InvalidateAll => self.invalidate_all_because(cause).map(drop),
                Request::InvalidateActive => self.invalidate_active_because(cause).map(drop),
                Request::Hijack => self.hijack_because(cause, |_, _| true).map(drop),
            };
            carried_out.expect("code was ready when it was requested, and the stack can be walked");
        }
        let functions = self.agenda().take_invalidated();
        if !functions.is_empty() {
            let invalidated = self.invalidate_functions_because(&functions, cause);
            invalidated.expect("code was ready when it was requested, and the stack can be walked");
        }
        if let Some(redefinition) = self.agenda().take_redefinition()
            && let Err(error) = self.redefine_because(&redefinition, cause)
        {
            tracing::warn!(%error, "the redefinition that an observer requested was possible when it was, and is not when it is due");
        }
        self.update_polls(self.phase().get());
        if self.agenda().has_waiting() {
            self.release_due();
        }
    }

    /// Does what the embedder or a host function asks for, and then what observers have requested meanwhile.
    pub(crate) fn on_demand<T, E: From<TransitionError>>(
        &self,
        act: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.check_outside().map_err(TransitionError::from)?;
        let outcome = act();
        self.carry_out_requests();
        match self.agenda().take_panic() {
            Some(message) => {
                self.update_polls(self.phase().get());
                Err(TransitionError::Panicked { message }.into())
            }
            None => outcome,
        }
    }

    /// Compiled code is at a poll, because it was requested, or since it has counted down. False: a trap is
    /// pending.
    pub(crate) fn poll(&self) -> bool {
        let exit = self.exit_site();
        let (function, point) = (exit.function(), exit.point());
        let SiteRef { version, site } = exit;
        // SAFETY: the thread is in the runtime, so the exit is valid.
        let frame = unsafe { (*self.context()).exit_frame };
        self.observe_reached(function, point, Some(frame), version.tier.into());
        if self.fails(function, point) {
            return false;
        }
        self.at_poll(&version, site, || self.safepoint());
        let is_due = |profile: &Profile| profile.is_due();
        let state = self.instance().function(version.function);
        if version.tier == CompiledTier::Baseline && state.existing_profile().is_some_and(is_due) {
            self.counter_expired(&version, site, point);
        }
        true
    }

    /// A frame of `version`, which profiles, has counted down at `site`, where it polls.
    #[cold]
    fn counter_expired(&self, version: &CodeVersion, site: u32, point: Point) {
        let is_retired = version.state() != VersionState::Current;
        if self.exit_is_hijacked() || is_retired && self.instance().settings().mechanism.frames_leave() {
            // It leaves anyway; other frames of the function count on.
            self.instance().restart_countdown(version.function);
        } else if let Some(tier) =
            tiering::baseline(self, version, point, || self.polling_state(version, site))
        {
            let place = tiering::place_of(self, version.function, point);
            self.leave_innermost(version, site, tier, Cause::TierUp { from: Tier::Baseline, place });
        }
    }

    /// The frame state of the innermost frame, of baseline code, which polls at `site` of `version`.
    fn polling_state(&self, version: &CodeVersion, site: u32) -> Vec<u64> {
        let mut registers = LandingRegisters::default();
        // SAFETY: the thread is in the runtime, so the exit is valid.
        registers.callee_saved.rbp = unsafe { (*self.context()).exit_frame };
        let mut state = vec![0; self.instance().frame_words(version.function)];
        let maps = &version.frame_maps;
        let sources = maps.sources(&maps.site(site));
        // SAFETY: the frame waits at that site, where baseline code has everything in slots; the state has a word for each
        // register.
        unsafe { rebuild(&sources, &registers, self.results(), state.as_mut_ptr(), |_| true) };
        state
    }

    /// Does what is forced here.
    #[cold]
    fn stress(&self) {
        self.count(|transitions| transitions.safepoints += 1);
        let safepoint = self.transitions().safepoints;
        let Some(action) = self.instance().settings().stress.action(safepoint) else { return };
        self.record_action(safepoint, action);
        let cause = Cause::Stress { action, safepoint };
        let hijack =
            |choose: &dyn Fn(&CodeVersion, u32) -> bool| self.hijack_because(cause, choose).map(drop);
        let hijacked = match (action, self.instance().coverage()) {
            (Action::Invalidate, _) => self.invalidate_active_because(cause).map(drop),
            (Action::Hijack, _) => hijack(&|_, _| true),
            // Frames whose landing may add to the coverage of landings.
            (Action::Cover, Some(coverage)) => hijack(&|version, site| coverage.wants(version, site)),
            (Action::Cover, None) => Ok(()),
        };
        hijacked.expect("a stack of compiled frames can be walked");
    }
}
