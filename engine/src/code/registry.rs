//! The registry: all code versions of an instance, and which of them an address belongs to.
//!
//! Looking up a PC takes two loads: code memory is divided into granules, a table says which version each
//! granule belongs to. Lookups take no lock, so that walks and the fault handler may make them.
//!
//! The registry keeps a handle of each version: in its slot until the code is released, and after that among
//! the *awaited* while ledger records name the version.

mod landings;
pub(crate) mod links;
mod points;
mod polls;

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use gimli::write::CommonInformationEntry;
use osr_compiler::{CompileError, CompiledBody, VersionKey};
use osr_ir::{FunctionIndex, Point};
use osr_stackwalk::{ReturnPc, UnwindSection};
use serde::Serialize;

use super::binding::Binding;
use super::call_cells::{CallCells, RESERVED_BYTES};
use super::guards::VersionGuard;
use super::landing_table::LandingTable;
use super::life::VersionState;
use super::memory::{Allocation, GRANULE, Memory};
use super::places::Places;
use super::polls::Polls;
use super::version::{CodePlace, CodeVersion, VersionId};
use super::x86_64::entry_stub;
use crate::memory::reservation::Reservation;
use crate::settings::Settings;
use crate::settings::mechanism::{ActiveFrames, Bookkeeping, Placement};
use links::Links;
use points::PointTarget;
use polls::PollsInCode;

/// All code versions of an instance.
#[derive(Debug)]
pub(crate) struct Registry {
    /// The common part of all versions' unwind rows.
    common_unwind: CommonInformationEntry,
    /// What calls enter.
    pub(crate) cells: CallCells,
    base: u64,
    bytes: u64,
    /// Per granule of code memory, the number of its version's slot plus one.
    granules: Reservation,
    /// Per slot, a handle of the version. There are as many slots as granules: each version has a granule.
    slots: Reservation,
    inner: Mutex<Inner>,
    polls: PollsInCode,
    bookkeeping: Bookkeeping,
    /// Where retired code leads, if it is overwritten.
    points: Option<PointTarget>,
    epoch: AtomicU64,
    install_ns: AtomicU64,
    release_ns: AtomicU64,
}

/// What changes as versions come and go.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) memory: Memory,
    pub(super) binding: Binding,
    /// Where versions are, if the next of a key is to be where the last was.
    places: Option<Places>,
    links: Links,
    /// Places that were written to bind calls.
    pub(super) patches: u64,
    free_slots: Vec<u32>,
    next_slot: u32,
    /// Released versions that ledger records name.
    awaited: HashMap<VersionId, Arc<CodeVersion>>,
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
    /// Versions whose memory was freed.
    pub versions_released: u64,
    /// Bytes of the code of those.
    pub released_bytes: u64,
    /// Bytes of code memory in use, alignment included.
    pub live_bytes: u64,
    /// The most bytes that were in use at once.
    pub peak_bytes: u64,
    /// Bytes of the frame maps that are in memory.
    pub frame_map_bytes: u64,
    /// Bytes of the unwind rows that are in memory.
    pub unwind_bytes: u64,
}

/// A site of a version: a call in its code, and what is known of the frame that waits for its return.
#[derive(Clone, Debug)]
pub(crate) struct SiteRef {
    /// The version.
    pub(crate) version: Arc<CodeVersion>,
    /// Which of its sites.
    pub(crate) site: u32,
}

impl SiteRef {
    /// Where the frame resumes.
    pub(crate) fn point(&self) -> Point {
        self.version.frame_maps.site(self.site).point
    }

    /// The function that it resumes in.
    pub(crate) fn function(&self) -> FunctionIndex {
        self.version.function_at(self.site)
    }
}

/// The time that code versions took besides their compilation. Sums over all versions, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct CodeTimes {
    /// From machine code and frame maps to a version that can be entered and found.
    pub install_ns: u64,
    /// From a version that nothing leads into to its memory freed.
    pub release_ns: u64,
}

