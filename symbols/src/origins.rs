//! The table of [origins](osr_stubs::x86_64::origins) of this process: which hijacked slots unwinders can look through.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use osr_stubs::x86_64::origins::{Origin, first_entry, publish};

/// Open addressing, at most half full.
#[derive(Debug)]
struct Table {
    entries: Box<[Origin]>,
    used: usize,
}

static TABLE: Mutex<Option<Table>> = Mutex::new(None);

/// Unwinders that find `slot` hijacked continue at `pc`.
pub(crate) fn insert(slot: u64, pc: u64) {
    let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    table.get_or_insert_with(|| Table::new(64)).insert(slot, pc);
}

/// The slot is hijacked no more.
pub(crate) fn remove(slot: u64) {
    if let Some(table) = &mut *TABLE.lock().unwrap_or_else(PoisonError::into_inner) {
        table.remove(slot);
    }
}

impl Table {
    fn new(entries: usize) -> Table {
        let table =
            Table { entries: std::iter::repeat_with(Origin::default).take(entries).collect(), used: 0 };
        // SAFETY: the entries are dropped when another table has been published.
        unsafe { publish(&table.entries) };
        table
    }

    fn insert(&mut self, slot: u64, pc: u64) {
        if 2 * (self.used + 1) > self.entries.len() {
            self.grow();
        }
        let at = self.position(slot);
        let entry = &self.entries[at];
        self.used += usize::from(entry.slot.load(Ordering::Relaxed) == 0);
        // The slot last: an unwinder may stop this thread in between.
        entry.pc.store(pc, Ordering::SeqCst);
        entry.slot.store(slot, Ordering::SeqCst);
    }

    fn grow(&mut self) {
        let mut larger = Table::new(2 * self.entries.len());
        for Origin { slot, pc } in self.entries.iter() {
            if slot.load(Ordering::Relaxed) != 0 {
                larger.insert(slot.load(Ordering::Relaxed), pc.load(Ordering::Relaxed));
            }
        }
        *self = larger;
    }

    /// Where `slot` is, or would be.
    fn position(&self, slot: u64) -> usize {
        let mut at = first_entry(slot, self.entries.len());
        while ![0, slot].contains(&self.entries[at].slot.load(Ordering::Relaxed)) {
            at = self.after(at);
        }
        at
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.entries.len() - 1)
    }

    /// Those behind it, up to the next empty entry, are inserted again: their search may have passed it.
    fn remove(&mut self, slot: u64) {
        let mut at = self.position(slot);
        if self.take(at).is_none() {
            return;
        }
        at = self.after(at);
        while let Some((slot, pc)) = self.take(at) {
            self.insert(slot, pc);
            at = self.after(at);
        }
    }

    fn take(&mut self, at: usize) -> Option<(u64, u64)> {
        let Origin { slot, pc } = &self.entries[at];
        let taken = (slot.swap(0, Ordering::SeqCst), pc.load(Ordering::Relaxed));
        self.used -= usize::from(taken.0 != 0);
        (taken.0 != 0).then_some(taken)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::atomic::Ordering;

    use super::Table;

    #[test]
    fn what_was_inserted_and_not_removed_is_found() {
        let (mut table, mut expected) = (Table::new(4), HashMap::new());
        for step in 0..2_000_u64 {
            // Many slots have the same place in the table.
            let slot = 8 * (1 + (step * 37) % 64 + 1024 * (step % 3));
            if step % 5 < 3 {
                table.insert(slot, step);
                expected.insert(slot, step);
            } else {
                table.remove(slot);
                expected.remove(&slot);
            }
            assert_eq!(table.used, expected.len());
            for (&slot, &pc) in &expected {
                let entry = &table.entries[table.position(slot)];
                assert_eq!(entry.slot.load(Ordering::Relaxed), slot, "step {step}");
                assert_eq!(entry.pc.load(Ordering::Relaxed), pc, "step {step}");
            }
        }
    }
}
