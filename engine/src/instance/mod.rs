//! Instances: a module with its state, shared by all threads that execute it.

mod access;
mod analysis;
mod bodies;
pub(crate) mod bulk;
mod check;
pub(crate) mod code;
pub(crate) mod delegates;
mod exceptions;
pub(crate) mod externals;
pub(crate) mod function;
mod globals;
mod held_type;
pub(crate) mod host;
pub(crate) mod kept_globals;
pub(crate) mod link;
mod memories;
pub(crate) mod store;
pub(crate) mod typed;
mod wait;

use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use osr_compiler::LinkedModule;
use osr_compiler::calling_convention::CallLayout;
use osr_compiler::profile::Profiled;
use osr_compiler::reference::referenced;
use osr_ir::word_layout::word_count;
use osr_ir::{
    ConstantExpression, DataIndex, ElementIndex, ExportItem, FunctionIndex, Module, SegmentMode,
    SignatureIndex, TableIndex, TrapKind, Type,
};
use osr_stubs::{MemoryView, TableView};

use crate::code::call_cells::MAXIMUM_FUNCTIONS;
use crate::code::{Registry, StubTable};
use crate::error::InstantiationError;
use crate::event::coverage::Coverage;
use crate::instance::bodies::Bodies;
use crate::instance::delegates::Delegates;
use crate::instance::exceptions::Exceptions;
use crate::instance::function::FunctionState;
use crate::instance::held_type::NumberedSignatures;
use crate::instance::host::Imports;
use crate::instance::kept_globals::KeptGlobals;
use crate::instance::link::{Globals, ImportedFunction, Linker, Tables, evaluate, out_of_memory};
use crate::instance::store::{Store, StoreState};
use crate::memory::linear_memory::LinearMemory;
use crate::memory::table::Table;
use crate::settings::destination::Destination;
use crate::settings::{Settings, Tier};
use crate::thread::Thread;
use crate::thread::observer::Observer;
use crate::tiering::policy::{self, TieringPolicy};
use crate::tiering::{Queue, all_at_once, compile};

/// A module with its state: memory, tables, globals, and the code that calls enter.
#[derive(Debug)]
pub struct Instance {
    settings: Settings,
    observer: Option<Arc<dyn Observer>>,
    policy: Arc<dyn TieringPolicy>,
    /// Whether the policy is the embedder's.
    has_own_policy: bool,
    /// Of the policy, by tier.
    thresholds: [u32; 3],
    /// What the interpreter's count of a function begins with.
    head_start: u32,
    /// Where all frames land, if the policy says so.
    landing: Option<Destination>,
    linked: LinkedModule,
    store: Arc<StoreState>,
    memories: Box<[Arc<LinearMemory>]>,
    memory_views: Box<[MemoryView]>,
    globals: Globals,
    exceptions: Exceptions,
    kept_globals: KeptGlobals,
    tables: Box<[Arc<Table>]>,
    table_views: Arc<[TableView]>,
    data_dropped: Box<[AtomicBool]>,
    elements: Box<[Box<[u64]>]>,
    elements_dropped: Box<[AtomicBool]>,
    imported_functions: Box<[Option<ImportedFunction>]>,
    functions: Box<[FunctionState]>,
    bodies: Bodies,
    registry: Registry,
    stubs: StubTable,
    coverage: Option<Coverage>,
    /// Whether something was optimized.
    has_optimized: AtomicBool,
    /// What is compiled beside the guest.
    queue: Option<Queue>,
    thread: AtomicPtr<Thread>,
}

// SAFETY: nothing in an instance belongs to a native thread: the raw pointers inside lead to reservations that
// it, or another instance of its store, owns, and to its thread, which is used on its own native thread only.
unsafe impl Send for Instance {}
// SAFETY: guest code, and what of the runtime works for it, is executed by the one native thread that has
// claimed the store (`Store`). All others reach, through a shared reference, what is immutable, atomic (globals,
// counters, call cells), or behind a lock; and words of memory and tables, which guest code accesses without
// any synchronization, in `Occupancy::exclusively` only: not while another native thread executes.
unsafe impl Sync for Instance {}

impl Instance {
    /// An instance of `module` in a [`Store`] of its own: [`Store::instantiate`].
    ///
    /// # Errors
    /// As there.
    pub fn new(
        settings: Settings,
        module: Module,
        imports: &Imports,
    ) -> Result<Arc<Instance>, InstantiationError> {
        Instance::with_delegates(settings, Delegates::default(), module, imports)
    }

