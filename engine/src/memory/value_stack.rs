//! The stack of interpreter frames: one window of words per frame, one word per register.
//!
//! ```text
//!   base                                             top
//!    | frame of f: r0 r1 r2 ... | frame of g: r0 ... | free ...           end |
//! ```
//!
//! Activations of the interpreter nest as the native stack does, so one `top` serves them all: whoever
//! leaves the interpreter sets it beyond its last window, and everyone puts it back. A frame state that
//! a landing or a continuation takes is such a window just above `top`: indexed by register, so that the
//! interpreter's frame *is* the frame state.

use std::cell::Cell;
use std::io;
use std::mem::offset_of;

use crate::memory::reservation::Reservation;

/// The words of all interpreter frames of a thread.
#[derive(Debug)]
pub(crate) struct ValueStack {
    reservation: Reservation,
    top: Cell<*mut u64>,
    /// One past the last word.
    end: *mut u64,
    peak: Cell<*mut u64>,
}

impl ValueStack {
    /// A stack of `bytes`.
    pub(crate) fn new(bytes: usize) -> io::Result<ValueStack> {
        let reservation = Reservation::new(bytes)?;
        reservation.commit(reservation.bytes())?;
        let base = reservation.base().cast();
        let end = reservation.base().wrapping_add(reservation.bytes()).cast();
        Ok(ValueStack { reservation, top: Cell::new(base), end, peak: Cell::new(base) })
    }

    /// Where in a stack the first free word is told, in bytes: compiled code reads it.
    pub(crate) const TOP_OFFSET: usize = offset_of!(ValueStack, top);

    /// Where the [end](Self::end) is told.
    pub(crate) const END_OFFSET: usize = offset_of!(ValueStack, end);

    /// The first free word.
    pub(crate) fn top(&self) -> *mut u64 {
        self.top.get()
    }

    /// Moves the first free word.
    pub(crate) fn set_top(&self, top: *mut u64) {
        debug_assert!(top as usize >= self.reservation.base() as usize && top <= self.end());
        self.top.set(top);
        if top > self.peak.get() {
            self.peak.set(top);
        }
    }

    /// One past the last word.
    pub(crate) fn end(&self) -> *mut u64 {
        self.end
    }

    /// Whether a window of `words` fits at `window`. One that begins beyond the end does not, even if it is
    /// empty: the header of its frame is below it.
    pub(crate) fn fits(&self, window: *mut u64, words: usize) -> bool {
        (self.end() as usize).checked_sub(window as usize).is_some_and(|bytes| bytes / 8 >= words)
    }

    /// The most bytes that were in use. The interpreter moves the top only when it leaves: what it wrote
    /// beyond is found by looking, which takes time.
    pub(crate) fn peak_bytes(&self) -> u64 {
        let left_below = self.peak.get() as u64 - self.reservation.base() as u64;
        left_below.max(self.reservation.used_bytes() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_fits_beyond_the_end() {
        let stack = ValueStack::new(1 << 16).expect("memory");
        assert!(stack.fits(stack.end(), 0));
        assert!(!stack.fits(stack.end(), 1));
        assert!(!stack.fits(stack.end().wrapping_add(4), 0));
    }
}
