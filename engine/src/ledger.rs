//! The ledger: which return slots of a thread are hijacked, and what they held.
//!
//! Records are kept in stack order, so that a landing takes the innermost one. A record is written
//! before its slot; while a slot is hijacked it has exactly one record.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use osr_ir::Point;
use osr_stackwalk::ReturnPcs;

use crate::code::CodeVersion;
use crate::settings::CompiledTier;

/// A hijacked return slot. Deep stacks are bound by memory, so it is small: what it held is looked up in
/// the frame maps of its version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    /// The address of the slot.
    pub(crate) slot: u64,
    /// The version that the frame is of. Kept by the record; its code may be gone.
    version: *const CodeVersion,
    /// From the slot up to the frame base of the frame that it returns into, in words.
    frame_words: u32,
    /// Which of the version's sites the slot returns to; above that, [`Record::ENDS_RUN`], and the
    /// destination.
    site: u32,
}

impl Record {
    /// A version has fewer sites than bytes of code.
    const SITE_BITS: u32 = 29;
    const ENDS_RUN: u32 = 1 << Self::SITE_BITS;
    const DESTINATION: u32 = Self::SITE_BITS + 1;

    /// A record of the slot at `slot` that returns to site number `site` of `version`, into the frame at
    /// `frame_base`.
    #[inline(always)]
    pub(crate) fn new(slot: u64, frame_base: u64, version: &CodeVersion, site: u32) -> Record {
        debug_assert!(site >> Self::SITE_BITS == 0 && frame_base > slot);
        Record { slot, version, frame_words: ((frame_base - slot) / 8) as u32, site }
    }

    /// The same, where it is decided already that the frame lands in `tier`.
    pub(crate) fn landing_in(self, tier: CompiledTier) -> Record {
        Record { site: self.site | (tier as u32 + 1) << Self::DESTINATION, ..self }
    }

    /// The version that the frame is of.
    #[inline(always)]
    pub(crate) fn version(&self) -> &CodeVersion {
        // SAFETY: a version is not forgotten while a record names it: `count_runs`.
        unsafe { &*self.version }
    }

    /// Whether `next` is of the same version.
    #[inline(always)]
    fn is_of_run(&self, next: &Record) -> bool {
        std::ptr::eq(self.version, next.version)
    }

    /// The number of the site that the slot returns to.
    #[inline(always)]
    pub(crate) fn site(&self) -> u32 {
        self.site & (Self::ENDS_RUN - 1)
    }

    /// Whether it was taken out of the ledger as the last of its [run](runs).
    #[inline(always)]
    pub(crate) fn ends_run(&self) -> bool {
        self.site & Self::ENDS_RUN != 0
    }

    /// The tier that the frame lands in, if that was decided when it was hijacked.
    #[inline(always)]
    pub(crate) fn destination(&self) -> Option<CompiledTier> {
        let tier = (self.site >> Self::DESTINATION).checked_sub(1)?;
        Some(CompiledTier::ALL[tier as usize])
    }

    /// The frame base of the frame that the slot returns into.
    #[inline(always)]
    pub(crate) fn frame_base(&self) -> u64 {
        self.slot + 8 * u64::from(self.frame_words)
    }

    /// The return PC that the slot held.
    pub(crate) fn pc(&self) -> u64 {
        let version = self.version();
        version.start + u64::from(version.frame_maps.site(self.site()).return_offset)
    }

    /// Where the frame resumes.
    pub(crate) fn point(&self) -> Point {
        self.version().frame_maps.site(self.site()).point
    }
}

/// The records of one thread, in batches: one for each hijack, as its walk found them.
///
/// ```text
///   stack    outermost                                              innermost
///   batches  | first hijack: ... r1 r0 |   | second hijack: ... r2 r1 r0 |
///                                   next ^                          next ^   where landings take from
/// ```
///
/// A batch is filled innermost frame first and emptied in the same order, so neither end of its life
/// moves a record.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The last one holds the innermost records; none is exhausted.
    batches: Vec<Batch>,
    /// Exhausted buffers, kept so that a hijack does not allocate.
    spare: Vec<Vec<Record>>,
}

/// The records of one hijack.
#[derive(Debug, Default)]
struct Batch {
    /// By ascending slot: innermost first.
    records: Vec<Record>,
    /// The first that is still pending.
    next: usize,
}

impl Batch {
    fn pending(&self) -> &[Record] {
        &self.records[self.next..]
    }
}

impl Ledger {
    /// How many slots are hijacked.
    pub(crate) fn len(&self) -> usize {
        self.batches.iter().map(|batch| batch.pending().len()).sum()
    }

    /// The record of `slot`.
    pub(crate) fn find(&self, slot: u64) -> Option<&Record> {
        let batch =
            self.batches.iter().rev().find(|batch| batch.records.last().is_some_and(|r| r.slot >= slot))?;
        let position = batch.pending().binary_search_by_key(&slot, |record| record.slot).ok()?;
        Some(&batch.pending()[position])
    }

    /// The innermost record.
    #[inline(always)]
    pub(crate) fn innermost(&self) -> Option<&Record> {
        self.batches.last().map(|batch| &batch.records[batch.next])
    }

    /// Takes the innermost record out. If it [ends a run](Record::ends_run), that still counts at its version,
    /// and the caller is to [drop](crate::code::Registry::drop_run) it.
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<Record> {
        let batch = self.batches.last_mut()?;
        let mut record = batch.records[batch.next];
        batch.next += 1;
        match batch.records.get(batch.next) {
            Some(next) if record.is_of_run(next) => {}
            Some(_) => record.site |= Record::ENDS_RUN,
            None => {
                record.site |= Record::ENDS_RUN;
                self.drop_batch();
            }
        }
        Some(record)
    }

