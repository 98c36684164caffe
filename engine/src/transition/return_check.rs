//! Return checks: the frame that is to leave next is known to the code, by a limit of its stack pointer.
//!
//! ```text
//!   outermost                                             innermost
//!   | not looked at: retired frames among them | retired | current ... current |
//!                                              │
//!                                 return limit ┘   frames beyond it leave when they are returned to
//! ```
//!
//! An invalidation looks for the innermost retired frame, and the landing of that for the next one: frames that are never
//! returned to are not looked at. The code is in `compiler/src/return_check.rs`.
//!
//! A frame that is to continue in a higher tier leaves in the same way, from the check behind its poll: for the time of its
//! return the limit is there.

use osr_stackwalk::ReturnSlot;

use crate::code::VersionState;
use crate::code::ledger::LedgerPcs;
use crate::error::TransitionError;
use crate::settings::CompiledTier;
use crate::thread::Thread;
use crate::thread::pending::TierUp;

impl Thread {
    /// The innermost frame of retired code is the next to leave.
    ///
    /// # Errors
    /// If the stack cannot be walked: a broken invariant.
    pub(crate) fn limit_returns(&self) -> Result<(), TransitionError> {
        let slot = self.innermost_retired()?;
        self.set_return_limit(slot.map_or(u64::MAX, ReturnSlot::address));
        Ok(())
    }

    /// The slot that leads into the innermost frame of retired code.
    fn innermost_retired(&self) -> Result<Option<ReturnSlot>, TransitionError> {
        let ledger = self.ledger().borrow();
        let pcs = LedgerPcs::new(&ledger);
        let registry = self.instance().registry();
        let mut current = None;
        for frame in self.walk(&pcs) {
            let frame = frame?;
            if current == Some(frame.pc) {
                continue;
            }
            let version = registry.find(frame.pc.lookup_address()).expect("compiled frames are of versions");
            if version.state() != VersionState::Current {
                return Ok(Some(frame.return_slot));
            }
            current = Some(frame.pc);
        }
        Ok(None)
    }

    /// The frame that polls, and is returned to through `slot`, leaves, to continue in `tier`.
    pub(crate) fn limit_returns_for(&self, tier: CompiledTier, slot: ReturnSlot) {
        let limit = self.set_return_limit(slot.address());
        self.tier_up().set(Some(TierUp { tier, limit }));
    }

    /// The tier that the frame which leaves is to continue in, if its code is current.
    pub(crate) fn take_tier_up(&self) -> Option<CompiledTier> {
        let TierUp { tier, limit } = self.tier_up().take()?;
        self.set_return_limit(limit);
        Some(tier)
    }

    /// Returns what the limit was.
    fn set_return_limit(&self, limit: u64) -> u64 {
        // SAFETY: the thread is in the runtime, so the context is not in use.
        std::mem::replace(unsafe { &mut (*self.context()).return_limit }, limit)
    }
}
