//! Release: when the code of retired versions is freed.
//!
//! ```text
//!   release          a retired version is freed
//!   on-hijack        at once: nothing returns into it; if a frame leaves it at a poll, when it has; if the mechanism is
//!                    sparse, when the walk that hijacks has reached the outermost frame
//!   stack-scan       when a walk finds no frame of it: at its retirement, at later ones, when compiled code reaches
//!                    the runtime, when the outermost call ends, and on request
//!   epoch            when the outermost call ends that was under way
//!   residence-count  when its own count of its activations is zero: looked at as the stack is for a scan
//!   frame-count      when each of the frames that it had has ended, at a barrier, or has landed; after a trap those
//!                    that are left are counted anew, unless they are known one by one
//!   never            with its instance
//! ```
//!
//! What waits, and for what, is [`osr_release`]'s business; here is what it is told, and how code is freed.

use std::sync::Arc;
use std::time::Instant;

use osr_release::{Census, CodeRange, Strategy};
use osr_stackwalk::{ReturnPc, ReturnSlot};
use osr_stubs::Context;

use crate::code::CodeVersion;
use crate::code::ledger::LedgerPcs;
use crate::error::TransitionError;
use crate::event::{Cause, Event};
use crate::settings::mechanism::{ActiveFrames, CodeRelease, HijackDensity};
use crate::thread::Thread;
use crate::thread::reclaim::Retired;

/// A scan that has visited so many frames is paid for by one arrival of compiled code in the runtime.
const FRAMES_PER_ARRIVAL: u64 = 8;

impl Thread {
    /// Frees the code of retired versions that nothing executes any more, as far as a walk of the stack can tell. For
    /// mechanisms whose release is [`StackScan`](CodeRelease::StackScan): with others, code is freed as soon as it can
    /// be. Returns how many versions were freed.
    ///
    /// # Errors
    /// If the thread is in no [phase](crate::Phase) for it, or the stack cannot be walked: a broken invariant.
    pub fn release_drained(&self) -> Result<u64, TransitionError> {
        self.on_demand(|| {
            self.scan()?;
            Ok(self.free_drained())
        })
    }

    /// `versions`, which were retired because of `cause`, are freed when the mechanism says.
    pub(crate) fn reclaim_retired(
        &self,
        versions: &[Arc<CodeVersion>],
        cause: Cause,
    ) -> Result<(), TransitionError> {
        let mechanism = self.instance().settings().mechanism;
        match mechanism.release {
            CodeRelease::OnHijack if mechanism.density == HijackDensity::Sparse => {
                versions.iter().for_each(|version| self.reclaim().list(version, cause));
                self.release_behind_front();
                Ok(())
            }
            CodeRelease::OnHijack => {
                // One at most: it is the innermost frame that is at a poll.
                let leaving = versions.iter().position(|version| self.releases_at_poll_exit(version, cause));
                let (before, behind) = leaving
                    .map_or((versions, &[][..]), |leaving| (&versions[..leaving], &versions[leaving + 1..]));
                self.release(before, cause);
                self.release(behind, cause);
                Ok(())
            }
            CodeRelease::Never => Ok(()),
            CodeRelease::FrameCount if mechanism.hijacks() => {
                self.release_when_landed(versions, cause);
                Ok(())
            }
            CodeRelease::StackScan if mechanism.hijacks() => {
                // The walk that hijacks was the first scan.
                let (pending, drained): (Vec<_>, Vec<_>) =
                    versions.iter().cloned().partition(|version| version.has_pending_frames());
                self.release(&drained, cause);
                self.wait_for(&pending, cause)
            }
            CodeRelease::StackScan
            | CodeRelease::Epoch
            | CodeRelease::FrameCount
            | CodeRelease::ResidenceCount => self.wait_for(versions, cause),
        }
    }

    /// Frees each of `versions` when the last of its frames, all of which are pending, has landed or was dropped.
    fn release_when_landed(&self, versions: &[Arc<CodeVersion>], cause: Cause) {
        for version in versions {
            if version.has_pending_frames() {
                self.reclaim().list(version, cause);
            } else {
                self.release(std::slice::from_ref(version), cause);
            }
        }
    }

