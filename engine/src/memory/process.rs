//! Processes: what is made in one cannot be used in a forked child.
//!
//! An instance's code memory is shared between its two mappings, and would be between parent and child; threads of
//! execution, and who holds which lock, do not survive a fork either. So an instance belongs to the process that made
//! it, which is looked up at each call of the guest: by a load, since a system call would cost more than the call.

use std::ptr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Default for Process {
    fn default() -> Process {
        Process::current()
    }
}

impl Process {
    /// This one.
    #[inline]
    pub(crate) fn current() -> Process {
        let known = WIPED_BY_FORK.word().map_or(0, |word| word.load(Ordering::Relaxed));
        if known != 0 { Process(known) } else { Process::ask() }
    }

    #[cold]
    fn ask() -> Process {
        let id = std::process::id();
        if let Some(word) = WIPED_BY_FORK.word() {
            word.store(id, Ordering::Relaxed);
        }
        Process(id)
    }

    /// Whether this is still the process that executes.
    #[inline]
    pub(crate) fn is_current(self) -> bool {
        self == Process::current()
    }

    /// Ends the process if it is another.
    #[inline]
    pub(crate) fn assert_current(self) {
        if !self.is_current() {
            abort();
        }
    }
}

#[cold]
fn abort() -> ! {
    eprintln!("osr-engine: a forked child executes an instance of its parent: make another in the child");
    std::process::abort()
}

/// A word that is zero in a new process.
static WIPED_BY_FORK: LazyLock<WipedByFork> = LazyLock::new(WipedByFork::new);

/// A page that the system empties in forked children. Null if the system cannot.
struct WipedByFork(*mut u8);

// SAFETY: what is there is atomic.
unsafe impl Send for WipedByFork {}
// SAFETY: see above.
unsafe impl Sync for WipedByFork {}

impl WipedByFork {
    const BYTES: usize = 4096;

    fn new() -> WipedByFork {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: an anonymous mapping at an address of the kernel's choice, which stays for good.
        let page = unsafe { libc::mmap(ptr::null_mut(), Self::BYTES, protection, flags, -1, 0) };
        if page == libc::MAP_FAILED {
            return WipedByFork(ptr::null_mut());
        }
        // SAFETY: the page is ours, and empty.
        if unsafe { libc::madvise(page, Self::BYTES, libc::MADV_WIPEONFORK) } != 0 {
            return WipedByFork(ptr::null_mut());
        }
        WipedByFork(page.cast())
    }

    #[inline]
    fn word(&self) -> Option<&AtomicU32> {
        // SAFETY: null, or the page, which stays. All zero is a valid word.
        unsafe { self.0.cast::<AtomicU32>().as_ref() }
    }
}
