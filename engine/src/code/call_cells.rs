//! Call cells: by a function's number in the store, the code that calls of it enter.
//!
//! ```text
//!   | words | cells              |  code memory         ...    one reservation
//!       ^--------^---------------------- call [rip + distance]
//! ```
//!
//! They never move, because compiled code keeps their address: address space for as many as a store
//! can have is reserved, and made accessible as instances join. It is reserved with code memory, so that calls
//! have their distance ([`NearAccess`](osr_compiler::NearAccess)).

use std::io;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use osr_compiler::NearWord;
use osr_stubs::x86_64 as stubs;

use crate::memory::reservation::Reservation;

/// The most functions that the instances of a store may have together.
pub(crate) const MAXIMUM_FUNCTIONS: u32 = 1 << 22;

/// What is before the cells: the other words that code calls through.
const WORDS_BYTES: usize = 4096;

/// What is reserved for the cells of an instance, and the words before them.
pub(crate) const RESERVED_BYTES: usize =
    WORDS_BYTES + MAXIMUM_FUNCTIONS as usize * size_of::<AtomicPtr<u8>>();

/// The call cells of an instance.
#[derive(Debug)]
pub(crate) struct CallCells {
    reservation: Reservation,
}

impl CallCells {
    /// Those of no function, in a reservation of [`RESERVED_BYTES`].
    pub(crate) fn new(reservation: Reservation) -> io::Result<CallCells> {
        assert_eq!(reservation.bytes(), RESERVED_BYTES, "there is room for as many as there may be");
        let cells = CallCells { reservation };
        cells.cover(0)?;
        cells.poll_stub().store(stubs::poll as *mut u8, Ordering::Relaxed);
        cells.left_poll_stub().store(stubs::left_poll as *mut u8, Ordering::Relaxed);
        Ok(cells)
    }

    /// Makes the first `count` accessible; they are null, unless they were before.
    pub(crate) fn cover(&self, count: u32) -> io::Result<()> {
        self.reservation.commit(WORDS_BYTES + count as usize * size_of::<AtomicPtr<u8>>())
    }

    /// The first one.
    pub(crate) fn base(&self) -> *const AtomicPtr<u8> {
        self.reservation.base().wrapping_add(WORDS_BYTES).cast_const().cast()
    }

    /// That of the function with that number, which must be covered.
    pub(crate) fn cell(&self, number: u32) -> &AtomicPtr<u8> {
        debug_assert!(number < MAXIMUM_FUNCTIONS);
        // SAFETY: within the reservation, whose covered part is accessible. All zero is a null pointer.
        unsafe { &*self.base().add(number as usize) }
    }

    /// The word with the address of the stub that polls call.
    fn poll_stub(&self) -> &AtomicPtr<u8> {
        self.word(0)
    }

    /// The word with the address of the stub by which frames leave at polls.
    fn left_poll_stub(&self) -> &AtomicPtr<u8> {
        self.word(1)
    }

    /// [`POLL_REQUEST`](osr_stubs::POLL_REQUEST) where the thread that executes the instance is to stop at polls.
    pub(crate) fn poll_request(&self) -> &AtomicU64 {
        // SAFETY: the third word of the reservation. What is there is an integer.
        unsafe { &*self.reservation.base().cast::<AtomicU64>().add(2) }
    }

    /// One of the first words, with the address of a stub.
    fn word(&self, number: usize) -> &AtomicPtr<u8> {
        // SAFETY: the first words of the reservation are always accessible.
        unsafe { &*self.reservation.base().cast::<AtomicPtr<u8>>().add(number) }
    }

    /// Where `word` is.
    pub(crate) fn address(&self, word: NearWord) -> u64 {
        let word = match word {
            NearWord::Cell(number) => self.cell(number),
            NearWord::PollStub => self.poll_stub(),
            NearWord::LeftPollStub => self.left_poll_stub(),
            NearWord::PollRequest => return std::ptr::from_ref(self.poll_request()) as u64,
        };
        std::ptr::from_ref(word) as u64
    }
}
