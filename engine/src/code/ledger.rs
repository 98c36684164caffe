//! The ledger: which return slots of a thread are hijacked, and what they held.
//!
//! Records are kept in stack order, so that a landing takes the innermost one. A record is written
//! before its slot; while a slot is hijacked it has exactly one record.
//!
//! ```text
//!   stack    outermost                                              innermost
//!   batches  | first hijack: ... r1 r0 |   | second hijack: ... r2 r1 r0 |
//!                                   next ^                          next ^   where landings take from
//!
//!   record   | depth: 32 | site: 32 |     words from the slot to the end of the stack; where its frame is pending
//!   sites    | version, site, depth of the outermost record |     of each batch one for each return PC
//! ```
//!
//! Deep stacks are bound by memory, so records are small: however deep a stack is, its frames are pending at few
//! sites. A site is empty when its outermost record is taken, so that nothing is counted.
//!
//! What leaves the ledger is a token: a [`TakenRecord`] or what was [`Withdrawn`], which say how they end.

mod pcs;
mod pending_site;

use std::cell::RefCell;
use std::num::NonZeroU32;
use std::ops::{Deref, Range};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use osr_stackwalk::ReturnSlot;

pub(crate) use pcs::LedgerPcs;
use pending_site::NO_DEPTH;
pub(crate) use pending_site::PendingSite;

use crate::code::{CodeVersion, Registry};

/// Which of a batch's pending sites, counted from 1, so that there is room for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PendingSiteId(NonZeroU32);

impl PendingSiteId {
    fn new(index: usize) -> PendingSiteId {
        PendingSiteId(NonZeroU32::MIN.saturating_add(index as u32))
    }

    #[inline(always)]
    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// A hijacked return slot, in the ledger.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'l> {
    /// The address of the slot.
    pub(crate) slot: ReturnSlot,
    /// Where its frame is pending.
    pub(crate) site: &'l PendingSite,
}

/// A record that was taken out of the ledger. What happened to its frame has to be said, for the version of the
/// frame is kept until then.
#[must_use = "say what happened to the frame"]
#[derive(Debug)]
pub(crate) struct TakenRecord {
    /// The address of the slot.
    pub(crate) slot: ReturnSlot,
    /// Where its frame was pending.
    pub(crate) site: LentSite,
    /// Whether no other frame of its batch is pending there. Those without records count one by one.
    is_last: bool,
    unfinished: Unfinished,
}

/// A site in the ledger, which does not change until the record is finished that was pending there.
#[derive(Debug)]
pub(crate) struct LentSite(*const PendingSite);

impl Deref for LentSite {
    type Target = PendingSite;

    #[inline(always)]
    fn deref(&self) -> &PendingSite {
        // SAFETY: a batch keeps its sites, and the ledger its batches, until the record is finished or detached: before that
        // a landing hijacks nothing, and takes no other record. A site that is not the ledger's is its version's.
        unsafe { &*self.0 }
    }
}

impl TakenRecord {
    /// That of a frame which has left at `slot` by itself, and so had none. `site` is its version's own; whether the frame
    /// counts as pending there.
    #[inline(always)]
    pub(crate) fn of_exit(slot: ReturnSlot, site: &PendingSite, counts: bool) -> TakenRecord {
        TakenRecord { slot, site: LentSite(site), is_last: counts, unfinished: Unfinished }
    }

    /// The frame has landed, and is popped. Returns the version as [`Registry::site_is_empty`] does.
    #[inline(always)]
    pub(crate) fn landed(self, ledger: &RefCell<Ledger>, registry: &Registry) -> Option<Arc<CodeVersion>> {
        self.finish(ledger, registry)
    }

    /// The frame will not be returned to: a trap has jumped over it, or there was no stack for its landing.
    pub(crate) fn dropped(self, ledger: &RefCell<Ledger>, registry: &Registry) -> Option<Arc<CodeVersion>> {
        self.finish(ledger, registry)
    }

    #[inline(always)]
    fn finish(self, ledger: &RefCell<Ledger>, registry: &Registry) -> Option<Arc<CodeVersion>> {
        self.unfinished.finish();
        if !self.is_last {
            return None;
        }
        let emptied = registry.site_is_empty(self.site.version());
        ledger.borrow_mut().drop_exhausted();
        emptied
    }
}

