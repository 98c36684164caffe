//! What a host function changes in memory.

use std::ops::Range;

use osr_engine::HostCall;
use osr_ir::ImportName;
use osr_wasi::MODULES;

use super::Write;

/// The parts of memory that a call may change, as they were before it.
pub(super) struct Before {
    parts: Vec<(u64, Vec<u8>)>,
    /// Whether it may also change what memory grows by.
    anywhere: bool,
    pages: u32,
}

/// Changed bytes with no more equal ones than this between them are one change.
const GAP: usize = 8;

impl Before {
    /// Before `call`, which is of the function of that name: a stub, if there are `stubs`, and it is not of WASI.
    pub(super) fn of(call: &HostCall<'_>, name: &ImportName, arguments: &[u64], stubs: bool) -> Before {
        let copied = call.with_memory(|memory| {
            let ranges = match MODULES.contains(&&*name.module) {
                true => osr_wasi::written(&name.name, arguments, memory),
                false => stubs.then(Vec::new),
            };
            let anywhere = ranges.is_none();
            let everything = || std::iter::once(0..memory.len() as u64).collect();
            let ranges = ranges.unwrap_or_else(everything);
            let part = |range: Range<u64>| {
                let end = range.end.min(memory.len() as u64);
                let bytes = memory.get(range.start as usize..end as usize).unwrap_or_default();
                (range.start, bytes.to_vec())
            };
            (ranges.into_iter().map(part).collect(), anywhere)
        });
        let (parts, anywhere) = copied.unwrap_or_default();
        Before { parts, anywhere, pages: pages(call) }
    }

    /// Pages by which memory has grown, and what has changed.
    pub(super) fn changes(self, call: &HostCall<'_>) -> (u32, Vec<Write>) {
        let mut writes = Vec::new();
        call.with_memory(|memory| {
            for (address, old) in &self.parts {
                // A part that is out of bounds is empty.
                let start = *address as usize;
                let new = memory.get(start..start + old.len()).unwrap_or_default();
                compare(*address, old, new, &mut writes);
            }
            if self.anywhere {
                let old: usize = self.parts.iter().map(|(_, bytes)| bytes.len()).sum();
                compare(old as u64, &vec![0; memory.len() - old], &memory[old..], &mut writes);
            }
        });
        (pages(call) - self.pages, writes)
    }
}

fn pages(call: &HostCall<'_>) -> u32 {
    call.memory().map_or(0, |memory| memory.pages())
}

/// Adds where `new`, which is at `address`, differs from `old`.
fn compare(address: u64, old: &[u8], new: &[u8], writes: &mut Vec<Write>) {
    let mut next = first_difference(old, new, 0);
    while let Some(first) = next {
        let mut last = first;
        next = loop {
            match first_difference(old, new, last + 1) {
                Some(index) if index - last <= GAP => last = index,
                other => break other,
            }
        };
        writes.push(Write { address: address + first as u64, bytes: new[first..=last].to_vec() });
    }
}

/// The first byte from `start` on that is not the same. Most of a memory is, and is compared piece by piece.
fn first_difference(old: &[u8], new: &[u8], start: usize) -> Option<usize> {
    const PIECE: usize = 4096;
    let pieces = old[start..].chunks(PIECE).zip(new[start..].chunks(PIECE));
    let (number, (old, new)) = pieces.enumerate().find(|(_, (old, new))| old != new)?;
    let byte = old.iter().zip(new).position(|(old, new)| old != new)?;
    Some(start + number * PIECE + byte)
}

#[cfg(test)]
mod tests {
    use super::{Write, compare};

    #[test]
    fn changes_are_found_in_every_piece() {
        let old = vec![0; 20_000];
        let mut new = old.clone();
        let places = [0, 4095, 4097, 12_288, 19_999];
        places.iter().for_each(|&place| new[place] = 1);
        let mut writes = Vec::new();
        compare(0, &old, &new, &mut writes);
        let found: Vec<(u64, usize)> =
            writes.iter().map(|write| (write.address, write.bytes.len())).collect();
        assert_eq!(found, [(0, 1), (4095, 3), (12_288, 1), (19_999, 1)]);
    }

    #[test]
    fn changes_that_are_near_are_one() {
        let old = [0; 64];
        let mut new = old;
        for index in [1, 2, 9, 40] {
            new[index] = index as u8;
        }
        let mut writes = Vec::new();
        compare(100, &old, &new, &mut writes);
        let expected = [
            Write { address: 101, bytes: vec![1, 2, 0, 0, 0, 0, 0, 0, 9] },
            Write { address: 140, bytes: vec![40] },
        ];
        assert_eq!(writes, expected);
    }
}
