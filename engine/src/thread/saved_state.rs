//! What guest code has changed, kept and put back: so that a program that changes its state can be called once more as if it
//! never had been.
//!
//! | | |
//! |---|---|
//! | put back | memories, tables and mutable globals, those of other instances that it imports, too; segments that were dropped |
//! | stays | code, profiles, what the tiers have learnt; whatever host functions have; caught exceptions and external references |

use std::sync::{Arc, Weak};

use osr_ir::{DataIndex, ElementIndex, GlobalIndex, TableIndex};

use crate::error::StateError;
use crate::instance::Instance;
use crate::memory::saved_memory::SavedMemory;
use crate::thread::Thread;

/// What the guest code of an instance [had changed](Thread::save_state) at some time.
#[derive(Debug)]
pub struct SavedState {
    of: Weak<Instance>,
    memories: Box<[SavedMemory]>,
    tables: Box<[Box<[u64]>]>,
    globals: Box<[Vec<u64>]>,
    data_dropped: Box<[bool]>,
    elements_dropped: Box<[bool]>,
}

impl Thread {
    /// What guest code may have changed until now: memories, tables, globals, and which segments are dropped.
    ///
    /// # Errors
    /// While guest code executes, or waits for the host.
    pub fn save_state(&self) -> Result<SavedState, StateError> {
        self.check_idle()?;
        let instance = self.instance();
        let module = instance.module();
        let globals = (0..module.globals.len()).map(GlobalIndex::new);
        let tables = (0..module.tables.len()).map(TableIndex::new);
        Ok(SavedState {
            of: Arc::downgrade(self.shared_instance()),
            memories: instance.memories().map(SavedMemory::of).collect(),
            tables: tables.map(|table| instance.table(table).entries()).collect(),
            globals: globals.map(|global| instance.global_value(global)).collect(),
            data_dropped: data(instance).map(|segment| instance.is_data_dropped(segment)).collect(),
            elements_dropped: elements(instance)
                .map(|segment| instance.are_elements_dropped(segment))
                .collect(),
        })
    }

    /// Puts back what was `saved` of the same instance. Its code stays; what takes a global for a constant that had another
    /// value then is invalidated.
    ///
    /// # Errors
    /// While guest code executes, or waits for the host; if it is another instance's; if the system does not take memory back.
    pub fn restore_state(&self, saved: &SavedState) -> Result<(), StateError> {
        self.check_idle()?;
        let instance = self.instance();
        if saved.of.as_ptr() != Arc::as_ptr(self.shared_instance()) {
            return Err(StateError::OtherInstance);
        }
        for (memory, saved) in instance.memories().zip(&saved.memories) {
            saved.restore(memory).map_err(StateError::System)?;
        }
        for (number, entries) in saved.tables.iter().enumerate() {
            instance.table(TableIndex::new(number)).restore(entries);
        }
        data(instance)
            .zip(&saved.data_dropped)
            .for_each(|(segment, &is)| instance.set_data_dropped(segment, is));
        elements(instance)
            .zip(&saved.elements_dropped)
            .for_each(|(segment, &is)| instance.set_elements_dropped(segment, is));
        for (number, words) in saved.globals.iter().enumerate() {
            let global = GlobalIndex::new(number);
            if instance.module().globals[number].mutable && instance.global_value(global) != *words {
                instance.set_global(global, words);
                self.global_changed(global);
            }
        }
        Ok(())
    }

    /// Refuses what no guest code may be in the middle of: frames rely on memories and tables not becoming smaller.
    fn check_idle(&self) -> Result<(), StateError> {
        if !self.instance().store().process().is_current() {
            return Err(StateError::Forked);
        }
        self.check_outside()?;
        let is_executed = |instance: &Instance| {
            // SAFETY: this native thread has claimed the store, so the threads of its instances are this native thread's. They
            // are pinned, and live: one that is dropped detaches itself.
            instance.thread().is_some_and(|thread| unsafe { thread.as_ref() }.is_executing())
        };
        match self.instance().store().instances().iter().any(|instance| is_executed(instance)) {
            true => Err(StateError::Executing),
            false => Ok(()),
        }
    }
}

fn data(instance: &Instance) -> impl Iterator<Item = DataIndex> {
    (0..instance.module().data.len()).map(DataIndex::new)
}

fn elements(instance: &Instance) -> impl Iterator<Item = ElementIndex> {
    (0..instance.module().elements.len()).map(ElementIndex::new)
}
