//! The conservative scan: before code is released, every word of the stack is looked at.
//!
//! A word that looks like a PC into the code is either a return slot that was missed, which is a bug
//! that ends the process, or it is left over in a part of some frame that was never written since: old
//! return PCs lie around on every stack. The walk of the compiled frames tells the two apart; what it does
//! not claim is counted and left alone, for released pages stay inaccessible in checked runs.

use std::sync::Arc;

use osr_stackwalk::{ReturnPc, StackMemory};

use crate::code::CodeVersion;
use crate::code::ledger::LedgerPcs;
use crate::thread::Thread;

impl Thread {
    /// Looks for PCs into `versions` on this thread's stack.
    ///
    /// # Panics
    /// If something can still return into one of them.
    pub(crate) fn scan_before_release(&self, versions: &[Arc<CodeVersion>]) {
        let memory = self.live_stack();
        let registry = self.instance().registry();
        let here = 0u8;
        let first = ((&raw const here) as u64).next_multiple_of(8);
        let returns_into_one = |word: u64| {
            // Code is entered by calls, so what precedes a return PC is in the version.
            registry.contains(word)
                && registry
                    .find(ReturnPc::new(word).lookup_address())
                    .is_some_and(|found| versions.iter().any(|version| version.id == found.id))
        };
        let words = (first..self.stack_high() - 8).step_by(8);
        let hits: Vec<u64> = words.filter(|&slot| memory.read(slot).is_some_and(returns_into_one)).collect();
        if hits.is_empty() {
            return;
        }
        let ledger = self.ledger().borrow();
        let pcs = LedgerPcs::new(&ledger);
        for frame in self.walk(self.all_pcs(&pcs)) {
            let frame = frame.expect("the stack was walked a moment ago");
            let slot = frame.return_slot.address();
            assert!(
                hits.binary_search(&slot).is_err(),
                "code is to be released, but the slot at {slot:#x} returns into it, to {:#x}",
                frame.pc,
            );
        }
        self.count_stale_words(hits.len() as u64);
    }
}

#[cfg(test)]
mod tests;
