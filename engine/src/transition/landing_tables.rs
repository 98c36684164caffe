//! Hijacking without records: what a swapped slot holds is an entry of its version's
//! [landing table](crate::code::landing_table), which says all that a record would.
//!
//! ```text
//!   frame-slot   slot: the table's entry    the frame keeps the original PC in a word of its own
//!   pcs-in-map   slot: the site's entry
//! ```
//!
//! What the ledger knows has to be found out here: which frames a trap has jumped over (those that are left are counted
//! anew; nobody is told of the others), and where the hijacked slots are (by a walk).

use std::sync::Arc;

use osr_stackwalk::{Frame, ReturnPc, ReturnSlot};
use osr_stubs::LandingRegisters;

use crate::code::landing_table::kept_at;
use crate::code::ledger::{PendingSite, TakenRecord};
use crate::code::{CodeVersion, SiteRef, VersionState};
use crate::error::TransitionError;
use crate::event::{Cause, Event};
use crate::thread::Thread;
use crate::transition::hijack::Hijacked;
use crate::transition::pc_cache::PcCache;

/// What a slot holds, and what becomes of it.
#[derive(Clone, Copy)]
enum Decision {
    /// Nothing.
    Left,
    /// It is hijacked, and would be.
    Again,
    /// It is swapped, as the swap of that number says.
    Swapped(usize),
}

/// How the slots of frames at a site are swapped.
struct Swap {
    version: Arc<CodeVersion>,
    site: u32,
    entry: ReturnPc,
    /// Where the frames keep the original PC.
    kept: Option<i32>,
    frames: u64,
}

impl Thread {
    /// Hijacks all frames that `choose` picks; it is asked once for each site, and does not panic.
    pub(super) fn hijack_into_tables(
        &self,
        cause: Cause,
        choose: impl Fn(&CodeVersion, u32) -> bool,
    ) -> Result<Hijacked, TransitionError> {
        let mut swaps = Vec::new();
        let mut decisions = PcCache::new(Decision::Left);
        let (mut hijacked, mut seen, is_observed) = (Hijacked::default(), Vec::new(), self.is_observed());
        let walked = self.walk(self.held_pcs()).visit_runs(|frame, others| {
            let Frame { pc: held, frame_base, .. } = frame;
            let number =
                match decisions.get(held, |held| self.decide_on(held, frame_base, &choose, &mut swaps)) {
                    Decision::Left => return while others.next_frame_if(|next| next == held).is_some() {},
                    Decision::Again => return hijacked.again += 1,
                    Decision::Swapped(number) => number,
                };
            let swap: &mut Swap = &mut swaps[number];
            let mut next = Some(frame);
            while let Some(Frame { return_slot, frame_base, .. }) = next {
                swap.frames += 1;
                // SAFETY: the slot of a frame of the version, on this thread's stack, and a word of that frame; the
                // entry is there as long as a slot leads to it, for the frame counts at the version.
                unsafe {
                    if let Some(kept) = swap.kept {
                        *kept_at(frame_base, kept) = held.address();
                    }
                    return_slot.store(swap.entry);
                }
                if is_observed {
                    seen.push((return_slot, number));
                }
                next = others.next_frame_if(|next| next == held);
            }
        });
        for swap in &swaps {
            swap.version.add_pending_frames(swap.frames);
            hijacked.frames += swap.frames;
        }
        self.table_landings().update(|slots| slots + hijacked.frames as usize);
        for (slot, number) in seen {
            let Swap { version, site, .. } = &swaps[number];
            self.observe_hijack_at(slot, version, *site, cause);
        }
        self.count_hijacked(hijacked);
        walked?;
        Ok(hijacked)
    }

