//! Where the pads of compiled code are, and what they refer to: enough to execute them elsewhere.

use std::collections::BTreeMap;
use std::ops::Range;

/// Where a pad is, in bytes from the start of the version's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PadRange {
    /// Its first byte.
    pub start: u32,
    /// The end of its call, which does not return.
    pub end: u32,
}

/// What a pad refers to by relative address: a constant. Offsets are from the start of the version's code.
#[derive(Clone, Copy, Debug)]
pub struct Reference {
    /// Where the 32-bit distance is.
    pub at: u32,
    /// What it counts from: the next instruction.
    pub next: u32,
    /// The constant.
    pub target: u32,
    /// Its size.
    pub bytes: u32,
}

/// The pads of a compiled body.
#[derive(Debug)]
pub struct PadSites {
    /// By site.
    ranges: Box<[Option<PadRange>]>,
    references: Box<[Reference]>,
}

impl PadSites {
    /// The pads at `ranges`, per site, and what they refer to.
    pub fn new(ranges: Vec<Option<PadRange>>, references: Vec<Reference>) -> PadSites {
        PadSites { ranges: ranges.into(), references: references.into() }
    }

    /// Where the pad of `site` is in the version's code.
    #[inline(always)]
    pub fn range(&self, site: u32) -> Option<PadRange> {
        self.ranges[site as usize]
    }

    /// All bytes that pads execute or load from the version's code.
    pub(super) fn executed(&self) -> impl Iterator<Item = Range<u32>> {
        let pads = self.ranges.iter().flatten().map(|range| range.start..range.end);
        pads.chain(
            self.references.iter().map(|reference| reference.target..reference.target + reference.bytes),
        )
    }

    /// Bytes of code.
    pub fn code_bytes(&self) -> u64 {
        self.ranges.iter().flatten().map(|range| u64::from(range.end - range.start)).sum()
    }

    /// Bytes of what is known of them.
    pub fn bytes(&self) -> u64 {
        (size_of_val(&*self.ranges) + size_of_val(&*self.references)) as u64
    }

    /// A copy of all pads in `code` that can be executed anywhere, and where each of them begins.
    pub fn copy(&self, code: &[u8]) -> (Vec<u8>, Box<[Option<u32>]>) {
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
}
