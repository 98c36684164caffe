//! The registry: all code versions of an instance, and which of them an address belongs to.
//!
//! Looking up a PC takes two loads: the arena is divided into granules, a table says which version each
//! granule belongs to. Lookups take no lock, so that walks and the fault handler may make them.

use std::io;
use std::mem::offset_of;
use std::ops::Range;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use gimli::write::{Address, CommonInformationEntry};
use osr_compiler::{CompileError, CompiledBody, VersionKey};
use osr_stackwalk::{CfiRows, CompactRows, UnwindSection};
use osr_stubs::Context;
use serde::Serialize;

use super::arena::{Allocation, Arena, GRANULE};
use super::pads::Pads;
use super::version::{CodeVersion, State, VersionId};
use crate::memory::reservation::Reservation;
use crate::settings::Settings;

/// Bytes of a stub.
const STUB_BYTES: usize = 16;

/// `int3`: what stands where nobody is to arrive.
const TRAP_INSTRUCTION: u8 = 0xcc;

/// All code versions of an instance.
#[derive(Debug)]
pub(crate) struct Registry {
    /// The common part of all versions' unwind rows.
    common_unwind: CommonInformationEntry,
    base: u64,
    bytes: u64,
    /// Per granule of the arena, the number of its version's slot plus one.
    granules: Reservation,
    /// Per slot, the version.
    slots: Reservation,
    inner: Mutex<Inner>,
    epoch: AtomicU64,
    install_ns: AtomicU64,
    release_ns: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    arena: Arena,
    free_slots: Vec<u32>,
    next_slot: u32,
    next_id: u64,
    compiled: u64,
    released: u64,
    released_bytes: u64,
    frame_map_bytes: u64,
    unwind_bytes: u64,
}

/// How much code there is and was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CodeStatistics {
    /// Versions compiled so far.
    pub versions_compiled: u64,
    /// Versions whose memory was given back.
    pub versions_released: u64,
    /// Bytes of the code of those.
    pub released_bytes: u64,
    /// Bytes of the arena in use, alignment included.
    pub live_bytes: u64,
    /// The most bytes that were in use at once.
    pub peak_bytes: u64,
    /// Bytes of the frame maps that are in memory.
    pub frame_map_bytes: u64,
    /// Bytes of the unwind rows that are in memory.
    pub unwind_bytes: u64,
}

/// The time that code versions took besides their compilation. Sums over all versions, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct CodeTimes {
    /// From machine code and frame maps to a version that can be entered and found.
    pub install_ns: u64,
    /// From a version that nothing leads into to its memory given back.
    pub release_ns: u64,
}

