//! Sparse hijacking: frames further out are hijacked when control comes near them.
//!
//! ```text
//!   outermost                                                              innermost
//!   | not looked at: may lead into retired code | front | hijacked ... hijacked |
//!                                                   │
//!             a landing at the front hijacks twice as many further out ─┘
//! ```
//!
//! An invalidation hijacks the innermost frames of retired versions, whatever the depth of the stack. The last frame that
//! it looks at is the *front*: its slot is hijacked, and when control returns through it, or a trap has jumped over it,
//! the walk continues from there. Retired versions are released when it has reached the outermost frame. There is one
//! front: what a later invalidation retires has its frames on both sides of it, and so has a front of its own, which takes
//! the place of the other: between the two everything is hijacked.

use osr_stackwalk::{Frame, ReturnPc, ReturnSlot};

use crate::code::ledger::LedgerPcs;
use crate::code::{CodeVersion, VersionState};
use crate::error::TransitionError;
use crate::event::{Cause, Replacement};
use crate::settings::mechanism::HijackDensity;
use crate::thread::Thread;
use crate::thread::pending::Front;
use crate::thread::reclaim::Retired;
use crate::transition::hijack::{Hijacked, Hijacking, hijack_slot};

/// How many frames an invalidation hijacks: as few as will be landed in soon, since the front moves on by twice as many.
const FIRST: u64 = 16;

/// How many frames are looked at for each that is hijacked. Where others are in the way, one of them is the front.
const VISITS: u64 = 16;

impl Thread {
    /// Hijacks frames of retired versions: all, or, if the mechanism is sparse, the innermost.
    pub(crate) fn hijack_retired(&self, cause: Cause) -> Result<Hijacked, TransitionError> {
        match self.instance().settings().mechanism.density {
            HijackDensity::EveryFrame => {
                self.hijack_sites(cause, |version, _| version.state() == VersionState::Retired)
            }
            HijackDensity::Sparse => self.hijack_up_to(FIRST, cause),
        }
    }

    /// A frame has landed, or was dropped. If it was at the front, that moves on, outwards from the exit.
    pub(crate) fn pass_front(&self) {
        let Some(Front { next, cause, .. }) = self.front().take() else { return };
        let replaced = self.replacing(Replacement::Hijack, cause, || self.hijack_up_to(next, cause));
        replaced.expect("a stack of compiled frames can be walked");
        self.release_behind_front();
    }

    /// Hijacks all frames that the front is yet to reach.
    pub(crate) fn end_front(&self) -> Result<(), TransitionError> {
        let Some(Front { cause, .. }) = self.front().take() else { return Ok(()) };
        self.replacing(Replacement::Hijack, cause, || self.hijack_up_to(u64::MAX, cause))?;
        self.release_behind_front();
        Ok(())
    }

    /// Releases what is retired, if no frame is left to be looked at.
    pub(crate) fn release_behind_front(&self) {
        if self.front().get().is_some() {
            return;
        }
        while let Some(Retired { version, cause }) = self.reclaim().take() {
            if !self.releases_at_poll_exit(&version, cause) {
                self.release(&[version], cause);
            }
        }
    }

    /// Hijacks at most so many frames of retired versions, innermost first. If there may be more, the last frame is the
    /// front.
    fn hijack_up_to(&self, most: u64, cause: Cause) -> Result<Hijacked, TransitionError> {
        self.check_ready()?;
        let mut hijacked = Hijacked::default();
        let mut visits = most.saturating_mul(VISITS);
        let batch = self.ledger().borrow_mut().batch((&raw const hijacked) as u64);
        let mut hijacking = Hijacking::new(self.instance(), batch);
        let ledger = self.ledger().borrow();
        let landing = ReturnPc::new(osr_stubs::x86_64::landing_pc());
        let pcs = LedgerPcs::new(&ledger);
        let mut front = None;
        for frame in self.walk(&pcs) {
            let Frame { pc, return_slot, .. } = frame?;
            visits -= 1;
            // SAFETY: the walk vouches for the slot.
            if unsafe { return_slot.load() } == landing {
                hijacked.again += 1;
            } else {
                let is_retired = |version: &CodeVersion, _| version.state() == VersionState::Retired;
                let mut writer = hijacking.batch.writer();
                let entry = hijacking.decide(pc, &mut writer, is_retired);
                let (_, chosen) = hijacking.decisions.known(entry);
                // The front lands, whatever it is of: there the search goes on.
                if let Some(site) = chosen.or_else(|| (visits == 0).then(|| hijacking.add_site(pc))) {
                    let mut writer = hijacking.batch.writer();
                    hijack_slot(&mut writer, return_slot, site, landing);
                    writer.end_run(site);
                    hijacking.batch.keep_written(writer);
                    hijacked.frames += 1;
                }
            }
            if visits == 0 || hijacked.frames == most {
                front = Some(Front { slot: return_slot.address(), next: 2 * most, cause });
                break;
            }
        }
        let batch = hijacking.keep();
        drop(ledger);
        self.front().set(front);
        self.add_hijacked(batch, hijacked, cause);
        Ok(hijacked)
    }

    /// Whether the frame that is returned to through `slot` is the front.
    pub(crate) fn is_front(&self, slot: ReturnSlot) -> bool {
        self.front().get().is_some_and(|front| front.slot == slot.address())
    }

    /// A trap has jumped over frames deeper than `depth`. If the front was among them, it moves on.
    pub(super) fn front_dropped(&self, depth: u64) {
        if self.front().get().is_some_and(|front| front.slot < depth) {
            self.pass_front();
        }
    }
}