/// Records that were taken out of the ledger when their slots were restored. Their versions are kept until
/// this is [settled](Self::settle).
#[must_use = "settle it, or the versions are kept for good"]
#[derive(Debug)]
pub(crate) struct Withdrawn {
    batches: Vec<Batch>,
    unfinished: Unfinished,
}

impl Withdrawn {
    /// The records.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.batches.iter().flat_map(Batch::records)
    }

    /// Nothing refers to the records any more. Returns how many there were.
    pub(crate) fn settle(self, registry: &Registry) -> u64 {
        self.unfinished.finish();
        self.batches
            .iter()
            .flat_map(Batch::versions)
            .for_each(|version| drop(registry.site_is_empty(version)));
        self.batches.iter().map(|batch| batch.len() as u64).sum()
    }
}

/// Part of what has to be finished. Debug builds find out if it is dropped instead.
#[derive(Debug)]
struct Unfinished;

impl Unfinished {
    #[inline(always)]
    fn finish(self) {
        std::mem::forget(self);
    }
}

#[cfg(debug_assertions)]
impl Drop for Unfinished {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "a ledger record was dropped, not finished");
    }
}

/// A record as it is kept.
#[derive(Clone, Copy, Debug)]
struct Packed {
    /// Words from the slot up to the end of the stack.
    depth: u32,
    /// Where its frame is pending.
    site: PendingSiteId,
}

/// The records of one hijack. It is filled innermost frame first and emptied in the same order, so that neither
/// end of its life moves a record.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// By descending depth.
    records: Vec<Packed>,
    /// The first that is still pending.
    next: usize,
    sites: Vec<PendingSite>,
    /// One past the last word of the stack.
    stack_end: u64,
}

/// Writes records into a [`Batch`]. A copy of what the batch knows: it can be kept in machine registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordWriter {
    next: *mut Packed,
    end: *mut Packed,
    sites: *mut PendingSite,
    stack_end: u64,
}

impl RecordWriter {
    #[inline(always)]
    pub(crate) fn is_full(self) -> bool {
        self.next == self.end
    }

    /// Adds a record of `slot`, which is further out than all before. There must be room, and the batch must have had the
    /// site when the writer began. When all of a run of frames at one site are written, [`Self::end_run`] has to follow.
    #[inline(always)]
    pub(crate) fn write(&mut self, slot: ReturnSlot, site: PendingSiteId) {
        debug_assert!(!self.is_full());
        let depth = depth(self.stack_end, slot);
        // SAFETY: spare capacity of the batch, which nothing else has filled.
        unsafe { self.next.write(Packed { depth, site }) };
        self.next = self.next.wrapping_add(1);
    }

    /// The record that was written last, which is of `site`, is the outermost of it.
    #[inline(always)]
    pub(crate) fn end_run(self, site: PendingSiteId) {
        // SAFETY: a record was written; and the site is one of the batch's, to which there is no reference while a hijack
        // walks.
        unsafe {
            let last = *self.next.wrapping_sub(1);
            debug_assert_eq!(last.site, site);
            (*self.sites.wrapping_add(site.index())).outermost = last.depth;
        }
    }
}

/// How deep `slot` is in the stack that ends at `stack_end`, in words.
#[inline(always)]
fn depth(stack_end: u64, slot: ReturnSlot) -> u32 {
    let bytes = stack_end - slot.address();
    debug_assert!(bytes < Batch::DEEPEST);
    (bytes / 8) as u32
}

impl Batch {
    /// Slots must be nearer to the end of the stack, in bytes.
    const DEEPEST: u64 = 8 << u32::BITS;

    /// Adds a site, which is not among them yet. Writers that began before do not write any more.
    pub(crate) fn add_site(&mut self, site: PendingSite) -> PendingSiteId {
        self.sites.push(site);
        PendingSiteId::new(self.sites.len() - 1)
    }

    /// Writes records after those that are there, of sites that are. There is room for at least one.
    #[inline(always)]
    pub(crate) fn writer(&mut self) -> RecordWriter {
        if self.records.len() == self.records.capacity() {
            self.grow();
        }
        let Range { start, end } = self.records.spare_capacity_mut().as_mut_ptr_range();
        let sites = self.sites.as_mut_ptr();
        RecordWriter { next: start.cast(), end: end.cast(), sites, stack_end: self.stack_end }
    }

    #[cold]
    fn grow(&mut self) {
        self.records.reserve(64);
    }

