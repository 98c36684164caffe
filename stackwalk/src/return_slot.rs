//! Return slots and the PCs in them, as types of their own: mixing either up with another address, or a return
//! PC with the address that its code is looked up by, does not compile.
//!
//! ```text
//!   code                                    stack
//!   0x1000  call g        ┐ lookup address  |              |
//!   0x1005  mov eax, ebx  ┘ is 0x1004       |   0x1005     |  <- ReturnSlot: where the word is
//!           ^ ReturnPc                      |              |
//! ```
//!
//! This is the one file that reads and writes return slots. Walkers read them through a [`StackMemory`]; who
//! owns the stack swaps them with [`ReturnSlot::load`] and [`ReturnSlot::store`].

use std::fmt;

use crate::{Error, StackMemory};

/// Bytes of a slot.
const WORD: u64 = 8;

/// The address of an instruction that control returns to.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct ReturnPc(u64);

/// The address of the stack word that a `ret` takes its [`ReturnPc`] from.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct ReturnSlot(u64);

impl ReturnPc {
    /// The PC at `address`.
    #[must_use]
    #[inline(always)]
    pub const fn new(address: u64) -> Self {
        Self(address)
    }

    /// The address of the instruction.
    #[must_use]
    #[inline(always)]
    pub const fn address(self) -> u64 {
        self.0
    }

    /// An address inside the call: its last byte. Code, unwind rows and sites are looked up by this one: the
    /// PC itself may be the first byte of the next function, when the call was the last instruction.
    #[must_use]
    #[inline(always)]
    pub const fn lookup_address(self) -> u64 {
        self.0.wrapping_sub(1)
    }

    /// Whether it is zero, which no code returns to.
    #[must_use]
    #[inline(always)]
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }
}

impl ReturnSlot {
    /// The slot at `address`.
    #[must_use]
    #[inline(always)]
    pub const fn new(address: u64) -> Self {
        Self(address)
    }

    /// The slot right below `stack_pointer`. If that is `rsp` just after a return, the slot that was
    /// returned through; if it is a frame's CFA, the slot that the frame returns through.
    #[must_use]
    #[inline(always)]
    pub const fn below(stack_pointer: u64) -> Self {
        Self(stack_pointer.wrapping_sub(WORD))
    }

    /// The address of the word.
    #[must_use]
    #[inline(always)]
    pub const fn address(self) -> u64 {
        self.0
    }

    /// `rsp` just after a return through the slot.
    #[must_use]
    #[inline(always)]
    pub const fn stack_pointer(self) -> u64 {
        self.0.wrapping_add(WORD)
    }

    /// What the slot holds: the PC, or the landing stub's if it is hijacked.
    ///
    /// # Errors
    /// [`Error::Unreadable`].
    #[inline(always)]
    pub fn read(self, memory: &impl StackMemory) -> Result<ReturnPc, Error> {
        memory.word(self.0).map(ReturnPc)
    }

    /// What the slot on this process's own stack holds.
    ///
    /// # Safety
    /// The slot must be an aligned word of the stack of the calling thread or of one that is stopped.
    #[must_use]
    #[inline(always)]
    pub unsafe fn load(self) -> ReturnPc {
        let word = std::ptr::with_exposed_provenance::<u64>(self.0 as usize);
        // SAFETY: the caller promises an aligned word of a stack that nobody writes to meanwhile.
        ReturnPc(unsafe { word.read_volatile() })
    }

    /// Makes the return through the slot go to `pc`.
    ///
    /// # Safety
    /// As for [`Self::load`]; and `pc` must be where the return that reads the slot may go.
    #[inline(always)]
    pub unsafe fn store(self, pc: ReturnPc) {
        let word = std::ptr::with_exposed_provenance_mut::<u64>(self.0 as usize);
        // SAFETY: the caller promises an aligned word of a stack that nobody uses meanwhile, and that it is
        // sound to return to `pc`.
        unsafe { word.write_volatile(pc.0) };
    }
}

/// In hexadecimal, with the name of the type.
macro_rules! address_format {
    ($($address:ident)*) => { $(
        impl fmt::Debug for $address {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!(stringify!($address), "({:#x})"), self.0)
            }
        }

        impl fmt::LowerHex for $address {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0, formatter)
            }
        }
    )* };
}

address_format!(ReturnPc ReturnSlot);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ArrayStack;

    #[test]
    fn addresses_around_a_call() {
        let (pc, slot) = (ReturnPc::new(0x1005), ReturnSlot::new(0x7ff0));
        assert_eq!((pc.address(), pc.lookup_address()), (0x1005, 0x1004));
        assert_eq!((slot.address(), slot.stack_pointer()), (0x7ff0, 0x7ff8));
        assert_eq!(ReturnSlot::below(slot.stack_pointer()), slot);
        assert!(ReturnPc::new(0).is_null() && !pc.is_null());
        assert_eq!(ReturnPc::new(0).lookup_address(), u64::MAX);
        assert_eq!(
            format!("{pc:?} {pc:#x} {slot:?} {slot:x}"),
            "ReturnPc(0x1005) 0x1005 ReturnSlot(0x7ff0) 7ff0"
        );
    }

    #[test]
    fn a_slot_holds_what_was_stored_into_it() {
        let mut words = [1_u64, 2, 3];
        let slot = ReturnSlot::new((&raw mut words[1]).expose_provenance() as u64);
        // SAFETY: the word is the array's, and no code returns through it.
        let held = unsafe {
            let held = slot.load();
            slot.store(ReturnPc::new(0x1005));
            held
        };
        assert_eq!((held, words), (ReturnPc::new(2), [1, 0x1005, 3]));
    }

    #[test]
    fn a_slot_out_of_reach_is_an_error() {
        let stack = ArrayStack { base: 0x1000, words: &[7] };
        assert_eq!(ReturnSlot::new(0x1000).read(&stack), Ok(ReturnPc::new(7)));
        assert_eq!(ReturnSlot::new(0x1008).read(&stack), Err(Error::Unreadable { address: 0x1008 }));
    }
}
