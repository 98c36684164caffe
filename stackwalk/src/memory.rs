//! The one way raw stack memory is read, so that a stack can be an array in a test.
//!
//! Only [`LiveStack`] is unsafe to make, and only this file dereferences an address.

use crate::{Error, StackBounds};

/// Stack memory, read one aligned word at a time.
pub trait StackMemory {
    /// The eight bytes at `address`; nothing if they are out of reach or misaligned.
    fn read(&self, address: u64) -> Option<u64>;

    /// The memory some frames further out than `address` will be read soon. It need not be in reach.
    #[inline(always)]
    fn expect(&self, address: u64) {
        let _ = address;
    }

    /// The words at `address` and above it; nothing if either is out of reach or misaligned.
    #[inline(always)]
    fn read_pair(&self, address: u64) -> Option<[u64; 2]> {
        Some([self.read(address)?, self.read(address.wrapping_add(8))?])
    }

    /// The eight bytes at `address`, or an error that names it.
    ///
    /// # Errors
    /// [`Error::Unreadable`].
    #[inline(always)]
    fn word(&self, address: u64) -> Result<u64, Error> {
        self.read(address).ok_or(Error::Unreadable { address })
    }
}

impl<F: Fn(u64) -> Option<u64>> StackMemory for F {
    #[inline(always)]
    fn read(&self, address: u64) -> Option<u64> {
        self(address)
    }
}

/// An array that plays the stack: `words[0]` is at address `base`.
#[derive(Clone, Copy, Debug)]
pub struct ArrayStack<'w> {
    /// The address of the first word.
    pub base: u64,
    /// The words, lowest address first.
    pub words: &'w [u64],
}

impl StackMemory for ArrayStack<'_> {
    fn read(&self, address: u64) -> Option<u64> {
        let offset = address.checked_sub(self.base)?;
        if offset % 8 != 0 {
            return None;
        }
        self.words.get(usize::try_from(offset / 8).ok()?).copied()
    }
}

/// The stack of a thread that runs or is stopped in this process.
///
/// A word costs one load and one predictable comparison. The reads are volatile: the memory belongs to
/// frames whose contents the compiler knows nothing of.
#[derive(Clone, Copy, Debug)]
pub struct LiveStack {
    low: u64,
    words: u64,
    /// How many words have another one above them.
    pairs: u64,
}

impl LiveStack {
    /// The memory within `bounds`.
    ///
    /// # Safety
    /// Every word within `bounds` must be mapped and readable for as long as the value is used, and
    /// the thread that owns the stack must not write to the words read meanwhile: it is the calling
    /// thread, or it is stopped.
    #[must_use]
    pub unsafe fn new(bounds: StackBounds) -> Self {
        let low = bounds.low.next_multiple_of(8);
        let words = bounds.high.saturating_sub(low) / 8;
        Self { low, words, pairs: words.saturating_sub(1) }
    }
}

impl StackMemory for LiveStack {
    #[inline(always)]
    fn read(&self, address: u64) -> Option<u64> {
        // The rotation moves the three low bits of the distance to the top, so that one comparison
        // refuses what is below, above and misaligned alike.
        if address.wrapping_sub(self.low).rotate_right(3) >= self.words {
            return None;
        }
        // SAFETY: `address` is aligned and its eight bytes are within the bounds given to `new`, whose
        // caller promises that they are mapped and not written concurrently.
        Some(unsafe { std::ptr::with_exposed_provenance::<u64>(address as usize).read_volatile() })
    }

    /// One comparison for both.
    #[inline(always)]
    fn read_pair(&self, address: u64) -> Option<[u64; 2]> {
        if address.wrapping_sub(self.low).rotate_right(3) >= self.pairs {
            return None;
        }
        let pair = std::ptr::with_exposed_provenance::<u64>(address as usize);
        // SAFETY: as in `read`; it is not the last word, so that the next one is within the bounds, too.
        Some(unsafe { [pair.read_volatile(), pair.add(1).read_volatile()] })
    }

    /// Frames follow one another, but each says only where the next one is: without this, every frame costs the latency
    /// of the second-level cache, unless all are of one size, which the processor notices.
    #[inline(always)]
    fn expect(&self, address: u64) {
        const AHEAD: u64 = 768;
        for line in 0..3 {
            let address = address.wrapping_add(AHEAD + 64 * line);
            let line = std::ptr::with_exposed_provenance::<i8>(address as usize);
            // SAFETY: a hint, which accesses nothing: any address will do.
            unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(line) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_read_within_its_words_only() {
        let stack = ArrayStack { base: 0x1000, words: &[7, 8, 9] };
        assert_eq!(stack.read(0x1000), Some(7));
        assert_eq!(stack.read(0x1010), Some(9));
        for address in [0xff8, 0x1018, 0x1004, 0, u64::MAX] {
            assert_eq!(stack.read(address), None, "{address:#x}");
            assert_eq!(stack.word(address), Err(Error::Unreadable { address }));
        }
    }

    #[test]
    fn a_live_stack_refuses_what_is_out_of_bounds_or_misaligned() {
        let words = [11_u64, 12, 13, 14];
        let base = words.as_ptr().expose_provenance() as u64;
        // The outer words are left out of the bounds, so that a wrong bound reads a wrong value, not a fault.
        // SAFETY: the array outlives the value and nothing writes to it.
        let stack = unsafe { LiveStack::new(StackBounds { low: base + 8, high: base + 24 }) };
        assert_eq!(stack.read(base + 8), Some(12));
        assert_eq!(stack.read(base + 16), Some(13));
        for address in [base, base + 24, base + 9, base + 12, base + 15, 0, u64::MAX, u64::MAX - 7] {
            assert_eq!(stack.read(address), None, "{address:#x}");
        }
        assert_eq!(stack.read_pair(base + 8), Some([12, 13]));
        for address in [base, base + 16, base + 24, base + 9, base + 12, 0, u64::MAX, u64::MAX - 7] {
            assert_eq!(stack.read_pair(address), None, "{address:#x}");
        }
        for high in [base, base + 8, base + 15] {
            // SAFETY: as above.
            let stack = unsafe { LiveStack::new(StackBounds { low: base, high }) };
            assert_eq!(stack.read_pair(base), None, "no pair fits below {high:#x}");
        }
    }

    #[test]
    fn bounds_that_are_not_whole_words_are_narrowed() {
        let words = [21_u64, 22, 23];
        let base = words.as_ptr().expose_provenance() as u64;
        // SAFETY: the array outlives the value and nothing writes to it.
        let stack = unsafe { LiveStack::new(StackBounds { low: base + 1, high: base + 23 }) };
        assert_eq!(stack.read(base), None);
        assert_eq!(stack.read(base + 8), Some(22));
        assert_eq!(stack.read(base + 16), None);
    }
}
