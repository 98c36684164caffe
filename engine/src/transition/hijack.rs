//! Hijacking: swapping the return PCs that lead into chosen frames for the landing stub's.

use std::collections::HashSet;

use osr_stackwalk::{FrameRun, LiveStack, ReturnPc, ReturnSlot};

use crate::code::ledger::{Batch, LedgerPcs, PendingSite, PendingSiteId, Record, RecordWriter};
use crate::code::{CodeVersion, SiteRef, VersionId, VersionState};
use crate::error::TransitionError;
use crate::event::{Cause, Event, Replacement};
use crate::instance::Instance;
use crate::settings::CompiledTier;
use crate::settings::mechanism::{ActiveFrames, RebuildTime};
use crate::thread::Thread;
use crate::thread::phase::Phase;
use crate::transition::pc_cache::{EntryId, PcCache};

/// How many returns a processor predicts by the calls that they are of, at most: return stacks hold 16 to 52.
const PREDICTOR_DEPTH: usize = 64;

/// What a hijack did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hijacked {
    /// Slots that were swapped.
    pub frames: u64,
    /// Chosen frames whose slot was hijacked already: they keep their record.
    pub again: u64,
}

impl Thread {
    /// Hijacks all compiled frames of versions that `choose` picks. The innermost frame is among them:
    /// it is in a call of the runtime, which returns through a slot like any other.
    ///
    /// # Errors
    /// If the thread is in no [phase](crate::Phase) for it, the stack cannot be walked, or compiled code is not
    /// ready; then, and if `choose` panics, nothing is hijacked. Not so if an observer
    /// [panicked](TransitionError::Panicked), or frames are to be rebuilt at once and native code between them cannot be
    /// unwound: then they are rebuilt when they land.
    pub fn hijack(&self, choose: impl Fn(&CodeVersion) -> bool) -> Result<Hijacked, TransitionError> {
        self.on_demand(|| {
            if !self.instance().registry().has_landing_tables() {
                return self.hijack_because(Cause::Host, |version, _| choose(version));
            }
            // What has no record cannot be taken back, should the choice panic: it comes first.
            let mut chosen = self.instance().versions();
            chosen.retain(|version| choose(version));
            let chosen: HashSet<VersionId> = chosen.iter().map(|version| version.id).collect();
            self.hijack_because(Cause::Host, |version, _| chosen.contains(&version.id))
        })
    }

    /// As [`Self::hijack`], where `choose` picks by the site, too, that a frame waits at.
    #[inline(always)]
    pub(crate) fn hijack_because(
        &self,
        cause: Cause,
        choose: impl Fn(&CodeVersion, u32) -> bool,
    ) -> Result<Hijacked, TransitionError> {
        self.replacing(Replacement::Hijack, cause, || self.hijack_sites(cause, choose))
    }

