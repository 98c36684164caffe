//! What is known of return PCs, for a walk. Stacks repeat few PCs many times; a search for each would cost more than
//! the walk. And they repeat them in the same order: each PC also knows which one came after it, as a branch predictor
//! does.

use std::collections::BTreeMap;

use osr_stackwalk::ReturnPc;

/// A few return PCs with what is known of them, each at one of [`WAYS`] places.
pub(super) struct PcCache<T> {
    entries: [Entry<T>; ENTRIES],
    /// What is known of those that had to make way, if any had to.
    evicted: Option<BTreeMap<ReturnPc, T>>,
}

/// What is known of a return PC. All of it in one place: a walk that hops from PC to PC waits for these loads.
#[derive(Clone, Copy)]
struct Entry<T> {
    /// Null if nothing is known.
    pc: ReturnPc,
    value: T,
    /// Which entry followed last time.
    successor: EntryId,
}

const ENTRIES: usize = 32;

const WAYS: usize = 4;

/// An entry of a [`PcCache`]: what it is of stays the same until the next PC is [added](PcCache::add).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryId(u32);

impl EntryId {
    #[inline(always)]
    fn new(index: usize) -> EntryId {
        debug_assert!(index < ENTRIES);
        EntryId(index as u32)
    }

    /// The remainder spares indexing its check.
    #[inline(always)]
    fn index(self) -> usize {
        self.0 as usize % ENTRIES
    }
}

impl<T: Copy> PcCache<T> {
    /// Nothing is known. `unused` is any value.
    pub(super) fn new(unused: T) -> PcCache<T> {
        let unused = Entry { pc: ReturnPc::default(), value: unused, successor: EntryId(0) };
        PcCache { entries: [unused; ENTRIES], evicted: None }
    }

    /// What is known of `pc`: what `meet` returned when it was asked first.
    #[inline(always)]
    pub(super) fn get(&mut self, pc: ReturnPc, meet: impl FnOnce(ReturnPc) -> T) -> T {
        let entry = self.find(pc).unwrap_or_else(|| self.add(pc, meet));
        self.known(entry).1
    }

    /// The entry of `pc`, if it has one.
    #[inline(always)]
    pub(super) fn find(&self, pc: ReturnPc) -> Option<EntryId> {
        let first = first_place(pc);
        for way in 0..WAYS {
            if self.entries[first ^ way].pc == pc {
                return Some(EntryId::new(first ^ way));
            }
        }
        None
    }

    /// Makes an entry for `pc`, which has none. `meet` is asked what is known of it, unless that was known before.
    #[cold]
    #[inline(never)]
    pub(super) fn add(&mut self, pc: ReturnPc, meet: impl FnOnce(ReturnPc) -> T) -> EntryId {
        let known = self.evicted.as_ref().and_then(|evicted| evicted.get(&pc)).copied();
        let value = known.unwrap_or_else(|| meet(pc));
        let mut place = first_place(pc);
        for way in 1..WAYS {
            if !self.entries[place].pc.is_null() {
                place = first_place(pc) ^ way;
            }
        }
        let previous = self.entries[place];
        if !previous.pc.is_null() {
            self.evicted.get_or_insert_default().insert(previous.pc, previous.value);
        }
        // A recursion, until another PC is seen to follow.
        let successor = EntryId::new(place);
        self.entries[place] = Entry { pc, value, successor };
        successor
    }

    /// The PC of `entry`, and what is known of it.
    #[inline(always)]
    pub(super) fn known(&self, entry: EntryId) -> (ReturnPc, T) {
        let Entry { pc, value, .. } = self.entries[entry.index()];
        (pc, value)
    }

    /// The entry that is likely to be that of the next PC after that of `entry`.
    #[inline(always)]
    pub(super) fn successor(&self, entry: EntryId) -> EntryId {
        self.entries[entry.index()].successor
    }

    /// The PC of `next` came after that of `entry`.
    #[inline(always)]
    pub(super) fn set_successor(&mut self, entry: EntryId, next: EntryId) {
        self.entries[entry.index()].successor = next;
    }
}

/// Return PCs differ in all bits; the product spreads them.
#[inline(always)]
fn first_place(pc: ReturnPc) -> usize {
    (pc.address().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - ENTRIES.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pc_is_met_once_however_many_there_are() {
        let mut cache = PcCache::new(0);
        let mut met = 0;
        for round in 0..3 {
            for pc in 1..=1000 {
                let value = cache.get(ReturnPc::new(pc), |pc| {
                    met += 1;
                    pc.address() * 2
                });
                assert_eq!(value, pc * 2, "in round {round}");
            }
        }
        assert_eq!(met, 1000);
    }

    #[test]
    fn what_followed_last_is_the_successor() {
        let mut cache = PcCache::new(0);
        let [one, other] = [ReturnPc::new(11), ReturnPc::new(12)];
        let first = cache.add(one, |_| 1);
        assert_eq!(cache.known(first), (one, 1));
        assert_eq!(cache.successor(first), first, "a recursion");
        let second = cache.add(other, |_| 2);
        cache.set_successor(first, second);
        assert_eq!(cache.successor(first), second);
        assert_eq!(cache.successor(second), second);
        assert_eq!(cache.known(second), (other, 2));
    }
}
