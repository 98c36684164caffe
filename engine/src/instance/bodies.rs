//! Which body calls of each function enter, and where activations of others are carried.
//!
//! ```text
//!   function   entered           carried
//!   sort       sort -> heap      sort: by the map `sort` to `heap`
//!   swap       swap
//! ```
//!
//! A body is identified by the index of a function: that of the function that it is the first body of, or of the
//! [`Alternative`](osr_ir::Alternative). So everything that belongs to a body, such as points, versions, profiles and
//! interpreter code, is found by the index that a frame has anyway, and old bodies are there as long as the instance.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use osr_ir::{Body, FunctionIndex, Module, StateMap};

use crate::instance::Instance;

/// See the module.
#[derive(Debug)]
pub(crate) struct Bodies {
    /// By function; empty if none has several bodies.
    entered: Box<[AtomicU32]>,
    /// By body.
    carried: Mutex<HashMap<FunctionIndex, Arc<StateMap>>>,
    /// Whether calls of some function ever entered another body than its first.
    is_redefined: AtomicBool,
}

impl Bodies {
    /// Calls enter the first body of each function of `module`.
    pub(crate) fn of(module: &Module) -> Bodies {
        let functions = if module.alternatives.is_empty() { 0 } else { module.functions.len() as u32 };
        Bodies {
            entered: (0..functions).map(AtomicU32::new).collect(),
            carried: Mutex::default(),
            is_redefined: AtomicBool::new(false),
        }
    }

    /// The body that calls of `function` enter.
    pub(crate) fn entered(&self, function: FunctionIndex) -> FunctionIndex {
        let entered = self.entered.get(function.index());
        entered.map_or(function, |body| FunctionIndex::new(body.load(Ordering::Relaxed) as usize))
    }

    /// Whether calls of some function ever entered another body than its first.
    pub(crate) fn is_redefined(&self) -> bool {
        self.is_redefined.load(Ordering::Relaxed)
    }

    /// From now on calls of `function` enter `body`, whose activations stay in it.
    pub(crate) fn enter(&self, function: FunctionIndex, body: FunctionIndex) {
        self.is_redefined.store(true, Ordering::Relaxed);
        self.entered[function.index()].store(body.as_u32(), Ordering::Relaxed);
        self.maps().remove(&body);
    }

    /// From now on activations of the body that `map` begins with are carried by it.
    pub(crate) fn carry(&self, map: StateMap) {
        self.maps().insert(map.from, Arc::new(map));
    }

    /// How activations of `body` are carried into another, if they are.
    pub(crate) fn carried(&self, body: FunctionIndex) -> Option<Arc<StateMap>> {
        if self.is_redefined() { self.maps().get(&body).cloned() } else { None }
    }

    fn maps(&self) -> MutexGuard<'_, HashMap<FunctionIndex, Arc<StateMap>>> {
        self.carried.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Instance {
    /// Which body calls of each function enter.
    pub(crate) fn bodies(&self) -> &Bodies {
        &self.bodies
    }

    /// A body: that of a defined function.
    #[inline(always)]
    pub(crate) fn body(&self, function: FunctionIndex) -> &Body {
        self.linked.body(function)
    }

    /// The body that calls of `function` enter: itself, or an [alternative](osr_ir::Alternative) since a
    /// [redefinition](crate::Thread::redefine).
    pub fn entered_body(&self, function: FunctionIndex) -> FunctionIndex {
        self.bodies.entered(function)
    }
}
