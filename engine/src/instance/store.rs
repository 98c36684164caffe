//! Stores: instances that can import from one another.
//!
//! ```text
//!   Store ──owns──> instance    functions   numbers
//!                   a           f0 f1 f2    0 1 2      A reference to a function is made of its number
//!                   b           f0 f1             3 4  and its signature's, which mean the same in every
//!                                                      instance: so tables can be shared.
//! ```
//!
//! Each instance has a call cell for every number. Those of its own functions hold what calls enter; the
//! others hold stubs, through which the runtime goes to the function's own instance
//! ([`Thread::call_foreign`](crate::Thread)). So calls within an instance pay nothing for there being others.
//!
//! A native thread executes all instances of a store, or none: what they share is not synchronized. It is one of the
//! process that made the store: a forked child is refused, and can make a store of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use osr_compiler::reference::referenced;
use osr_ir::{FunctionIndex, Module, Signature, SignatureIndex, Value};

use crate::code::call_cells::MAXIMUM_FUNCTIONS;
use crate::error::{Exception, InstantiationError};
use crate::instance::Instance;
use crate::instance::delegates::Delegates;
use crate::instance::externals::{External, Externals};
use crate::instance::host::Imports;
use crate::memory::occupancy::{Claim, Occupancy};
use crate::memory::process::Process;
use crate::settings::Settings;

/// Instances that can import from one another, and share memories, tables and globals.
///
/// The store keeps its instances, because a table may refer to functions of any of them. When it is
/// dropped those that are held, or imported from, elsewhere stay. A call through a table of a function
/// whose instance is gone traps with [`TrapKind::HostError`](osr_ir::TrapKind::HostError).
///
/// ```
/// use osr_engine::{Imports, Settings, Store, Thread};
/// let parse = |text| osr_ir::wasm::import_text(text).unwrap();
/// let store = Store::new();
/// let counter = parse(r#"(module (global (export "count") (mut i32) (i32.const 41)))"#);
/// let counter = store.instantiate(Settings::default(), counter, &Imports::new()).unwrap();
/// let user = parse(r#"(module
///     (global $count (import "counter" "count") (mut i32))
///     (func (export "increment")
///         (global.set $count (i32.add (global.get $count) (i32.const 1)))))"#);
/// let mut imports = Imports::new();
/// imports.instance("counter", &counter);
/// let user = store.instantiate(Settings::default(), user, &imports).unwrap();
/// Thread::new(&user).unwrap().invoke("increment", &[]).unwrap();
/// assert_eq!(counter.exported_global("count"), Some(42));
/// ```
#[derive(Debug, Default)]
pub struct Store {
    state: Arc<StoreState>,
    instances: Mutex<Vec<Arc<Instance>>>,
}

impl Store {
    /// A store without instances.
    pub fn new() -> Store {
        Store::default()
    }

    /// Keeps `value` until it is [taken back](Self::take_external), and returns a reference to it: an argument, or the
    /// word of a result, of type `externref`. Nothing finds out whether guest code still has the reference.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use osr_engine::{Imports, Settings, Store, Thread};
    /// let module = r#"(module (func (export "same") (param externref) (result externref) local.get 0))"#;
    /// let module = osr_ir::wasm::import_text(module).unwrap();
    /// let store = Store::new();
    /// let instance = store.instantiate(Settings::default(), module, &Imports::new()).unwrap();
    /// let reference = store.refer_to(Arc::new(String::from("of the host")));
    /// let returned = Thread::new(&instance).unwrap().invoke("same", &[reference]).unwrap()[0];
    /// let value = store.external(returned).unwrap().downcast::<String>().unwrap();
    /// assert_eq!(*value, "of the host");
    /// store.take_external(returned);
    /// assert!(store.external(returned).is_none());
    /// ```
    pub fn refer_to(&self, value: External) -> Value {
        Value::Externref(self.state.externals().keep(value))
    }

    /// What a word of type `externref` refers to; `None` if that is nothing that the store keeps.
    pub fn external(&self, word: u64) -> Option<External> {
        self.state.externals().get(word)
    }

    /// Takes back what a word of type `externref` refers to. The word refers to nothing from here on.
    pub fn take_external(&self, word: u64) -> Option<External> {
        self.state.externals().take(word)
    }

    /// Verifies `module`, resolves its imports, and writes its active segments. The start function is
    /// the first thread's to call: [`Thread::start`](crate::Thread::start).
    ///
    /// If a segment does not fit, those before it have been written, to imported memories and tables too,
    /// as WebAssembly has it; the store keeps the instance for the sake of references to its functions.
    ///
    /// # Errors
    /// If the module is not valid or too large, an import is missing or of another type or store, a
    /// segment does not fit, memory runs out, or another native thread executes instances of the store; if
    /// the settings ask for what code that is made so cannot do.
    pub fn instantiate(
        &self,
        settings: Settings,
        module: Module,
        imports: &Imports,
    ) -> Result<Arc<Instance>, InstantiationError> {
        self.instantiate_with_delegates(settings, Delegates::default(), module, imports)
    }

    /// The same, watched by an observer, or with a policy of the embedder's.
    ///
    /// # Errors
    /// As for [`Store::instantiate`]; and if the observer [wants points](crate::Observer::wants_points), and
    /// they are not [safepoints](Settings::points).
    pub fn instantiate_with_delegates(
        &self,
        settings: Settings,
        delegates: Delegates,
        module: Module,
        imports: &Imports,
    ) -> Result<Arc<Instance>, InstantiationError> {
        if !self.state.process.is_current() {
            return Err(InstantiationError::Forked);
        }
        let _claim = self.state.claim().ok_or(InstantiationError::StoreInUse)?;
        let mut instances = lock(&self.instances);
        let instance = Instance::link(settings, delegates, module, imports, &self.state)?;
        instance.give_up_imported_globals();
        instance.make_code()?;
        self.state.admit(&instance)?;
        instances.push(Arc::clone(&instance));
        drop(instances);
        instance.write_active_segments()?;
        Ok(instance)
    }
}

