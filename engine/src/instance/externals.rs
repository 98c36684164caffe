//! What references of type `externref` refer to, where the host lets the store keep that.
//!
//! To the engine such a reference is a word that guest code can only store and hand back. A host may use any words, 0
//! being null. One that has values of its own to refer to hands them to the store and receives words: numbers, of
//! which none is used twice, so that a word whose value was taken back refers to nothing, and never to another value.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

/// A value of the host's that guest code can refer to.
pub type External = Arc<dyn Any + Send + Sync>;

/// The values that a store keeps, by the words that refer to them.
#[derive(Debug, Default)]
pub(crate) struct Externals {
    /// The word handed out last.
    last: u64,
    kept: HashMap<u64, External>,
}

impl Externals {
    /// Keeps `value`; returns the word that refers to it.
    pub(crate) fn keep(&mut self, value: External) -> u64 {
        self.last += 1;
        self.kept.insert(self.last, value);
        self.last
    }

    /// What `word` refers to.
    pub(crate) fn get(&self, word: u64) -> Option<External> {
        self.kept.get(&word).cloned()
    }

    /// Takes back what `word` refers to, which refers to nothing from here on.
    pub(crate) fn take(&mut self, word: u64) -> Option<External> {
        self.kept.remove(&word)
    }
}
