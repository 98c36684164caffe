//! The pads of a version: frame maps that execute.
//!
//! ```text
//!   code of v:   | hot ... call ... call ... | cold: polls, pad 0, pad 1 | constants |
//!                     │ release, with frames of v still to land
//!                     v
//!   moved:       | pad 0 | pad 1 | their constants |     until the last ledger record of v is gone
//! ```
//!
//! While the version's code is there its pads are a cold part of it. When the code is released, they go
//! to an allocation of their own, if a record still needs them.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::arena::Allocation;

/// Where a pad is, in bytes from the start of the version's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PadRange {
    /// Its first byte.
    pub(crate) start: u32,
    /// The end of its call, which does not return.
    pub(crate) end: u32,
}

/// What a pad refers to by relative address: a constant. Offsets are from the start of the version's code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference {
    /// Where the 32-bit distance is.
    pub(crate) at: u32,
    /// What it counts from: the next instruction.
    pub(crate) next: u32,
    /// The constant.
    pub(crate) target: u32,
    /// Its size.
    pub(crate) bytes: u32,
}

/// The pads of a version.
#[derive(Debug)]
pub(crate) struct Pads {
    /// By site.
    ranges: Box<[Option<PadRange>]>,
    references: Box<[Reference]>,
    moved: OnceLock<Moved>,
}

/// Pads that have outlived the code they were compiled with.
#[derive(Debug)]
struct Moved {
    allocation: Allocation,
    base: u64,
    /// By site, offsets from the base.
    starts: Box<[Option<u32>]>,
}

impl Pads {
    /// The pads at `ranges`, per site, and what they refer to.
    pub(crate) fn new(ranges: Vec<Option<PadRange>>, references: Vec<Reference>) -> Pads {
        Pads { ranges: ranges.into(), references: references.into(), moved: OnceLock::new() }
    }

    /// Where the pad of `site` is in the version's code.
    pub(crate) fn range(&self, site: u32) -> Option<PadRange> {
        self.ranges[site as usize]
    }

    /// The address of the pad of `site`, where the version's code begins, or began, at `code`.
    #[inline(always)]
    pub(crate) fn address(&self, site: u32, code: u64) -> Option<u64> {
        match self.moved.get() {
            Some(moved) => moved.starts[site as usize].map(|start| moved.base + u64::from(start)),
            None => self.ranges[site as usize].map(|range| code + u64::from(range.start)),
        }
    }

    /// Bytes of code.
    pub(crate) fn code_bytes(&self) -> u64 {
        self.ranges.iter().flatten().map(|range| u64::from(range.end - range.start)).sum()
    }

    /// Bytes of what is known of them.
    pub(crate) fn bytes(&self) -> u64 {
        (size_of_val(&*self.ranges) + size_of_val(&*self.references)) as u64
    }

    /// A copy of all pads in `code` that can be executed anywhere, and where each of them begins.
    pub(crate) fn copy(&self, code: &[u8]) -> (Vec<u8>, Box<[Option<u32>]>) {
        let mut copy = Vec::new();
        let mut patches = Vec::new();
        let starts = self.ranges.iter().map(|range| {
            let PadRange { start, end } = (*range)?;
            let new_start = copy.len() as u32;
            copy.extend_from_slice(&code[start as usize..end as usize]);
            let inside = self.references.iter().filter(|reference| (start..end).contains(&reference.at));
            patches.extend(inside.map(|reference| (*reference, new_start.wrapping_sub(start))));
            Some(new_start)
        });
        let starts = starts.collect();
        let mut constants = BTreeMap::new();
        for (Reference { at, next, target, bytes }, moved_by) in patches {
            let constant = *constants.entry(target).or_insert_with(|| {
                copy.resize(copy.len().next_multiple_of(bytes.next_power_of_two() as usize), 0xcc);
                copy.extend_from_slice(&code[target as usize..(target + bytes) as usize]);
                copy.len() as u32 - bytes
            });
            let distance = constant.wrapping_sub(next.wrapping_add(moved_by));
            let at = at.wrapping_add(moved_by) as usize;
            copy[at..at + 4].copy_from_slice(&distance.to_le_bytes());
        }
        (copy, starts)
    }

    /// From now on the pads are the copy at `allocation`, whose code begins at `base`.
    pub(crate) fn move_to(&self, allocation: Allocation, base: u64, starts: Box<[Option<u32>]>) {
        self.moved.set(Moved { allocation, base, starts }).expect("code is released once");
    }

    /// The allocation of their own, if they have one.
    pub(crate) fn allocation(&self) -> Option<Allocation> {
        self.moved.get().map(|moved| moved.allocation)
    }
}