    /// The same, as a part of another replacement.
    ///
    /// # Errors
    /// As [`Self::hijack`].
    #[inline(always)]
    pub(crate) fn hijack_sites(
        &self,
        cause: Cause,
        choose: impl Fn(&CodeVersion, u32) -> bool,
    ) -> Result<Hijacked, TransitionError> {
        self.check_ready()?;
        if self.instance().registry().has_landing_tables() {
            return self.hijack_into_tables(cause, choose);
        }
        let mut again = 0;
        // Compiled frames are further out than this one.
        let deepest = (&raw const again) as u64;
        let batch = self.ledger().borrow_mut().batch(deepest);
        let mut hijacking = Hijacking::new(self.instance(), batch);
        // The choice is the embedder's code, which may look at the thread.
        let ledger = self.ledger().borrow();
        let landing = ReturnPc::new(osr_stubs::x86_64::landing_pc());
        let pcs = LedgerPcs::new(&ledger);
        // Survives the change from site to site. In a run it is in machine registers.
        let mut writer = hijacking.batch.writer();
        let mut last = None;
        let walked = self.walk(&pcs).visit_runs(|frame, others| {
            // SAFETY: the walk vouches for the slot.
            if unsafe { frame.return_slot.load() } == landing {
                // The choice may panic.
                hijacking.batch.keep_written(writer);
                let record = pcs.found().expect("walks look through hijacked slots");
                again += u64::from(choose(record.site.version(), record.site.number()));
                return;
            }
            let mut entry = hijacking.decide(frame.pc, &mut writer, &choose);
            let decisions = &mut hijacking.decisions;
            if let Some(last) = last {
                decisions.set_successor(last, entry);
            }
            let (_, site) = decisions.known(entry);
            if let Some(site) = site {
                hijacking.make_room(&mut writer);
                hijack_slot(&mut writer, frame.return_slot, site, landing);
            }
            while !hijacking.follow(&mut entry, others, &mut writer, landing) {
                hijacking.make_room(&mut writer);
            }
            last = Some(entry);
        });
        hijacking.batch.keep_written(writer);
        walked?;
        let batch = hijacking.keep();
        let hijacked = Hijacked { frames: batch.len() as u64, again };
        drop(ledger);
        let at_once = self.instance().settings().mechanism.rebuild == RebuildTime::AtOnce;
        let slots: Vec<ReturnSlot> =
            if at_once { batch.records().map(|record| record.slot).collect() } else { Vec::new() };
        self.add_hijacked(batch, hijacked, cause);
        if at_once {
            self.rebuild_at_once(&slots)?;
        }
        Ok(hijacked)
    }

    /// Adds the records of a hijack to the ledger, and tells the observer.
    pub(crate) fn add_hijacked(&self, batch: Batch, hijacked: Hijacked, cause: Cause) {
        let copy = |record: Record<'_>| (record.slot, *record.site);
        let seen: Vec<(ReturnSlot, PendingSite)> =
            if self.is_observed() { batch.records().map(copy).collect() } else { Vec::new() };
        self.predict_landings_below(batch.slot_before(PREDICTOR_DEPTH));
        self.ledger().borrow_mut().add(batch);
        seen.iter().for_each(|(slot, site)| self.observe_hijack(*slot, site, cause));
        self.count_hijacked(hijacked);
    }

    pub(super) fn count_hijacked(&self, hijacked: Hijacked) {
        self.count(|statistics| {
            statistics.hijacked_frames += hijacked.frames;
            statistics.rehijacked += hijacked.again;
        });
    }

    /// The frame that has called the runtime, at `site` of `version`, which polls, lands in `tier` as soon as that call
    /// returns. It is hijacked; if its code checks its returns, that has it leave.
    pub(crate) fn leave_innermost(&self, version: &CodeVersion, site: u32, tier: CompiledTier, cause: Cause) {
        // SAFETY: the thread is in the runtime, so the exit is valid.
        let (slot, frame) = unsafe { ((*self.context()).exit_slot, (*self.context()).exit_frame) };
        let slot = ReturnSlot::new(slot);
        if self.instance().settings().mechanism.frames == ActiveFrames::ReturnCheck {
            return self.limit_returns_for(tier, slot);
        }
        let pending = self.pending_site(version, site).landing_in(tier);
        self.record_innermost(pending);
        // SAFETY: as in `hijack`: the slot of a compiled frame's call of the runtime; the record is written.
        unsafe { slot.store(ReturnPc::new(osr_stubs::x86_64::landing_pc())) };
        self.count(|statistics| statistics.hijacked_frames += 1);
        self.observe_hijack(slot, &pending, cause);
        self.frame_replaced(version, ReturnSlot::new(frame + 8));
    }

    /// Adds the record of the frame that has called the runtime, which is pending at `site`.
    pub(crate) fn record_innermost(&self, site: PendingSite) {
        // SAFETY: the thread is in the runtime, so the exit is valid.
        let slot = ReturnSlot::new(unsafe { (*self.context()).exit_slot });
        let mut ledger = self.ledger().borrow_mut();
        let mut batch = ledger.batch(slot.address());
        let site = batch.add_site(site);
        let mut writer = batch.writer();
        writer.write(slot, site);
        writer.end_run(site);
        batch.keep_written(writer);
        ledger.add(batch);
    }

