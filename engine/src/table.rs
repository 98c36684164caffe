//! Tables of function references.
//!
//! A reference is one word: 0 is null; otherwise the low half is the function's index and the high
//! half its signature's index plus one, so that `call_indirect` loads and checks it at once.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use osr_ir::{FunctionIndex, Module};
use osr_stubs::TableView;

use crate::reservation::Reservation;

/// The most entries that a table may have: what other engines allow.
pub(crate) const MAXIMUM_ENTRIES: u32 = 10_000_000;

/// A table. Its entries are read by compiled code through the instance's [`TableView`]s.
#[derive(Debug)]
pub(crate) struct Table {
    reservation: Reservation,
    maximum: u32,
}

impl Table {
    /// Reserves a table and commits `minimum` null entries; gives it with its view.
    pub(crate) fn new(minimum: u32, maximum: Option<u32>) -> io::Result<(Table, TableView)> {
        let maximum = maximum.unwrap_or(MAXIMUM_ENTRIES).min(MAXIMUM_ENTRIES);
        if minimum > maximum {
            return Err(io::Error::other("a table of more than 10,000,000 entries"));
        }
        let reservation = Reservation::new(maximum as usize * 8)?;
        reservation.commit(minimum as usize * 8)?;
        let view =
            TableView { entries: reservation.base().cast(), length: AtomicU64::new(u64::from(minimum)) };
        Ok((Table { reservation, maximum }, view))
    }

    /// Grows `view`, which is this table's, by `delta` entries of `value`; gives the size before, or
    /// `None` if it cannot grow.
    pub(crate) fn grow(&self, view: &TableView, delta: u32, value: u64) -> Option<u32> {
        let old = view.length.load(Ordering::Relaxed) as u32;
        let new = old.checked_add(delta).filter(|&entries| entries <= self.maximum)?;
        self.reservation.commit(new as usize * 8).ok()?;
        for entry in old..new {
            // SAFETY: committed just now.
            unsafe { view.entries.add(entry as usize).write(value) };
        }
        view.length.store(u64::from(new), Ordering::Release);
        Some(old)
    }
}

/// The word that refers to `function`.
pub(crate) fn function_reference(module: &Module, function: FunctionIndex) -> u64 {
    let signature = module.function(function).signature;
    (u64::from(signature.as_u32()) + 1) << 32 | u64::from(function.as_u32())
}

/// The function that a non-null reference refers to.
pub(crate) fn referenced_function(reference: u64) -> Option<FunctionIndex> {
    (reference != 0).then(|| FunctionIndex::new((reference & 0xffff_ffff) as usize))
}