    /// What `writer`, the last one, has written is part of the batch from now on.
    #[inline(always)]
    pub(crate) fn keep_written(&mut self, writer: RecordWriter) {
        let length = (writer.next as usize - self.records.as_ptr() as usize) / size_of::<Packed>();
        // SAFETY: the writer began with the vector's spare capacity, which is filled up to there.
        unsafe { self.records.set_len(length) };
    }

    /// How many records are pending.
    pub(crate) fn len(&self) -> usize {
        self.records.len() - self.next
    }

    /// The slot of the innermost frame behind which no more than `others` are pending, if there are more in all.
    pub(crate) fn slot_before(&self, others: usize) -> Option<ReturnSlot> {
        Some(self.record(self.len().checked_sub(others + 1)?).slot)
    }

    /// The pending records, innermost first.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.records[self.next..].iter().map(|&record| self.unpack(record))
    }

    #[inline(always)]
    fn unpack(&self, Packed { depth, site }: Packed) -> Record<'_> {
        let slot = ReturnSlot::new(self.stack_end - 8 * u64::from(depth));
        Record { slot, site: &self.sites[site.index()] }
    }

    #[inline(always)]
    fn record(&self, number: usize) -> Record<'_> {
        self.unpack(self.records[self.next + number])
    }

    /// Takes the innermost record out.
    #[inline(always)]
    fn take(&mut self) -> TakenRecord {
        let packed = self.records[self.next];
        let Record { slot, site } = self.unpack(packed);
        let taken = TakenRecord {
            slot,
            site: LentSite(site),
            is_last: site.outermost == packed.depth,
            unfinished: Unfinished,
        };
        self.next += 1;
        taken
    }

    /// Whether all records are taken.
    fn is_exhausted(&self) -> bool {
        self.next == self.records.len()
    }

    /// The sites at which frames are pending.
    fn occupied(&self) -> impl Iterator<Item = (PendingSiteId, &PendingSite)> {
        let ids = (0..).map(PendingSiteId::new);
        let innermost = self.records.get(self.next).map(|record| record.depth);
        ids.zip(&self.sites).filter(move |(_, site)| innermost.is_some_and(|depth| site.outermost <= depth))
    }

    /// The versions of the frames, each as often as there are sites of it. Each counts at the version, which
    /// thereby is kept: one count for many records, so that landings in a recursion touch no shared counter.
    /// Versions of sites without frames are not kept.
    pub(crate) fn versions(&self) -> impl Iterator<Item = &CodeVersion> {
        self.occupied().map(|(_, site)| site.version())
    }

    /// Takes the records out whose version `is_kept` refuses; they still count at it.
    fn extract(&mut self, is_kept: impl Fn(&CodeVersion) -> bool) -> Batch {
        let mut leaves = vec![false; self.sites.len()];
        let leaving = self.occupied().filter(|(_, site)| !is_kept(site.version()));
        leaving.for_each(|(id, _)| leaves[id.index()] = true);
        let mut extracted =
            Batch { sites: self.sites.clone(), stack_end: self.stack_end, ..Batch::default() };
        for (number, &leaves) in leaves.iter().enumerate() {
            let without_it = if leaves { &mut self.sites } else { &mut extracted.sites };
            without_it[number].outermost = NO_DEPTH;
        }
        self.records.drain(..self.next);
        self.next = 0;
        let of_those = |record: &mut Packed| leaves[record.site.index()];
        extracted.records = self.records.extract_if(.., of_those).collect();
        extracted
    }

    /// Adds what is pending in `other`, in no order.
    fn append(&mut self, other: &Batch) {
        let mut ids = vec![None; other.sites.len()];
        other.occupied().for_each(|(id, site)| ids[id.index()] = Some(self.add_site(*site)));
        let pending = other.records[other.next..].iter();
        let site = |record: &Packed| ids[record.site.index()].expect("sites of pending records are occupied");
        self.records.extend(pending.map(|record| Packed { site: site(record), ..*record }));
    }

    fn clear(&mut self) {
        self.records.clear();
        self.sites.clear();
        self.next = 0;
    }
}

/// The records of one thread, in batches: one for each hijack, as its walk found them.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// The last one holds the innermost records. None is exhausted, but that one while its last frame lands.
    batches: Vec<Batch>,
    /// Exhausted ones, kept so that a hijack does not allocate.
    spare: Vec<Batch>,
    /// Where a frame lands whose record is not in a batch.
    unrecorded: Option<PendingSite>,
    stack_end: u64,
}

