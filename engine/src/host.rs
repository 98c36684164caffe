//! Functions that the host provides to guest code.

use std::collections::HashMap;
use std::sync::Arc;

use osr_ir::{FunctionIndex, ImportName, Signature};
use thiserror::Error;

use crate::error::{InvokeError, Trap};
use crate::memory::LinearMemory;
use crate::thread::Thread;

/// A host function did not succeed; the guest that called it traps.
#[derive(Clone, Debug, Error)]
pub enum HostError {
    /// It failed, for this reason: the guest traps with [`osr_ir::TrapKind::HostError`].
    #[error("{0}")]
    Failed(String),
    /// Guest code that it called back trapped: the trap passes through it.
    #[error(transparent)]
    Trap(#[from] Trap),
}

impl From<InvokeError> for HostError {
    fn from(error: InvokeError) -> HostError {
        match error {
            InvokeError::Trap(trap) => HostError::Trap(trap),
            other => HostError::Failed(other.to_string()),
        }
    }
}

/// The code of a host function: reads its arguments, writes its results (one word each, as
/// [`osr_ir::Value::to_bits`] has them).
pub type HostCode = dyn Fn(&HostCall<'_>, &[u64], &mut [u64]) -> Result<(), HostError> + Send + Sync;

/// A function that the host provides.
#[derive(Clone)]
pub struct HostFunction {
    /// Its type; an import must ask for exactly this one.
    pub signature: Signature,
    /// What it does.
    pub code: Arc<HostCode>,
}

impl std::fmt::Debug for HostFunction {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "HostFunction({:?})", self.signature)
    }
}

/// What a host function can do to the guest that called it.
#[derive(Clone, Copy)]
pub struct HostCall<'a> {
    thread: &'a Thread,
}

impl<'a> HostCall<'a> {
    pub(crate) fn new(thread: &'a Thread) -> HostCall<'a> {
        HostCall { thread }
    }

    /// The thread that executes.
    pub fn thread(&self) -> &'a Thread {
        self.thread
    }

    /// The guest's memory, if it has one.
    pub fn memory(&self) -> Option<&'a LinearMemory> {
        self.thread.instance().memory()
    }

    /// Calls back into the guest.
    ///
    /// # Errors
    /// If the guest traps.
    pub fn call(&self, function: FunctionIndex, arguments: &[u64]) -> Result<Vec<u64>, InvokeError> {
        self.thread.call(function, arguments)
    }
}

/// Everything that the host provides, by name.
#[derive(Clone, Debug, Default)]
pub struct Imports {
    functions: HashMap<ImportName, HostFunction>,
    globals: HashMap<ImportName, osr_ir::Value>,
}

impl Imports {
    /// Provides nothing.
    pub fn new() -> Imports {
        Imports::default()
    }

    /// Provides a function as `module`.`name`.
    pub fn function(
        &mut self,
        module: &str,
        name: &str,
        signature: Signature,
        code: impl Fn(&HostCall<'_>, &[u64], &mut [u64]) -> Result<(), HostError> + Send + Sync + 'static,
    ) -> &mut Imports {
        let name = ImportName { module: module.into(), name: name.into() };
        self.functions.insert(name, HostFunction { signature, code: Arc::new(code) });
        self
    }

    /// Provides the value of an immutable global as `module`.`name`.
    pub fn global(&mut self, module: &str, name: &str, value: osr_ir::Value) -> &mut Imports {
        self.globals.insert(ImportName { module: module.into(), name: name.into() }, value);
        self
    }

    pub(crate) fn find_function(&self, name: &ImportName) -> Option<&HostFunction> {
        self.functions.get(name)
    }

    pub(crate) fn find_global(&self, name: &ImportName) -> Option<osr_ir::Value> {
        self.globals.get(name).copied()
    }
}
