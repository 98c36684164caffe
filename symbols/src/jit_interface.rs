//! GDB's JIT compilation interface ("JIT Compilation Interface" in *Debugging with GDB*): a list of images in this
//! process, and a function that is called whenever the list has changed. A debugger stops there and reads the list; if
//! there is none, that call is all that it costs.

use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// An image in the list.
#[repr(C)]
struct CodeEntry {
    next: *mut CodeEntry,
    previous: *mut CodeEntry,
    image: *const u8,
    image_bytes: u64,
}

/// The list, and what has changed.
#[repr(C)]
struct Descriptor {
    version: u32,
    action: u32,
    relevant: *mut CodeEntry,
    first: *mut CodeEntry,
}

const NOTHING: u32 = 0;
const REGISTER: u32 = 1;
const UNREGISTER: u32 = 2;

/// The name and the layout are the interface's.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "the interface's name")]
static mut __jit_debug_descriptor: Descriptor =
    Descriptor { version: 1, action: NOTHING, relevant: ptr::null_mut(), first: ptr::null_mut() };

/// Debuggers have a breakpoint here.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn __jit_debug_register_code() {
    // So that the call is made, with the descriptor in memory.
    // SAFETY: no instruction.
    unsafe { std::arch::asm!("", options(nostack)) };
}

static CHANGES: Mutex<()> = Mutex::new(());

/// An image that debuggers are told of, until it is dropped.
#[derive(Debug)]
pub(crate) struct Registered {
    entry: *mut CodeEntry,
    /// Read by debuggers.
    _image: Box<[u8]>,
}

// SAFETY: the entry is owned, and changed under the lock alone.
unsafe impl Send for Registered {}

impl Registered {
    /// Tells debuggers of `image`.
    pub(crate) fn new(image: Vec<u8>) -> Registered {
        let image = image.into_boxed_slice();
        let entry = Box::into_raw(Box::new(CodeEntry {
            next: ptr::null_mut(),
            previous: ptr::null_mut(),
            image: image.as_ptr(),
            image_bytes: image.len() as u64,
        }));
        let list = List::lock();
        // SAFETY: entries in the list are valid, and the lock is held.
        unsafe {
            let first = (*list.descriptor).first;
            (*entry).next = first;
            if !first.is_null() {
                (*first).previous = entry;
            }
            (*list.descriptor).first = entry;
        }
        list.tell(REGISTER, entry);
        Registered { entry, _image: image }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let list = List::lock();
        // SAFETY: entries in the list are valid, this one among them, and the lock is held.
        unsafe {
            let CodeEntry { next, previous, .. } = *self.entry;
            if previous.is_null() {
                (*list.descriptor).first = next;
            } else {
                (*previous).next = next;
            }
            if !next.is_null() {
                (*next).previous = previous;
            }
        }
        list.tell(UNREGISTER, self.entry);
        // SAFETY: made by `Box::into_raw`, and not in the list any more.
        drop(unsafe { Box::from_raw(self.entry) });
    }
}

/// The list, locked.
struct List {
    descriptor: *mut Descriptor,
    _lock: MutexGuard<'static, ()>,
}

impl List {
    fn lock() -> List {
        let lock = CHANGES.lock().unwrap_or_else(PoisonError::into_inner);
        List { descriptor: &raw mut __jit_debug_descriptor, _lock: lock }
    }

    fn tell(&self, action: u32, entry: *mut CodeEntry) {
        // SAFETY: the lock is held.
        unsafe {
            (*self.descriptor).relevant = entry;
            (*self.descriptor).action = action;
        }
        __jit_debug_register_code();
        // SAFETY: as above.
        unsafe {
            (*self.descriptor).action = NOTHING;
            (*self.descriptor).relevant = ptr::null_mut();
        }
    }
}
