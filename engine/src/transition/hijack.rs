//! Hijacking: swapping the return PCs that lead into chosen frames for the landing stub's.

use std::ptr;

use osr_stackwalk::{Frame, ReturnPc, ReturnSlot};

use crate::code::CodeVersion;
use crate::code::ledger::{Batch, LedgerPcs, Record, Room, Wait};
use crate::error::TransitionError;
use crate::event::{Cause, Event, Replacement};
use crate::instance::Instance;
use crate::settings::{CompiledTier, StateRecording};
use crate::thread::Thread;

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
    /// If the stack cannot be walked, or compiled code is not ready for it; then, and if `choose`
    /// panics, nothing is hijacked.
    pub fn hijack(&self, choose: impl Fn(&CodeVersion) -> bool) -> Result<Hijacked, TransitionError> {
        let cause = Cause::Host;
        self.replacing(Replacement::Hijack, cause, || self.hijack_sites(cause, |version, _| choose(version)))
    }

    /// As [`Self::hijack`], where `choose` picks by the site, too, that a frame waits at.
    #[inline(always)]
    pub(crate) fn hijack_sites(
        &self,
        cause: Cause,
        choose: impl Fn(&CodeVersion, u32) -> bool,
    ) -> Result<Hijacked, TransitionError> {
        self.check_ready()?;
        let mut ledger = self.ledger().borrow_mut();
        let mut again = 0;
        // Compiled frames are further out than this one.
        let deepest = (&raw const again) as u64;
        let mut fresh = Fresh::new(self.instance(), ledger.batch(deepest));
        let landing = ReturnPc::new(osr_stubs::x86_64::landing_pc());
        let pcs = LedgerPcs::new(&ledger);
        self.walk(&pcs).visit_runs(|frame, others| {
            // SAFETY: the walk vouches for the slot.
            if unsafe { frame.return_slot.load() } == landing {
                let record = pcs.found().expect("walks look through hijacked slots");
                again += u64::from(choose(record.version(), record.wait.number()));
                return;
            }
            let mut run = Run::new(&mut fresh, frame.pc);
            let mut next = Some(frame);
            while let Some(Frame { return_slot, .. }) = next {
                if choose(run.version, run.site) {
                    run.room.push(return_slot, run.wait);
                    // SAFETY: a return slot of this thread's stack, whose record is written. Nothing reads
                    // it before the return, Rust code above never its own; the ledger is ours until then.
                    unsafe { return_slot.store(landing) };
                }
                next = if run.room.is_full() { None } else { others.next_frame() };
            }
        })?;
        let batch = fresh.keep();
        let hijacked = Hijacked { frames: batch.len() as u64, again };
        let seen: Vec<Record> = if self.is_observed() { batch.records().collect() } else { Vec::new() };
        ledger.add(batch);
        drop(ledger);
        seen.iter().for_each(|record| self.observe_hijack(record, cause));
        self.count(|statistics| {
            statistics.hijacked_frames += hijacked.frames;
            statistics.rehijacked += hijacked.again;
        });
        Ok(hijacked)
    }

    /// Whether frames of compiled code can be replaced at all.
    pub(crate) fn check_ready(&self) -> Result<(), TransitionError> {
        if let Some(missing) = self.instance().settings().readiness.missing() {
            return Err(TransitionError::NotReady { missing });
        }
        match self.instance().settings().state_recording {
            StateRecording::None => Err(TransitionError::NoStateRecorded),
            _ => Ok(()),
        }
    }

    /// Hijacks the frame that has called the runtime, `site` of `version`: it lands in `tier` as soon as
    /// that call returns.
    pub(crate) fn hijack_innermost(
        &self,
        version: &CodeVersion,
        site: u32,
        tier: CompiledTier,
        cause: Cause,
    ) {
        // SAFETY: the thread is in the runtime, so the exit is valid.
        let slot = ReturnSlot::new(unsafe { (*self.context()).exit_slot });
        let mut ledger = self.ledger().borrow_mut();
        let mut batch = ledger.batch(slot.address());
        let registers = self.instance().body(version.function).registers.len();
        let wait = batch.add_wait(Wait::new(version, site, registers).landing_in(tier));
        let mut room = batch.room();
        room.push(slot, wait);
        batch.fill(room, wait);
        ledger.add(batch);
        let record = ledger.innermost().expect("just added");
        // SAFETY: as in `hijack`: the slot of a compiled frame's call of the runtime; the record is written.
        unsafe { slot.store(ReturnPc::new(osr_stubs::x86_64::landing_pc())) };
        drop(ledger);
        self.count(|statistics| statistics.hijacked_frames += 1);
        self.observe_hijack(&record, cause);
    }

    /// Tells the observer that frames are replaced, while `replace` does it.
    pub(crate) fn replacing<T>(
        &self,
        replacement: Replacement,
        cause: Cause,
        replace: impl FnOnce() -> T,
    ) -> T {
        self.observe(|| Event::ReplacementBegan { replacement, cause });
        let replaced = replace();
        self.observe(|| Event::ReplacementEnded);
        replaced
    }

    /// Puts the original return PCs back where the code they lead into is still there. Gives the number
    /// of slots.
    pub fn unhijack(&self) -> u64 {
        let registry = self.instance().registry();
        let is_gone = |version: &CodeVersion| version.state() == crate::code::State::Released;
        let batches = self.ledger().borrow_mut().extract(is_gone);
        for record in batches.iter().flat_map(Batch::records) {
            restore_slot(&record);
            self.observe(|| Event::Restored {
                version: record.version(),
                point: record.point(),
                slot: record.slot.address(),
            });
        }
        batches.iter().flat_map(Batch::versions).for_each(|version| registry.drop_wait(version));
        batches.iter().map(|batch| batch.len() as u64).sum()
    }

    fn observe_hijack(&self, record: &Record, cause: Cause) {
        let slot = record.slot.address();
        self.observe(|| Event::Hijacked { version: record.version(), point: record.point(), slot, cause });
    }

    /// Drops the records of frames that are gone because a trap jumped over them: all that are deeper
    /// in the stack than the caller.
    pub(crate) fn drop_frames(&self) {
        let here = 0u8;
        let depth = (&raw const here) as u64;
        let registry = self.instance().registry();
        let is_dropped = |record: Record| record.slot.address() < depth;
        while self.ledger().borrow().innermost().is_some_and(is_dropped) {
            let record = self.ledger().borrow_mut().pop().expect("just seen");
            self.observe(|| Event::Dropped {
                version: record.version(),
                point: record.point(),
                slot: record.slot.address(),
            });
            if record.is_last() {
                registry.drop_wait(record.version());
            }
        }
    }
}

