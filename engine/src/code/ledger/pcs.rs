//! What the ledger says to a walk: where return slots that are hijacked led before.

use std::cell::Cell;

use osr_stackwalk::{Frame, ReturnPc, ReturnPcs, ReturnSlot};

use super::{Ledger, Record};

/// The return PCs of a thread, as its walkers need to know them. Walks go outwards, so the records of
/// the hijacked slots that they meet come in order, too.
#[derive(Debug)]
pub(crate) struct LedgerPcs<'l> {
    ledger: &'l Ledger,
    /// Batches not yet passed, and the next record of the last of them.
    position: Cell<(usize, usize)>,
    /// The record that was found last.
    found: Cell<Option<Record<'l>>>,
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
    pub(crate) fn found(&self) -> Option<Record<'l>> {
        self.found.get()
    }

    /// The record of `slot`, if it is the one after the last that was asked for.
    #[inline]
    fn in_order(&self, slot: ReturnSlot) -> Option<Record<'l>> {
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
    fn original(&self, frame: Frame) -> Option<ReturnPc> {
        let slot = frame.return_slot;
        let record = self.in_order(slot).or_else(|| self.ledger.find(slot));
        self.found.set(record);
        record.map(|record| record.site.pc())
    }
}
