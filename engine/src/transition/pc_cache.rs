//! What is known of return PCs, for a walk. Stacks repeat few PCs many times; a search for each would cost more than
//! the walk.

use std::collections::HashMap;

use osr_stackwalk::ReturnPc;

/// A few return PCs with what is known of them, each at one of [`WAYS`] places.
pub(super) struct PcCache<T> {
    pcs: [ReturnPc; ENTRIES],
    values: [T; ENTRIES],
    /// Those that had to make way.
    evicted: HashMap<ReturnPc, T>,
}

const ENTRIES: usize = 32;

const WAYS: usize = 4;

impl<T: Copy> PcCache<T> {
    /// Nothing is known. `unused` is any value.
    pub(super) fn new(unused: T) -> PcCache<T> {
        PcCache { pcs: [ReturnPc::default(); ENTRIES], values: [unused; ENTRIES], evicted: HashMap::new() }
    }

    /// What is known of `pc`: what `meet` returned when it was asked first.
    #[inline(always)]
    pub(super) fn get(&mut self, pc: ReturnPc, meet: impl FnOnce(ReturnPc) -> T) -> T {
        // Return PCs differ in all bits; the product spreads them.
        let first = (pc.address().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - ENTRIES.ilog2())) as usize;
        for way in 0..WAYS {
            if self.pcs[first ^ way] == pc {
                return self.values[first ^ way];
            }
        }
        self.fill(first, pc, meet)
    }

    #[cold]
    #[inline(never)]
    fn fill(&mut self, first: usize, pc: ReturnPc, meet: impl FnOnce(ReturnPc) -> T) -> T {
        let free = (0..WAYS).map(|way| first ^ way).find(|&entry| self.pcs[entry].is_null());
        let entry = free.unwrap_or(first);
        if free.is_none() {
            self.evicted.insert(self.pcs[entry], self.values[entry]);
        }
        let known = self.evicted.get(&pc).copied();
        let value = known.unwrap_or_else(|| meet(pc));
        (self.pcs[entry], self.values[entry]) = (pc, value);
        value
    }
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
}
