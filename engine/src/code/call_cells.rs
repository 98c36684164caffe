//! Call cells: by a function's number in the store, the code that calls of it enter.
//!
//! They never move, because compiled code keeps their address: address space for as many as a store
//! can have is reserved, and made accessible as instances join.

use std::io;
use std::sync::atomic::AtomicPtr;

use crate::memory::reservation::Reservation;

/// The most functions that the instances of a store may have together.
pub(crate) const MAXIMUM_FUNCTIONS: u32 = 1 << 22;

/// The call cells of an instance.
#[derive(Debug)]
pub(crate) struct CallCells {
    reservation: Reservation,
}

impl CallCells {
    /// Reserves them, and makes the first `count` accessible; they are null.
    pub(crate) fn new(count: u32) -> io::Result<CallCells> {
        let reservation = Reservation::new(MAXIMUM_FUNCTIONS as usize * size_of::<AtomicPtr<u8>>())?;
        let cells = CallCells { reservation };
        cells.cover(count)?;
        Ok(cells)
    }

    /// Makes the first `count` accessible.
    pub(crate) fn cover(&self, count: u32) -> io::Result<()> {
        self.reservation.commit(count as usize * size_of::<AtomicPtr<u8>>())
    }

    /// The first one.
    pub(crate) fn base(&self) -> *const AtomicPtr<u8> {
        self.reservation.base().cast_const().cast()
    }

    /// That of the function with that number, which must be covered.
    pub(crate) fn cell(&self, number: u32) -> &AtomicPtr<u8> {
        debug_assert!(number < MAXIMUM_FUNCTIONS);
        // SAFETY: within the reservation, whose covered part is accessible. All zero is a null pointer.
        unsafe { &*self.base().add(number as usize) }
    }
}
