//! What bodies are made from when they are asked for, and when the verifier may pass over them.
//!
//! An importer that leaves the bodies of a module for later implements [`BodySource`] for what it keeps: one
//! value for the whole module, which all its lazy bodies share.

use std::sync::Arc;

use crate::body::Body;
use crate::declarations::Declarations;
use crate::index::FunctionIndex;
use crate::module::{Function, Module};
use crate::origin::SourceFile;

/// The bodies of a module in another form, validated. Private to the crate, because the verifier believes it: a
/// body that it makes must be well formed in any module of equal declarations, as that of a function with the
/// same signature.
pub(crate) trait BodySource: SourceFile {
    /// Makes the body of `function`, numbered as in the module that this is from.
    fn make(&self, function: FunctionIndex) -> Body;

    /// No fewer than the registers that the body will have; cheaper than making it.
    fn register_bound(&self, function: FunctionIndex) -> usize;

    /// What the bodies were validated under.
    fn declarations(&self) -> &Declarations;
}

/// A body that is not made yet.
#[derive(Clone, Debug)]
pub(crate) struct UnmadeBody {
    pub(crate) source: Arc<dyn BodySource>,
    /// Which of the source's bodies it is. The function may have another index by now.
    pub(crate) function: FunctionIndex,
}

/// Finds out which sources were validated under the declarations that a module has: its parts are public, and
/// may have been changed since it was imported.
pub(crate) struct SourceCheck {
    declarations: Declarations,
    /// The source whose declarations were compared last, and are equal.
    passed: Option<Arc<dyn BodySource>>,
}

impl SourceCheck {
    pub(crate) fn of(module: &Module) -> SourceCheck {
        SourceCheck { declarations: Declarations::of(module), passed: None }
    }

    /// Whether `body` will be well formed as that of `function`, one of the module.
    pub(crate) fn passes(&mut self, body: &UnmadeBody, function: &Function) -> bool {
        let UnmadeBody { source, function: index } = body;
        let is_known = self.passed.as_ref().is_some_and(|passed| Arc::ptr_eq(passed, source));
        if !is_known && *source.declarations() == self.declarations {
            self.passed = Some(Arc::clone(source));
        } else if !is_known {
            return false;
        }
        function.signature == self.declarations.signature_of(*index)
    }
}