    /// The same, watched by an observer, or with a policy of the embedder's:
    /// [`Store::instantiate_with_delegates`].
    ///
    /// # Errors
    /// As there.
    pub fn with_delegates(
        settings: Settings,
        delegates: Delegates,
        module: Module,
        imports: &Imports,
    ) -> Result<Arc<Instance>, InstantiationError> {
        Store::new().instantiate_with_delegates(settings, delegates, module, imports)
    }

    /// An instance in `store`, whose functions the others do not know yet, and whose segments are not
    /// written.
    pub(crate) fn link(
        settings: Settings,
        Delegates { observer, policy }: Delegates,
        module: Module,
        imports: &Imports,
        store: &Arc<StoreState>,
    ) -> Result<Arc<Instance>, InstantiationError> {
        check::check(&settings)?;
        if !settings.points && observer.as_ref().is_some_and(|observer| observer.wants_points()) {
            return Err(InstantiationError::PointsNotObservable);
        }
        osr_ir::verifier::verify_lazily(&module)
            .map_err(|error| InstantiationError::Invalid(error.to_string()))?;
        let bodies = || module.function_indices().chain(module.added_bodies());
        bodies().try_for_each(|body| check_size(&module, module.function(body)))?;
        let signature_numbers = store.signature_numbers(&module.signatures);
        let linker = Linker { module: &module, imports, store, signature_numbers: &signature_numbers };
        let imported_functions = linker.functions()?;
        let memories = linker.memories()?;
        let Tables { tables, views: table_views } = linker.tables()?;
        let exceptions = Exceptions::new(linker.tags()?);
        let functions = module.body_count();
        let full = InstantiationError::StoreFull { functions, limit: MAXIMUM_FUNCTIONS };
        let first_number = store.number(functions).ok_or(full)?;
        let references = linker.references(&imported_functions, first_number);
        let mut globals = linker.globals(|function| references[function.index()])?;
        let elements = linker.elements(&globals, &references);
        let (registry, stubs) =
            code_memory(&settings, &module, first_number..first_number + functions as u32)?;
        let has_own_policy = policy.is_some();
        let policy = policy::policy(policy, &settings);
        let (head_start, landing) = (policy.head_start(), policy.landing());
        Ok(Arc::new(Instance {
            // Baseline code counts down to 0, which it is at with the first arrival.
            thresholds: Tier::ALL.map(|tier| policy.threshold(tier).max(u32::from(tier == Tier::Baseline))),
            observer,
            policy,
            has_own_policy,
            store: Arc::clone(store),
            memory_views: memories.iter().map(|memory| memory.view()).collect(),
            memories,
            data_dropped: module.data.iter().map(|_| AtomicBool::new(false)).collect(),
            elements,
            elements_dropped: module.elements.iter().map(|_| AtomicBool::new(false)).collect(),
            functions: (0..functions).map(|_| FunctionState::new(head_start)).collect(),
            head_start,
            landing,
            bodies: Bodies::of(&module),
            coverage: settings.coverage.then(Coverage::default),
            has_optimized: AtomicBool::new(false),
            kept_globals: KeptGlobals::of(&module, &settings, std::mem::take(&mut globals.kept)),
            thread: AtomicPtr::new(ptr::null_mut()),
            queue: Queue::of(settings.compilation),
            registry,
            stubs,
            settings,
            globals,
            exceptions,
            tables,
            table_views,
            imported_functions,
            linked: LinkedModule::new(module, first_number, signature_numbers, references),
        }))
    }

    /// Lets the functions of another instance, which have these numbers, be called.
    pub(crate) fn cover(&self, numbers: Range<u32>) -> Result<(), InstantiationError> {
        let stubs = self.registry.install_stubs(numbers.clone()).map_err(out_of_memory("compiled code"))?;
        let cells = &self.registry.cells;
        cells.cover(numbers.end).map_err(out_of_memory("call cells"))?;
        numbers.for_each(|number| cells.cell(number).store(stubs.stub(number), Ordering::Release));
        Ok(())
    }

