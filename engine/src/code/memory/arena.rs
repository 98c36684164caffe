//! The code arena: one range of addresses, mapped twice.
//!
//! ```text
//!   execute:  | v1 | v2 |    | v3 |        ...     read and execute
//!   write:    | v1 | v2 |    | v3 |        ...     read and write
//!                └── the same memory
//! ```
//!
//! Code is written through one mapping and executed through the other, so installing needs no system call, and code
//! of different ages shares pages. Checked arenas give every allocation pages of its own.
//!
//! The memory is shared, or there could not be two mappings of it. So that a forked child does not write what its
//! parent executes, the mappings stay behind in the parent. And a debugger cannot write to what is executed: it breaks there
//! with the processor's help (gdb's `hbreak`), or not at all.

use std::io;
use std::ops::Range;
use std::ptr;

use super::mapped_twice::map_twice;
use super::space::Space;
use super::{Allocation, GRANULE, PAGE};
use crate::memory::process::Process;
use crate::memory::reservation::Reservation;

/// Fresh pages are made present in steps of so many bytes, in both mappings: a page fault for each of them
/// would take longer than all the rest of an installation.
const STEP: usize = 64 << 10;
/// Free memory is returned to the system when this much was freed since the last time.
const TRIM_BYTES: usize = 4 << 20;

/// See the module.
#[derive(Debug)]
pub(crate) struct Arena {
    execute: *mut u8,
    write: *mut u8,
    bytes: usize,
    checked: bool,
    space: Space,
    /// Up to there pages were made present.
    present: usize,
    freed_since_trim: usize,
    process: Process,
}

// SAFETY: the mappings belong to the value.
unsafe impl Send for Arena {}

impl Arena {
    /// Code is executed in the place of `reserved`.
    pub(super) fn new(reserved: Reservation, checked: bool) -> io::Result<Arena> {
        let bytes = reserved.bytes();
        let (execute, write) = map_twice(reserved)?;
        let mut arena = Arena {
            execute,
            write,
            bytes,
            checked,
            space: Space::new(bytes, checked),
            present: 0,
            freed_since_trim: 0,
            process: Process::current(),
        };
        for mapping in [arena.execute, arena.write] {
            // SAFETY: the range is the mapping, none of whose bytes changes.
            if unsafe { libc::madvise(mapping.cast(), bytes, libc::MADV_DONTFORK) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        arena.make_present(0);
        Ok(arena)
    }

    pub(super) fn range(&self) -> Range<u64> {
        self.execute as u64..self.execute as u64 + self.bytes as u64
    }

    pub(super) fn live_bytes(&self) -> usize {
        self.space.live_bytes()
    }

    pub(super) fn peak_bytes(&self) -> usize {
        self.space.peak_bytes()
    }

    /// Allocations are multiples of it.
    pub(super) fn unit(&self) -> usize {
        if self.checked { PAGE } else { GRANULE }
    }

    pub(super) fn allocate(&mut self, code: &[u8]) -> Option<Allocation> {
        let allocation = self.space.allocate(code.len().max(1).next_multiple_of(self.unit()))?;
        if self.checked {
            // It may have been in quarantine.
            self.protect(allocation, libc::PROT_READ | libc::PROT_EXEC);
        }
        let end = allocation.offset + allocation.bytes;
        if end > self.present {
            self.make_present(end);
        }
        self.write(allocation, 0, code);
        Some(allocation)
    }

    /// Makes pages present up to the end of the step that `end` is in.
    #[cold]
    fn make_present(&mut self, end: usize) {
        let until = (end / STEP * STEP).saturating_add(STEP).min(self.bytes);
        let ahead = [(self.write, libc::MADV_POPULATE_WRITE), (self.execute, libc::MADV_POPULATE_READ)];
        for (mapping, advice) in ahead {
            // SAFETY: the range is within the mapping, and no byte of it changes. Where the system cannot do
            // it, pages come when they are touched.
            unsafe { libc::madvise(mapping.add(self.present).cast(), until - self.present, advice) };
        }
        self.present = until;
    }

    pub(super) fn write(&mut self, allocation: Allocation, offset: usize, bytes: &[u8]) {
        self.patch(allocation, std::iter::once((offset, bytes)));
    }

    pub(super) fn patch<B: AsRef<[u8]>>(
        &mut self,
        allocation: Allocation,
        patches: impl Iterator<Item = (usize, B)>,
    ) {
        self.process.assert_current();
        for (offset, bytes) in patches {
            let bytes = bytes.as_ref();
            // SAFETY: the range, which the caller has checked to be in bounds, does not execute meanwhile; the mappings
            // are in this process.
            unsafe {
                let at = self.write.add(allocation.offset + offset);
                ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len());
            }
        }
    }

    pub(super) fn free(&mut self, allocation: Allocation) {
        self.process.assert_current();
        if self.checked {
            self.protect(allocation, libc::PROT_NONE);
        }
        self.freed_since_trim += self.space.free(allocation);
        if self.freed_since_trim >= TRIM_BYTES {
            self.trim();
        }
    }

    /// Returns the whole pages of free ranges to the system.
    fn trim(&mut self) {
        self.freed_since_trim = 0;
        for Allocation { offset, bytes } in self.space.free_ranges() {
            let first = offset.next_multiple_of(PAGE);
            let last = (offset + bytes) / PAGE * PAGE;
            if last > first {
                // SAFETY: within the mapping; the pages hold no live code. Failing costs memory only.
                unsafe { libc::madvise(self.write.add(first).cast(), last - first, libc::MADV_REMOVE) };
            }
        }
    }

    fn protect(&self, allocation: Allocation, protection: i32) {
        // SAFETY: in bounds of the executable mapping, whole pages in a checked arena.
        let status = unsafe {
            libc::mprotect(self.execute.add(allocation.offset).cast(), allocation.bytes, protection)
        };
        assert_eq!(status, 0, "mprotect of code pages: {}", io::Error::last_os_error());
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // In a forked child other memory may be at these addresses.
        if !self.process.is_current() {
            return;
        }
        for mapping in [self.execute, self.write] {
            // SAFETY: both mappings are ours; who executes code holds the instance.
            unsafe { libc::munmap(mapping.cast(), self.bytes) };
        }
    }
}
