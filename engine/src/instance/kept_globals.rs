//! The globals that optimized code may take for constants.
//!
//! These are mutable globals of one word that the module neither imports nor exports, so that all stores to them are
//! in its functions; not those that hold what was [caught](osr_ir::Tag), which the runtime stores to. The interpreter
//! looks, when it stores another value, whether there is code that takes the global for a constant. Compiled code
//! does not look: it never stores to a global that other code takes for a constant. So stores of compiled code cost
//! what they always cost, and a function that stores to a global and is executed often ends the speculation.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};

use osr_ir::module::GlobalInitial;
use osr_ir::{ExportItem, GlobalIndex, Module, Type};

use crate::instance::Instance;
use crate::settings::Settings;
use crate::settings::speculate::SpeculationKind;

/// Of each global, whether it may be taken for a constant.
#[derive(Debug)]
pub(crate) struct KeptGlobals {
    /// How often its value has changed though code took it for a constant; [`NEVER`] if none may. Empty if this kind of
    /// speculation is not chosen.
    changes: Box<[AtomicU32]>,
    /// How many changes are too many.
    limit: u32,
}

/// No code may take the global for a constant.
const NEVER: u32 = u32::MAX;

impl KeptGlobals {
    pub(crate) fn of(module: &Module, settings: &Settings) -> KeptGlobals {
        let is_chosen = settings.speculate.contains(&SpeculationKind::Global) && !settings.is_made_at_once();
        let is_exported =
            |global| module.exports.iter().any(|export| export.item == ExportItem::Global(global));
        // The runtime stores to these when something is caught.
        let values = module.tags.iter().flat_map(|tag| &tag.values);
        let caught: HashSet<GlobalIndex> = values.copied().chain(module.caught).collect();
        let changes = (0..module.globals.len()).map(GlobalIndex::new).map(|index| {
            let global = &module.globals[index.index()];
            let is_own = matches!(global.initial, GlobalInitial::Expression(_)) && !is_exported(index);
            let is_stored_by_code = global.mutable && is_own && !caught.contains(&index);
            AtomicU32::new(if is_stored_by_code && global.ty != Type::V128 { 0 } else { NEVER })
        });
        let changes = if is_chosen { changes.collect() } else { Box::default() };
        KeptGlobals { changes, limit: settings.guard_failures.max(1) }
    }

    /// Whether globals are taken for constants at all.
    pub(crate) fn is_chosen(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Whether `global` may be taken for a constant.
    pub(crate) fn may_be_kept(&self, global: GlobalIndex) -> bool {
        let changes = self.changes.get(global.index());
        changes.is_some_and(|changes| changes.load(Ordering::Relaxed) < self.limit)
    }

    /// `global` may not be taken for a constant any more.
    pub(crate) fn give_up(&self, global: GlobalIndex) {
        self.changes[global.index()].store(NEVER, Ordering::Relaxed);
    }

    /// The value of `global` has changed though code took it for a constant.
    pub(crate) fn count_change(&self, global: GlobalIndex) {
        let changes = &self.changes[global.index()];
        changes.store(changes.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed);
    }
}

impl Instance {
    /// The globals that optimized code may take for constants.
    #[inline(always)]
    pub(crate) fn kept_globals(&self) -> &KeptGlobals {
        &self.kept_globals
    }

    /// Whether there is code that takes `global` for a constant.
    pub(crate) fn is_kept(&self, global: GlobalIndex) -> bool {
        self.registry().live().iter().any(|version| version.keeps(global))
    }
}