    /// What becomes of slots that hold `held`, one of which is that of a frame at `frame_base`.
    fn decide_on(
        &self,
        held: ReturnPc,
        frame_base: u64,
        choose: &impl Fn(&CodeVersion, u32) -> bool,
        swaps: &mut Vec<Swap>,
    ) -> Decision {
        let registry = self.instance().registry();
        let again = registry.at_landing(held, |version, table| {
            // SAFETY: the walk vouches for the frame, which its slot says is hijacked by the table.
            choose(version, unsafe { table.site(version, held, frame_base) })
        });
        match again {
            Some(true) => return Decision::Again,
            Some(false) => return Decision::Left,
            // It leaves by itself: its tier changes.
            None if self.is_landing(held) => return Decision::Left,
            None => {}
        }
        let found = registry.site_at(held);
        let SiteRef { version, site } = found.expect("compiled frames are at sites of versions in memory");
        let Some(table) = version.landings.filter(|_| choose(&version, site)) else { return Decision::Left };
        let (entry, kept) = (table.entry(&version, site), table.kept());
        swaps.push(Swap { version, site, entry, kept, frames: 0 });
        Decision::Swapped(swaps.len() - 1)
    }

    /// Puts the original return PCs back where the code they lead into is still current. Returns the number of slots.
    pub(super) fn restore_from_tables(&self) -> Result<u64, TransitionError> {
        if self.table_landings().get() == 0 {
            return Ok(0);
        }
        let mut restored = Vec::new();
        self.walk(self.held_pcs()).visit(|frame| {
            self.instance().registry().at_landing(frame.pc, |version, table| {
                if version.state() != VersionState::Current {
                    return;
                }
                // SAFETY: the walk vouches for the frame, which its slot says is hijacked by the table.
                let site = unsafe { table.site(version, frame.pc, frame.frame_base) };
                let original = PendingSite::new(version, site, 0).pc();
                // SAFETY: the slot of a frame of the version, which is in memory.
                unsafe { frame.return_slot.store(original) };
                restored.push((version.handle(), site, frame.return_slot));
            });
        })?;
        self.table_landings().update(|slots| slots - restored.len());
        for (version, site, slot) in &restored {
            drop(self.instance().registry().site_is_empty(version));
            let (function, point) = (version.function_at(*site), version.frame_maps.site(*site).point);
            self.observe(|| Event::Restored { version, function, point, slot: slot.address() });
        }
        Ok(restored.len() as u64)
    }

    /// What a record would say of `slot`, which was just returned through, if it led into a landing table.
    pub(super) fn take_from_table(
        &self,
        slot: ReturnSlot,
        registers: &mut LandingRegisters,
    ) -> Option<TakenRecord> {
        let entry = ReturnPc::new(std::mem::take(&mut registers.table_entry));
        if entry.is_null() {
            return None;
        }
        let site = self.instance().registry().at_landing(entry, |version, table| {
            // SAFETY: the frame is whole, and its slot held the entry.
            let site = unsafe { table.site(version, entry, registers.callee_saved.rbp) };
            PendingSite::new(version, site, self.instance().frame_words(version.function))
        });
        let Some(site) = site else { not_in_a_table(slot, entry) };
        self.table_landings().update(|slots| slots - 1);
        Some(self.ledger().borrow_mut().unrecorded(slot, site, true))
    }

    /// A trap has jumped over frames, which may have been hijacked: counts those that are left.
    pub(super) fn count_table_landings(&self) {
        if self.table_landings().get() == 0 {
            return;
        }
        let registry = self.instance().registry();
        registry.forget_landings();
        let mut slots = 0;
        let walked = self.walk(self.held_pcs()).visit(|frame| {
            let counted = registry.at_landing(frame.pc, |version, _| version.add_pending_frames(1));
            slots += usize::from(counted.is_some());
        });
        walked.expect("a stack of compiled frames can be walked");
        self.table_landings().set(slots);
        for version in self.instance().versions() {
            if version.state() == VersionState::Retired && !version.has_pending_frames() {
                self.emptied(&version);
            }
        }
    }
}

#[cold]
fn not_in_a_table(slot: ReturnSlot, entry: ReturnPc) -> ! {
    eprintln!(
        "osr-engine: landed through slot {slot:#x}, which held {entry:#x}, but no code has a landing there"
    );
    std::process::abort()
}
