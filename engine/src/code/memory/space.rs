//! Which parts of a range are allocated.

use std::collections::{BTreeMap, VecDeque};

use super::Allocation;

/// How many freed allocations are kept from being used again, if any are.
const QUARANTINE: usize = 64;

/// A range of bytes that is given out in parts.
#[derive(Debug)]
pub(super) struct Space {
    /// Free ranges: offset to length. Neighbours are merged.
    free: BTreeMap<usize, usize>,
    /// Freed allocations that are not free yet, oldest first.
    quarantine: VecDeque<Allocation>,
    quarantines: bool,
    live_bytes: usize,
    peak_bytes: usize,
}

impl Space {
    /// All of `bytes` is free. If it `quarantines`, what is freed is not used again soon.
    pub(super) fn new(bytes: usize, quarantines: bool) -> Space {
        let free = BTreeMap::from([(0, bytes)]);
        Space { free, quarantine: VecDeque::new(), quarantines, live_bytes: 0, peak_bytes: 0 }
    }

    pub(super) fn live_bytes(&self) -> usize {
        self.live_bytes
    }

    pub(super) fn peak_bytes(&self) -> usize {
        self.peak_bytes
    }

    /// The lowest `bytes` that are free; of what is quarantined, if nothing else is left.
    pub(super) fn allocate(&mut self, bytes: usize) -> Option<Allocation> {
        let offset = self.take(bytes).or_else(|| {
            while self.leave_quarantine() > 0 {}
            self.take(bytes)
        })?;
        self.live_bytes += bytes;
        self.peak_bytes = self.peak_bytes.max(self.live_bytes);
        Some(Allocation { offset, bytes })
    }

    /// Takes an allocation back. Returns how many bytes became free: those of an older one, or none, if this one is
    /// quarantined.
    pub(super) fn free(&mut self, allocation: Allocation) -> usize {
        self.live_bytes -= allocation.bytes;
        if !self.quarantines {
            self.give(allocation);
            return allocation.bytes;
        }
        self.quarantine.push_back(allocation);
        if self.quarantine.len() > QUARANTINE { self.leave_quarantine() } else { 0 }
    }

    /// What is free.
    pub(super) fn free_ranges(&self) -> impl Iterator<Item = Allocation> {
        self.free.iter().map(|(&offset, &bytes)| Allocation { offset, bytes })
    }

    /// Frees the oldest allocation in quarantine. Returns its size; 0 if there is none.
    fn leave_quarantine(&mut self) -> usize {
        let Some(allocation) = self.quarantine.pop_front() else { return 0 };
        self.give(allocation);
        allocation.bytes
    }

    fn take(&mut self, bytes: usize) -> Option<usize> {
        let (offset, length) =
            self.free.iter().find(|&(_, &length)| length >= bytes).map(|(&o, &l)| (o, l))?;
        self.free.remove(&offset);
        if length > bytes {
            self.free.insert(offset + bytes, length - bytes);
        }
        Some(offset)
    }

    fn give(&mut self, Allocation { offset, bytes: mut length }: Allocation) {
        if let Some(next) = self.free.remove(&(offset + length)) {
            length += next;
        }
        match self.free.range_mut(..offset).next_back() {
            Some((previous, previous_length)) if previous + *previous_length == offset => {
                *previous_length += length;
            }
            _ => _ = self.free.insert(offset, length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_merge_whatever_the_order() {
        let mut space = Space::new(40, false);
        let all: Vec<_> = (0..3).map(|_| space.allocate(10).unwrap()).collect();
        for index in [0, 2, 1] {
            assert_eq!(space.free(all[index]), 10);
        }
        assert_eq!(space.free_ranges().collect::<Vec<_>>(), [Allocation { offset: 0, bytes: 40 }]);
    }

    #[test]
    fn what_is_quarantined_is_used_last() {
        let mut space = Space::new(2, true);
        let first = space.allocate(1).unwrap();
        assert_eq!(space.free(first), 0);
        assert_eq!(space.allocate(1), Some(Allocation { offset: 1, bytes: 1 }));
        assert_eq!(space.allocate(1), Some(first));
        assert_eq!((space.live_bytes(), space.peak_bytes()), (2, 2));
    }
}
