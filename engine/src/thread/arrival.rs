//! Arrivals at points: whether compiled code takes the slow path of its polls, who is told, and what is done there
//! for observers.

use std::sync::atomic::Ordering;

use osr_ir::{FunctionIndex, Point};
use osr_stubs::POLL_REQUEST;

use crate::error::TransitionError;
use crate::event::Event;
use crate::settings::Tier;
use crate::thread::Thread;

impl Thread {
    /// Asks compiled code to take the slow path of its polls, or not to, as there is something to be done at
    /// them or not. Code that only checks the stack takes a request for the end of the stack: it gets none.
    pub(crate) fn update_polls(&self) {
        let settings = self.instance().settings();
        let has_reason = settings.counts_safepoints() || settings.points || !self.agenda().is_empty();
        let wanted = has_reason && settings.mechanism.polls();
        let limit = if wanted { POLL_REQUEST } else { self.stack_limit() };
        // SAFETY: the field is atomic.
        unsafe { &(*self.context()).stack_limit }.store(limit, Ordering::Relaxed);
    }

    /// Does what observers have requested, and frees code that waits for it. The stack can be walked, and the frame that called the runtime, if
    /// there is one, may be replaced.
    #[inline]
    pub(crate) fn carry_out_requests(&self) {
        if self.agenda().has_requests() {
            (self.hooks.carry_out)(self);
        }
    }

    /// The interpreter is at the entry or at a loop header of `function`. False: a trap is pending.
    #[inline]
    pub(crate) fn reached(&self, function: FunctionIndex, point: Point) -> bool {
        self.observe_reached(function, point, None, Tier::Interpreter);
        self.carry_out_requests();
        !self.fails(function, point)
    }

    /// Tells the observer of an arrival, if arrivals are safepoints.
    pub(crate) fn observe_reached(
        &self,
        function: FunctionIndex,
        point: Point,
        frame: Option<u64>,
        tier: Tier,
    ) {
        if self.instance().settings().points {
            self.observe(|| Event::Reached { function, point, frame, tier });
        }
    }

    /// Whether frames of compiled code can be replaced at all.
    pub(crate) fn check_ready(&self) -> Result<(), TransitionError> {
        self.check_process()?;
        let replaces = self.instance().settings().mechanism.replaces_frames();
        if replaces { Ok(()) } else { Err(TransitionError::FramesRunOut) }
    }

    /// Whether versions can be retired at all.
    pub(crate) fn check_updatable(&self) -> Result<(), TransitionError> {
        self.check_process()?;
        let is_final = self.instance().settings().mechanism.is_final();
        if is_final { Err(TransitionError::CodeIsFinal) } else { Ok(()) }
    }

    fn check_process(&self) -> Result<(), TransitionError> {
        let is_current = self.instance().store().process().is_current();
        if is_current { Ok(()) } else { Err(TransitionError::Forked) }
    }
}
