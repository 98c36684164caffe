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
//!   record   | words from the slot to the end of the stack: 32 | where its frame waits: 32 |
//!   waits    | version, site | frames |     of each batch one for each return PC, or a few
//! ```
//!
//! Deep stacks are bound by memory, so records are small: deep stacks are of recursions, whose frames wait in
//! few places.

use std::cell::Cell;
use std::ops::Range;
use std::sync::atomic::Ordering;

use osr_compiler::frame_map::{Site, Sources};
use osr_ir::{Point, PointKind};
use osr_stackwalk::{ReturnPc, ReturnPcs, ReturnSlot};

use crate::code::CodeVersion;
use crate::settings::CompiledTier;

/// A place where hijacked frames of a batch wait for the return of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    /// The version that the frames are of. Kept while frames wait; its code may be gone.
    version: *const CodeVersion,
    /// Of the call: its return PC, from the start of the version's code.
    return_offset: u32,
    /// Where execution resumes.
    point: Point,
    /// What kind of point that is.
    kind: PointKind,
    /// Which of the version's sites the call is.
    number: u32,
    /// The tier that the frames land in, if that was decided when they were hijacked.
    destination: Option<CompiledTier>,
    /// Where the frame state is.
    sources: Sources,
    /// The words that it takes: the registers of the body.
    words: usize,
}

impl Wait {
    /// For site `number` of `version`, which is of a body with so many registers.
    pub(crate) fn new(version: &CodeVersion, number: u32, registers: usize) -> Wait {
        let site = version.frame_maps.site(number);
        let sources = version.frame_maps.sources(&site);
        let Site { return_offset, point, kind, .. } = site;
        let destination = None;
        Wait { version, return_offset, point, kind, number, destination, sources, words: registers }
    }

    /// The same, where it is decided already that the frames land in `tier`.
    pub(crate) fn landing_in(self, tier: CompiledTier) -> Wait {
        Wait { destination: Some(tier), ..self }
    }

    /// The version that the frames are of.
    #[inline(always)]
    pub(crate) fn version(&self) -> &CodeVersion {
        // SAFETY: a version is not forgotten while frames of it wait: `Batch::versions`.
        unsafe { &*self.version }
    }

    /// What kind of point the frames resume at.
    #[inline(always)]
    pub(crate) fn kind(&self) -> PointKind {
        self.kind
    }

    /// Where the frame state is, as long as the version is not forgotten.
    #[inline(always)]
    pub(crate) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The words of the frame state.
    #[inline(always)]
    pub(crate) fn words(&self) -> usize {
        self.words
    }

    /// The number of that site of the version.
    #[inline(always)]
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// The tier that the frames land in, if that was decided when they were hijacked.
    #[inline(always)]
    pub(crate) fn destination(&self) -> Option<CompiledTier> {
        self.destination
    }
}

/// A hijacked return slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    /// The slot.
    pub(crate) slot: ReturnSlot,
    /// Where its frame waits.
    pub(crate) wait: Wait,
    /// How many other frames of its batch wait there.
    others: u32,
}

impl Record {
    /// The version that the frame is of.
    #[inline(always)]
    pub(crate) fn version(&self) -> &CodeVersion {
        self.wait.version()
    }

    /// Where the frame resumes.
    #[inline(always)]
    pub(crate) fn point(&self) -> Point {
        self.wait.point
    }

    /// Whether it was taken out of the ledger as the last one of its [`Wait`].
    #[inline(always)]
    pub(crate) fn is_last(&self) -> bool {
        self.others == 0
    }

    /// The return PC that the slot held.
    #[inline(always)]
    pub(crate) fn pc(&self) -> ReturnPc {
        ReturnPc::new(self.version().start + u64::from(self.wait.return_offset))
    }
}

/// A record as it is kept.
#[derive(Clone, Copy, Debug)]
struct Packed {
    /// Words from the slot up to the end of the stack.
    depth: u32,
    /// The number of its wait in the batch.
    wait: u32,
}

/// The records of one hijack. It is filled innermost frame first and emptied in the same order, so that neither
/// end of its life moves a record.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// By descending depth.
    records: Vec<Packed>,
    /// The first that is still pending.
    next: usize,
    waits: Vec<Wait>,
    /// By wait, the frames that are pending there. Not beside it: what changes at each landing is not copied.
    frames: Vec<u32>,
    /// One past the last word of the stack.
    stack_end: u64,
}

/// Where a [`Batch`] takes records. A copy of what the batch knows: it can be kept in machine registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    next: *mut Packed,
    end: *mut Packed,
    stack_end: u64,
}

impl Room {
    #[inline(always)]
    pub(crate) fn is_full(self) -> bool {
        self.next == self.end
    }

