//! Reserved address space, of which a prefix is accessible.

use std::io;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::ptr;

/// A range of reserved addresses; nothing is accessible until it is committed. Zeroed when first
/// touched, freed on drop.
#[derive(Debug)]
pub(crate) struct Reservation {
    base: *mut u8,
    bytes: usize,
}

// SAFETY: the mapping belongs to the value; it has no affinity to a thread.
unsafe impl Send for Reservation {}
// SAFETY: shared access hands out addresses only.
unsafe impl Sync for Reservation {}

impl Reservation {
    /// Reserves `bytes` (rounded up to whole pages).
    pub(crate) fn new(bytes: usize) -> io::Result<Reservation> {
        let bytes = bytes.next_multiple_of(4096).max(4096);
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches nothing of ours.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Reservation { base: base.cast(), bytes })
    }

    /// This one in two, the first of `bytes`, whole pages.
    pub(crate) fn split(self, bytes: usize) -> [Reservation; 2] {
        assert!(bytes.is_multiple_of(4096) && bytes < self.bytes, "both have whole pages");
        let (base, all) = self.leak();
        let behind = base.wrapping_add(bytes);
        [Reservation { base, bytes }, Reservation { base: behind, bytes: all - bytes }]
    }

    /// The first address and the size in bytes of what is not freed here any more.
    pub(crate) fn leak(self) -> (*mut u8, usize) {
        let this = ManuallyDrop::new(self);
        (this.base, this.bytes)
    }

    /// Makes the first `bytes` readable and writable.
    pub(crate) fn commit(&self, bytes: usize) -> io::Result<()> {
        assert!(bytes <= self.bytes, "commit beyond the reservation");
        if bytes == 0 {
            return Ok(());
        }
        // SAFETY: the range lies within our own mapping.
        let status = unsafe { libc::mprotect(self.base.cast(), bytes, libc::PROT_READ | libc::PROT_WRITE) };
        if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Makes `range`, whole pages at the end of what is committed, inaccessible again; it is zero when it is committed the next
    /// time.
    pub(crate) fn decommit(&self, range: Range<usize>) -> io::Result<()> {
        assert!(range.end <= self.bytes, "decommit beyond the reservation");
        // SAFETY: the range lies within our own mapping, and nothing of Rust's is there.
        let status = unsafe {
            libc::mmap(
                self.base.wrapping_add(range.start).cast(),
                range.len(),
                libc::PROT_NONE,
                libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if status == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// The first address.
    pub(crate) fn base(&self) -> *mut u8 {
        self.base
    }

    /// The size in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes up to the end of the last word that is not zero. What was never touched is not looked at,
    /// but for the rest this takes time. Nothing may write meanwhile.
    pub(crate) fn used_bytes(&self) -> usize {
        const PAGE: usize = 4096;
        let mut resident = vec![0_u8; self.bytes.div_ceil(PAGE)];
        // SAFETY: the mapping is ours and begins at a page; there is a byte for each page.
        let status = unsafe { libc::mincore(self.base.cast(), self.bytes, resident.as_mut_ptr()) };
        assert_eq!(status, 0, "the range is mapped");
        let touched = resident.iter().rposition(|flags| flags & 1 != 0).map_or(0, |page| (page + 1) * PAGE);
        let word = |index: &usize| {
            // SAFETY: up to the last page that was touched everything is committed.
            unsafe { self.base.cast::<u64>().add(*index).read_volatile() }
        };
        (0..touched / 8).rev().find(|index| word(index) != 0).map_or(0, |index| (index + 1) * 8)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and every user borrowed this value.
        unsafe { libc::munmap(self.base.cast(), self.bytes) };
    }
}
