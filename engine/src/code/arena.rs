//! The code arena: one range of addresses that holds all compiled code.
//!
//! ```text
//!   execute:  | v1 | v2 |    | v3 |        ...     read and execute
//!   write:    | v1 | v2 |    | v3 |        ...     read and write
//!                └── the same memory, mapped twice
//! ```
//!
//! No page is ever writable and executable at once: code is written through one mapping and executed
//! through the other, so installing needs no system call, and versions of different ages share pages.
//!
//! Checked arenas give every version pages of its own, and keep released ones inaccessible for a
//! while (quarantine), so that a stray return faults at an address that is known.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr;

/// Code is allocated in multiples of this many bytes: a cache line.
pub(crate) const GRANULE: usize = 64;
const PAGE: usize = 4096;
/// Fresh pages are made present in steps of so many bytes, in both mappings: a page fault for each of them
/// would take longer than all the rest of an installation.
const STEP: usize = 64 << 10;
/// How many released versions a checked arena keeps inaccessible.
const QUARANTINE: usize = 64;
/// Free memory is given back to the system when this much was freed since the last time.
const TRIM_BYTES: usize = 4 << 20;

/// A range of the arena, in bytes from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allocation {
    /// The first byte.
    pub(crate) offset: usize,
    /// A multiple of the granule.
    pub(crate) bytes: usize,
}

/// Memory for code.
#[derive(Debug)]
pub(crate) struct Arena {
    file: File,
    execute: *mut u8,
    write: *mut u8,
    bytes: usize,
    checked: bool,
    /// Up to there pages were made present.
    present: usize,
    /// Free ranges: offset to length. Neighbours are merged.
    free: BTreeMap<usize, usize>,
    quarantine: VecDeque<Allocation>,
    live_bytes: usize,
    peak_bytes: usize,
    freed_since_trim: usize,
}

// SAFETY: the mappings belong to the value.
unsafe impl Send for Arena {}

