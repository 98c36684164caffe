//! An instance's memories.

use std::sync::Arc;

use osr_ir::{ExportItem, MemoryIndex};
use osr_stubs::MemoryView;

use crate::instance::Instance;
use crate::memory::linear_memory::LinearMemory;

impl Instance {
    /// The first linear memory, if the module has any.
    pub fn memory(&self) -> Option<&LinearMemory> {
        self.memories().next()
    }

    /// The linear memories, by their indices.
    pub fn memories(&self) -> impl ExactSizeIterator<Item = &LinearMemory> {
        self.memories.iter().map(|memory| &**memory)
    }

    /// A hash of sizes and contents of all linear memories, to compare runs by; `None` if there are none. Of one memory it
    /// is [`LinearMemory::hash`].
    ///
    /// # Panics
    /// If another native thread executes instances of the store.
    pub fn memory_hash(&self) -> Option<u64> {
        self.memories().map(|memory| memory.hash()).reduce(|all, hash| all.rotate_left(17) ^ hash)
    }

    /// The exported memory of that name.
    pub fn exported_memory(&self, name: &str) -> Option<&LinearMemory> {
        match self.module().export(name) {
            Some(ExportItem::Memory(memory)) => Some(self.memory_at(memory)),
            _ => None,
        }
    }

    /// A linear memory, which can be shared.
    #[inline(always)]
    pub(crate) fn memory_at(&self, memory: MemoryIndex) -> &Arc<LinearMemory> {
        &self.memories[memory.index()]
    }

    /// The linear memories as compiled code sees them.
    pub(crate) fn memory_views(&self) -> &[MemoryView] {
        &self.memory_views
    }
}