    /// Adds a record of `slot`, which is further out than all before. There must be room.
    #[inline(always)]
    pub(crate) fn push(&mut self, slot: ReturnSlot, wait: u32) {
        let bytes = self.stack_end - slot.address();
        debug_assert!(!self.is_full() && bytes < Batch::DEEPEST);
        let record = Packed { depth: (bytes / 8) as u32, wait };
        // SAFETY: spare capacity of the batch, which nothing else has filled.
        unsafe { self.next.write(record) };
        self.next = self.next.wrapping_add(1);
    }
}

impl Batch {
    /// Slots must be nearer to the end of the stack, in bytes.
    const DEEPEST: u64 = 8 << u32::BITS;

    /// Adds a wait. Gives its number.
    pub(crate) fn add_wait(&mut self, wait: Wait) -> u32 {
        self.waits.push(wait);
        self.frames.push(0);
        self.waits.len() as u32 - 1
    }

    /// The wait of that number.
    #[inline(always)]
    pub(crate) fn wait(&self, number: u32) -> &Wait {
        &self.waits[number as usize]
    }

    /// Room for records after those that are there, at least for one.
    #[inline(always)]
    pub(crate) fn room(&mut self) -> Room {
        if self.records.len() == self.records.capacity() {
            self.grow();
        }
        let Range { start, end } = self.records.spare_capacity_mut().as_mut_ptr_range();
        Room { next: start.cast(), end: end.cast(), stack_end: self.stack_end }
    }

    #[cold]
    fn grow(&mut self) {
        self.records.reserve(64);
    }

    /// The records that were pushed to `room`, the last that was given, are there from now on. They all wait at
    /// wait `wait`.
    #[inline(always)]
    pub(crate) fn fill(&mut self, room: Room, wait: u32) {
        let length = (room.next as usize - self.records.as_ptr() as usize) / size_of::<Packed>();
        self.frames[wait as usize] += (length - self.records.len()) as u32;
        // SAFETY: the room was the vector's spare capacity, and is filled up to there.
        unsafe { self.records.set_len(length) };
    }

    /// How many records are pending.
    pub(crate) fn len(&self) -> usize {
        self.records.len() - self.next
    }

    /// The pending records, innermost first.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> {
        self.records[self.next..].iter().map(|&record| self.unpack(record))
    }

    #[inline(always)]
    fn unpack(&self, Packed { depth, wait }: Packed) -> Record {
        let slot = ReturnSlot::new(self.stack_end - 8 * u64::from(depth));
        let others = self.frames[wait as usize] - 1;
        // Field by field, lest the gaps between them be copied, too.
        let Wait { version, return_offset, point, kind, number, destination, sources, words } =
            self.waits[wait as usize];
        let wait = Wait { version, return_offset, point, kind, number, destination, sources, words };
        Record { slot, wait, others }
    }

    #[inline(always)]
    fn record(&self, number: usize) -> Record {
        self.unpack(self.records[self.next + number])
    }

    /// The versions that frames of the batch wait in, each as often as there are waits in it. Each counts at
    /// the version, which thereby is not forgotten: one count for many records, so that landings in a
    /// recursion touch no shared counter.
    pub(crate) fn versions(&self) -> impl Iterator<Item = &CodeVersion> {
        self.waits.iter().zip(&self.frames).filter(|(_, frames)| **frames > 0).map(|(wait, _)| wait.version())
    }

    /// Takes the records out whose version `keep` refuses; they still count at it.
    fn extract(&mut self, keep: impl Fn(&CodeVersion) -> bool) -> Batch {
        let (waits, frames) = (self.waits.clone(), self.frames.clone());
        let mut extracted = Batch { waits, frames, stack_end: self.stack_end, ..Batch::default() };
        for (number, wait) in self.waits.iter().enumerate() {
            let frames = if keep(wait.version()) { &mut extracted.frames } else { &mut self.frames };
            frames[number] = 0;
        }
        let is_kept = |record: &Packed| self.frames[record.wait as usize] > 0;
        let pending = &self.records[self.next..];
        extracted.records = pending.iter().filter(|record| !is_kept(record)).copied().collect();
        self.records.drain(..self.next);
        self.records.retain(is_kept);
        self.next = 0;
        extracted
    }

    /// Adds what is pending in `other`, in no order.
    fn append(&mut self, other: &Batch) {
        let mut numbers = vec![u32::MAX; other.waits.len()];
        for (number, &frames) in other.frames.iter().enumerate().filter(|(_, frames)| **frames > 0) {
            numbers[number] = self.add_wait(other.waits[number]);
            self.frames[numbers[number] as usize] = frames;
        }
        let pending = other.records[other.next..].iter();
        self.records.extend(pending.map(|record| Packed { wait: numbers[record.wait as usize], ..*record }));
    }

    fn clear(&mut self) {
        self.records.clear();
        self.waits.clear();
        self.frames.clear();
        self.next = 0;
    }
}

