//! Leaving a frame at a poll of optimized code.
//!
//! ```text
//!   compiled code:   poll ────────────┐      ┌──> leave: keep the frame state ──> left_poll ──> landing
//!                                     v      │
//!   runtime:             hijacks the frame,  │                                     releases the code,
//!                        says "leave" ───────┘                                     if that is due
//! ```
//!
//! Mostly the frame map of a poll holds at the poll, whose stub has all registers: what a landing does not save by itself is
//! kept for it, and nothing of the code executes again. Where the compiler could not read where the values are, optimized
//! code makes the frame state known only where the frame is really left, at a call in a
//! cold block (`compiler/src/poll.rs`): that is shown above. So a frame that is hijacked at such a poll executes a few more
//! instructions of its own code, and the code, if it is invalid, is released only after these.
//!
//! A frame whose code has [invalidation points](crate::transition::invalidation_point) leaves a poll in the same way; its
//! slot is hijacked only until the poll returns, and has a record until the frame lands.

use osr_stackwalk::ReturnPc;

use crate::code::{CodeVersion, VersionState};
use crate::event::Cause;
use crate::settings::mechanism::ActiveFrames;
use crate::thread::Thread;
use crate::thread::pending::PollExit;

impl Thread {
    /// Compiled code is at a poll, at `site` of `version`; `act` does what is to be done there.
    pub(crate) fn at_poll(&self, version: &CodeVersion, site: u32, act: impl FnOnce()) {
        let mechanism = self.instance().settings().mechanism;
        if version.is_in_place(site) {
            act();
            if self.exit_is_hijacked() {
                // SAFETY: the stub of polls is in its call of the hook, and the landing stub does not execute meanwhile.
                unsafe {
                    let exit_slot = (*self.context()).exit_slot;
                    (*self.context()).landing.poll = osr_stubs::x86_64::poll_registers(exit_slot);
                }
            }
            return;
        }
        if !version.exits_apart(site) || mechanism.frames == ActiveFrames::ReturnCheck {
            return act();
        }
        let pc = self.exit_pc();
        self.poll_exit().set(PollExit { version: Some(version.id), ..PollExit::default() });
        act();
        if mechanism.frames_leave() && version.state() != VersionState::Current {
            self.record_innermost(self.pending_site(version, site));
            self.set_exit_pc(ReturnPc::new(osr_stubs::x86_64::landing_pc()));
        }
        let is_left = self.exit_is_hijacked();
        if is_left {
            // Not yet: the record is kept, and the stub behind the poll's cold block lands.
            self.poll_exit().set(PollExit { landing: self.exit_pc(), ..self.poll_exit().get() });
            self.set_exit_pc(pc);
        } else {
            self.poll_exit().take();
        }
        // SAFETY: the thread is in the runtime, so the context is not in use.
        unsafe { (*self.context()).leaving = u64::from(is_left) };
    }

    /// Whether a frame of `version`, which was hijacked, will execute its code once more. Then the code is
    /// released when it has, because of `cause`.
    pub(crate) fn releases_at_poll_exit(&self, version: &CodeVersion, cause: Cause) -> bool {
        let leaving = self.poll_exit().get();
        let is_leaving = leaving.version == Some(version.id);
        if is_leaving {
            self.poll_exit().set(PollExit { release: Some((version.start, cause)), ..leaving });
        }
        is_leaving
    }

    /// The frame has stored its state.
    pub(crate) fn left_poll(&self) {
        let PollExit { landing, release, .. } = self.poll_exit().take();
        self.set_exit_pc(landing);
        if let Some((start, cause)) = release {
            let version = self.instance().registry().find(start).expect("it is not released yet");
            self.release(&[version], cause);
        }
    }
}