/// The records of a hijack until the ledger has them. If that never happens, because the walk failed or
/// the choice panicked, the slots are as they were.
struct Fresh<'i> {
    instance: &'i Instance,
    batch: Batch,
    /// A few return PCs with their waits. Stacks repeat few PCs many times; a search for each would cost more
    /// than the walk.
    pcs: [ReturnPc; Fresh::ENTRIES],
    waits: [u32; Fresh::ENTRIES],
}

impl<'i> Fresh<'i> {
    const ENTRIES: usize = 32;

    fn new(instance: &'i Instance, batch: Batch) -> Fresh<'i> {
        Fresh { instance, batch, pcs: [ReturnPc::default(); Self::ENTRIES], waits: [0; Self::ENTRIES] }
    }

    /// The number of the wait of a frame that `pc` returns to.
    fn wait(&mut self, pc: ReturnPc) -> u32 {
        // Return PCs differ in all bits; the product spreads them.
        let entry = (pc.address().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 59) as usize;
        if self.pcs[entry] != pc {
            self.fill(entry, pc);
        }
        self.waits[entry]
    }

    #[cold]
    fn fill(&mut self, entry: usize, pc: ReturnPc) {
        let version = self.instance.registry().find(pc.lookup_address());
        let version = version.expect("compiled frames are of versions in memory");
        let site = version.frame_maps.find(version.offset(pc.address())).expect("every call has a frame map");
        let registers = self.instance.body(version.function).registers.len();
        self.waits[entry] = self.batch.add_wait(Wait::new(version, site as u32, registers));
        self.pcs[entry] = pc;
    }

    fn keep(mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        self.batch.records().for_each(|record| restore_slot(&record));
    }
}

/// Frames that wait in one place, one after the other. Adds their records to a [`Fresh`] in the end: until
/// then, what changes with each of them is in machine registers.
struct Run<'f, 'i> {
    fresh: &'f mut Fresh<'i>,
    version: &'i CodeVersion,
    site: u32,
    /// The number of the wait.
    wait: u32,
    room: Room,
}

impl<'f, 'i> Run<'f, 'i> {
    /// Of frames that `pc` returns to. There is room for one.
    #[inline(always)]
    fn new(fresh: &'f mut Fresh<'i>, pc: ReturnPc) -> Run<'f, 'i> {
        let wait = fresh.wait(pc);
        let room = fresh.batch.room();
        let there = fresh.batch.wait(wait);
        // SAFETY: no version is released during a walk.
        let version = unsafe { &*ptr::from_ref(there.version()) };
        let site = there.number();
        Run { fresh, version, site, wait, room }
    }
}

impl Drop for Run<'_, '_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.fresh.batch.fill(self.room, self.wait);
    }
}

/// Makes the slot of `record` lead where it led before.
fn restore_slot(record: &Record) {
    // SAFETY: the slot is that of a live frame: records of dropped frames are dropped with them.
    unsafe { record.slot.store(record.pc()) };
}
