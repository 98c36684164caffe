//! Bodies that are made when somebody asks for them.
//!
//! ```text
//!  wasm::import ──> source ──first use──> body        text::parse, tests ──> body
//!                 (the source is let go)
//! ```
//!
//! A WebAssembly module has far more code than a run executes, so importing it only validates it, and
//! each body is translated on first use. Because it was validated, that cannot fail.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::body::Body;
use crate::module::Function;
use crate::wasm::{SourceBody, SourceCheck};

/// A [`Body`], made on first use: going from a reference to this to one to the body makes it.
#[derive(Default)]
pub struct LazyBody {
    body: OnceLock<Body>,
    /// What it is made of; none once it is made.
    source: Mutex<Option<SourceBody>>,
}

impl LazyBody {
    pub(crate) fn of_source(source: SourceBody) -> LazyBody {
        LazyBody { body: OnceLock::new(), source: Mutex::new(Some(source)) }
    }

    /// Whether the body has been made.
    pub fn is_made(&self) -> bool {
        self.body.get().is_some()
    }

    /// How many registers the body has: exactly if it has been made, else at most.
    pub(crate) fn register_bound(&self) -> usize {
        match (self.body.get(), &*self.lock()) {
            (None, Some(source)) => source.register_bound(),
            _ => self.registers.len(),
        }
    }

    /// Whether the body is still to be made, and will be well formed as that of `function`.
    pub(crate) fn is_sound_source(&self, function: &Function, check: &mut SourceCheck) -> bool {
        self.lock().as_ref().is_some_and(|source| check.passes(source, function))
    }

    fn lock(&self) -> MutexGuard<'_, Option<SourceBody>> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for LazyBody {
    type Target = Body;

    #[inline(always)]
    fn deref(&self) -> &Body {
        self.body.get_or_init(|| {
            let source = self.lock().take();
            source.map(|source| source.translate()).unwrap_or_default()
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
        LazyBody { body: body.into(), source: Mutex::new(None) }
    }
}

impl Clone for LazyBody {
    fn clone(&self) -> LazyBody {
        let source = if self.is_made() { None } else { self.lock().clone() };
        // Without either, another thread is making the body: this waits for it.
        source.map_or_else(|| LazyBody::from(Body::clone(self)), LazyBody::of_source)
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