impl Ledger {
    /// That of a thread whose stack ends at `stack_end`.
    pub(crate) fn new(stack_end: u64) -> Ledger {
        Ledger { batches: Vec::new(), spare: Vec::new(), unrecorded: None, stack_end }
    }

    /// How many slots are hijacked.
    pub(crate) fn len(&self) -> usize {
        self.batches.iter().map(Batch::len).sum()
    }

    /// The record of `slot`.
    pub(crate) fn find(&self, slot: ReturnSlot) -> Option<Record<'_>> {
        let depth = u32::try_from(self.stack_end.checked_sub(slot.address())? / 8).ok()?;
        let outermost = |batch: &Batch| batch.records.last().map(|record| record.depth);
        let batch =
            self.batches.iter().rev().find(|&batch| outermost(batch).is_some_and(|last| last <= depth))?;
        let pending = &batch.records[batch.next..];
        let position = pending.binary_search_by(|record| depth.cmp(&record.depth)).ok()?;
        Some(batch.unpack(pending[position]))
    }

    /// The innermost record.
    pub(crate) fn innermost(&self) -> Option<Record<'_>> {
        self.batches.last().map(|batch| batch.record(0))
    }

    /// Takes the innermost record out.
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<TakenRecord> {
        Some(self.batches.last_mut()?.take())
    }

    /// A frame lands by `slot`, which has no record, as if it were pending at `site`. Whether it counts as pending at the
    /// version.
    pub(crate) fn unrecorded(&mut self, slot: ReturnSlot, site: PendingSite, counts: bool) -> TakenRecord {
        let site = LentSite(self.unrecorded.insert(site));
        TakenRecord { slot, site, is_last: counts, unfinished: Unfinished }
    }

    /// The same record, which stays what it is when other frames are hijacked.
    pub(crate) fn detach(&mut self, record: TakenRecord) -> TakenRecord {
        let site = *record.site;
        self.drop_exhausted();
        TakenRecord { site: LentSite(self.unrecorded.insert(site)), ..record }
    }

    #[cold]
    fn drop_exhausted(&mut self) {
        if let Some(exhausted) = self.batches.pop_if(|batch| batch.is_exhausted()) {
            self.recycle(exhausted);
        }
    }

    fn recycle(&mut self, mut batch: Batch) {
        batch.clear();
        if self.spare.len() < 4 {
            self.spare.push(batch);
        }
    }

    /// An empty batch for records of `deepest` and slots further out; [`Self::add`] takes it back.
    pub(crate) fn batch(&mut self, deepest: u64) -> Batch {
        assert!(self.stack_end - deepest < Batch::DEEPEST, "a guest's stack is smaller than 32 GiB");
        let empty = || Batch { stack_end: self.stack_end, ..Batch::default() };
        self.spare.pop().unwrap_or_else(empty)
    }

    /// Adds `fresh` records, of slots that have no record yet.
    pub(crate) fn add(&mut self, fresh: Batch) {
        let Some(outermost) = fresh.records.last() else { return self.recycle(fresh) };
        fresh.versions().for_each(|version| {
            version.pending_sites.fetch_add(1, Ordering::Relaxed);
        });
        let is_innermost =
            self.batches.last().is_none_or(|batch| outermost.depth > batch.records[batch.next].depth);
        self.batches.push(fresh);
        if !is_innermost {
            self.merge();
        }
    }

    /// Makes one batch of all: a hijack chose frames between those of earlier ones.
    #[cold]
    fn merge(&mut self) {
        let mut merged = self.batch(self.stack_end);
        self.batches.drain(..).for_each(|batch| merged.append(&batch));
        merged.records.sort_unstable_by_key(|record| std::cmp::Reverse(record.depth));
        self.batches.push(merged);
    }

    /// Lets `restore` put back what the slots of all records held whose version `is_kept` refuses, and takes
    /// these out.
    pub(crate) fn withdraw(
        &mut self,
        is_kept: impl Fn(&CodeVersion) -> bool,
        restore: impl Fn(Record<'_>),
    ) -> Withdrawn {
        let records = self.batches.iter().flat_map(Batch::records);
        records.filter(|record| !is_kept(record.site.version())).for_each(restore);
        let batches = self.batches.iter_mut().map(|batch| batch.extract(&is_kept)).collect();
        while let Some(empty) = self.batches.iter().position(Batch::is_exhausted) {
            let batch = self.batches.remove(empty);
            self.recycle(batch);
        }
        Withdrawn { batches, unfinished: Unfinished }
    }
}