/// The records of one thread, in batches: one for each hijack, as its walk found them.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// The last one holds the innermost records; none is exhausted.
    batches: Vec<Batch>,
    /// Exhausted ones, kept so that a hijack does not allocate.
    spare: Vec<Batch>,
    stack_end: u64,
}

impl Ledger {
    /// That of a thread whose stack ends at `stack_end`.
    pub(crate) fn new(stack_end: u64) -> Ledger {
        Ledger { batches: Vec::new(), spare: Vec::new(), stack_end }
    }

    /// How many slots are hijacked.
    pub(crate) fn len(&self) -> usize {
        self.batches.iter().map(Batch::len).sum()
    }

    /// The record of `slot`.
    pub(crate) fn find(&self, slot: ReturnSlot) -> Option<Record> {
        let depth = u32::try_from(self.stack_end.checked_sub(slot.address())? / 8).ok()?;
        let outermost = |batch: &Batch| batch.records.last().map(|record| record.depth);
        let batch =
            self.batches.iter().rev().find(|&batch| outermost(batch).is_some_and(|last| last <= depth))?;
        let pending = &batch.records[batch.next..];
        let position = pending.binary_search_by(|record| depth.cmp(&record.depth)).ok()?;
        Some(batch.unpack(pending[position]))
    }

    /// The innermost record.
    pub(crate) fn innermost(&self) -> Option<Record> {
        self.batches.last().map(|batch| batch.record(0))
    }

    /// Takes the innermost record out. If it is the [last](Record::is_last) one of its wait, that still counts
    /// at the version, and the caller is to [drop](crate::code::Registry::drop_wait) it.
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<Record> {
        let batch = self.batches.last_mut()?;
        let packed = batch.records[batch.next];
        let record = batch.unpack(packed);
        batch.next += 1;
        batch.frames[packed.wait as usize] = record.others;
        if batch.next == batch.records.len() {
            self.drop_batch();
        }
        Some(record)
    }

    #[cold]
    fn drop_batch(&mut self) {
        let batch = self.batches.pop().expect("the one that is exhausted");
        self.recycle(batch);
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
            version.waits.fetch_add(1, Ordering::Relaxed);
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

    /// Takes all records out whose version `keep` refuses. They still count at their versions.
    pub(crate) fn extract(&mut self, keep: impl Fn(&CodeVersion) -> bool) -> Vec<Batch> {
        let extracted = self.batches.iter_mut().map(|batch| batch.extract(&keep)).collect();
        while let Some(empty) = self.batches.iter().position(|batch| batch.len() == 0) {
            let batch = self.batches.remove(empty);
            self.recycle(batch);
        }
        extracted
    }
}

/// The return PCs of a thread, as its walkers need to know them. Walks go outwards, so the records of
/// the hijacked slots that they meet come in order, too.
#[derive(Debug)]
pub(crate) struct LedgerPcs<'l> {
    ledger: &'l Ledger,
    /// Batches not yet passed, and the next record of the last of them.
    position: Cell<(usize, usize)>,
    /// The record that was found last.
    found: Cell<Option<Record>>,
    boundary: ReturnPc,
    landing: ReturnPc,
}

impl<'l> LedgerPcs<'l> {
    /// For one walk of the thread that `ledger` belongs to.
    pub(crate) fn new(ledger: &'l Ledger) -> LedgerPcs<'l> {
        LedgerPcs {
            ledger,
            position: Cell::new((ledger.batches.len(), 0)),
            found: Cell::new(None),
            boundary: ReturnPc::new(osr_stubs::x86_64::entry_return()),
            landing: ReturnPc::new(osr_stubs::x86_64::landing_pc()),
        }
    }

    /// The record of the hijacked slot that the walk has met last.
    #[inline(always)]
    pub(crate) fn found(&self) -> Option<Record> {
        self.found.get()
    }

    /// The record of `slot`, if it is the one after the last that was asked for.
    #[inline]
    fn in_order(&self, slot: ReturnSlot) -> Option<Record> {
        let (batches, next) = self.position.get();
        let batch = self.ledger.batches[..batches].last()?;
        let record = (next < batch.len()).then(|| batch.record(next)).filter(|record| record.slot == slot)?;
        let exhausted = batch.len() == next + 1;
        self.position.set(if exhausted { (batches - 1, 0) } else { (batches, next + 1) });
        Some(record)
    }
}

impl ReturnPcs for LedgerPcs<'_> {
    #[inline(always)]
    fn is_boundary(&self, pc: ReturnPc) -> bool {
        pc == self.boundary
    }

    #[inline(always)]
    fn is_landing(&self, pc: ReturnPc) -> bool {
        pc == self.landing
    }

    #[inline]
    fn original(&self, slot: ReturnSlot, _pc: ReturnPc) -> Option<ReturnPc> {
        let record = self.in_order(slot).or_else(|| self.ledger.find(slot));
        self.found.set(record);
        record.map(|record| record.pc())
    }
}