impl Registry {
    /// An empty registry.
    pub(crate) fn new(settings: &Settings, common_unwind: &CommonInformationEntry) -> io::Result<Registry> {
        let reservation = Reservation::new(RESERVED_BYTES + settings.code_bytes)?;
        let [cells, code] = reservation.split(RESERVED_BYTES);
        let mut memory = Memory::new(settings.code_memory, code, settings.checked)?;
        let polls = PollsInCode::new(settings.mechanism.poll, &mut memory)?;
        let writes_points = settings.mechanism.frames == ActiveFrames::InvalidationPoint;
        let points = writes_points.then(|| PointTarget::new(&mut memory)).transpose()?;
        let range = memory.range();
        let bytes = range.end - range.start;
        let granules = bytes as usize / GRANULE;
        let table = |entry_bytes: usize| {
            let reservation = Reservation::new(granules * entry_bytes)?;
            reservation.commit(reservation.bytes())?;
            io::Result::Ok(reservation)
        };
        let registry = Registry {
            common_unwind: common_unwind.clone(),
            cells: CallCells::new(cells)?,
            base: range.start,
            bytes,
            granules: table(size_of::<AtomicU32>())?,
            slots: table(size_of::<AtomicPtr<CodeVersion>>())?,
            inner: Mutex::new(Inner {
                memory,
                binding: Binding::Fixed,
                places: (settings.mechanism.placement == Placement::SameAddress).then(Places::default),
                links: Links::default(),
                patches: 0,
                free_slots: Vec::new(),
                next_slot: 0,
                awaited: HashMap::new(),
                next_id: 0,
                compiled: 0,
                released: 0,
                released_bytes: 0,
                frame_map_bytes: 0,
                unwind_bytes: 0,
            }),
            polls,
            bookkeeping: settings.mechanism.bookkeeping,
            points,
            epoch: AtomicU64::new(0),
            install_ns: AtomicU64::new(0),
            release_ns: AtomicU64::new(0),
        };
        // So that their first pages are there when the first code is installed.
        registry.granule(0).store(0, Ordering::Relaxed);
        registry.slot(0).store(std::ptr::null_mut(), Ordering::Relaxed);
        Ok(registry)
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes [what enters the runtime](entry_stub) for functions, one
    /// such stub for each of `numbers`.
    pub(crate) fn install_stubs(&self, numbers: Range<u32>) -> io::Result<StubTable> {
        let first = numbers.start;
        let code = entry_stub::code(numbers);
        let allocation = self.inner().install(&code);
        let allocation = allocation.ok_or_else(|| io::Error::other("code memory is too small"))?;
        Ok(StubTable { first, base: self.base + allocation.offset as u64 })
    }

    /// Installs what was compiled, with `guards`, `padding` bytes after the begin of a granule. Before the version is
    /// entered, its calls are to be [bound](Self::bind).
    pub(crate) fn install(
        &self,
        key: VersionKey,
        mut body: CompiledBody,
        guards: Box<[VersionGuard]>,
        padding: usize,
    ) -> Result<Arc<CodeVersion>, CompileError> {
        let began = Instant::now();
        let inner = &mut *self.inner();
        body.direct_calls.sort_unstable_by_key(|call| (call.callee, call.offset));
        let padding = inner.places.as_ref().map_or(padding, |places| places.padding(key, padding));
        let code_bytes = body.code.len() as u32;
        let (prefix, landings) = self.surround(inner, key, padding, &mut body);
        let allocation = match &mut inner.places {
            None => inner.memory.allocate(&body.code).ok_or(CompileError::NoCodeMemory)?,
            Some(places) => places.put(&mut inner.memory, key, padding, &body.code)?,
        };
        let start = self.base + (allocation.offset + prefix) as u64;
        self.write_near_accesses(inner, &mut body, (allocation, prefix));
        let polls = self.write_polls(inner, &body, (allocation, prefix)).map(Box::new);
        let (id, slot) = inner.number();
        let place = CodePlace { start, code_bytes, allocation, slot, landings, polls };
        let version = CodeVersion::new(id, key, place, body, guards);
        inner.frame_map_bytes += version.frame_map_bytes();
        inner.unwind_bytes += version.unwind_bytes();
        self.slot(slot).store(Arc::into_raw(Arc::clone(&version)).cast_mut(), Ordering::Release);
        self.mark(allocation, slot + 1);
        inner.binding.add(&inner.memory, &version);
        self.count_change();
        add_time(&self.install_ns, began);
        Ok(version)
    }

    /// Puts what goes before and behind its code into `body`: `padding` and what calls lead to; a landing table. Returns the
    /// bytes before it.
    fn surround(
        &self,
        inner: &Inner,
        key: VersionKey,
        padding: usize,
        body: &mut CompiledBody,
    ) -> (usize, Option<LandingTable>) {
        let mut head = vec![entry_stub::TRAP_INSTRUCTION; padding];
        head.append(&mut inner.binding.head(key, inner.memory.unit()));
        let landings = LandingTable::new(self.bookkeeping, body.code.len(), body.kept_return_pc);
        let table = landings.map_or(Vec::new(), |table| table.code(body.frame_maps.len()));
        if !head.is_empty() || !table.is_empty() {
            body.code = [&*head, &*body.code, &*table].concat().into();
        }
        (head.len(), landings)
    }

    /// The polls of `body`, whose code begins after `prefix` bytes of its allocation. They are written to be idle if they are
    /// to be.
    fn write_polls(
        &self,
        inner: &mut Inner,
        body: &CompiledBody,
        (allocation, prefix): (Allocation, usize),
    ) -> Option<Polls> {
        let start = self.base + (allocation.offset + prefix) as u64;
        let polls = Polls::new(body.polls.as_ref()?, &body.code[prefix..], self.polls.distance(start));
        if !self.polls.compares() && polls.set_compare(false) {
            let idle = polls.bytes(false);
            idle.for_each(|(at, bytes)| inner.memory.write(allocation, prefix + at as usize, bytes));
        }
        Some(polls)
    }

    /// Has the near accesses of `body`, whose code begins after `prefix` bytes of its allocation, find their words.
    fn write_near_accesses(
        &self,
        inner: &mut Inner,
        body: &mut CompiledBody,
        (allocation, prefix): (Allocation, usize),
    ) {
        let start = self.base + (allocation.offset + prefix) as u64;
        for access in &body.near_accesses {
            let place = prefix + access.offset as usize;
            let distance = self.cells.address(access.word).wrapping_sub(start + u64::from(access.end)) as i64;
            let distance = i32::try_from(distance).expect("near words are near to all code").to_le_bytes();
            body.code[place..place + distance.len()].copy_from_slice(&distance);
            inner.memory.write(allocation, place, &distance);
        }
    }

    /// Takes `bytes` of code memory, which is never entered.
    pub(crate) fn fill(&self, bytes: usize) -> Result<(), CompileError> {
        if bytes > 0 {
            let filler = vec![entry_stub::TRAP_INSTRUCTION; bytes];
            self.inner().install(&filler).ok_or(CompileError::NoCodeMemory)?;
        }
        Ok(())
    }

    fn slot(&self, slot: u32) -> &AtomicPtr<CodeVersion> {
        // SAFETY: within the table. All zero is a valid null pointer.
        unsafe { &*self.slots.base().cast::<AtomicPtr<CodeVersion>>().add(slot as usize) }
    }

    fn mark(&self, allocation: Allocation, mark: u32) {
        for granule in 0..allocation.bytes / GRANULE {
            self.granule(allocation.offset / GRANULE + granule).store(mark, Ordering::Release);
        }
    }

    fn granule(&self, granule: usize) -> &AtomicU32 {
        // SAFETY: callers pass a granule of code memory.
        unsafe { &*self.granules.base().cast::<AtomicU32>().add(granule) }
    }

    /// Whether `pc` is in code memory.
    pub(crate) fn contains(&self, pc: u64) -> bool {
        pc.wrapping_sub(self.base) < self.bytes
    }

    /// The addresses of code memory.
    pub(crate) fn range(&self) -> Range<u64> {
        self.base..self.base + self.bytes
    }

    /// The version whose code the instruction at `pc` belongs to. For return PCs ask about `pc - 1`. To be asked
    /// on the native thread that executes the instance.
    #[inline]
    pub(crate) fn find(&self, pc: u64) -> Option<Arc<CodeVersion>> {
        let version = self.find_in_slots(pc)?;
        // SAFETY: marked granules belong to versions whose handles are in their slots. They leave the slots on
        // this native thread only: threads are bound to one, and an instance has one thread.
        Some(unsafe { copy_handle(version) })
    }

    /// The same version, for as long as it is executed.
    ///
    /// # Safety
    /// The version is not released while the reference is used.
    #[inline(always)]
    pub(crate) unsafe fn executing(&self, pc: u64) -> Option<&CodeVersion> {
        let version = self.find_in_slots(pc)?;
        // SAFETY: the registry has a handle until the version is released.
        Some(unsafe { &*version })
    }

    /// The same version, whose handle is in its slot until it is released.
    #[inline(always)]
    fn find_in_slots(&self, pc: u64) -> Option<*const CodeVersion> {
        let offset = pc.wrapping_sub(self.base);
        if offset >= self.bytes {
            return None;
        }
        let mark = self.granule(offset as usize / GRANULE).load(Ordering::Acquire);
        Some(self.slot(mark.checked_sub(1)?).load(Ordering::Acquire).cast_const())
    }

    /// The site that `pc` returns to. To be asked on the native thread that executes the instance.
    pub(crate) fn site_at(&self, pc: ReturnPc) -> Option<SiteRef> {
        let version = self.find(pc.lookup_address())?;
        let site = version.frame_maps.find(version.offset(pc.address()))? as u32;
        Some(SiteRef { version, site })
    }

    /// Frees the code of `version`, which nothing can enter or return into any more since `began`. Returns when that was
    /// done.
    pub(crate) fn release(&self, version: &CodeVersion, began: Instant) -> Instant {
        let pads = version.pads.as_ref().filter(|_| version.pending_sites.load(Ordering::Acquire) > 0);
        let kept = pads.map(|pads| (pads, pads.copy(&version.code().expect("it is in memory"))));
        version.life.release();
        let mut inner = self.inner();
        self.mark(version.allocation, 0);
        let handle = self.slot(version.slot).swap(std::ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: the slot had a handle, which was made by `Arc::into_raw`.
        let handle = unsafe { Arc::from_raw(handle.cast_const()) };
        inner.free_slots.push(version.slot);
        inner.free_code(version);
        if let Some((pads, (code, starts))) = kept {
            let allocation = inner.install(&code).expect("pads fit where they were with other code");
            pads.move_to(allocation, self.base + allocation.offset as u64, starts);
        }
        inner.released += 1;
        inner.released_bytes += u64::from(version.code_bytes);
        self.count_change();
        if version.pending_sites.load(Ordering::Acquire) > 0 {
            inner.awaited.insert(version.id, handle);
        } else {
            inner.forget(version);
        }
        drop(inner);
        add_time(&self.release_ns, began)
    }

    /// No frames are pending any more at a site of `version`, which counted at it. If it was the last such site of a
    /// version that is not current, returns a handle: if the code is released, the last one; otherwise the code may
    /// have waited for this.
    #[inline]
    #[must_use = "the version may live until the handle is dropped, or wait to be released"]
    pub(crate) fn site_is_empty(&self, version: &CodeVersion) -> Option<Arc<CodeVersion>> {
        let sites = version.pending_sites.fetch_sub(1, Ordering::AcqRel) - 1;
        if sites == 0 && version.state() != VersionState::Current { self.emptied(version) } else { None }
    }

    #[cold]
    fn emptied(&self, version: &CodeVersion) -> Option<Arc<CodeVersion>> {
        if version.state() != VersionState::Released {
            return Some(version.handle());
        }
        let mut inner = self.inner();
        inner.forget(version);
        inner.awaited.remove(&version.id)
    }

    /// All versions whose code is in memory.
    pub(crate) fn live(&self) -> Vec<Arc<CodeVersion>> {
        let mut live = Vec::new();
        self.list_live(&mut live, |_| true);
        live
    }

    /// Adds to `list` those of them that `choose` picks.
    pub(crate) fn list_live(&self, list: &mut Vec<Arc<CodeVersion>>, choose: impl Fn(&CodeVersion) -> bool) {
        let inner = self.inner();
        for slot in 0..inner.next_slot {
            let version = self.slot(slot).load(Ordering::Acquire).cast_const();
            // SAFETY: handles leave their slots while the lock is held, which it is.
            if unsafe { version.as_ref() }.is_some_and(&choose) {
                // SAFETY: as before.
                list.push(unsafe { copy_handle(version) });
            }
        }
    }

    /// Code comes or goes.
    fn count_change(&self) {
        self.epoch.fetch_add(1, Ordering::Relaxed);
    }

    /// Changes whenever code comes or goes.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// The unwind rows of all code in memory, as an `.eh_frame` section.
    pub(crate) fn unwind_section(&self) -> Result<Vec<u8>, osr_stackwalk::Error> {
        let mut section = UnwindSection::new();
        for version in self.live() {
            section.add(&self.common_unwind, version.unwind_rows_at(version.start));
        }
        self.inner().links.unwind_rows().for_each(|rows| section.add(&self.common_unwind, rows));
        section.to_bytes()
    }

    /// The unwind rows of `version`, whose code begins at `start`, as an `.eh_frame` section.
    pub(crate) fn unwind_section_of(
        &self,
        version: &CodeVersion,
        start: u64,
    ) -> Result<Vec<u8>, osr_stackwalk::Error> {
        let mut section = UnwindSection::new();
        section.add(&self.common_unwind, version.unwind_rows_at(start));
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
            live_bytes: inner.memory.live_bytes() as u64,
            peak_bytes: inner.memory.peak_bytes() as u64,
            frame_map_bytes: inner.frame_map_bytes,
            unwind_bytes: inner.unwind_bytes,
        }
    }
}

/// Adds the time since `began` to `sum`. Returns what time it is.
fn add_time(sum: &AtomicU64, began: Instant) -> Instant {
    let now = Instant::now();
    sum.fetch_add(now.duration_since(began).as_nanos() as u64, Ordering::Relaxed);
    now
}

impl Inner {
    /// The number of a version that is installed, and a slot for it.
    fn number(&mut self) -> (VersionId, u32) {
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.next_slot += 1;
            self.next_slot - 1
        });
        self.next_id += 1;
        self.compiled += 1;
        (VersionId(self.next_id), slot)
    }

    /// Puts `code` somewhere, ready to be executed; `None` if there is no room.
    fn install(&mut self, code: &[u8]) -> Option<Allocation> {
        let allocation = self.memory.allocate(code)?;
        self.memory.seal(allocation);
        Some(allocation)
    }

    /// The code of `version` goes.
    fn free_code(&mut self, version: &CodeVersion) {
        self.binding.unbind(&mut self.memory, version);
        match &mut self.places {
            Some(places) => places.vacate(&mut self.memory, version),
            None => self.binding.free(&mut self.memory, version),
        }
    }

    /// Nothing but handles refers to `version` any more, whose code is released.
    fn forget(&mut self, version: &CodeVersion) {
        self.frame_map_bytes -= version.frame_map_bytes();
        self.unwind_bytes -= version.unwind_bytes();
        if let Some(allocation) = version.pads.as_ref().and_then(|pads| pads.allocation()) {
            self.memory.free(allocation);
        }
    }
}

/// Another handle of the same version.
///
/// # Safety
/// `version` was made by [`Arc::into_raw`], and the handle that it was made of is not dropped yet.
unsafe fn copy_handle(version: *const CodeVersion) -> Arc<CodeVersion> {
    // SAFETY: the caller says that it is a handle.
    unsafe {
        Arc::increment_strong_count(version);
        Arc::from_raw(version)
    }
}

impl Drop for Registry {
    /// The code is about to go. Handles stay, and say so.
    fn drop(&mut self) {
        for slot in 0..self.inner().next_slot {
            let version = self.slot(slot).load(Ordering::Acquire);
            if !version.is_null() {
                // SAFETY: the handle that is in the slot, which nobody looks at again.
                unsafe { Arc::from_raw(version.cast_const()) }.life.end();
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
        (self.base + u64::from(number - self.first) * entry_stub::BYTES as u64) as *mut u8
    }
}