impl Arena {
    /// Reserves an arena of `bytes`.
    pub(crate) fn new(bytes: usize, checked: bool) -> io::Result<Arena> {
        let bytes = bytes.next_multiple_of(PAGE);
        // SAFETY: a plain system call; the name is a C string.
        let descriptor = unsafe { libc::memfd_create(c"osr-code".as_ptr(), libc::MFD_CLOEXEC) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and ours.
        let file = unsafe { File::from_raw_fd(descriptor) };
        file.set_len(bytes as u64)?;
        let execute = map(&file, bytes, libc::PROT_READ | libc::PROT_EXEC)?;
        let write = map(&file, bytes, libc::PROT_READ | libc::PROT_WRITE)?;
        let mut arena = Arena {
            file,
            execute,
            write,
            bytes,
            checked,
            present: 0,
            free: BTreeMap::from([(0, bytes)]),
            quarantine: VecDeque::new(),
            live_bytes: 0,
            peak_bytes: 0,
            freed_since_trim: 0,
        };
        arena.make_present(0);
        Ok(arena)
    }

    /// The address at which the arena's code is executed.
    pub(crate) fn base(&self) -> u64 {
        self.execute as u64
    }

    /// Bytes of address space.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes allocated now.
    pub(crate) fn live_bytes(&self) -> usize {
        self.live_bytes
    }

    /// The most bytes that were allocated at once.
    pub(crate) fn peak_bytes(&self) -> usize {
        self.peak_bytes
    }

    /// Puts `code` into the arena; `None` if there is no room.
    pub(crate) fn install(&mut self, code: &[u8]) -> Option<Allocation> {
        let unit = if self.checked { PAGE } else { GRANULE };
        let bytes = code.len().max(1).next_multiple_of(unit);
        let offset = self.take(bytes).or_else(|| {
            // What is quarantined is free memory in the end.
            while self.leave_quarantine() {}
            self.take(bytes)
        })?;
        self.live_bytes += bytes;
        self.peak_bytes = self.peak_bytes.max(self.live_bytes);
        if offset + bytes > self.present {
            self.make_present(offset + bytes);
        }
        let allocation = Allocation { offset, bytes };
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

    /// Writes `bytes` at `offset` of an allocation. Nobody may execute it yet.
    pub(crate) fn write(&mut self, allocation: Allocation, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= allocation.bytes, "within the allocation");
        // SAFETY: nobody executes the range; it is in bounds of the writable mapping.
        unsafe {
            ptr::copy_nonoverlapping(bytes.as_ptr(), self.write.add(allocation.offset + offset), bytes.len());
        }
    }

    /// Gives memory back. Nothing may execute or return into it any more.
    pub(crate) fn release(&mut self, allocation: Allocation) {
        self.live_bytes -= allocation.bytes;
        if !self.checked {
            self.give(allocation);
            return;
        }
        self.protect(allocation, libc::PROT_NONE);
        self.quarantine.push_back(allocation);
        if self.quarantine.len() > QUARANTINE {
            self.leave_quarantine();
        }
    }

    /// Frees the oldest allocation in quarantine. False if there is none.
    fn leave_quarantine(&mut self) -> bool {
        let Some(allocation) = self.quarantine.pop_front() else { return false };
        self.protect(allocation, libc::PROT_READ | libc::PROT_EXEC);
        self.give(allocation);
        true
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

    fn give(&mut self, Allocation { mut offset, bytes: mut length }: Allocation) {
        self.freed_since_trim += length;
        if let Some(next) = self.free.remove(&(offset + length)) {
            length += next;
        }
        if let Some((&previous, &previous_length)) = self.free.range(..offset).next_back()
            && previous + previous_length == offset
        {
            offset = previous;
            length += previous_length;
        }
        self.free.insert(offset, length);
        if self.freed_since_trim >= TRIM_BYTES {
            self.trim();
        }
    }

    /// Gives the whole pages of free ranges back to the system.
    fn trim(&mut self) {
        self.freed_since_trim = 0;
        for (&offset, &length) in &self.free {
            let first = offset.next_multiple_of(PAGE);
            let last = (offset + length) / PAGE * PAGE;
            if last > first {
                let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
                // SAFETY: the descriptor is open; the pages hold no live code. Failing costs memory only.
                unsafe { libc::fallocate(self.file.as_raw_fd(), mode, first as i64, (last - first) as i64) };
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
        for mapping in [self.execute, self.write] {
            // SAFETY: both mappings are ours, and whoever executes code holds the instance.
            unsafe { libc::munmap(mapping.cast(), self.bytes) };
        }
    }
}

fn map(file: &File, bytes: usize, protection: i32) -> io::Result<*mut u8> {
    let flags = libc::MAP_SHARED | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at an address of the kernel's choice.
    let mapping = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, file.as_raw_fd(), 0) };
    if mapping == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(mapping.cast()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `mov eax, value; ret`
    fn code(value: u32) -> Vec<u8> {
        let mut bytes = vec![0xb8];
        bytes.extend(value.to_le_bytes());
        bytes.push(0xc3);
        bytes
    }

    fn run(arena: &Arena, allocation: Allocation) -> u32 {
        let address = arena.base() + allocation.offset as u64;
        // SAFETY: the code above takes nothing and returns a number.
        let function: extern "C" fn() -> u32 = unsafe { std::mem::transmute(address) };
        function()
    }

    #[test]
    fn installed_code_runs_and_released_memory_is_used_again() {
        let mut arena = Arena::new(1 << 20, false).unwrap();
        let first = arena.install(&code(1)).unwrap();
        let second = arena.install(&code(2)).unwrap();
        assert_eq!((run(&arena, first), run(&arena, second)), (1, 2));
        arena.release(first);
        let third = arena.install(&code(3)).unwrap();
        assert_eq!(third, first);
        assert_eq!((run(&arena, second), run(&arena, third)), (2, 3));
        assert_eq!(arena.live_bytes(), 2 * GRANULE);
    }

    #[test]
    fn neighbours_merge_whatever_the_order_of_release() {
        let mut arena = Arena::new(4 * PAGE, false).unwrap();
        let all: Vec<_> = (0..3).map(|_| arena.install(&[0xcc; PAGE]).unwrap()).collect();
        for index in [0, 2, 1] {
            arena.release(all[index]);
        }
        assert_eq!(arena.free, BTreeMap::from([(0, 4 * PAGE)]));
    }

    #[test]
    fn a_full_arena_refuses() {
        let mut arena = Arena::new(PAGE, false).unwrap();
        assert!(arena.install(&[0; PAGE]).is_some());
        assert!(arena.install(&[0]).is_none());
    }

    #[test]
    fn a_checked_arena_keeps_released_pages_until_it_needs_them() {
        let mut arena = Arena::new(2 * PAGE, true).unwrap();
        let first = arena.install(&code(1)).unwrap();
        arena.release(first);
        assert_ne!(arena.install(&code(2)).unwrap(), first, "quarantined");
        let again = arena.install(&code(3)).expect("quarantine ends where memory does");
        assert_eq!(run(&arena, again), 3);
    }
}
