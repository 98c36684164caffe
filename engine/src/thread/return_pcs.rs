//! What the return slots of a thread may hold besides the PCs of frames, and how walks look through it.

use std::cell::Ref;

use osr_release::Reclaimer;
use osr_stackwalk::{Frame, NoHijacks, ReturnPc, ReturnPcs};
use osr_stubs::x86_64::any_frame_pc;

use crate::code::Registry;
use crate::code::ledger::LedgerPcs;
use crate::thread::Thread;
use crate::thread::reclaim::{Retired, barrier_pc};

impl Thread {
    /// The return PCs of the thread, whatever its slots were swapped for. `ledger` is the thread's.
    pub(crate) fn all_pcs<'p, 'l>(&'p self, ledger: &'p LedgerPcs<'l>) -> AllPcs<'p, 'l> {
        let registry = self.instance().registry();
        let waiting = self.reclaim().waiting().borrow();
        AllPcs { ledger, waiting, barrier: barrier_pc(), registry }
    }

    /// Whether a slot that does not hold the PC of its frame has a record in the ledger.
    pub(crate) fn swaps_by_ledger_only(&self) -> bool {
        !self.reclaim().has_barriers() && !self.instance().registry().has_landing_tables()
    }

    /// What the slots hold: not looked through, as far as the entry.
    pub(crate) fn held_pcs(&self) -> NoHijacks {
        NoHijacks { boundary: Some(ReturnPc::new(osr_stubs::x86_64::entry_return())) }
    }

    /// Whether a slot that holds `pc` is hijacked.
    pub(crate) fn is_landing(&self, pc: ReturnPc) -> bool {
        let stub = ReturnPc::new(osr_stubs::x86_64::landing_pc());
        pc == stub || self.instance().registry().is_in_landing_table(pc)
    }
}

/// See [`Thread::all_pcs`].
#[derive(Debug)]
pub(crate) struct AllPcs<'p, 'l> {
    ledger: &'p LedgerPcs<'l>,
    waiting: Ref<'p, Reclaimer<Retired>>,
    barrier: ReturnPc,
    registry: &'p Registry,
}

impl ReturnPcs for AllPcs<'_, '_> {
    fn is_boundary(&self, pc: ReturnPc) -> bool {
        self.ledger.is_boundary(pc)
    }

    fn is_landing(&self, pc: ReturnPc) -> bool {
        pc == self.barrier || self.ledger.is_landing(pc) || self.registry.is_in_landing_table(pc)
    }

    fn original(&self, frame: Frame) -> Option<ReturnPc> {
        if frame.pc == self.barrier {
            self.waiting.original(frame.return_slot)
        } else if self.ledger.is_landing(frame.pc) {
            self.ledger.original(frame)
        } else {
            // SAFETY: walks are of this thread.
            unsafe { self.registry.original(frame) }
        }
    }

    /// Code that the landing stub stands for may be released: the stub has a row of any compiled frame. What ends at a
    /// barrier, or leads into a landing table, returns to code that is there.
    fn row_pc(&self, landing: ReturnPc, original: ReturnPc) -> ReturnPc {
        if self.ledger.is_landing(landing) { ReturnPc::new(any_frame_pc()) } else { original }
    }
}