/// What the instances of a store have in common. Keeps none of them.
#[derive(Debug, Default)]
pub(crate) struct StoreState {
    /// Their numbers; what they mention are such numbers, too.
    signatures: Mutex<HashMap<Signature, u32>>,
    numbers: Mutex<Numbers>,
    externals: Mutex<Externals>,
    /// Those that words of type `exnref` refer to: a word is the position, from 1.
    exceptions: Mutex<Vec<Arc<Exception>>>,
    occupancy: Arc<Occupancy>,
    process: Process,
}

#[derive(Debug, Default)]
struct Numbers {
    next: u32,
    /// By ascending numbers.
    members: Vec<Member>,
    /// By number, the references to functions that instances have, or had; 0 for numbers of instances that were
    /// never made.
    references: Vec<u64>,
}

#[derive(Debug)]
struct Member {
    first: u32,
    instance: Weak<Instance>,
}

impl StoreState {
    /// The process whose threads execute the instances. A forked child is another.
    pub(crate) fn process(&self) -> Process {
        self.process
    }

    /// What references of the host's refer to.
    pub(crate) fn externals(&self) -> MutexGuard<'_, Externals> {
        lock(&self.externals)
    }

    /// The numbers of `signatures`, those of one module: equal ones have one number, whatever module they are of.
    pub(crate) fn signature_numbers(&self, signatures: &[Signature]) -> Box<[u32]> {
        let mut known = lock(&self.signatures);
        let mut numbers: Vec<u32> = Vec::with_capacity(signatures.len());
        for signature in signatures {
            let next = known.len() as u32;
            // Those that it mentions come before it.
            let canonical =
                signature.renumbered(|mentioned| SignatureIndex::new(numbers[mentioned.index()] as usize));
            numbers.push(*known.entry(canonical).or_insert(next));
        }
        numbers.into()
    }

    /// Hands out numbers for `functions` functions; returns the first. `None` if there are not so many left.
    pub(crate) fn number(&self, functions: usize) -> Option<u32> {
        let mut numbers = lock(&self.numbers);
        let first = numbers.next;
        let next = u32::try_from(functions).ok()?.checked_add(first)?;
        if next > MAXIMUM_FUNCTIONS {
            return None;
        }
        numbers.next = next;
        Some(first)
    }

    /// Makes the functions of `instance`, which has the numbers handed out last, known to the others.
    fn admit(&self, instance: &Arc<Instance>) -> Result<(), InstantiationError> {
        let mut numbers = lock(&self.numbers);
        for member in &numbers.members {
            if let Some(other) = member.instance.upgrade() {
                other.cover(instance.numbers())?;
            }
        }
        numbers.members.retain(|member| member.instance.strong_count() > 0);
        let first = instance.numbers().start;
        numbers.members.push(Member { first, instance: Arc::downgrade(instance) });
        numbers.references.resize(first as usize, 0);
        numbers.references.extend(instance.own_references());
        Ok(())
    }

    /// The instances that there are.
    pub(crate) fn instances(&self) -> Vec<Arc<Instance>> {
        lock(&self.numbers).members.iter().filter_map(|member| member.instance.upgrade()).collect()
    }

    /// The word of type `exnref` that refers to `exception`, which is kept for it as long as the store is there: nothing
    /// finds out whether guest code still has the word.
    pub(crate) fn refer_to_exception(&self, exception: &Arc<Exception>) -> u32 {
        exception.reference(|| {
            let mut exceptions = lock(&self.exceptions);
            exceptions.push(Arc::clone(exception));
            // A reference takes more than 32 bytes, so that memory runs out before the numbers do.
            i32::try_from(exceptions.len()).expect("fewer exceptions than bytes of memory") as u32
        })
    }

    /// The exception that a word of type `exnref` refers to; `None` if it is null, or no such word.
    pub(crate) fn exception(&self, word: u64) -> Option<Arc<Exception>> {
        let index = usize::try_from(word).ok()?.checked_sub(1)?;
        lock(&self.exceptions).get(index).cloned()
    }

    /// Whether `word` is null, or refers to a function of the store, be its instance there or gone.
    pub(crate) fn is_reference(&self, word: u64) -> bool {
        let known = |number: u32| lock(&self.numbers).references.get(number as usize).copied();
        referenced(word).is_none_or(|number| known(number) == Some(word))
    }

    /// The function with that number; `None` if its instance is gone.
    pub(crate) fn function(&self, number: u32) -> Option<(Arc<Instance>, FunctionIndex)> {
        let numbers = lock(&self.numbers);
        let after = numbers.members.partition_point(|member| member.first <= number);
        // An instance without functions has the first number of the next one.
        let candidates = numbers.members[..after].iter().rev().map(|member| member.instance.upgrade());
        candidates.flatten().find_map(|instance| {
            let function = instance.own_function(number)?;
            Some((instance, function))
        })
    }

    /// Claims the store for the current native thread; `None` if another one has it.
    pub(crate) fn claim(&self) -> Option<Claim> {
        self.occupancy.claim()
    }

    /// Who executes the instances.
    pub(crate) fn occupancy(&self) -> &Arc<Occupancy> {
        &self.occupancy
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
