//! Which body calls of each function enter, and where activations of others are carried.
//!
//! ```text
//!   function   entered           carried
//!   sort       sort -> heap      sort: by the map `sort` to `heap`
//!   swap       swap
//! ```
//!
//! A body is identified by the index of a function: that of the function that it is the first body of, or of the
//! [`Alternative`](osr_ir::Alternative), or the next one for a body that is [added](Instance::add_bodies) later. So everything
//! that belongs to a body, such as points, versions, profiles and interpreter code, is found by the index that a frame has
//! anyway, and old bodies are there as long as the instance.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use osr_ir::{Addition, Body, FunctionIndex, Module, StateMap};

use crate::error::AddBodiesError;
use crate::instance::{Instance, excess};

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
        let is_fixed = module.alternatives.is_empty() && module.reserved_bodies() == 0;
        let functions = if is_fixed { 0 } else { module.body_count() as u32 };
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
    /// Whether the body of `function` may be inlined: calls of it enter that one, and when they do not any more, what it is
    /// inlined into is invalidated.
    pub(crate) fn may_be_inlined(&self, function: FunctionIndex) -> bool {
        !self.module().has_alternatives(function)
            || self.settings().mechanism.replaces_frames()
                && self.bodies.entered(self.module().function_of(function)) == function
    }

    /// The functions that are left out of inlining: those of which that does not hold.
    pub(crate) fn left_out(&self) -> BTreeSet<FunctionIndex> {
        if self.bodies.entered.is_empty() {
            return BTreeSet::new();
        }
        self.module().function_indices().filter(|&function| !self.may_be_inlined(function)).collect()
    }

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

    /// Adds bodies to functions of the module: they are verified as they would have been with the module, and can be
    /// [entered](crate::Thread::redefine) at once, in any tier, whatever is active. The room for them has been
    /// [reserved](Module::reserve_bodies) before the instance was made, and they stay as long as the instance.
    ///
    /// What the addition says is [to be done](Addition::redefinition) then is not done here: hand it to
    /// [`Thread::redefine`](crate::Thread::redefine).
    ///
    /// ```
    /// # use osr_engine::{Imports, Instance, Settings, Thread};
    /// # use osr_ir::{Value, text};
    /// let source = "export \"run\" function price function price () -> (i32) { r0: i32 b0: r0 = i32.const 7 return r0 }";
    /// let mut module = text::parse(source)?;
    /// module.reserve_bodies(1);
    /// let instance = Instance::new(Settings::default(), module, &Imports::new())?;
    /// let thread = Thread::new(&instance)?;
    /// assert_eq!(thread.invoke("run", &[])?, [7]);
    ///
    /// let source = "body higher of price () -> (i32) { r0: i32 b0: r0 = i32.const 8 return r0 } redefine price to higher carry";
    /// let addition = text::parse_addition(instance.module(), "higher.ir", source)?;
    /// let redefinition = addition.redefinition().expect("it has one").clone();
    /// instance.add_bodies(addition)?;
    /// thread.redefine(&redefinition)?;
    /// assert_eq!(thread.invoke("run", &[])?, [8]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If there is no room for them, or something is wrong with one: then nothing is added.
    pub fn add_bodies(&self, addition: Addition) -> Result<(), AddBodiesError> {
        for function in addition.functions() {
            if let Some((what, count, limit)) = excess(self.module(), function) {
                return Err(AddBodiesError::TooLarge { body: function.name.clone(), what, count, limit });
            }
        }
        let indices = addition.indices();
        self.module().add_bodies(addition)?;
        indices.for_each(|body| self.registry().bind_body(body, self.module().function_of(body)));
        Ok(())
    }

    /// Adds the bodies that were added to `other`, an instance of the same module.
    pub(crate) fn add_bodies_of(&self, other: &Instance) {
        self.module().add_bodies_of(other.module());
    }
}