    /// No frame of `version`, which is not current, is pending any more; where frames leave by themselves, one has left it.
    /// If that was what its code waited for, it is released.
    pub(crate) fn emptied(&self, version: &Arc<CodeVersion>) {
        let mechanism = self.instance().settings().mechanism;
        if mechanism.frames_leave() {
            return self.frame_left(version);
        }
        let counts = mechanism.release == CodeRelease::FrameCount;
        if counts && let Some(Retired { version, cause }) = self.reclaim().remove(version.id) {
            self.release(&[version], cause);
        }
    }

    /// A frame of `version`, which is retired, has left it, and is popped.
    fn frame_left(&self, version: &CodeVersion) {
        let mechanism = self.instance().settings().mechanism;
        if mechanism.frames == ActiveFrames::ReturnCheck {
            self.limit_returns().expect("a stack of compiled frames can be walked");
        }
        if mechanism.release == CodeRelease::FrameCount {
            let inside = ReturnPc::new(version.start + u64::from(version.code_bytes));
            self.reclaim().waiting().borrow_mut().frame_ended(inside);
            self.free_drained();
        }
    }

    /// Counts the frames anew of all that waits for theirs to end. What drains by that is freed at the next safepoint, or
    /// when the call ends.
    pub(crate) fn count_frames(&self) -> Result<(), TransitionError> {
        let ranges = self.reclaim().waiting().borrow().waiting().to_vec();
        if ranges.is_empty() {
            return Ok(());
        }
        let census = self.census(Census::begin(&ranges))?;
        let mut waiting = self.reclaim().waiting().borrow_mut();
        waiting.scan(&census);
        if waiting.has_drained() {
            self.agenda().set_waiting(true);
        }
        Ok(())
    }

    /// Lets `versions` wait until they have drained.
    fn wait_for(&self, versions: &[Arc<CodeVersion>], cause: Cause) -> Result<(), TransitionError> {
        let ranges: Vec<CodeRange> = versions.iter().map(|version| range(version)).collect();
        let strategy = self.reclaim().waiting().borrow().strategy();
        let census = match strategy {
            Strategy::Epoch | Strategy::Scan | Strategy::Residence => Census::default(),
            Strategy::Barrier => self.census(Census::begin(&ranges).keeping_frames())?,
            Strategy::Count => self.census(Census::begin(&ranges))?,
        };
        let mut waiting = self.reclaim().waiting().borrow_mut();
        if strategy == Strategy::Epoch && self.is_executing() && self.reclaim().call.get().is_none() {
            self.reclaim().call.set(Some(waiting.call_began()));
        }
        let retired = versions.iter().map(|version| {
            let version = Arc::clone(version);
            (range(&version), Retired { version, cause })
        });
        let nothing_waited = !waiting.has_waiting();
        waiting.retire(retired, &census);
        drop(waiting);
        if !self.instance().settings().mechanism.hijacks() {
            self.scan()?;
        } else if nothing_waited {
            self.reclaim().patience.set(self.hijacked_slots() as u64 / FRAMES_PER_ARRIVAL);
        }
        self.free_drained();
        Ok(())
    }

    /// Frees what has drained meanwhile, and looks for more if that is due.
    #[cold]
    pub(crate) fn release_due(&self) {
        let reclaim = self.reclaim();
        let (patience, is_executing) = (reclaim.patience.get(), self.is_executing());
        if !is_executing && let Some(call) = reclaim.call.take() {
            reclaim.waiting().borrow_mut().call_ended(call);
        }
        if patience == 0 || !is_executing {
            self.scan().expect("a stack of compiled frames can be walked");
        } else {
            reclaim.patience.set(patience - 1);
        }
        self.free_drained();
    }

