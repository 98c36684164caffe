//! Operations on the instance's state that are too large for inline code: what the interpreter and
//! compiled code both call.

use std::ptr;
use std::sync::atomic::Ordering;

use osr_ir::{DataIndex, ElementIndex, MemoryIndex, TableIndex, TrapKind};

use crate::instance::Instance;

/// The range `start..start + length` if it lies within `size`.
fn in_bounds(start: u32, length: u32, size: u64) -> Option<std::ops::Range<usize>> {
    let end = u64::from(start) + u64::from(length);
    (end <= size).then_some(start as usize..end as usize)
}

impl Instance {
    fn memory_range(&self, memory: MemoryIndex, address: u32, length: u32) -> Result<*mut u8, TrapKind> {
        let range = self.memory_at(memory).range(u64::from(address), u64::from(length));
        range.ok_or(TrapKind::MemoryOutOfBounds)
    }

    /// `memory.grow`: the old size in pages, or -1.
    pub(crate) fn memory_grow(&self, memory: MemoryIndex, delta: u32) -> u32 {
        self.memory_at(memory).grow(delta).unwrap_or(u32::MAX)
    }

    pub(crate) fn memory_fill(
        &self,
        memory: MemoryIndex,
        address: u32,
        value: u32,
        length: u32,
    ) -> Result<(), TrapKind> {
        let target = self.memory_range(memory, address, length)?;
        // SAFETY: in bounds of linear memory, which no Rust object lies in.
        unsafe { ptr::write_bytes(target, value as u8, length as usize) };
        Ok(())
    }

    pub(crate) fn memory_copy(
        &self,
        (destination_memory, source_memory): (MemoryIndex, MemoryIndex),
        destination: u32,
        source: u32,
        length: u32,
    ) -> Result<(), TrapKind> {
        let target = self.memory_range(destination_memory, destination, length)?;
        let source = self.memory_range(source_memory, source, length)?;
        // SAFETY: both in bounds of linear memory; `copy` allows overlap.
        unsafe { ptr::copy(source, target, length as usize) };
        Ok(())
    }

    pub(crate) fn memory_init(
        &self,
        memory: MemoryIndex,
        segment: DataIndex,
        destination: u32,
        source: u32,
        length: u32,
    ) -> Result<(), TrapKind> {
        let bytes = self.data(segment);
        let range = in_bounds(source, length, bytes.len() as u64).ok_or(TrapKind::MemoryOutOfBounds)?;
        let target = self.memory_range(memory, destination, length)?;
        // SAFETY: the target is in bounds of linear memory; the segment is a Rust object outside it.
        unsafe { ptr::copy_nonoverlapping(bytes[range].as_ptr(), target, length as usize) };
        Ok(())
    }

    fn table_range(&self, table: TableIndex, start: u32, length: u32) -> Result<*mut u64, TrapKind> {
        let view = &self.table_views()[table.index()];
        let size = view.length.load(Ordering::Relaxed);
        let range = in_bounds(start, length, size).ok_or(TrapKind::TableOutOfBounds)?;
        // SAFETY: in bounds of the table's entries.
        Ok(unsafe { view.entries.add(range.start) })
    }

    pub(crate) fn table_get(&self, table: TableIndex, index: u32) -> Result<u64, TrapKind> {
        // SAFETY: one entry is in bounds.
        self.table_range(table, index, 1).map(|entry| unsafe { *entry })
    }

    pub(crate) fn table_set(&self, table: TableIndex, index: u32, value: u64) -> Result<(), TrapKind> {
        // SAFETY: one entry is in bounds.
        self.table_range(table, index, 1).map(|entry| unsafe { *entry = value })
    }

    pub(crate) fn table_size(&self, table: TableIndex) -> u32 {
        self.table(table).length()
    }

    /// `table.grow`: the old size, or -1.
    pub(crate) fn table_grow(&self, table: TableIndex, value: u64, delta: u32) -> u32 {
        self.table(table).grow(delta, value).unwrap_or(u32::MAX)
    }

    pub(crate) fn table_fill(
        &self,
        table: TableIndex,
        index: u32,
        value: u64,
        length: u32,
    ) -> Result<(), TrapKind> {
        let entries = self.table_range(table, index, length)?;
        // SAFETY: in bounds, and entries are plain words.
        unsafe { std::slice::from_raw_parts_mut(entries, length as usize) }.fill(value);
        Ok(())
    }

    pub(crate) fn table_copy(
        &self,
        (destination_table, source_table): (TableIndex, TableIndex),
        destination: u32,
        source: u32,
        length: u32,
    ) -> Result<(), TrapKind> {
        let target = self.table_range(destination_table, destination, length)?;
        let source = self.table_range(source_table, source, length)?;
        // SAFETY: both in bounds; `copy` allows overlap.
        unsafe { ptr::copy(source, target, length as usize) };
        Ok(())
    }

    pub(crate) fn table_init(
        &self,
        table: TableIndex,
        segment: ElementIndex,
        destination: u32,
        source: u32,
        length: u32,
    ) -> Result<(), TrapKind> {
        let words = self.elements(segment);
        let range = in_bounds(source, length, words.len() as u64).ok_or(TrapKind::TableOutOfBounds)?;
        let target = self.table_range(table, destination, length)?;
        // SAFETY: the target is in bounds of the table; the segment is a Rust object outside it.
        unsafe { ptr::copy_nonoverlapping(words[range].as_ptr(), target, length as usize) };
        Ok(())
    }
}
