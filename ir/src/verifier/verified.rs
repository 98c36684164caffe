//! The proof that a module was verified.

use std::convert::Infallible;
use std::ops::Deref;

use super::{VerifyError, verify_lazily};
use crate::module::Module;

/// A module that has passed [`verify_lazily`], and has not been changed since: it can be read, but only
/// [`into_inner`](Self::into_inner) returns a module that can be changed. Who takes one need not verify again.
///
/// ```
/// use osr_ir::{VerifiedModule, text};
///
/// let module = text::parse("function f () -> (i32) { r0: i32 b0: return r0 }").unwrap();
/// let error = VerifiedModule::new(module).unwrap_err();
/// assert!(error.to_string().contains("r0"), "not assigned: {error}");
/// ```
#[derive(Clone, Debug)]
pub struct VerifiedModule(Module);

impl VerifiedModule {
    /// Verifies `module`.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn new(module: Module) -> Result<VerifiedModule, VerifyError> {
        verify_lazily(&module)?;
        Ok(VerifiedModule(module))
    }

    /// The module, which can be changed, and then has to be verified anew.
    pub fn into_inner(self) -> Module {
        self.0
    }
}

impl Deref for VerifiedModule {
    type Target = Module;

    fn deref(&self) -> &Module {
        &self.0
    }
}

impl TryFrom<Module> for VerifiedModule {
    type Error = VerifyError;

    fn try_from(module: Module) -> Result<VerifiedModule, VerifyError> {
        VerifiedModule::new(module)
    }
}

/// What is verified already cannot fail to be: lets functions take modules of both kinds.
impl From<Infallible> for VerifyError {
    fn from(never: Infallible) -> VerifyError {
        match never {}
    }
}
