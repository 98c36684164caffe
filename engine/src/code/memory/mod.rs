//! Code memory: where machine code is put, and from where it is taken away.
//!
//! ```text
//!              allocate          write            seal            patch          free
//!   nothing ────────────> bytes ───────> bytes ────────> code ────────────> code ─────> nothing
//!                         nobody executes them           nobody writes it meanwhile
//! ```
//!
//! Code is patched between two instructions of it: by the native thread that executes it, while that is in the runtime.
//!
//! Two ways to have it, which know nothing of what the code is: an [arena](arena), which packs code into pages that
//! are mapped twice; and [one `JITModule` of cranelift-jit](jit_module) for each allocation, which has pages of its
//! own. Either way all code is in one range of addresses, and no page is writable and executable at once.

mod arena;
mod jit_module;
mod mapped_twice;
mod space;

use std::io;
use std::ops::Range;

use arena::Arena;
use jit_module::JitModules;

use crate::memory::reservation::Reservation;
use crate::settings::code_memory::CodeMemory;

/// Code is allocated in multiples of this many bytes: a cache line.
pub(crate) const GRANULE: usize = 64;
/// So much memory is reached from everywhere in it by instructions that have a distance, such as `call rel32`.
pub(crate) const NEAR_BYTES: usize = 2 << 30;
/// Protection is changed for whole pages.
pub(crate) const PAGE: usize = 4096;

/// A part of code memory, in bytes from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allocation {
    /// The first byte: a multiple of the granule.
    pub(crate) offset: usize,
    /// A multiple of the granule.
    pub(crate) bytes: usize,
}

/// Memory for code.
#[derive(Debug)]
pub(crate) enum Memory {
    /// See [`CodeMemory::Arena`].
    Arena(Arena),
    /// See [`CodeMemory::JitModule`].
    JitModule(JitModules),
}

impl Memory {
    /// In the place of `reserved`. If `checked`, what is freed stays inaccessible for a while, so that a stray return into it
    /// faults at an address that is known.
    pub(crate) fn new(kind: CodeMemory, reserved: Reservation, checked: bool) -> io::Result<Memory> {
        Ok(match kind {
            CodeMemory::Arena => Memory::Arena(Arena::new(reserved, checked)?),
            CodeMemory::JitModule => Memory::JitModule(JitModules::new(reserved, checked)),
        })
    }

    /// The addresses at which code is executed.
    pub(crate) fn range(&self) -> Range<u64> {
        match self {
            Memory::Arena(arena) => arena.range(),
            Memory::JitModule(modules) => modules.range(),
        }
    }

    /// Puts `code` somewhere; `None` if there is no room.
    pub(crate) fn allocate(&mut self, code: &[u8]) -> Option<Allocation> {
        match self {
            Memory::Arena(arena) => arena.allocate(code),
            Memory::JitModule(modules) => modules.allocate(code),
        }
    }