    /// Compiles and publishes all functions, if the settings want them at once.
    pub(crate) fn make_code(&self) -> Result<(), InstantiationError> {
        if !self.settings.is_made_at_once() {
            return Ok(());
        }
        let made = all_at_once::compile(self, self.settings.placement);
        let versions = made.map_err(|(function, source)| {
            let function = self.module().function(function).name.clone();
            InstantiationError::Compile { function, source }
        })?;
        versions.iter().for_each(|version| self.publish(version));
        Ok(())
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The module.
    pub fn module(&self) -> &Module {
        self.linked.module()
    }

    /// The module as it is linked.
    pub(crate) fn linked(&self) -> &LinkedModule {
        &self.linked
    }

    /// What its instances have in common.
    pub(crate) fn store(&self) -> &Arc<StoreState> {
        &self.store
    }

    /// The numbers of its functions in the store.
    pub(crate) fn numbers(&self) -> Range<u32> {
        self.linked.numbers()
    }

    /// The number of `function` in the store.
    pub(crate) fn number(&self, function: FunctionIndex) -> u32 {
        self.linked.number(function)
    }

    /// The function that has that number in the store, if it is one of this instance.
    #[inline(always)]
    pub(crate) fn own_function(&self, number: u32) -> Option<FunctionIndex> {
        self.linked.own_function(number)
    }

    /// The signatures, with their numbers in the store.
    pub(crate) fn signatures(&self) -> NumberedSignatures<'_> {
        let numbers = self.linked.signature_numbers();
        NumberedSignatures { signatures: &self.module().signatures, numbers }
    }

    /// The number of `signature` in the store.
    pub(crate) fn signature_number(&self, signature: SignatureIndex) -> u32 {
        self.linked.signature_number(signature)
    }

