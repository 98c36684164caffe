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
    /// them or not.
    pub(crate) fn update_polls(&self) {
        let wanted = self.instance().settings().counts_safepoints()
            || self.instance().settings().points
            || !self.agenda().is_empty();
        let limit = if wanted { POLL_REQUEST } else { self.stack_limit() };
        // SAFETY: the field is atomic.
        unsafe { &(*self.context()).stack_limit }.store(limit, Ordering::Relaxed);
    }

    /// Does what observers have requested. The stack can be walked, and the frame that called the runtime, if
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
        if !self.instance().store().process().is_current() {
            return Err(TransitionError::Forked);
        }
        let replaces = self.instance().settings().mechanism.replaces_frames();
        if replaces { Ok(()) } else { Err(TransitionError::FramesRunOut) }
    }
}