    /// Writes `bytes` at `offset` of an allocation that is not sealed.
    pub(crate) fn write(&mut self, allocation: Allocation, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= allocation.bytes, "within the allocation");
        match self {
            Memory::Arena(arena) => arena.write(allocation, offset, bytes),
            Memory::JitModule(modules) => modules.write(allocation, offset, bytes),
        }
    }

    /// From now on the allocation may be executed, and is not written.
    pub(crate) fn seal(&mut self, allocation: Allocation) {
        match self {
            Memory::Arena(_) => {}
            Memory::JitModule(modules) => modules.seal(allocation),
        }
    }

    /// From now on an allocation that is sealed may be written. Nothing may execute or return into it.
    pub(crate) fn unseal(&mut self, allocation: Allocation) {
        match self {
            Memory::Arena(_) => {}
            Memory::JitModule(modules) => modules.unseal(allocation),
        }
    }

    /// Overwrites bytes of an allocation that is sealed: each of `patches` at its offset. Only the native thread that
    /// executes the code may do so, and no return PC may lead to the middle of what is overwritten. If it is instructions,
    /// the processor is to be [told](Self::synchronize) before they execute.
    pub(crate) fn patch<B: AsRef<[u8]>>(
        &mut self,
        allocation: Allocation,
        patches: impl IntoIterator<Item = (usize, B)>,
    ) {
        let is_inside = |(offset, bytes): &(usize, B)| offset + bytes.as_ref().len() <= allocation.bytes;
        let checked = patches.into_iter().inspect(|patch| assert!(is_inside(patch), "within the allocation"));
        match self {
            Memory::Arena(arena) => arena.patch(allocation, checked),
            Memory::JitModule(modules) => modules.patch(allocation, checked),
        }
    }

    /// Instructions were overwritten. What was written through one mapping is fetched through another: the processor is
    /// told so by an instruction that serializes, which takes a microsecond in a virtual machine.
    pub(crate) fn synchronize(&self) {
        match self {
            Memory::Arena(_) => _ = std::arch::x86_64::__cpuid(0),
            // A change of protection does more.
            Memory::JitModule(_) => {}
        }
    }

    /// Bytes of which the head of an allocation must have a multiple, to be kept when the rest is freed.
    pub(crate) fn unit(&self) -> usize {
        match self {
            Memory::Arena(arena) => arena.unit(),
            Memory::JitModule(_) => PAGE,
        }
    }

    /// Frees what follows the first `kept` bytes of an allocation, a multiple of the [unit](Self::unit). These are an
    /// allocation then.
    pub(crate) fn free_behind(&mut self, allocation: Allocation, kept: usize) {
        let (offset, bytes) = (allocation.offset + kept, allocation.bytes - kept);
        match self {
            _ if bytes == 0 => {}
            Memory::Arena(arena) => arena.free(Allocation { offset, bytes }),
            Memory::JitModule(modules) => modules.free_behind(allocation, kept),
        }
    }

    /// Frees memory. Nothing may execute or return into it any more.
    pub(crate) fn free(&mut self, allocation: Allocation) {
        match self {
            Memory::Arena(arena) => arena.free(allocation),
            Memory::JitModule(modules) => modules.free(allocation),
        }
    }

    /// Bytes allocated now.
    pub(crate) fn live_bytes(&self) -> usize {
        match self {
            Memory::Arena(arena) => arena.live_bytes(),
            Memory::JitModule(modules) => modules.live_bytes(),
        }
    }

    /// The most bytes that were allocated at once.
    pub(crate) fn peak_bytes(&self) -> usize {
        match self {
            Memory::Arena(arena) => arena.peak_bytes(),
            Memory::JitModule(modules) => modules.peak_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(kind: CodeMemory, bytes: usize, checked: bool) -> Memory {
        Memory::new(kind, Reservation::new(bytes).unwrap(), checked).unwrap()
    }

    /// `mov eax, value; ret`
    fn code(value: u32) -> Vec<u8> {
        let mut bytes = vec![0xb8];
        bytes.extend(value.to_le_bytes());
        bytes.push(0xc3);
        bytes
    }

    fn install(memory: &mut Memory, value: u32) -> Option<Allocation> {
        let allocation = memory.allocate(&code(value))?;
        memory.seal(allocation);
        Some(allocation)
    }

    fn run(memory: &Memory, allocation: Allocation) -> u32 {
        let address = memory.range().start + allocation.offset as u64;
        // SAFETY: the code above takes nothing and returns a number.
        let function: extern "C" fn() -> u32 = unsafe { std::mem::transmute(address) };
        function()
    }

    /// The permissions of the pages that `address` is in, as `/proc/self/maps` has them.
    fn permissions(address: u64) -> String {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("a process has maps");
        let entry = maps.lines().find_map(|line| {
            let (range, rest) = line.split_once(' ')?;
            let (start, end) = range.split_once('-')?;
            let number = |text| u64::from_str_radix(text, 16).expect("an address");
            (number(start)..number(end)).contains(&address).then(|| rest[..4].to_owned())
        });
        entry.expect("it is mapped")
    }

    #[test]
    fn code_runs_and_freed_memory_is_used_again() {
        for kind in CodeMemory::ALL {
            let mut memory = memory(kind, 1 << 20, false);
            let [first, second] = [1, 2].map(|value| install(&mut memory, value).unwrap());
            assert_eq!((run(&memory, first), run(&memory, second)), (1, 2));
            memory.free(first);
            let third = install(&mut memory, 3).unwrap();
            assert_eq!(third, first, "{kind:?}");
            assert_eq!((run(&memory, second), run(&memory, third)), (2, 3));
            assert_eq!((memory.live_bytes(), memory.peak_bytes()), (2 * first.bytes, 2 * first.bytes));
        }
    }

    #[test]
    fn what_is_not_sealed_is_written() {
        for kind in CodeMemory::ALL {
            let mut memory = memory(kind, 1 << 20, false);
            let allocation = memory.allocate(&code(1)).unwrap();
            memory.write(allocation, 1, &7u32.to_le_bytes());
            memory.seal(allocation);
            assert_eq!(run(&memory, allocation), 7, "{kind:?}");
        }
    }

    #[test]
    fn what_is_sealed_is_patched() {
        for kind in CodeMemory::ALL {
            let mut memory = memory(kind, 1 << 20, false);
            let allocation = install(&mut memory, 1).unwrap();
            for value in 2..5u16 {
                assert_eq!(run(&memory, allocation), u32::from(value) - 1, "{kind:?}");
                memory.patch(allocation, [(1, value.to_le_bytes()), (3, [0, 0])]);
                memory.synchronize();
                assert_eq!(run(&memory, allocation), u32::from(value), "{kind:?}");
            }
            let address = memory.range().start + allocation.offset as u64;
            assert!(permissions(address).starts_with("r-x"), "{kind:?}");
        }
    }

    #[test]
    fn no_page_is_writable_and_executable() {
        for kind in CodeMemory::ALL {
            let mut memory = memory(kind, 1 << 20, false);
            let allocation = memory.allocate(&code(1)).unwrap();
            let address = memory.range().start + allocation.offset as u64;
            assert!(!permissions(address).contains("wx"), "{kind:?}");
            memory.seal(allocation);
            assert!(permissions(address).starts_with("r-x"), "{kind:?}");
        }
    }

    #[test]
    fn the_head_of_an_allocation_outlives_the_rest() {
        for (kind, checked) in CodeMemory::ALL.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
            let mut memory = memory(kind, 1 << 20, checked);
            let unit = memory.unit();
            let mut bytes = code(1);
            bytes.resize(2 * unit, 0);
            let whole = memory.allocate(&bytes).unwrap();
            memory.seal(whole);
            memory.free_behind(whole, unit);
            let head = Allocation { bytes: unit, ..whole };
            assert_eq!((run(&memory, head), memory.live_bytes()), (1, unit), "{kind:?}");
            if unit == PAGE {
                let behind = memory.range().start + (whole.offset + unit) as u64;
                assert!(permissions(behind).starts_with("---") || !checked, "{kind:?}");
            }
            memory.free(head);
            assert_eq!(memory.live_bytes(), 0, "{kind:?}");
        }
    }

    #[test]
    fn full_memory_refuses() {
        for kind in CodeMemory::ALL {
            let mut memory = memory(kind, PAGE, false);
            assert!(memory.allocate(&[0; PAGE]).is_some());
            assert!(memory.allocate(&[0]).is_none(), "{kind:?}");
        }
    }

    #[test]
    fn checked_memory_keeps_freed_pages_until_it_needs_them() {
        for kind in CodeMemory::ALL {
            let mut memory = memory(kind, 2 * PAGE, true);
            let first = install(&mut memory, 1).unwrap();
            memory.free(first);
            let address = memory.range().start + first.offset as u64;
            assert!(permissions(address).starts_with("---"), "{kind:?}");
            assert_ne!(install(&mut memory, 2).unwrap(), first, "quarantined");
            let again = install(&mut memory, 3).expect("quarantine ends where memory does");
            assert_eq!(run(&memory, again), 3);
        }
    }
}
