//! Linear memory behind guard pages.
//!
//! The whole range that a 32-bit address plus a 32-bit offset can reach is reserved (8 GiB and a bit);
//! pages beyond the current size are inaccessible, so compiled code and the interpreter access memory
//! without a bounds check, and the fault becomes a trap. The base never moves.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use osr_ir::Memory;
use osr_ir::module::{MAXIMUM_PAGES, MAXIMUM_PAGES_64, PAGE_BYTES};
use osr_stubs::MemoryView;

use crate::memory::occupancy::Occupancy;
use crate::memory::reservation::Reservation;

/// Highest address plus highest offset plus the widest access.
const REACH: u64 = 2 * (1 << 32) + 16;

/// A linear memory.
///
/// Guest code accesses it without any synchronization, and is executed by one native thread at a time. Others can
/// read and write it while none executes: otherwise [`read`](Self::read), [`write`](Self::write) and
/// [`hash`](Self::hash) panic.
#[derive(Debug)]
pub struct LinearMemory {
    reservation: Reservation,
    pages: AtomicU64,
    declared_maximum: Option<u32>,
    is_64: bool,
    is_shared: bool,
    growing: Mutex<()>,
    occupancy: Arc<Occupancy>,
}

impl LinearMemory {
    /// A zeroed memory of `minimum` pages that may grow to `maximum`.
    ///
    /// # Errors
    /// If the system has no address space or no memory.
    pub fn new(minimum: u32, maximum: Option<u32>) -> io::Result<LinearMemory> {
        let memory = Memory { minimum, maximum, is_64: false, is_shared: false, import: None };
        LinearMemory::of_store(&memory, Arc::default())
    }

    /// A memory such as the module asks for, accessed by the native thread of a store.
    pub(crate) fn of_store(memory: &Memory, occupancy: Arc<Occupancy>) -> io::Result<LinearMemory> {
        let &Memory { minimum, maximum, is_64, is_shared, .. } = memory;
        let most = most_pages(is_64);
        if minimum > most {
            return Err(io::Error::other(format!(
                "{minimum} pages are more than the {most} that it may have here"
            )));
        }
        let reservation = Reservation::new(usize::try_from(REACH).expect("64-bit"))?;
        reservation.commit((u64::from(minimum) * PAGE_BYTES) as usize)?;
        Ok(LinearMemory {
            reservation,
            pages: AtomicU64::new(u64::from(minimum)),
            declared_maximum: maximum,
            is_64,
            is_shared,
            growing: Mutex::new(()),
            occupancy,
        })
    }

    /// The first byte.
    pub fn base(&self) -> *mut u8 {
        self.reservation.base()
    }

    /// Pages now.
    pub fn pages(&self) -> u32 {
        self.pages.load(Ordering::Relaxed) as u32
    }

    /// The memory as compiled code sees it.
    pub(crate) fn view(&self) -> MemoryView {
        MemoryView { base: self.base(), pages: &raw const self.pages }
    }

    /// The most pages it may have.
    pub fn maximum(&self) -> u32 {
        let most = most_pages(self.is_64);
        self.declared_maximum.map_or(most, |maximum| maximum.min(most))
    }

    /// Whether guest code says that threads share it.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Whether guest code addresses it by 64 bits.
    pub fn is_64(&self) -> bool {
        self.is_64
    }

    /// The most pages that it was declared to grow to.
    pub(crate) fn declared_maximum(&self) -> Option<u32> {
        self.declared_maximum
    }

    /// Bytes now.
    pub fn bytes(&self) -> u64 {
        u64::from(self.pages()) * PAGE_BYTES
    }

    /// Grows by `delta` pages. Returns the size before, or `None` if it cannot grow.
    pub fn grow(&self, delta: u32) -> Option<u32> {
        let _guard = self.growing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let old = self.pages();
        let new = old.checked_add(delta).filter(|&pages| pages <= self.maximum())?;
        self.reservation.commit((u64::from(new) * PAGE_BYTES) as usize).ok()?;
        self.pages.store(u64::from(new), Ordering::Release);
        Some(old)
    }

    /// Makes it so many `pages` again, if it has grown; what it grows by next is zero. No guest code may run meanwhile,
    /// nor be in the middle of a call: it relies on memory not becoming smaller.
    ///
    /// # Errors
    /// If the system refuses.
    pub(crate) fn shrink(&self, pages: u32) -> io::Result<()> {
        let _guard = self.growing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = self.bytes();
        let bytes = u64::from(pages) * PAGE_BYTES;
        if bytes < now {
            self.pages.store(u64::from(pages), Ordering::Release);
            self.reservation.decommit(bytes as usize..now as usize)?;
        }
        Ok(())
    }

    /// Hands `access` all of memory, on the native thread that executes, while no guest code runs.
    ///
    /// # Panics
    /// If another native thread executes instances of the store, or it is handed out.
    pub(crate) fn change<T>(&self, access: impl FnOnce(&mut [u8]) -> T) -> T {
        self.occupancy.exclusively(|| {
            // SAFETY: the accessible prefix, which nothing else accesses meanwhile.
            access(unsafe { std::slice::from_raw_parts_mut(self.base(), self.bytes() as usize) })
        })
    }

