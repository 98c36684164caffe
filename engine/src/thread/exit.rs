//! The exit: where compiled code called the runtime, which every poll and call of the runtime can be asked about.

use osr_ir::{FunctionIndex, Point};
use osr_stackwalk::{ReturnPc, ReturnSlot};

use crate::code::SiteRef;
use crate::thread::Thread;

impl Thread {
    /// The return PC of the compiled frame's call of the runtime.
    pub(crate) fn exit_pc(&self) -> ReturnPc {
        // SAFETY: the exit's slot is on this thread's stack.
        unsafe { self.exit_slot().load() }
    }

    /// The slot that the compiled frame's call of the runtime returns through.
    pub(crate) fn exit_slot(&self) -> ReturnSlot {
        // SAFETY: the thread is in the runtime, so the exit is valid.
        ReturnSlot::new(unsafe { (*self.context()).exit_slot })
    }

    /// Changes where the call of the runtime returns to.
    pub(crate) fn set_exit_pc(&self, pc: ReturnPc) {
        // SAFETY: the exit's slot is on this thread's stack, and nothing reads it before the stub returns.
        unsafe { self.exit_slot().store(pc) };
    }

    /// From now on the innermost compiled frame is the one at `frame_base`, which is returned to through `slot`: the
    /// one further in is popped.
    pub(crate) fn set_exit(&self, slot: ReturnSlot, frame_base: u64) {
        // SAFETY: the thread is in the runtime, so the context is not in use.
        let context = unsafe { &mut *self.context() };
        (context.exit_slot, context.exit_frame) = (slot.address(), frame_base);
    }

    /// Landings of frames whose own slots are below `slot` have the next return predicted; none if there is no such slot.
    pub(crate) fn predict_landings_below(&self, slot: Option<ReturnSlot>) {
        // SAFETY: the thread is in the runtime, so the context is not in use.
        unsafe { (*self.context()).predicted_below = slot.map_or(0, ReturnSlot::address) };
    }

    /// Whether the guard that has failed was made to. Then the next one is chosen.
    #[inline(always)]
    pub(crate) fn guard_is_forced(&self) -> bool {
        // SAFETY: the thread is in the runtime, so the context is not in use.
        let is_forced = unsafe { (*self.context()).guard_countdown } == 0;
        if is_forced {
            self.force_next_guard();
        }
        is_forced
    }

    /// Whether the compiled frame that called the runtime was hijacked meanwhile.
    pub(crate) fn exit_is_hijacked(&self) -> bool {
        self.is_landing(self.exit_pc())
    }

    /// The site at which compiled code called the runtime. The frame must not be hijacked.
    pub(crate) fn exit_site(&self) -> SiteRef {
        let site = self.instance().registry().site_at(self.exit_pc());
        site.expect("compiled code called the runtime")
    }

    /// The function and point of the activation that called the runtime.
    pub(crate) fn exit_point(&self) -> (FunctionIndex, Point) {
        let exit = self.exit_site();
        (exit.function(), exit.point())
    }
}
