//! One `JITModule` of cranelift-jit for each allocation: the module is made for it, and freed with it.
//!
//! A single function of a `JITModule` cannot be freed, and its pages become executable all at once; a module for each
//! version is how cranelift-jit can be used where code comes and goes. Each has whole pages, which change their
//! protection twice. Modules get their pages from one range of addresses that is reserved here, so that a PC is
//! looked up as in the arena.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cranelift_codegen::ir::Signature;
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa};
use cranelift_codegen::settings;
use cranelift_jit::{BranchProtection, JITBuilder, JITMemoryKind, JITMemoryProvider, JITModule};
use cranelift_module::{Module, ModuleError, ModuleResult, default_libcall_names};

use super::space::Space;
use super::{Allocation, PAGE};
use crate::memory::reservation::Reservation;

/// Constants in the code need as much.
const ALIGNMENT: u64 = 16;

/// The pages that a module has, if it has some.
type Part = Mutex<Option<Allocation>>;

/// See the module.
pub(crate) struct JitModules {
    isa: OwnedTargetIsa,
    pages: Arc<Pages>,
    /// By the offset of their allocation, with what they have left of it.
    modules: HashMap<usize, (JITModule, Arc<Part>)>,
}

impl JitModules {
    pub(super) fn new(reserved: Reservation, checked: bool) -> JitModules {
        let flags = settings::Flags::new(settings::builder());
        let isa = cranelift_native::builder().expect("x86-64 is supported").finish(flags);
        let isa = isa.expect("the default settings agree");
        JitModules { isa, pages: Arc::new(Pages::new(reserved, checked)), modules: HashMap::new() }
    }

    pub(super) fn range(&self) -> Range<u64> {
        self.pages.range()
    }

    pub(super) fn live_bytes(&self) -> usize {
        self.pages.space().live_bytes()
    }

    pub(super) fn peak_bytes(&self) -> usize {
        self.pages.space().peak_bytes()
    }

    pub(super) fn allocate(&mut self, code: &[u8]) -> Option<Allocation> {
        let pages = ModulePages { pages: Arc::clone(&self.pages), allocation: Arc::default() };
        let allocation = Arc::clone(&pages.allocation);
        let mut builder = JITBuilder::with_isa(Arc::clone(&self.isa), default_libcall_names());
        builder.memory_provider(Box::new(pages));
        let mut module = JITModule::new(builder);
        // The module sees bytes, not a function: nothing calls it by this signature.
        let signature = Signature::new(CallConv::SystemV);
        let function = module.declare_anonymous_function(&signature).expect("the first of its module");
        // Memory runs out, or the system refuses to protect it, which is the same to the caller.
        module.define_function_bytes(function, ALIGNMENT, code, &[]).ok()?;
        let defined = lock(&allocation).expect("defining it allocates");
        self.modules.insert(defined.offset, (module, allocation));
        Some(defined)
    }

    pub(super) fn write(&mut self, allocation: Allocation, offset: usize, bytes: &[u8]) {
        let start = self.pages.reservation.base().wrapping_add(allocation.offset + offset);
        // SAFETY: in bounds, as the caller has checked; until it is sealed, and while it is patched, the memory is
        // writable, and nobody executes it.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len()) };
    }

    pub(super) fn seal(&mut self, allocation: Allocation) {
        let (module, _) = self.modules.get_mut(&allocation.offset).expect("an allocation has a module");
        module.finalize_definitions().expect("pages of ours can be protected");
    }

    pub(super) fn patch<B: AsRef<[u8]>>(
        &mut self,
        allocation: Allocation,
        patches: impl Iterator<Item = (usize, B)>,
    ) {
        let pages = Arc::clone(&self.pages);
        let protect = |protection| {
            pages.protect(allocation, protection).expect("pages of ours can be protected");
        };
        protect(libc::PROT_READ | libc::PROT_WRITE);
        for (offset, bytes) in patches {
            self.write(allocation, offset, bytes.as_ref());
        }
        protect(libc::PROT_READ | libc::PROT_EXEC);
    }

