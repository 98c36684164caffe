//! Tables of references: to functions, each a [word](osr_compiler::reference) that compiled code relies on, or to
//! what is the host's, words that mean nothing to the engine.
//!
//! Compiled code reads a table's place and length in an array of [`TableView`]s, of which each instance has
//! one. A table that several instances have keeps all their views current.

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use osr_ir::Type;
use osr_stubs::TableView;

use crate::memory::reservation::Reservation;

/// The most entries that a table may have: what other engines allow.
pub(crate) const MAXIMUM_ENTRIES: u32 = 10_000_000;

/// A table.
#[derive(Debug)]
pub(crate) struct Table {
    ty: Type,
    is_64: bool,
    reservation: Reservation,
    maximum: Option<u32>,
    length: AtomicU64,
    /// The instances' views, each with its position among the instance's.
    views: Mutex<Vec<(Weak<[TableView]>, usize)>>,
}

impl Table {
    /// Reserves a table such as a module asks for, all of whose entries are null.
    pub(crate) fn new(table: &osr_ir::Table) -> io::Result<Table> {
        let &osr_ir::Table { ty, minimum, maximum, is_64, .. } = table;
        let most = maximum.unwrap_or(MAXIMUM_ENTRIES).min(MAXIMUM_ENTRIES);
        if minimum > most {
            return Err(io::Error::other("a table of more than 10,000,000 entries"));
        }
        let reservation = Reservation::new(most as usize * 8)?;
        reservation.commit(minimum as usize * 8)?;
        let length = AtomicU64::new(u64::from(minimum));
        Ok(Table { ty, is_64, reservation, maximum, length, views: Mutex::default() })
    }

    /// The type of the entries.
    pub(crate) fn ty(&self) -> Type {
        self.ty
    }

    /// Whether guest code has indices of 64 bits.
    pub(crate) fn is_64(&self) -> bool {
        self.is_64
    }

    /// Entries now.
    pub(crate) fn length(&self) -> u32 {
        self.length.load(Ordering::Relaxed) as u32
    }

    /// The most entries that it was declared to grow to.
    pub(crate) fn declared_maximum(&self) -> Option<u32> {
        self.maximum
    }

    /// The table as it is now.
    pub(crate) fn view(&self) -> TableView {
        let entries = self.reservation.base().cast();
        TableView { entries, length: AtomicU64::new(self.length.load(Ordering::Relaxed)) }
    }

    /// Keeps `views[position]` current, as long as it exists.
    pub(crate) fn keep_current(&self, views: &Arc<[TableView]>, position: usize) {
        let mut known = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(views, _)| views.strong_count() > 0);
        known.push((Arc::downgrade(views), position));
    }

    /// Grows by `delta` entries of `value`; returns the size before, or `None` if it cannot grow.
    pub(crate) fn grow(&self, delta: u32, value: u64) -> Option<u32> {
        let views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        let most = self.maximum.unwrap_or(MAXIMUM_ENTRIES).min(MAXIMUM_ENTRIES);
        let old = self.length();
        let new = old.checked_add(delta).filter(|&entries| entries <= most)?;
        self.reservation.commit(new as usize * 8).ok()?;
        let entries: *mut u64 = self.reservation.base().cast();
        for entry in old..new {
            // SAFETY: committed just now.
            unsafe { entries.add(entry as usize).write(value) };
        }
        self.set_length(&views, new);
        Some(old)
    }

    /// The entries. No guest code may run meanwhile.
    pub(crate) fn entries(&self) -> Box<[u64]> {
        // SAFETY: the accessible prefix, which no one writes meanwhile.
        unsafe { std::slice::from_raw_parts(self.reservation.base().cast(), self.length() as usize) }.into()
    }

    /// Makes it have these `entries`, not more than it has. No guest code may run meanwhile, nor be in the middle of a call.
    pub(crate) fn restore(&self, entries: &[u64]) {
        assert!(entries.len() <= self.length() as usize, "tables do not become smaller");
        let views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the accessible prefix has that many, and no one accesses it meanwhile.
        unsafe { ptr::copy_nonoverlapping(entries.as_ptr(), self.reservation.base().cast(), entries.len()) };
        self.set_length(&views, entries.len() as u32);
    }

    fn set_length(&self, views: &[(Weak<[TableView]>, usize)], length: u32) {
        self.length.store(u64::from(length), Ordering::Release);
        for (views, position) in views {
            if let Some(views) = views.upgrade() {
                views[*position].length.store(u64::from(length), Ordering::Release);
            }
        }
    }
}
