//! The globals that optimized code may take for constants.
//!
//! These are mutable globals of one word; not those that hold what was [caught](osr_ir::Tag), which the runtime stores to.
//! The interpreter looks, when it stores another value, whether there is code that takes the global for a constant.
//! Compiled code does not look: it never stores to a global that other code takes for a constant. So stores of compiled
//! code cost what they always cost, and a function that stores to a global and is executed often ends the speculation.
//!
//! ```text
//!   owner: speculates         importer               importer
//!   global 2 ──┐              global 0 ──┐           global 5 ──┐
//!              └─────> one KeptGlobal <──┴──────────────────────┘     stores of each are looked at
//! ```
//!
//! A global that is exported is stored to by whoever imports it. The instance that owns it decides whether it may be kept,
//! and those that import it share what is known of it, whether they speculate or not. If the owner does not speculate its
//! stores are not looked at, and no code takes the global for a constant. The host has no way to store to it but by guest code.

use std::collections::HashSet;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use osr_ir::module::GlobalInitial;
use osr_ir::{GlobalIndex, Module, Type};

use crate::instance::Instance;
use crate::settings::Settings;
use crate::settings::speculate::SpeculationKind;

/// A global that code may take for a constant, or might have.
#[derive(Debug)]
pub(crate) struct KeptGlobal {
    /// How often its value has changed though code took it for a constant.
    changes: AtomicU32,
    /// How many changes are too many.
    limit: u32,
}

impl KeptGlobal {
    fn may_be_kept(&self) -> bool {
        self.changes.load(Ordering::Relaxed) < self.limit
    }
}

/// Of each global, whether it may be taken for a constant.
#[derive(Debug)]
pub(crate) struct KeptGlobals {
    /// `None` if it may never. Empty if none of them may.
    globals: Box<[Option<Arc<KeptGlobal>>]>,
    /// Whether the instance's own code takes globals for constants.
    is_chosen: bool,
}

impl KeptGlobals {
    /// Those of `module`, of which `imported` are other instances': by global, what is known there.
    pub(crate) fn of(
        module: &Module,
        settings: &Settings,
        imported: Vec<Option<Arc<KeptGlobal>>>,
    ) -> KeptGlobals {
        let is_chosen = settings.speculate.contains(&SpeculationKind::Global) && !settings.is_made_at_once();
        let (caught, limit) = (caught(module), settings.guard_failures.max(1));
        let kept = |(index, imported): (usize, Option<Arc<KeptGlobal>>)| {
            let global = &module.globals[index];
            if !matches!(global.initial, GlobalInitial::Expression(_)) {
                return imported;
            }
            let is_stored_by_code = global.mutable && !caught.contains(&GlobalIndex::new(index));
            let may_be_kept = is_chosen && is_stored_by_code && global.ty != Type::V128;
            may_be_kept.then(|| Arc::new(KeptGlobal { changes: AtomicU32::new(0), limit }))
        };
        let globals: Box<[_]> = imported.into_iter().enumerate().map(kept).collect();
        let is_empty = globals.iter().all(Option::is_none);
        KeptGlobals { globals: if is_empty { Box::default() } else { globals }, is_chosen }
    }

    /// Whether the instance's own code takes globals for constants.
    pub(crate) fn is_chosen(&self) -> bool {
        self.is_chosen
    }

    /// Whether some code, of the instance or of another one, may take globals for constants that are stored to here.
    pub(crate) fn is_empty(&self) -> bool {
        self.globals.is_empty()
    }

    /// Whether `global` may be taken for a constant.
    pub(crate) fn may_be_kept(&self, global: GlobalIndex) -> bool {
        self.known(global).is_some_and(|kept| kept.may_be_kept())
    }

    /// What is known of `global`, which instances that import it share.
    pub(crate) fn known(&self, global: GlobalIndex) -> Option<&Arc<KeptGlobal>> {
        self.globals.get(global.index())?.as_ref()
    }

    /// `global` may not be taken for a constant any more.
    pub(crate) fn give_up(&self, global: GlobalIndex) {
        if let Some(kept) = self.known(global) {
            kept.changes.store(u32::MAX, Ordering::Relaxed);
        }
    }

    /// The value of `global` has changed though code took it for a constant.
    pub(crate) fn count_change(&self, global: GlobalIndex) {
        if let Some(KeptGlobal { changes, .. }) = self.known(global).map(|kept| &**kept) {
            changes.store(changes.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed);
        }
    }

    /// The globals that are `kept`: one, or several if it was imported under several names.
    fn named(&self, kept: &Arc<KeptGlobal>) -> impl Iterator<Item = GlobalIndex> {
        let is_same =
            |known: &Option<Arc<KeptGlobal>>| known.as_ref().is_some_and(|known| ptr::eq(&**known, &**kept));
        (0..)
            .map(GlobalIndex::new)
            .zip(&self.globals)
            .filter(move |(_, known)| is_same(known))
            .map(|(index, _)| index)
    }
}

impl Instance {
    /// The globals that optimized code may take for constants.
    #[inline(always)]
    pub(crate) fn kept_globals(&self) -> &KeptGlobals {
        &self.kept_globals
    }

    /// The instances of the store with code that takes `global` of this one for a constant, each with the global's index there.
    pub(crate) fn keepers(&self, global: GlobalIndex) -> Vec<(Arc<Instance>, GlobalIndex)> {
        let Some(kept) = self.kept_globals().known(global) else { return Vec::new() };
        let mut keepers = Vec::new();
        for instance in self.store().instances() {
            let named: Vec<GlobalIndex> = instance.kept_globals().named(kept).collect();
            let is_kept = |&global: &GlobalIndex| {
                instance.registry().live().iter().any(|version| version.keeps(global))
            };
            keepers.extend(named.into_iter().filter(is_kept).map(|global| (Arc::clone(&instance), global)));
        }
        keepers
    }

    /// Invalidates the code of this instance that takes `global` for a constant, on the native thread that executes the store.
    /// Frames of it, if there are any, wait for guest code or for the host.
    pub(crate) fn invalidate_for(&self, global: GlobalIndex) {
        if let Some(thread) = self.thread() {
            // SAFETY: the instance is of a store that this native thread has claimed, so the thread is this native thread's. It
            // is pinned, and lives: one that is dropped detaches itself.
            let thread = unsafe { thread.as_ref() };
            thread.invalidate_keeping(global);
            return;
        }
        // Without a thread there are no frames. What is retired is kept until the instance is dropped.
        let live = self.registry().live();
        live.iter().filter(|version| version.keeps(global)).for_each(|version| _ = self.retire(version));
    }

    /// Stores to globals of other instances that nothing looks at: those of code that is made with the instance, and of the
    /// runtime where something is caught. These may not be taken for constants from here on.
    pub(crate) fn give_up_imported_globals(&self) {
        let (caught, is_made) = (caught(self.module()), self.settings().is_made_at_once());
        let globals = (0..self.module().globals.len()).map(GlobalIndex::new);
        for global in globals.filter(|global| is_made || caught.contains(global)) {
            self.kept_globals().give_up(global);
            self.keepers(global).into_iter().for_each(|(keeper, global)| keeper.invalidate_for(global));
        }
    }
}

/// The globals that the runtime stores to when something is caught.
fn caught(module: &Module) -> HashSet<GlobalIndex> {
    module.tags.iter().flat_map(|tag| &tag.values).copied().chain(module.caught).collect()
}