impl Registry {
    /// An empty registry.
    pub(crate) fn new(settings: &Settings, common_unwind: &CommonInformationEntry) -> io::Result<Registry> {
        let arena = Arena::new(settings.code_bytes, settings.checked)?;
        let granules = arena.bytes() / GRANULE;
        let table = |entry_bytes: usize| {
            let reservation = Reservation::new(granules * entry_bytes)?;
            reservation.commit(reservation.bytes())?;
            io::Result::Ok(reservation)
        };
        let registry = Registry {
            common_unwind: common_unwind.clone(),
            base: arena.base(),
            bytes: arena.bytes() as u64,
            granules: table(size_of::<AtomicU32>())?,
            slots: table(size_of::<AtomicPtr<CodeVersion>>())?,
            inner: Mutex::new(Inner {
                arena,
                free_slots: Vec::new(),
                next_slot: 0,
                next_id: 0,
                compiled: 0,
                released: 0,
                released_bytes: 0,
                frame_map_bytes: 0,
                unwind_bytes: 0,
            }),
            epoch: AtomicU64::new(0),
            install_ns: AtomicU64::new(0),
            release_ns: AtomicU64::new(0),
        };
        // So that their first pages are there when the first code is installed.
        registry.granule(0).store(0, Ordering::Relaxed);
        registry.slot(0).store(std::ptr::null_mut(), Ordering::Relaxed);
        Ok(registry)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what enters the runtime for functions: `mov eax, number; jmp [rdi + interpreter_stub]`, one
    /// such stub for each of `numbers`.
    pub(crate) fn install_stubs(&self, numbers: Range<u32>) -> io::Result<StubTable> {
        let first = numbers.start;
        let mut code = Vec::with_capacity(numbers.len() * STUB_BYTES);
        for number in numbers {
            code.push(0xb8);
            code.extend(number.to_le_bytes());
            code.extend([0xff, 0xa7]);
            code.extend((offset_of!(Context, interpreter_stub) as u32).to_le_bytes());
            code.resize(code.len().next_multiple_of(STUB_BYTES), 0xcc);
        }
        let allocation = self.inner().arena.install(&code);
        let allocation = allocation.ok_or_else(|| io::Error::other("the code arena is too small"))?;
        Ok(StubTable { first, base: self.base + allocation.offset as u64 })
    }

    /// Installs what was compiled, `padding` bytes after the begin of a granule.
    pub(crate) fn install(
        &self,
        VersionKey { function, tier, entry }: VersionKey,
        mut body: CompiledBody,
        padding: usize,
    ) -> Result<&CodeVersion, CompileError> {
        let rows = CfiRows::new(&self.common_unwind, body.unwind.to_fde(Address::Constant(0)))
            .map_err(|error| CompileError::Cranelift(error.to_string()))?;
        let unwind = CompactRows::of(&rows)
            .ok_or_else(|| CompileError::Cranelift("its prologue is not an ordinary one".into()))?;
        let began = Instant::now();
        let mut inner = self.inner();
        if padding > 0 {
            body.code = [&*vec![TRAP_INSTRUCTION; padding], &*body.code].concat().into();
        }
        let allocation = inner.arena.install(&body.code).ok_or(CompileError::NoCodeMemory)?;
        let slot = inner.free_slots.pop().unwrap_or_else(|| {
            inner.next_slot += 1;
            inner.next_slot - 1
        });
        inner.next_id += 1;
        inner.compiled += 1;
        let version = Box::new(CodeVersion {
            id: VersionId(inner.next_id),
            function,
            tier,
            entry,
            start: self.base + (allocation.offset + padding) as u64,
            code_bytes: (body.code.len() - padding) as u32,
            frame_maps: body.frame_maps,
            trap_sites: body.trap_sites,
            recording: body.recording,
            pads: body.pads.map(|sites| Box::new(Pads::new(*sites))),
            slot_maps: body.slot_maps,
            unwind,
            allocation,
            slot,
            state: AtomicU8::new(State::Current as u8),
            waits: AtomicU64::new(0),
        });
        inner.frame_map_bytes += version.frame_map_bytes();
        inner.unwind_bytes += version.unwind_bytes();
        let version = Box::into_raw(version);
        self.slot(slot).store(version, Ordering::Release);
        self.mark(allocation, slot + 1);
        self.epoch.fetch_add(1, Ordering::Relaxed);
        add_time(&self.install_ns, began);
        // SAFETY: just made; it lives until it is released and no record names it.
        Ok(unsafe { &*version })
    }

    /// Takes `bytes` of the arena, which nobody is to enter.
    pub(crate) fn fill(&self, bytes: usize) -> Result<(), CompileError> {
        if bytes > 0 {
            let filler = vec![TRAP_INSTRUCTION; bytes];
            self.inner().arena.install(&filler).ok_or(CompileError::NoCodeMemory)?;
        }
        Ok(())
    }

    /// Writes `bytes` into the code of `version`, which nobody executes yet.
    pub(crate) fn patch(&self, version: &CodeVersion, offset: u32, bytes: &[u8]) {
        let start = (version.start - self.base) as usize - version.allocation.offset;
        self.inner().arena.write(version.allocation, start + offset as usize, bytes);
    }

    fn slot(&self, slot: u32) -> &AtomicPtr<CodeVersion> {
        // SAFETY: there are as many slots as granules, and each version has a granule. All zero is a
        // valid null pointer.
        unsafe { &*self.slots.base().cast::<AtomicPtr<CodeVersion>>().add(slot as usize) }
    }

    fn mark(&self, allocation: Allocation, mark: u32) {
        for granule in 0..allocation.bytes / GRANULE {
            self.granule(allocation.offset / GRANULE + granule).store(mark, Ordering::Release);
        }
    }

    fn granule(&self, granule: usize) -> &AtomicU32 {
        // SAFETY: callers pass a granule of the arena.
        unsafe { &*self.granules.base().cast::<AtomicU32>().add(granule) }
    }

    /// Whether `pc` is in the arena.
    pub(crate) fn contains(&self, pc: u64) -> bool {
        pc.wrapping_sub(self.base) < self.bytes
    }

    /// The addresses of the arena.
    pub(crate) fn range(&self) -> Range<u64> {
        self.base..self.base + self.bytes
    }

    /// The version whose code the instruction at `pc` belongs to. For return PCs ask about `pc - 1`.
    #[inline]
    pub(crate) fn find(&self, pc: u64) -> Option<&CodeVersion> {
        let offset = pc.wrapping_sub(self.base);
        if offset >= self.bytes {
            return None;
        }
        let mark = self.granule(offset as usize / GRANULE).load(Ordering::Acquire);
        let version = self.slot(mark.checked_sub(1)?).load(Ordering::Acquire);
        // SAFETY: marked granules belong to versions that are not released.
        Some(unsafe { &*version })
    }

    /// Gives back the code of `version`, which nothing can enter or return into any more.
    pub(crate) fn release(&self, version: &CodeVersion) {
        assert_eq!(version.state(), State::Retired, "{} is released once, after it is retired", version.id);
        let began = Instant::now();
        let mut inner = self.inner();
        self.mark(version.allocation, 0);
        let pads = version.pads.as_ref().filter(|_| version.waits.load(Ordering::Acquire) > 0);
        let kept = pads.map(|pads| (pads, pads.copy(&version.code().expect("it is not released yet"))));
        inner.arena.release(version.allocation);
        if let Some((pads, (code, starts))) = kept {
            let allocation = inner.arena.install(&code).expect("pads fit where they were with other code");
            pads.move_to(allocation, self.base + allocation.offset as u64, starts);
        }
        inner.released += 1;
        inner.released_bytes += u64::from(version.code_bytes);
        version.state.store(State::Released as u8, Ordering::Release);
        self.epoch.fetch_add(1, Ordering::Relaxed);
        let unnamed = version.waits.load(Ordering::Acquire) == 0;
        drop(inner);
        if unnamed {
            self.forget(version);
        }
        add_time(&self.release_ns, began);
    }

    /// Takes away one wait in a ledger for `version`; forgets the version if that was what kept it.
    #[inline]
    pub(crate) fn drop_wait(&self, version: &CodeVersion) {
        if version.waits.fetch_sub(1, Ordering::AcqRel) == 1 && version.state() == State::Released {
            self.forget(version);
        }
    }

    /// Drops what outlived the code of a released version.
    #[cold]
    fn forget(&self, version: &CodeVersion) {
        let mut inner = self.inner();
        inner.frame_map_bytes -= version.frame_map_bytes();
        inner.unwind_bytes -= version.unwind_bytes();
        if let Some(allocation) = version.pads.as_ref().and_then(|pads| pads.allocation()) {
            inner.arena.release(allocation);
        }
        inner.free_slots.push(version.slot);
        let version = self.slot(version.slot).swap(std::ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: made by `Box::into_raw`; released, and no record names it: this was the last pointer.
        drop(unsafe { Box::from_raw(version) });
    }

    /// All versions whose code is in memory.
    pub(crate) fn live(&self) -> Vec<&CodeVersion> {
        let slots = self.inner().next_slot;
        let versions = (0..slots).map(|slot| self.slot(slot).load(Ordering::Acquire));
        // SAFETY: occupied slots hold versions that are not forgotten.
        let versions = versions.filter(|version| !version.is_null()).map(|version| unsafe { &*version });
        versions.filter(|version| version.state() != State::Released).collect()
    }

    /// Changes whenever code comes or goes.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// The unwind rows of all code in memory, as an `.eh_frame` section.
    pub(crate) fn unwind_section(&self) -> Result<Vec<u8>, osr_stackwalk::Error> {
        let mut section = UnwindSection::new();
        for version in self.live() {
            section.add(&self.common_unwind, version.unwind_rows());
        }
        section.to_bytes()
    }

    /// What installing and releasing took so far.
    pub(crate) fn times(&self) -> CodeTimes {
        let read = |sum: &AtomicU64| sum.load(Ordering::Relaxed);
        CodeTimes { install_ns: read(&self.install_ns), release_ns: read(&self.release_ns) }
    }

    /// How much code there is and was.
    pub(crate) fn statistics(&self) -> CodeStatistics {
        let inner = self.inner();
        CodeStatistics {
            versions_compiled: inner.compiled,
            versions_released: inner.released,
            released_bytes: inner.released_bytes,
            live_bytes: inner.arena.live_bytes() as u64,
            peak_bytes: inner.arena.peak_bytes() as u64,
            frame_map_bytes: inner.frame_map_bytes,
            unwind_bytes: inner.unwind_bytes,
        }
    }
}

/// Adds the time since `began` to `sum`.
fn add_time(sum: &AtomicU64, began: Instant) {
    sum.fetch_add(began.elapsed().as_nanos() as u64, Ordering::Relaxed);
}

impl Drop for Registry {
    fn drop(&mut self) {
        for slot in 0..self.inner().next_slot {
            let version = self.slot(slot).load(Ordering::Acquire);
            if !version.is_null() {
                // SAFETY: as in `forget`; the instance is gone, so no thread and no record is left.
                drop(unsafe { Box::from_raw(version) });
            }
        }
    }
}

/// Stubs that enter the runtime: what a cell holds while its function is not compiled, or if another
/// instance defines it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StubTable {
    first: u32,
    base: u64,
}

impl StubTable {
    /// The stub of the function with that number.
    pub(crate) fn stub(&self, number: u32) -> *mut u8 {
        (self.base + u64::from(number - self.first) * STUB_BYTES as u64) as *mut u8
    }
}
