//! Exceptions of an instance: what is thrown, and what was caught.
//!
//! ```text
//!   throw x0 ──> the values of the tag's globals ──> Exception ──> pending, as a trap is
//!   a frame that catches <── its values in the globals of the instance's own tag, the tag's number in `caught`
//! ```
//!
//! Tags are the store's: an instance knows by a number of its own those that it defines and imports.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use osr_ir::{ExportItem, FunctionIndex, Point, PointKind, Position, TagIndex, TrapKind};

use crate::error::{Exception, Tag};
use crate::instance::Instance;

/// The tags of an instance, and the exceptions that it has thrown and caught last.
#[derive(Debug)]
pub(crate) struct Exceptions {
    pub(crate) tags: Box<[Tag]>,
    /// What was thrown, until it is pending in the thread.
    thrown: Mutex<Option<Arc<Exception>>>,
    caught: Mutex<Option<Arc<Exception>>>,
}

impl Exceptions {
    /// Those of an instance that has these tags.
    pub(crate) fn new(tags: Box<[Tag]>) -> Exceptions {
        Exceptions { tags, thrown: Mutex::default(), caught: Mutex::default() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Instance {
    /// The exported tag of that name.
    pub fn exported_tag(&self, name: &str) -> Option<&Tag> {
        match self.module().export(name) {
            Some(ExportItem::Tag(tag)) => Some(self.tag(tag)),
            _ => None,
        }
    }

    /// A tag.
    pub(crate) fn tag(&self, tag: TagIndex) -> &Tag {
        &self.exceptions.tags[tag.index()]
    }

    /// Its number of `tag`, if it has it.
    pub(crate) fn tag_number(&self, tag: &Tag) -> Option<TagIndex> {
        self.exceptions.tags.iter().position(|own| own == tag).map(TagIndex::new)
    }

    /// `throw`: makes an exception of what is in the globals of `tag`.
    #[cold]
    pub(crate) fn throw(&self, tag: TagIndex) -> TrapKind {
        let values = &self.module().tags[tag.index()].values;
        let words: Vec<u64> = values.iter().flat_map(|&global| self.global_value(global)).collect();
        self.thrown(Arc::new(Exception::new(self.tag(tag), &words)))
    }

    /// `throw_ref` of a word of type `exnref`.
    #[cold]
    pub(crate) fn throw_ref(&self, word: u64) -> TrapKind {
        match self.store().exception(word) {
            Some(exception) => self.thrown(exception),
            None => TrapKind::NullException,
        }
    }

    fn thrown(&self, exception: Arc<Exception>) -> TrapKind {
        *lock(&self.exceptions.thrown) = Some(exception);
        TrapKind::UncaughtException
    }

    /// What was thrown.
    pub(crate) fn take_thrown(&self) -> Option<Arc<Exception>> {
        lock(&self.exceptions.thrown).take()
    }

    /// The word that refers to what was caught last. The store keeps it from then on.
    pub(crate) fn caught_ref(&self) -> u32 {
        lock(&self.exceptions.caught)
            .as_ref()
            .map_or(0, |exception| self.store().refer_to_exception(exception))
    }

    /// Whether an exception that arrives at `point` of `function`, from a call there, is caught.
    pub(crate) fn catches(&self, function: FunctionIndex, point: Point) -> bool {
        let caught = self.module().caught;
        if caught.is_none() {
            return false;
        }
        let points = &self.analysis(function).points;
        points.kind(point) == PointKind::AfterCall
            && self.body(function).catches(points.position(point), caught)
    }

    /// The words of a frame of `function` that the call before `point` assigns.
    pub(crate) fn result_words(
        &self,
        function: FunctionIndex,
        point: Point,
    ) -> impl Iterator<Item = usize> + '_ {
        let analysis = self.analysis(function);
        let Position { block, index } = analysis.points.position(point);
        let results = self.body(function).block(block).instructions[index].definitions();
        results.iter().flat_map(|register| analysis.words.range(register.index()))
    }

    /// A frame of this instance has caught `exception`.
    pub(crate) fn catch(&self, exception: &Arc<Exception>) {
        let module = self.module();
        let number = self.tag_number(exception.tag());
        if let Some(tag) = number {
            let mut words = exception.words();
            for &global in &module.tags[tag.index()].values {
                let (value, rest) = words.split_at(module.globals[global.index()].ty.words());
                self.set_global(global, value);
                words = rest;
            }
        }
        let number = number.map_or(u32::MAX, |tag| tag.as_u32() + 1);
        self.set_global(module.caught.expect("a frame catches"), &[number.into()]);
        *lock(&self.exceptions.caught) = Some(Arc::clone(exception));
    }

    /// A call from outside was left by a trap: whatever was about to be dispatched is not.
    pub(crate) fn forget_caught(&self) {
        if let Some(global) = self.module().caught {
            self.set_global(global, &[0]);
        }
    }
}
