//! Safepoints: polls and calls of the runtime, where an activation can be stopped and seen.

use std::sync::atomic::Ordering;

use osr_ir::{FunctionIndex, Point};

use crate::thread::Thread;

impl Thread {
    /// Compiled code has reached the runtime.
    #[inline]
    pub(crate) fn safepoint(&self) {
        if self.instance().settings().has_stress() {
            self.stress();
        }
    }

    /// Every so manieth safepoint invalidates whatever is active, or redirects it.
    #[cold]
    fn stress(&self) {
        self.count(|transitions| transitions.safepoints += 1);
        let safepoint = self.transitions().safepoints;
        let is_due = |every: Option<u64>| every.is_some_and(|every| safepoint.is_multiple_of(every));
        let settings = self.instance().settings();
        if is_due(settings.stress_hijack) {
            self.invalidate_active().expect("a stack of compiled frames can be walked");
        }
        if is_due(settings.stress_redirect) {
            self.hijack(|_| true).expect("a stack of compiled frames can be walked");
        }
    }

    /// Asks compiled code to take the slow path of its polls, or not to.
    pub(crate) fn request_polls(&self, wanted: bool) {
        let limit = if wanted { u64::MAX } else { self.stack_limit() };
        // SAFETY: the field is atomic.
        unsafe { &(*self.context()).stack_limit }.store(limit, Ordering::Relaxed);
    }

    /// The function and point of the compiled frame that called the runtime.
    pub(crate) fn exit_point(&self) -> (FunctionIndex, Point) {
        // SAFETY: the thread is in the runtime, so the exit is valid.
        let slot = unsafe { (*self.context()).exit_slot };
        // SAFETY: the slot is on this thread's stack.
        let pc = unsafe { *(slot as *const u64) };
        let version = self.instance().registry().find(pc - 1).expect("compiled code called the runtime");
        let site = version.frame_maps.find(version.offset(pc)).expect("every call has a frame map");
        (version.function, version.frame_maps.sites()[site].point)
    }
}
