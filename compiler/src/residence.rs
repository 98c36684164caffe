//! Residence counts: code that counts how many activations are inside it.
//!
//! ```text
//!   entry:   inc [count]        each return:   dec [count]
//! ```
//!
//! Nothing reaches the runtime between a `dec` and its `ret`: a runtime that finds the count at zero finds nobody inside.

use std::ops::Range;
use std::sync::atomic::{AtomicI64, Ordering};

use cranelift_codegen::ir::{InstBuilder, MemFlagsData, types};

use super::translate::Translator;

/// How many activations are inside a piece of code. Its address is in the code, which it outlives.
#[derive(Debug, Default)]
pub struct ResidenceCount(AtomicI64);

impl ResidenceCount {
    /// How many there are. To be asked on the native thread that executes the code.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Says how many there are: activations were dropped, and have not counted down.
    pub fn set(&self, residents: i64) {
        self.0.store(residents, Ordering::Relaxed);
    }

    pub(crate) fn address(&self) -> i64 {
        self.0.as_ptr() as i64
    }

    /// The addresses of its word.
    pub fn addresses(&self) -> Range<u64> {
        let address = self.address() as u64;
        address..address + size_of::<AtomicI64>() as u64
    }
}

impl Translator<'_, '_> {
    /// An activation begins.
    pub(super) fn count_entry(&mut self) {
        self.count_residents(1);
    }

    /// An activation ends: it returns next.
    pub(super) fn count_exit(&mut self) {
        self.count_residents(-1);
    }

    fn count_residents(&mut self, change: i64) {
        let Some(address) = self.residence else { return };
        let address = self.builder.ins().iconst(types::I64, address);
        let flags = MemFlagsData::trusted();
        let before = self.builder.ins().load(types::I64, flags, address, 0);
        let change = self.builder.ins().iconst(types::I64, change);
        let after = self.builder.ins().iadd(before, change);
        self.builder.ins().store(flags, after, address, 0);
    }
}
