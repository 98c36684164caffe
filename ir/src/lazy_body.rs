//! Bodies that are made on first use.
//!
//! ```text
//!  wasm::import ──> BodySource ──first use──> Body        text::parse, tests ──> Body
//!                 (dropped with the last body made)
//! ```
//!
//! A WebAssembly module has far more code than a run executes, so importing it only validates it, and
//! each body is translated on first use. Because it was validated, that cannot fail.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::body::Body;
use crate::body_source::{SourceCheck, UnmadeBody};
use crate::module::Function;

/// A [`Body`] that is made when it is dereferenced for the first time. Two threads that do so get the same body.
#[derive(Default)]
pub struct LazyBody {
    body: OnceLock<Body>,
    /// What it is made from; none once it is made.
    unmade: Mutex<Option<UnmadeBody>>,
}

impl LazyBody {
    pub(crate) fn unmade(body: UnmadeBody) -> LazyBody {
        LazyBody { body: OnceLock::new(), unmade: Mutex::new(Some(body)) }
    }

    /// Whether the body has been made.
    pub fn is_made(&self) -> bool {
        self.body.get().is_some()
    }

    /// How many registers the body has: exactly if it has been made, otherwise at most.
    pub(crate) fn register_bound(&self) -> usize {
        match (self.body.get(), &*self.lock()) {
            (None, Some(UnmadeBody { source, function })) => source.register_bound(*function),
            _ => self.registers.len(),
        }
    }

    /// Whether the body is still to be made, and will be well formed as that of `function`.
    pub(crate) fn is_unmade_and_sound(&self, function: &Function, check: &mut SourceCheck) -> bool {
        self.lock().as_ref().is_some_and(|body| check.passes(body, function))
    }

    fn lock(&self) -> MutexGuard<'_, Option<UnmadeBody>> {
        self.unmade.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for LazyBody {
    type Target = Body;

    #[inline(always)]
    fn deref(&self) -> &Body {
        self.body.get_or_init(|| {
            let unmade = self.lock().take();
            unmade.map(|UnmadeBody { source, function }| source.make(function)).unwrap_or_default()
        })
    }
}

impl DerefMut for LazyBody {
    fn deref_mut(&mut self) -> &mut Body {
        let _: &Body = self;
        self.body.get_mut().expect("it was just made")
    }
}

impl From<Body> for LazyBody {
    fn from(body: Body) -> LazyBody {
        LazyBody { body: body.into(), unmade: Mutex::new(None) }
    }
}

impl Clone for LazyBody {
    fn clone(&self) -> LazyBody {
        let unmade = if self.is_made() { None } else { self.lock().clone() };
        // Without either, another thread is making the body: this waits for it.
        unmade.map_or_else(|| LazyBody::from(Body::clone(self)), LazyBody::unmade)
    }
}

impl PartialEq for LazyBody {
    fn eq(&self, other: &LazyBody) -> bool {
        **self == **other
    }
}

impl fmt::Debug for LazyBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, formatter)
    }
}