    /// The words that refer to its functions, by their numbers.
    pub(crate) fn own_references(&self) -> impl Iterator<Item = u64> + '_ {
        self.module().function_indices().map(|function| self.reference(function))
    }

    /// The word that refers to `function`.
    pub(crate) fn reference(&self, function: FunctionIndex) -> u64 {
        self.linked.reference(function)
    }

    /// The tables as compiled code sees them.
    pub(crate) fn table_views(&self) -> &[TableView] {
        &self.table_views
    }

    /// A table.
    pub(crate) fn table(&self, table: TableIndex) -> &Arc<Table> {
        &self.tables[table.index()]
    }

    /// The bytes of a data segment; none once it is dropped.
    pub(crate) fn data(&self, segment: DataIndex) -> &[u8] {
        let dropped = self.data_dropped[segment.index()].load(Ordering::Relaxed);
        if dropped { &[] } else { &self.module().data[segment.index()].bytes }
    }

    pub(crate) fn drop_data(&self, segment: DataIndex) {
        self.set_data_dropped(segment, true);
    }

    pub(crate) fn is_data_dropped(&self, segment: DataIndex) -> bool {
        self.data_dropped[segment.index()].load(Ordering::Relaxed)
    }

    pub(crate) fn set_data_dropped(&self, segment: DataIndex, is_dropped: bool) {
        self.data_dropped[segment.index()].store(is_dropped, Ordering::Relaxed);
    }

    /// The references of an element segment; none once it is dropped.
    pub(crate) fn elements(&self, segment: ElementIndex) -> &[u64] {
        let dropped = self.elements_dropped[segment.index()].load(Ordering::Relaxed);
        if dropped { &[] } else { &self.elements[segment.index()] }
    }

    pub(crate) fn drop_elements(&self, segment: ElementIndex) {
        self.set_elements_dropped(segment, true);
    }

    pub(crate) fn are_elements_dropped(&self, segment: ElementIndex) -> bool {
        self.elements_dropped[segment.index()].load(Ordering::Relaxed)
    }

    pub(crate) fn set_elements_dropped(&self, segment: ElementIndex, are_dropped: bool) {
        self.elements_dropped[segment.index()].store(are_dropped, Ordering::Relaxed);
    }

    /// What is behind an import; `None` for functions of the module.
    pub(crate) fn imported_function(&self, function: FunctionIndex) -> Option<&ImportedFunction> {
        self.imported_functions.get(function.index())?.as_ref()
    }

    /// What the engine knows of `function`.
    #[inline(always)]
    pub(crate) fn function(&self, function: FunctionIndex) -> &FunctionState {
        &self.functions[function.index()]
    }

    /// What the engine knows of all functions.
    pub(crate) fn functions(&self) -> &[FunctionState] {
        &self.functions
    }

    /// What is compiled beside the guest, if anything is.
    pub(crate) fn queue(&self) -> Option<&Queue> {
        self.queue.as_ref()
    }

    /// The first call cell.
    pub(crate) fn cells(&self) -> *const AtomicPtr<u8> {
        self.registry.cells.base()
    }

    /// The call cell of `function`: what new calls enter.
    pub(crate) fn cell(&self, function: FunctionIndex) -> &AtomicPtr<u8> {
        self.registry.cells.cell(self.number(function))
    }

    /// How calls of a signature use the machine.
    #[inline(always)]
    pub(crate) fn layout(&self, signature: SignatureIndex) -> &CallLayout {
        self.linked.layout(signature)
    }

    /// How calls of a function use the machine.
    #[inline(always)]
    pub(crate) fn layout_of(&self, function: FunctionIndex) -> &CallLayout {
        self.linked.layout_of(function)
    }

    /// Words that a call of `function` takes on the value stack: its frame, or, for a function of the
    /// host, its arguments and results.
    pub(crate) fn window_words(&self, function: FunctionIndex) -> usize {
        let is_defined = self.module().function(function).is_defined();
        self.transfer_words(function).max(if is_defined { self.frame_words(function) } else { 0 })
    }

    /// Words of the arguments or of the results of `function`, whichever are more.
    pub(crate) fn transfer_words(&self, function: FunctionIndex) -> usize {
        let layout = self.layout_of(function);
        layout.parameters.len().max(layout.results.len())
    }

    /// Words of a frame state of the defined `function`.
    #[inline(always)]
    pub(crate) fn frame_words(&self, function: FunctionIndex) -> usize {
        self.analysis(function).words.count()
    }

    /// Notes that `thread` executes the instance.
    pub(crate) fn attach_thread(&self, thread: &Thread) {
        self.thread.store(ptr::from_ref(thread).cast_mut(), Ordering::Release);
    }

    /// The thread is gone.
    pub(crate) fn detach_thread(&self) {
        self.thread.store(ptr::null_mut(), Ordering::Release);
    }

    /// The thread that executes the instance.
    pub(crate) fn thread(&self) -> Option<NonNull<Thread>> {
        NonNull::new(self.thread.load(Ordering::Acquire))
    }

    /// The code versions.
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Coverage of landings, if it is wanted.
    #[inline(always)]
    pub(crate) fn coverage(&self) -> Option<&Coverage> {
        self.coverage.as_ref()
    }

    /// What sees what happens.
    #[inline(always)]
    pub(crate) fn observer(&self) -> Option<&dyn Observer> {
        self.observer.as_deref()
    }

    /// What decides where functions continue.
    pub(crate) fn policy(&self) -> &dyn TieringPolicy {
        &*self.policy
    }

    /// Whether that is the embedder's code.
    #[inline(always)]
    pub(crate) fn has_own_policy(&self) -> bool {
        self.has_own_policy
    }

    /// Where all frames land, if the policy says so.
    #[inline(always)]
    pub(crate) fn landing(&self) -> Option<Destination> {
        self.landing
    }

    /// The policy's threshold of `tier`.
    #[inline(always)]
    pub(crate) fn threshold(&self, tier: Tier) -> u32 {
        self.thresholds[tier as usize]
    }

    /// What baseline code of `function` has counted; nothing if there never was any.
    pub fn profiled(&self, function: FunctionIndex) -> Profiled {
        let profile = self.function(function).existing_profile();
        profile.map(|profile| profile.read(|number| self.own_function(number))).unwrap_or_default()
    }

    /// The function of this instance that entry `index` of `table` refers to; `None` if it is null, or
    /// refers to a function of another instance, which [`Self::table_entry`] returns.
    ///
    /// # Errors
    /// [`TrapKind::TableOutOfBounds`] if there is no such entry.
    ///
    /// # Panics
    /// If another native thread executes instances of the store.
    pub fn table_function(&self, table: TableIndex, index: u32) -> Result<Option<FunctionIndex>, TrapKind> {
        Ok(referenced(self.function_word(table, index)?).and_then(|number| self.own_function(number)))
    }

    /// The function that entry `index` of `table` refers to, and the instance that it is of; `None` if it is
    /// null, or that instance is gone.
    ///
    /// # Errors
    /// [`TrapKind::TableOutOfBounds`] if there is no such entry.
    ///
    /// # Panics
    /// If another native thread executes instances of the store.
    pub fn table_entry(
        &self,
        table: TableIndex,
        index: u32,
    ) -> Result<Option<(Arc<Instance>, FunctionIndex)>, TrapKind> {
        Ok(referenced(self.function_word(table, index)?).and_then(|number| self.store.function(number)))
    }

    /// The function reference in a table; null if the table is of others.
    fn function_word(&self, table: TableIndex, index: u32) -> Result<u64, TrapKind> {
        let word = self.store.occupancy().exclusively(|| self.table_get(table, index))?;
        Ok(if self.table(table).ty() == Type::Funcref { word } else { 0 })
    }

    /// The exported function of that name.
    pub fn exported_function(&self, name: &str) -> Option<FunctionIndex> {
        match self.module().export(name) {
            Some(ExportItem::Function(function)) => Some(function),
            _ => None,
        }
    }

    /// The value of a segment's offset, of type `ty`; the highest of 32 bits if it has more.
    fn offset(&self, expression: &ConstantExpression, ty: Type) -> u32 {
        let word = evaluate(expression, &self.globals, |function| self.reference(function));
        if ty == Type::I64 { u32::try_from(word).unwrap_or(u32::MAX) } else { word as u32 }
    }

    /// Writes the first entries of the module's own tables, where these are not null.
    fn write_initial_entries(&self) {
        for (number, table) in self.module().tables.iter().enumerate() {
            let Some(initial) = table.initial.as_ref().filter(|_| table.import.is_none()) else { continue };
            let word = evaluate(initial, &self.globals, |function| self.reference(function));
            self.table_fill(TableIndex::new(number), 0, word, table.minimum).expect("it has so many entries");
        }
    }

    /// Writes the first entries of tables; then the active segments, and drops them; those before one that does not fit
    /// stay written.
    pub(crate) fn write_active_segments(&self) -> Result<(), InstantiationError> {
        self.write_initial_entries();
        for (number, segment) in self.module().elements.iter().enumerate() {
            let index = ElementIndex::new(number);
            if let SegmentMode::Active { target, offset } = &segment.mode {
                let offset = self.offset(offset, self.module().tables[target.index()].address_type());
                let length = self.elements(index).len() as u32;
                self.table_init(*target, index, offset, 0, length)
                    .map_err(|_| InstantiationError::ElementsOutOfBounds { segment: number })?;
            }
            if segment.mode != SegmentMode::Passive {
                self.drop_elements(index);
            }
        }
        for (number, segment) in self.module().data.iter().enumerate() {
            let index = DataIndex::new(number);
            if let SegmentMode::Active { target, offset } = &segment.mode {
                let offset = self.offset(offset, self.module().memories[target.index()].address_type());
                self.memory_init(*target, index, offset, 0, segment.bytes.len() as u32)
                    .map_err(|_| InstantiationError::DataOutOfBounds { segment: number })?;
                self.drop_data(index);
            }
        }
        Ok(())
    }
}