    /// Looks which of the versions that wait have no frame, or say that they have none.
    fn scan(&self) -> Result<(), TransitionError> {
        let ranges = {
            let mut waiting = self.reclaim().waiting().borrow_mut();
            if waiting.strategy() == Strategy::Residence {
                let is_empty = |retired: &Retired| {
                    retired.version.residence.as_ref().is_none_or(|count| count.get() == 0)
                };
                waiting.look(is_empty);
                return Ok(());
            }
            if waiting.strategy() != Strategy::Scan || !waiting.has_waiting() {
                return Ok(());
            }
            waiting.waiting()
        };
        let census = self.census(Census::begin(&ranges))?;
        self.reclaim().patience.set(census.visited() / FRAMES_PER_ARRIVAL);
        self.reclaim().waiting().borrow_mut().scan(&census);
        Ok(())
    }

    /// Adds all compiled frames to `census`.
    fn census(&self, mut census: Census) -> Result<Census, TransitionError> {
        let ledger = self.ledger().borrow();
        let pcs = LedgerPcs::new(&ledger);
        self.walk(self.all_pcs(&pcs)).visit(|frame| census.add(frame.into()))?;
        Ok(census)
    }

    /// Frees what has drained. Returns how many versions.
    fn free_drained(&self) -> u64 {
        let mut freed = 0;
        loop {
            let drained: Vec<Retired> =
                self.reclaim().waiting().borrow_mut().take_drained().map(|drained| drained.code).collect();
            if drained.is_empty() {
                break;
            }
            freed += drained.len() as u64;
            for Retired { version, cause } in drained {
                self.release(&[version], cause);
            }
        }
        let waiting = self.reclaim().waiting().borrow();
        let is_looked_at =
            matches!(waiting.strategy(), Strategy::Scan | Strategy::Residence | Strategy::Epoch);
        self.agenda().set_waiting(is_looked_at && waiting.has_waiting());
        freed
    }

    /// The frame of `version` that ends by `slot` has been replaced by another: it is in the version's code no more.
    pub(crate) fn frame_replaced(&self, version: &CodeVersion, slot: ReturnSlot) {
        if let Some(count) = &version.residence {
            count.set(count.get() - 1);
        }
        let mut waiting = self.reclaim().waiting().borrow_mut();
        if waiting.has_barriers() {
            waiting.replaced(slot);
            drop(waiting);
            self.free_drained();
        }
    }

    /// Frees the code of `versions`, which nothing returns into any more.
    pub(crate) fn release(&self, versions: &[Arc<CodeVersion>], cause: Cause) {
        if versions.is_empty() {
            return;
        }
        if self.instance().settings().checked {
            self.scan_before_release(versions);
        }
        // Read once for each version: between two of them there is only the second's turn.
        let mut now = Instant::now();
        for version in versions {
            let latency = version.life.drain(now);
            self.observe(|| Event::Drained { version, latency, cause });
            self.observe(|| Event::Released { version, cause });
            now = self.instance().registry().release(version, now);
        }
    }
}

fn range(version: &CodeVersion) -> CodeRange {
    CodeRange::new(version.start, u64::from(version.code_bytes))
}

/// The hook behind the barrier stub: the frame that ended by `slot` is gone. Returns where to continue.
///
/// # Safety
/// Called by the stub, with the context of a thread, whose exit is the slot.
pub(crate) unsafe extern "C" fn ended(context: *mut Context, slot: u64) -> u64 {
    // SAFETY: the context is the first field of its thread.
    let thread = unsafe { &*context.cast::<Thread>() };
    let slot = ReturnSlot::new(slot);
    let Some(original) = thread.reclaim().waiting().borrow_mut().returned(slot) else { no_barrier(slot) };
    // SAFETY: the stub keeps the slot, and does not return through it. What walks the stack from here finds
    // no barrier there.
    unsafe { slot.store(original) };
    thread.free_drained();
    original.address()
}

#[cold]
fn no_barrier(slot: ReturnSlot) -> ! {
    eprintln!("osr-engine: returned through a barrier at {slot:#x}, which is not the innermost");
    std::process::abort()
}