    /// Whether `address` is one that guest code can reach: a fault there is a trap.
    pub(crate) fn reaches(&self, address: u64) -> bool {
        address.wrapping_sub(self.base() as u64) < self.reservation.bytes() as u64
    }

    /// The pointer to `length` bytes at `address`, if they are all in bounds.
    pub fn range(&self, address: u64, length: u64) -> Option<*mut u8> {
        let end = address.checked_add(length)?;
        // SAFETY: in bounds of the reservation, because in bounds of its accessible prefix.
        (end <= self.bytes()).then(|| unsafe { self.base().add(address as usize) })
    }

    /// Copies `bytes` into memory at `address`; false if they do not fit.
    ///
    /// # Panics
    /// If another native thread executes instances of the store.
    pub fn write(&self, address: u64, bytes: &[u8]) -> bool {
        let Some(target) = self.range(address, bytes.len() as u64) else { return false };
        self.occupancy.exclusively(|| {
            // SAFETY: `range` vouches for the target, the slice for the source; guest memory overlaps no
            // Rust object, and no other native thread accesses it meanwhile.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
        });
        true
    }

    /// Copies `length` bytes at `address` out of memory; `None` if they are not all in bounds.
    ///
    /// # Panics
    /// If another native thread executes instances of the store.
    pub fn read(&self, address: u64, length: u64) -> Option<Vec<u8>> {
        let source = self.range(address, length)?;
        let copy = || {
            // SAFETY: in bounds, and no other native thread writes there meanwhile.
            unsafe { std::slice::from_raw_parts(source, length as usize) }.to_vec()
        };
        Some(self.occupancy.exclusively(copy))
    }

    /// Hands `access` all of memory.
    ///
    /// # Panics
    /// If it is handed out already.
    pub(crate) fn lend<T>(&self, access: impl FnOnce(&mut [u8]) -> T) -> T {
        self.occupancy.lend(|| {
            // SAFETY: the accessible prefix, which stays accessible. Until `access` returns nothing else refers to
            // it: it is handed out once, and the store's guest code, observers and accessors are refused.
            access(unsafe { std::slice::from_raw_parts_mut(self.base(), self.bytes() as usize) })
        })
    }

    /// Fills `bytes` from memory at `address`; false if they are not all in bounds.
    pub(crate) fn read_into(&self, address: u64, bytes: &mut [u8]) -> bool {
        let Some(source) = self.range(address, bytes.len() as u64) else { return false };
        // SAFETY: as in `write`, with the directions exchanged.
        unsafe { std::ptr::copy_nonoverlapping(source, bytes.as_mut_ptr(), bytes.len()) };
        true
    }

    /// Everything. No guest code may run while it is in use: the native thread executes that would run it, or the
    /// access is exclusive.
    pub(crate) fn contents(&self) -> &[u8] {
        // SAFETY: the accessible prefix, which no one writes meanwhile.
        unsafe { std::slice::from_raw_parts(self.base(), self.bytes() as usize) }
    }

    /// The lowest address at which this memory and `other` hold different bytes, as far as both reach. No
    /// guest code may run meanwhile.
    pub(crate) fn first_difference(&self, other: &LinearMemory) -> Option<u64> {
        const CHUNK: usize = 4096;
        let chunks = self.contents().chunks(CHUNK).zip(other.contents().chunks(CHUNK));
        let (number, (ours, theirs)) = chunks.enumerate().find(|(_, (ours, theirs))| ours != theirs)?;
        let byte = ours.iter().zip(theirs).position(|(our, their)| our != their)?;
        Some((number * CHUNK + byte) as u64)
    }

    /// Becomes a copy of `other`, which is not smaller. No guest code may run meanwhile.
    pub(crate) fn copy_from(&self, other: &LinearMemory) {
        self.grow(other.pages().saturating_sub(self.pages()));
        assert!(self.write(0, other.contents()), "memory grows as the other one did");
    }

    /// A hash of size and contents (64-bit FNV-1a over words), to compare runs by.
    ///
    /// # Panics
    /// If another native thread executes instances of the store.
    pub fn hash(&self) -> u64 {
        self.occupancy.exclusively(|| self.hash_of_contents())
    }

    fn hash_of_contents(&self) -> u64 {
        let (words, _) = self.contents().as_chunks::<8>();
        let words = words.iter().map(|word| u64::from_ne_bytes(*word));
        let seed = 0xcbf2_9ce4_8422_2325 ^ self.bytes();
        words.fold(seed, |hash, word| (hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23))
    }
}

/// The most pages of a memory.
fn most_pages(is_64: bool) -> u32 {
    if is_64 { MAXIMUM_PAGES_64 } else { MAXIMUM_PAGES }
}