    /// Site `number` of `version`, where a frame is pending.
    pub(crate) fn pending_site(&self, version: &CodeVersion, number: u32) -> PendingSite {
        pending_site(self.instance(), version, number)
    }

    /// Tells the observer that frames are replaced, while `replace` does it.
    pub(crate) fn replacing<T>(
        &self,
        replacement: Replacement,
        cause: Cause,
        replace: impl FnOnce() -> T,
    ) -> T {
        let _replacing = self.phase().enter(Phase::Replacing);
        self.observe(|| Event::ReplacementBegan { replacement, cause });
        let replaced = replace();
        self.observe(|| Event::ReplacementEnded);
        replaced
    }

    /// Puts the original return PCs back where the code they lead into is still current. Returns the number of
    /// slots.
    ///
    /// # Errors
    /// If the thread is in no [phase](crate::Phase) for it; then nothing happened. Not so if an observer
    /// [panicked](TransitionError::Panicked).
    pub fn unhijack(&self) -> Result<u64, TransitionError> {
        self.on_demand(|| {
            // Its slot may be one of those.
            self.end_front()?;
            Ok(self.restore_slots() + self.restore_from_tables()?)
        })
    }

    fn restore_slots(&self) -> u64 {
        let is_gone = |version: &CodeVersion| version.state() != VersionState::Current;
        let withdrawn = self.ledger().borrow_mut().withdraw(is_gone, restore_slot);
        self.rebuilt().borrow_mut().retain(|slot| self.ledger().borrow().find(slot).is_some());
        for Record { slot, site } in withdrawn.records() {
            self.observe(|| Event::Restored {
                version: site.version(),
                function: site.function(),
                point: site.point(),
                slot: slot.address(),
            });
        }
        withdrawn.settle(self.instance().registry())
    }

    fn observe_hijack(&self, slot: ReturnSlot, site: &PendingSite, cause: Cause) {
        self.observe_hijack_at(slot, site.version(), site.number(), cause);
    }

    /// Tells that the frame at that site of `version` was hijacked.
    pub(super) fn observe_hijack_at(&self, slot: ReturnSlot, version: &CodeVersion, site: u32, cause: Cause) {
        self.observe(|| {
            let (function, point) = (version.function_at(site), version.frame_maps.site(site).point);
            Event::Hijacked { version, function, point, slot: slot.address(), cause }
        });
    }
}

/// A hijack under way: its records until the ledger has them. If that never happens, because the walk failed or
/// the choice panicked, the slots are as they were.
pub(super) struct Hijacking<'i> {
    instance: &'i Instance,
    pub(super) batch: Batch,
    /// Where the frames that a PC returns to are pending from now on; nowhere if they are not chosen.
    pub(super) decisions: PcCache<Option<PendingSiteId>>,
}

