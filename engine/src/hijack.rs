//! Hijacking: swapping the return PCs that lead into chosen frames for the landing stub's.

use std::ptr;

use crate::code::{CodeVersion, Registry};
use crate::error::TransitionError;
use crate::event::{Cause, Event, Replacement};
use crate::ledger::{LedgerPcs, Record, runs};
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
        let mut fresh = Fresh(ledger.buffer());
        let mut again = 0;
        let mut sites = SiteCache::new(self.instance().registry());
        let landing = osr_stubs::x86_64::landing_pc();
        let pcs = LedgerPcs::new(&ledger);
        self.walk(&pcs).visit(|frame| {
            let slot = frame.return_slot as *mut u64;
            // SAFETY: the walk vouches for the slot.
            if unsafe { *slot } != frame.pc {
                again += u64::from(pcs.found().is_some_and(|record| choose(record.version(), record.site())));
                return;
            }
            let (version, site) = sites.find(frame.pc);
            if choose(version, site) {
                fresh.0.push(Record::new(frame.return_slot, frame.frame_base, version, site));
                // SAFETY: a return slot of this thread's stack, whose record is written. Nothing reads
                // it before the return, Rust code above never its own; the ledger is ours until then.
                unsafe { *slot = landing };
            }
        })?;
        let hijacked = Hijacked { frames: fresh.0.len() as u64, again };
        let seen = if self.is_observed() { fresh.0.clone() } else { Vec::new() };
        ledger.add(fresh.keep());
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
        let (slot, frame_base) = unsafe { ((*self.context()).exit_slot, (*self.context()).exit_frame) };
        let mut ledger = self.ledger().borrow_mut();
        let mut fresh = ledger.buffer();
        let record = Record::new(slot, frame_base, version, site).landing_in(tier);
        fresh.push(record);
        ledger.add(fresh);
        // SAFETY: as in `hijack`: the slot of a compiled frame's call of the runtime; the record is written.
        unsafe { *(slot as *mut u64) = osr_stubs::x86_64::landing_pc() };
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
        let gone = |record: &Record| record.version().state() == crate::code::State::Released;
        let records = self.ledger().borrow_mut().extract(gone);
        for record in &records {
            restore_slot(record);
            self.observe(|| Event::Restored {
                version: record.version(),
                point: record.point(),
                slot: record.slot,
            });
        }
        runs(&records).for_each(|version| registry.drop_run(version));
        records.len() as u64
    }

    fn observe_hijack(&self, record: &Record, cause: Cause) {
        let Record { slot, .. } = *record;
        self.observe(|| Event::Hijacked { version: record.version(), point: record.point(), slot, cause });
    }

    /// Drops the records of frames that are gone because a trap jumped over them: all that are deeper
    /// in the stack than the caller.
    pub(crate) fn drop_frames(&self) {
        let here = 0u8;
        let depth = (&raw const here) as u64;
        let registry = self.instance().registry();
        let is_dropped = |record: &Record| record.slot < depth;
        while self.ledger().borrow().innermost().is_some_and(is_dropped) {
            let record = self.ledger().borrow_mut().pop().expect("just seen");
            self.observe(|| Event::Dropped {
                version: record.version(),
                point: record.point(),
                slot: record.slot,
            });
            if record.ends_run() {
                registry.drop_run(record.version());
            }
        }
    }
}

/// The records of a hijack until the ledger has them. If that never happens, because the walk failed or
/// the choice panicked, the slots are as they were.
struct Fresh(Vec<Record>);

impl Fresh {
    fn keep(mut self) -> Vec<Record> {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        self.0.iter().for_each(restore_slot);
    }
}

/// Makes the slot of `record` lead where it led before.
fn restore_slot(record: &Record) {
    // SAFETY: the slot is that of a live frame: records of dropped frames are dropped with them.
    unsafe { *(record.slot as *mut u64) = record.pc() };
}

/// A few return PCs with what they lead into. Stacks repeat few PCs many times; a search for each would
/// cost more than the walk.
struct SiteCache<'r> {
    registry: &'r Registry,
    last: (u64, *const CodeVersion, u32),
    pcs: [u64; SiteCache::ENTRIES],
    sites: [(*const CodeVersion, u32); SiteCache::ENTRIES],
}

impl<'r> SiteCache<'r> {
    const ENTRIES: usize = 32;

    fn new(registry: &'r Registry) -> SiteCache<'r> {
        SiteCache {
            registry,
            last: (0, ptr::null(), 0),
            pcs: [0; Self::ENTRIES],
            sites: [(ptr::null(), 0); Self::ENTRIES],
        }
    }

    /// The version and the number of the site that `pc` returns to.
    #[inline(always)]
    fn find(&mut self, pc: u64) -> (&'r CodeVersion, u32) {
        if self.last.0 != pc {
            self.switch(pc);
        }
        let (_, version, site) = self.last;
        // SAFETY: found during this walk, in which no version is released.
        (unsafe { &*version }, site)
    }

    #[inline(never)]
    fn switch(&mut self, pc: u64) {
        // Return PCs differ in all bits; the product spreads them.
        let entry = (pc.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 59) as usize;
        if self.pcs[entry] != pc {
            self.fill(entry, pc);
        }
        let (version, site) = self.sites[entry];
        self.last = (pc, version, site);
    }

    #[cold]
    fn fill(&mut self, entry: usize, pc: u64) {
        let version = self.registry.find(pc - 1).expect("compiled frames are of versions in memory");
        let site = version.frame_maps.find(version.offset(pc)).expect("every call has a frame map");
        self.pcs[entry] = pc;
        self.sites[entry] = (version, site as u32);
    }
}
