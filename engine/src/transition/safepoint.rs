//! Safepoints: polls and calls of the runtime, where an activation can be stopped and seen.

use std::sync::atomic::Ordering;

use osr_ir::{FunctionIndex, Point};
use osr_stackwalk::{ReturnPc, ReturnSlot};
use osr_stubs::POLL_REQUEST;

use crate::code::{CodeVersion, SiteRef};
use crate::error::TransitionError;
use crate::event::{Cause, Event, Request};
use crate::settings::stress::Action;
use crate::settings::{CompiledTier, Tier};
use crate::thread::Thread;
use crate::tiering;

impl Thread {
    /// Compiled code has reached the runtime.
    #[inline]
    pub(crate) fn safepoint(&self) {
        if self.instance().settings().counts_safepoints() {
            self.stress();
        }
        self.carry_out_requests();
    }

    /// Does what observers have requested. The stack can be walked, and the frame that called the runtime, if
    /// there is one, may be replaced.
    #[inline]
    pub(crate) fn carry_out_requests(&self) {
        if self.agenda().has_requests() {
            self.carry_out();
        }
    }

    #[cold]
    fn carry_out(&self) {
        let cause = Cause::Observer;
        for request in self.agenda().take_requests() {
            let carried_out = match request {
                Request::InvalidateAll => self.invalidate_all_because(cause).map(drop),
                Request::InvalidateActive => self.invalidate_active_because(cause).map(drop),
                Request::Hijack => self.hijack_because(cause, |_, _| true).map(drop),
            };
            carried_out.expect("code was ready when it was requested, and the stack can be walked");
        }
        self.update_polls();
    }

    /// Does what the embedder or a host function asks for, and then what observers have requested meanwhile.
    pub(crate) fn on_demand<T>(
        &self,
        act: impl FnOnce() -> Result<T, TransitionError>,
    ) -> Result<T, TransitionError> {
        self.phase().check_outside()?;
        let outcome = act();
        self.carry_out_requests();
        match self.agenda().take_panic() {
            Some(message) => {
                self.update_polls();
                Err(TransitionError::Panicked { message })
            }
            None => outcome,
        }
    }

    /// Compiled code is at a poll, because it was requested, or since it has counted down. False: a trap is
    /// pending.
    pub(crate) fn poll(&self) -> bool {
        let exit = self.exit_site();
        let (point, SiteRef { version, site }) = (exit.point(), exit);
        // SAFETY: the thread is in the runtime, so the exit is valid.
        let frame = unsafe { (*self.context()).exit_frame };
        self.observe_reached(version.function, point, Some(frame), version.tier.into());
        if self.fails(version.function, point) {
            return false;
        }
        self.at_poll(&version, site, || self.safepoint());
        if version.tier == CompiledTier::Baseline && self.instance().profile(version.function).is_due() {
            self.count_is_up(&version, site, point);
        }
        true
    }

    /// A frame of `version`, which profiles, has counted down at `site`, where it polls.
    #[cold]
    fn count_is_up(&self, version: &CodeVersion, site: u32, point: Point) {
        if self.exit_is_hijacked() {
            // It leaves anyway; other frames of the function count on.
            let threshold = self.instance().threshold(Tier::Baseline);
            self.instance().profile(version.function).reset_countdown(threshold);
        } else if let Some(tier) = tiering::baseline(self, version, point) {
            let place = tiering::place_of(self, version.function, point);
            self.hijack_innermost(version, site, tier, Cause::TierUp { from: Tier::Baseline, place });
        }
    }

    /// The interpreter is at the entry or at a loop header of `function`. False: a trap is pending.
    #[inline]
    pub(crate) fn reached(&self, function: FunctionIndex, point: Point) -> bool {
        self.observe_reached(function, point, None, Tier::Interpreter);
        self.carry_out_requests();
        !self.fails(function, point)
    }

    fn observe_reached(&self, function: FunctionIndex, point: Point, frame: Option<u64>, tier: Tier) {
        if self.instance().settings().points {
            self.observe(|| Event::Reached { function, point, frame, tier });
        }
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

    /// Asks compiled code to take the slow path of its polls, or not to, as there is something to be done at
    /// them or not.
    pub(crate) fn update_polls(&self) {
        let wanted = self.instance().settings().counts_safepoints()
            || self.instance().settings().points
            || !self.agenda().is_empty();
        let limit = if wanted { POLL_REQUEST } else { self.stack_limit() };
        // SAFETY: the field is atomic.
        unsafe { &(*self.context()).stack_limit }.store(limit, Ordering::Relaxed);
    }

    /// The return PC of the compiled frame's call of the runtime.
    pub(crate) fn exit_pc(&self) -> ReturnPc {
        // SAFETY: the exit's slot is on this thread's stack.
        unsafe { self.exit_slot().load() }
    }

    /// The slot that the compiled frame's call of the runtime returns through.
    fn exit_slot(&self) -> ReturnSlot {
        // SAFETY: the thread is in the runtime, so the exit is valid.
        ReturnSlot::new(unsafe { (*self.context()).exit_slot })
    }

    /// Changes where the call of the runtime returns to.
    pub(crate) fn set_exit_pc(&self, pc: ReturnPc) {
        // SAFETY: the exit's slot is on this thread's stack, and nothing reads it before the stub returns.
        unsafe { self.exit_slot().store(pc) };
    }

    /// Whether the compiled frame that called the runtime was hijacked meanwhile.
    pub(crate) fn exit_is_hijacked(&self) -> bool {
        self.exit_pc() == ReturnPc::new(osr_stubs::x86_64::landing_pc())
    }

    /// The site at which compiled code called the runtime. The frame must not be hijacked.
    fn exit_site(&self) -> SiteRef {
        let site = self.instance().registry().site_at(self.exit_pc());
        site.expect("compiled code called the runtime")
    }

    /// The function and point of the compiled frame that called the runtime.
    pub(crate) fn exit_point(&self) -> (FunctionIndex, Point) {
        let exit = self.exit_site();
        (exit.version.function, exit.point())
    }
}