impl<'i> Hijacking<'i> {
    pub(super) fn new(instance: &'i Instance, batch: Batch) -> Hijacking<'i> {
        Hijacking { instance, batch, decisions: PcCache::new(None) }
    }

    /// What becomes of a frame that `pc` returns to, as an entry of [`Self::decisions`].
    #[inline(always)]
    pub(super) fn decide(
        &mut self,
        pc: ReturnPc,
        writer: &mut RecordWriter,
        choose: impl Fn(&CodeVersion, u32) -> bool,
    ) -> EntryId {
        match self.decisions.find(pc) {
            Some(entry) => entry,
            None => self.decide_first(pc, writer, choose),
        }
    }

    /// The same, where `choose` has to be asked: once for each PC. It may panic: what `writer` has written is in the batch
    /// by then.
    #[cold]
    #[inline(never)]
    fn decide_first(
        &mut self,
        pc: ReturnPc,
        writer: &mut RecordWriter,
        choose: impl Fn(&CodeVersion, u32) -> bool,
    ) -> EntryId {
        let (instance, batch) = (self.instance, &mut self.batch);
        batch.keep_written(*writer);
        let entry = self.decisions.add(pc, |pc| {
            let SiteRef { version, site } = site_at(instance, pc);
            choose(&version, site).then(|| batch.add_site(pending_site(instance, &version, site)))
        });
        *writer = self.batch.writer();
        entry
    }

    /// Hijacks the frames that follow one that is at `entry`, as long as their PCs are those to be expected: in a recursion
    /// the same PC follows, or else what followed before. `entry` becomes that of the last one. Whether there was room.
    ///
    /// A function of its own for the sake of its loops, whose state is kept in machine registers then.
    #[inline(never)]
    fn follow(
        &self,
        entry: &mut EntryId,
        others: &mut FrameRun<'_, LiveStack>,
        writer: &mut RecordWriter,
        landing: ReturnPc,
    ) -> bool {
        let (mut at, mut frames, mut run) = (*entry, *others, *writer);
        let (mut pc, mut site) = self.decisions.known(at);
        let had_room = loop {
            if run.is_full() {
                break false;
            }
            let frame = match frames.next_frame_if(|held| held == pc) {
                Some(frame) => frame,
                None => {
                    let successor = self.decisions.successor(at);
                    let (followed, follows_at) = self.decisions.known(successor);
                    let Some(frame) = frames.next_frame_if(|held| held == followed) else { break true };
                    if let Some(site) = site {
                        run.end_run(site);
                    }
                    (at, pc, site) = (successor, followed, follows_at);
                    frame
                }
            };
            if let Some(site) = site {
                hijack_slot(&mut run, frame.return_slot, site, landing);
            }
        };
        if let Some(site) = site {
            run.end_run(site);
        }
        (*entry, *others, *writer) = (at, frames, run);
        had_room
    }

    /// Makes room for another record, where `writer` has written all that there was room for.
    #[inline(always)]
    fn make_room(&mut self, writer: &mut RecordWriter) {
        if writer.is_full() {
            self.batch.keep_written(*writer);
            *writer = self.batch.writer();
        }
    }

    /// Adds the site of frames that `pc` returns to, whose PC has no site: they were not chosen.
    pub(super) fn add_site(&mut self, pc: ReturnPc) -> PendingSiteId {
        let SiteRef { version, site } = site_at(self.instance, pc);
        self.batch.add_site(pending_site(self.instance, &version, site))
    }

    pub(super) fn keep(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }
}

impl Drop for Hijacking<'_> {
    fn drop(&mut self) {
        self.batch.records().for_each(restore_slot);
    }
}

/// The site that `pc`, which a compiled frame is at, is the return PC of.
fn site_at(instance: &Instance, pc: ReturnPc) -> SiteRef {
    instance.registry().site_at(pc).expect("compiled frames are at sites of versions in memory")
}

/// Site `number` of `version`, where a frame is pending.
fn pending_site(instance: &Instance, version: &CodeVersion, number: u32) -> PendingSite {
    PendingSite::new(version, number, instance.frame_words(version.function))
}

/// Hijacks the frame at `site` that is returned to through `slot`. There must be room for its record.
#[inline(always)]
pub(super) fn hijack_slot(
    writer: &mut RecordWriter,
    slot: ReturnSlot,
    site: PendingSiteId,
    landing: ReturnPc,
) {
    writer.write(slot, site);
    // SAFETY: a return slot of this thread's stack, whose record is written. Nothing reads it before the return,
    // Rust code above never its own; nothing looks at the ledger before it has the record.
    unsafe { slot.store(landing) };
}

/// Makes the slot of `record` lead where it led before.
fn restore_slot(record: Record<'_>) {
    // SAFETY: the slot is that of a live frame: records of dropped frames are dropped with them.
    unsafe { record.slot.store(record.site.pc()) };
}