/// The most parameters that a function may have, and the most results: WebAssembly's own limit.
pub(crate) const MAXIMUM_VALUES: usize = 1_000;

/// The most words that the registers of a body may take: the interpreter's operations number them with 16 bits, and
/// number words beyond them for a function's results.
const MAXIMUM_REGISTERS: usize = (1 << 16) - 2 * MAXIMUM_VALUES;

/// Refuses a function that has more of something than there is room for.
fn check_size(module: &Module, function: &osr_ir::Function) -> Result<(), InstantiationError> {
    match excess(module, function) {
        Some((what, count, limit)) => {
            Err(InstantiationError::FunctionTooLarge { function: function.name.clone(), what, count, limit })
        }
        None => Ok(()),
    }
}

/// What `function` has more of than there is room for, how many, and how many there may be.
fn excess(module: &Module, function: &osr_ir::Function) -> Option<(&'static str, usize, usize)> {
    let signature = module.signature(function.signature);
    // The bound saves making the body. A register takes two words at most.
    let registers = match function.register_bound() {
        bound if 2 * bound <= MAXIMUM_REGISTERS => bound,
        _ => function.body().map_or(0, |body| word_count(&body.registers)),
    };
    let sizes = [
        ("parameters", word_count(&signature.parameters), MAXIMUM_VALUES),
        ("results", word_count(&signature.results), MAXIMUM_VALUES),
        ("registers", registers, MAXIMUM_REGISTERS),
    ];
    sizes.into_iter().find(|(_, count, limit)| count > limit)
}

/// Memory for compiled code of the functions of `module`, which have the numbers `own`, with what enters them until there is
/// any: their stubs, those of other instances' functions, which have lower numbers, and the cells that lead there.
fn code_memory(
    settings: &Settings,
    module: &Module,
    own: Range<u32>,
) -> Result<(Registry, StubTable), InstantiationError> {
    let no_code = out_of_memory("compiled code");
    let registry = Registry::new(settings, compile::compiler().common_unwind()).map_err(no_code)?;
    let all = 0..own.end;
    let stubs = registry.install_stubs(all.clone()).map_err(no_code)?;
    let stub_of = |function: FunctionIndex| stubs.stub(own.start + function.as_u32()) as u64;
    let function_of = |body| module.function_of(body);
    registry
        .prepare_binding(settings.mechanism.binding, own.clone(), function_of, stub_of)
        .map_err(no_code)?;
    let cells = &registry.cells;
    cells.cover(own.end).map_err(out_of_memory("call cells"))?;
    all.for_each(|number| cells.cell(number).store(stubs.stub(number), Ordering::Relaxed));
    Ok((registry, stubs))
}
