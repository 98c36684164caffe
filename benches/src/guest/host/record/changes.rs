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
    let differs = |index: &usize| old[*index] != new[*index];
    let mut next = (0..new.len()).find(differs);
    while let Some(first) = next {
        let mut last = first;
        next = loop {
            match (last + 1..new.len()).find(differs) {
                Some(index) if index - last <= GAP => last = index,
                other => break other,
            }
        };
        writes.push(Write { address: address + first as u64, bytes: new[first..=last].to_vec() });
    }
}

#[cfg(test)]
mod tests {
    use super::{Write, compare};

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