    pub(super) fn unseal(&self, allocation: Allocation) {
        let protected = self.pages.protect(allocation, libc::PROT_READ | libc::PROT_WRITE);
        protected.expect("pages of ours can be protected");
    }

    pub(super) fn free_behind(&mut self, allocation: Allocation, kept: usize) {
        let (_, left) = self.modules.get(&allocation.offset).expect("an allocation has a module");
        *lock(left) = Some(Allocation { bytes: kept, ..allocation });
        let Allocation { offset, bytes } = allocation;
        self.pages.discard(Allocation { offset: offset + kept, bytes: bytes - kept });
    }

    pub(super) fn free(&mut self, allocation: Allocation) {
        let (module, _) = self.modules.remove(&allocation.offset).expect("an allocation has a module");
        // SAFETY: the caller says that nothing executes the code.
        unsafe { module.free_memory() };
    }
}

impl fmt::Debug for JitModules {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("JitModules").field("pages", &self.pages).finish_non_exhaustive()
    }
}

/// The pages that all modules are in.
#[derive(Debug)]
struct Pages {
    reservation: Reservation,
    space: Mutex<Space>,
}

impl Pages {
    fn new(reservation: Reservation, checked: bool) -> Pages {
        let space = Mutex::new(Space::new(reservation.bytes(), checked));
        Pages { reservation, space }
    }

    fn range(&self) -> Range<u64> {
        let start = self.reservation.base() as u64;
        start..start + self.reservation.bytes() as u64
    }

    fn space(&self) -> MutexGuard<'_, Space> {
        lock(&self.space)
    }

    fn protect(&self, allocation: Allocation, protection: i32) -> io::Result<()> {
        let start = self.reservation.base().wrapping_add(allocation.offset);
        // SAFETY: whole pages of the reservation, which one module has.
        let status = unsafe { libc::mprotect(start.cast(), allocation.bytes, protection) };
        if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Makes pages inaccessible, and gives their memory back to the system.
    fn discard(&self, allocation: Allocation) {
        let start = self.reservation.base().wrapping_add(allocation.offset);
        self.protect(allocation, libc::PROT_NONE).expect("pages of ours can be protected");
        // SAFETY: whole pages of the reservation, which nothing uses.
        unsafe { libc::madvise(start.cast(), allocation.bytes, libc::MADV_DONTNEED) };
        self.space().free(allocation);
    }
}

/// The pages of one module, which has one function.
#[derive(Debug)]
struct ModulePages {
    pages: Arc<Pages>,
    allocation: Arc<Part>,
}

impl JITMemoryProvider for ModulePages {
    fn allocate(&mut self, size: usize, align: u64, _kind: JITMemoryKind) -> io::Result<*mut u8> {
        assert!(align <= PAGE as u64, "code needs no larger alignment");
        let bytes = size.max(1).next_multiple_of(PAGE);
        let allocation = self.pages.space().allocate(bytes).ok_or(io::ErrorKind::OutOfMemory)?;
        let before = lock(&self.allocation).replace(allocation);
        assert_eq!(before, None, "a module has one function");
        self.pages.protect(allocation, libc::PROT_READ | libc::PROT_WRITE)?;
        Ok(self.pages.reservation.base().wrapping_add(allocation.offset))
    }

    unsafe fn free_memory(&mut self) {
        if let Some(allocation) = lock(&self.allocation).take() {
            self.pages.discard(allocation);
        }
    }

    fn finalize(&mut self, _branch_protection: BranchProtection) -> ModuleResult<()> {
        let Some(allocation) = *lock(&self.allocation) else { return Ok(()) };
        let protected = self.pages.protect(allocation, libc::PROT_READ | libc::PROT_EXEC);
        protected.map_err(|err| ModuleError::Allocation { err })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
