//! Where a thread's stack is.

use std::mem::MaybeUninit;

use crate::Error;

/// The address range of a stack: `low` is its first byte, `high` one past its last. It grows downwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackBounds {
    /// The lowest address that belongs to the stack.
    pub low: u64,
    /// One past the highest.
    pub high: u64,
}

impl StackBounds {
    /// The bounds of the calling thread's stack, without its guard.
    ///
    /// The main thread's stack is mapped as it grows: its lower part is not readable yet, so a
    /// [`LiveStack`](crate::LiveStack) over it should begin at the stack pointer
    /// ([`from`](Self::from)).
    ///
    /// # Errors
    /// [`Error::UnknownBounds`] if the system does not say.
    pub fn current() -> Result<Self, Error> {
        let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
        // SAFETY: the attributes are written before they are read, and only if the call succeeded.
        let errno = unsafe { libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) };
        if errno != 0 {
            return Err(Error::UnknownBounds { errno });
        }
        let (mut low, mut size) = (std::ptr::null_mut(), 0);
        // SAFETY: the attributes were initialized above, are read once and then destroyed, once.
        let errno = unsafe {
            let errno = libc::pthread_attr_getstack(attributes.as_ptr(), &mut low, &mut size);
            libc::pthread_attr_destroy(attributes.as_mut_ptr());
            errno
        };
        if errno != 0 {
            return Err(Error::UnknownBounds { errno });
        }
        let low = low as u64;
        Ok(Self { low, high: low + size as u64 })
    }

    /// The part from `stack_pointer` up: the frames that exist.
    #[must_use]
    pub fn from(self, stack_pointer: u64) -> Self {
        Self { low: stack_pointer.clamp(self.low, self.high), high: self.high }
    }

    /// Whether `address` is in the stack.
    #[must_use]
    pub fn contains(&self, address: u64) -> bool {
        (self.low..self.high).contains(&address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_a_local_and_not_the_heap_or_another_stack() {
        let here = 0_u8;
        let heap = Box::new(0_u8);
        let bounds = StackBounds::current().unwrap();
        assert!(bounds.contains(&raw const here as u64));
        assert!(!bounds.contains(&raw const *heap as u64));
        let other = std::thread::Builder::new()
            .stack_size(256 * 1024)
            .spawn(|| {
                let there = 0_u8;
                let bounds = StackBounds::current().unwrap();
                assert!(bounds.contains(&raw const there as u64));
                bounds
            })
            .unwrap()
            .join()
            .unwrap();
        assert!(!other.contains(&raw const here as u64));
        assert!((256 * 1024..512 * 1024).contains(&(other.high - other.low)));
    }

    #[test]
    fn the_used_part_never_leaves_the_bounds() {
        let bounds = StackBounds { low: 0x1000, high: 0x2000 };
        assert_eq!(bounds.from(0x1800), StackBounds { low: 0x1800, high: 0x2000 });
        assert_eq!(bounds.from(0x10), bounds);
        assert_eq!(bounds.from(0x3000), StackBounds { low: 0x2000, high: 0x2000 });
    }
}
