//! The globals of an instance: words of its own, or of the instance that they are imported from.

use std::sync::atomic::{AtomicU64, Ordering};

use osr_ir::{ExportItem, GlobalIndex};

use crate::instance::Instance;

impl Instance {
    /// The words of the globals; for imported mutable ones their addresses.
    pub(crate) fn globals(&self) -> &[AtomicU64] {
        &self.globals.words
    }

    /// The word of a global, wherever it is.
    pub(crate) fn global_word(&self, global: GlobalIndex) -> &AtomicU64 {
        &self.global_words(global)[0]
    }

    /// The words of a global, wherever they are: two if it is a vector.
    pub(crate) fn global_words(&self, global: GlobalIndex) -> &[AtomicU64] {
        let first = self.linked.global_word(global);
        let count = self.module().globals[global.index()].ty.words();
        if self.linked.is_elsewhere(global) {
            let address = self.globals.words[first].load(Ordering::Relaxed);
            // SAFETY: the address of the first word of a global of that type, of an instance that `globals` keeps.
            unsafe { std::slice::from_raw_parts(address as *const AtomicU64, count) }
        } else {
            &self.globals.words[first..first + count]
        }
    }

    /// The value of a global, as words: two if it is a vector.
    pub fn global_value(&self, global: GlobalIndex) -> Vec<u64> {
        self.global_words(global).iter().map(|word| word.load(Ordering::Relaxed)).collect()
    }

    /// The value of a global, as a word; of a vector the low one.
    pub fn global(&self, global: GlobalIndex) -> u64 {
        self.global_word(global).load(Ordering::Relaxed)
    }

    /// The value of the exported global of that name, as a word.
    pub fn exported_global(&self, name: &str) -> Option<u64> {
        match self.module().export(name) {
            Some(ExportItem::Global(global)) => Some(self.global(global)),
            _ => None,
        }
    }

    /// Sets a global, to a value of its type.
    pub(crate) fn set_global(&self, global: GlobalIndex, words: &[u64]) {
        for (to, &word) in self.global_words(global).iter().zip(words) {
            to.store(word, Ordering::Relaxed);
        }
    }
}