    #[cold]
    fn drop_batch(&mut self) {
        let batch = self.batches.pop().expect("the one that is exhausted");
        self.recycle(batch.records);
    }

    fn recycle(&mut self, mut records: Vec<Record>) {
        records.clear();
        if self.spare.len() < 4 {
            self.spare.push(records);
        }
    }

    /// An empty buffer for new records; [`Self::add`] takes it back.
    pub(crate) fn buffer(&mut self) -> Vec<Record> {
        self.spare.pop().unwrap_or_default()
    }

    /// Adds `fresh` records, innermost first, of slots that have no record yet.
    pub(crate) fn add(&mut self, fresh: Vec<Record>) {
        let Some(outermost) = fresh.last() else { return self.recycle(fresh) };
        count_runs(&fresh);
        let is_innermost = self.innermost().is_none_or(|innermost| outermost.slot < innermost.slot);
        self.batches.push(Batch { records: fresh, next: 0 });
        if !is_innermost {
            self.merge();
        }
    }

    /// Makes one batch of all: a hijack chose frames between those of earlier ones.
    #[cold]
    fn merge(&mut self) {
        let mut records: Vec<Record> = self.batches.iter().flat_map(Batch::pending).copied().collect();
        records.sort_unstable_by_key(|record| record.slot);
        count_runs(&records);
        self.batches.drain(..).for_each(|batch| uncount_runs(batch.pending()));
        self.batches.push(Batch { records, next: 0 });
    }

    /// Takes all records out that `keep` refuses. Their [runs](runs) still count at their versions.
    pub(crate) fn extract(&mut self, keep: impl Fn(&Record) -> bool) -> Vec<Record> {
        let mut extracted = Vec::new();
        let batches = std::mem::take(&mut self.batches);
        for batch in &batches {
            extracted.extend(batch.pending().iter().filter(|record| !keep(record)));
        }
        count_runs(&extracted);
        for batch in batches {
            let kept: Vec<Record> = batch.pending().iter().filter(|record| keep(record)).copied().collect();
            count_runs(&kept);
            uncount_runs(batch.pending());
            if kept.is_empty() {
                self.recycle(batch.records);
            } else {
                self.batches.push(Batch { records: kept, next: 0 });
            }
        }
        extracted
    }
}

/// The versions of the runs of `records`: of neighbours that are of one version, as in recursion.
pub(crate) fn runs(records: &[Record]) -> impl Iterator<Item = &CodeVersion> {
    records.chunk_by(Record::is_of_run).map(|run| run[0].version())
}

/// Counts the runs of `records` at their versions, which thereby are not forgotten. One count a run, not a
/// record: a landing in a recursion touches no shared counter.
fn count_runs(records: &[Record]) {
    runs(records).for_each(|version| {
        version.runs.fetch_add(1, Ordering::Relaxed);
    });
}

/// Takes back [`count_runs`] where the same records count elsewhere already, so that no version is forgotten.
fn uncount_runs(records: &[Record]) {
    runs(records).for_each(|version| {
        let before = version.runs.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before > 1, "they count elsewhere");
    });
}

/// The return PCs of a thread, as its walkers need to know them. Walks go outwards, so the records of
/// the hijacked slots that they meet come in order, too.
#[derive(Debug)]
pub(crate) struct LedgerPcs<'l> {
    ledger: &'l Ledger,
    /// Batches not yet passed, and the next record of the last of them.
    position: Cell<(usize, usize)>,
    /// The record that was found last.
    found: Cell<Option<&'l Record>>,
    boundary: u64,
    landing: u64,
}

impl<'l> LedgerPcs<'l> {
    /// For one walk of the thread that `ledger` belongs to.
    pub(crate) fn new(ledger: &'l Ledger) -> LedgerPcs<'l> {
        LedgerPcs {
            ledger,
            position: Cell::new((ledger.batches.len(), 0)),
            found: Cell::new(None),
            boundary: osr_stubs::x86_64::entry_return(),
            landing: osr_stubs::x86_64::landing_pc(),
        }
    }

    /// The record of the hijacked slot that the walk has met last.
    #[inline(always)]
    pub(crate) fn found(&self) -> Option<&'l Record> {
        self.found.get()
    }

    /// The record of `slot`, if it is the one after the last that was asked for.
    #[inline]
    fn in_order(&self, slot: u64) -> Option<&'l Record> {
        let (batches, next) = self.position.get();
        let record = self.ledger.batches[..batches].last()?.pending().get(next)?;
        if record.slot != slot {
            return None;
        }
        let exhausted = self.ledger.batches[batches - 1].pending().len() == next + 1;
        self.position.set(if exhausted { (batches - 1, 0) } else { (batches, next + 1) });
        Some(record)
    }
}

impl ReturnPcs for LedgerPcs<'_> {
    #[inline(always)]
    fn is_boundary(&self, pc: u64) -> bool {
        pc == self.boundary
    }

    #[inline(always)]
    fn is_landing(&self, pc: u64) -> bool {
        pc == self.landing
    }

    #[inline]
    fn original(&self, slot: u64, _pc: u64) -> Option<u64> {
        self.found.set(self.in_order(slot).or_else(|| self.ledger.find(slot)));
        self.found().map(Record::pc)
    }
}
