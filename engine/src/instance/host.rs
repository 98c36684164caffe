//! What the host provides to guest code: functions of its own, and what instances export.

use std::collections::HashMap;
use std::sync::Arc;

use osr_ir::{ExportItem, FunctionIndex, ImportName, Signature, Value};
use thiserror::Error;

use crate::error::{EmbedderError, Exception, InvokeError, Tag, Trap};
use crate::instance::Instance;
use crate::instance::externals::External;
use crate::memory::linear_memory::LinearMemory;
use crate::thread::Thread;

/// A host function did not succeed; the guest that called it traps.
#[derive(Clone, Debug, Error)]
pub enum HostError {
    /// It failed, for this reason: the guest traps with [`osr_ir::TrapKind::HostError`].
    #[error("{0}")]
    Failed(String),
    /// It ends the guest's call with an error of the embedder's own, which [`Trap::cause`] returns.
    #[error("{0}")]
    Embedder(EmbedderError),
    /// Guest code that it called back trapped: the trap passes through it.
    #[error(transparent)]
    Trap(#[from] Trap),
    /// It throws: guest code that called it may catch that.
    #[error("{0}")]
    Exception(Arc<Exception>),
}

impl HostError {
    /// Throws an exception.
    ///
    /// ```
    /// use osr_engine::{Exception, HostError, Imports, Instance, Settings, Tag, Thread};
    /// let module = r#"(module
    ///   (import "host" "failure" (tag $failure (param i32)))
    ///   (import "host" "open" (func $open))
    ///   (func (export "code") (result i32)
    ///     (block $caught (result i32)
    ///       (try_table (catch $failure $caught) (call $open))
    ///       (i32.const 0))))"#;
    /// let failure = Tag::new("failure", &[osr_ir::Type::I32]);
    /// let mut imports = Imports::new();
    /// imports.tag("host", "failure", &failure);
    /// imports.function("host", "open", osr_ir::Signature::default(), move |_, _, _| {
    ///     Err(HostError::throw(Exception::new(&failure, &[7])))
    /// });
    /// let module = osr_ir::wasm::import_text(module).unwrap();
    /// let instance = Instance::new(Settings::default(), module, &imports).unwrap();
    /// assert_eq!(Thread::new(&instance).unwrap().invoke("code", &[]).unwrap(), [7]);
    /// ```
    pub fn throw(exception: Exception) -> HostError {
        HostError::Exception(Arc::new(exception))
    }

    /// Ends the guest's call with `error`.
    pub fn embedder(error: impl std::error::Error + Send + Sync + 'static) -> HostError {
        HostError::Embedder(EmbedderError::new(error))
    }
}

impl From<InvokeError> for HostError {
    fn from(error: InvokeError) -> HostError {
        match error {
            InvokeError::Trap(trap) => HostError::Trap(trap),
            other => HostError::Failed(other.to_string()),
        }
    }
}

/// The code of a host function: reads its arguments, writes its results (one word each, two of a
/// vector, as [`osr_ir::Value::to_words`] has them). A function reference is 0, or a word that came from the guest; the
/// guest traps if a result that must be one is something else. A reference of the host's is any word, 0 being null.
pub type HostCode = dyn Fn(&HostCall<'_>, &[u64], &mut [u64]) -> Result<(), HostError> + Send + Sync;

/// A function that the host provides.
#[derive(Clone)]
pub struct HostFunction {
    /// Its type. An import has to have the same types of values; what its references refer to is up to the import.
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

    /// Lets `access` read and write the guest's memory in place; `None` if it has none. The slice ends where the
    /// memory did before.
    ///
    /// Nothing else reaches the memory meanwhile: in `access` guest code cannot be called nor frames be walked or
    /// replaced ([`NotNow`](crate::NotNow)), in no instance of the store.
    ///
    /// # Panics
    /// If the memory is in use by an outer `access`. What else reads or writes memories or tables of the store in
    /// `access` panics, too.
    pub fn with_memory<T>(&self, access: impl FnOnce(&mut [u8]) -> T) -> Option<T> {
        Some(self.memory()?.lend(access))
    }

    /// Keeps `value` in the guest's store; returns the word that refers to it, of type `externref`
    /// ([`Store::refer_to`](crate::Store::refer_to)).
    pub fn refer_to(&self, value: External) -> u64 {
        self.thread.instance().store().externals().keep(value)
    }

    /// What a word of type `externref` refers to; `None` if that is nothing that the guest's store keeps.
    pub fn external(&self, word: u64) -> Option<External> {
        self.thread.instance().store().externals().get(word)
    }

    /// Calls back into the guest.
    ///
    /// # Errors
    /// If the guest traps.
    pub fn call(&self, function: FunctionIndex, arguments: &[u64]) -> Result<Vec<u64>, InvokeError> {
        self.thread.call(function, arguments)
    }
}

/// Everything that is provided to a module, by name. What is provided last under a name counts.
///
/// Memories, tables and mutable globals belong to instances, and are shared by those that import them. A host
/// that wants to provide some of its own makes an instance of a module that exports them.
#[derive(Clone, Debug, Default)]
pub struct Imports {
    provided: HashMap<ImportName, Provided>,
}

/// What is provided under a name.
#[derive(Clone, Debug)]
pub(crate) enum Provided {
    /// A function of the host.
    Host(HostFunction),
    /// An immutable global.
    Constant(Value),
    /// A tag of the host's.
    Tag(Tag),
    /// What an instance exports.
    Export(Arc<Instance>, ExportItem),
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
        self.provide(module, name, Provided::Host(HostFunction { signature, code: Arc::new(code) }))
    }

    /// Provides the value of an immutable global as `module`.`name`.
    pub fn global(&mut self, module: &str, name: &str, value: Value) -> &mut Imports {
        self.provide(module, name, Provided::Constant(value))
    }

    /// Provides a tag as `module`.`name`: then the guest and the host throw and catch the same exceptions.
    pub fn tag(&mut self, module: &str, name: &str, tag: &Tag) -> &mut Imports {
        self.provide(module, name, Provided::Tag(tag.clone()))
    }

    /// Provides all exports of `instance` as `module`.`name of the export`: its functions (a call executes
    /// in `instance`), memory, tables, globals and tags. Only other instances of its [`Store`](crate::Store) can
    /// import them.
    ///
    /// Calls go through the runtime, as those of host functions do. `instance` needs a
    /// [`Thread`](crate::Thread) of the same native thread; if there is none, the caller's makes one, and
    /// keeps it.
    pub fn instance(&mut self, module: &str, instance: &Arc<Instance>) -> &mut Imports {
        for export in &instance.module().exports {
            self.provide(module, &export.name, Provided::Export(Arc::clone(instance), export.item));
        }
        self
    }

    fn provide(&mut self, module: &str, name: &str, provided: Provided) -> &mut Imports {
        self.provided.insert(ImportName { module: module.into(), name: name.into() }, provided);
        self
    }

    /// Whether anything is provided under `name`.
    pub fn provides(&self, name: &ImportName) -> bool {
        self.provided.contains_key(name)
    }

    /// The host function that is provided under `name`.
    pub fn host_function(&self, name: &ImportName) -> Option<&HostFunction> {
        match self.provided.get(name)? {
            Provided::Host(function) => Some(function),
            _ => None,
        }
    }

    pub(crate) fn find(&self, name: &ImportName) -> Option<&Provided> {
        self.provided.get(name)
    }
}
