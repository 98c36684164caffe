//! Instances: a module with its state, shared by all threads that execute it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use osr_ir::module::GlobalInitial;
use osr_ir::{
    Body, ConstantExpression, DataIndex, ElementIndex, ExportItem, FunctionIndex, FunctionKind, GlobalIndex,
    Module, Points, SegmentMode, SignatureIndex, TableIndex, TrapKind,
};
use osr_stubs::TableView;

use crate::calling_convention::CallLayout;
use crate::code::{CodeStatistics, CodeVersion, Registry, State, StubTable};
use crate::compiler::{CompileError, EntryPoint};
use crate::coverage::{Coverage, CoveredSite};
use crate::error::InstantiationError;
use crate::function::{Analysis, FunctionState};
use crate::host::{HostFunction, Imports};
use crate::memory::LinearMemory;
use crate::profile::{Profile, Profiled};
use crate::settings::{CompiledTier, Settings, StateRecording, Tier};
use crate::table::{Table, function_reference, referenced_function};
use crate::tiering::{Ladder, TieringPolicy};

/// A module with its state: memory, tables, globals, and the code that calls enter.
#[derive(Debug)]
pub struct Instance {
    settings: Settings,
    policy: Arc<dyn TieringPolicy>,
    /// Of the policy, by tier.
    thresholds: [u32; 3],
    module: Module,
    layouts: Box<[CallLayout]>,
    memory: Option<LinearMemory>,
    globals: Box<[AtomicU64]>,
    tables: Box<[Table]>,
    table_views: Box<[TableView]>,
    data_dropped: Box<[AtomicBool]>,
    elements: Box<[Box<[u64]>]>,
    elements_dropped: Box<[AtomicBool]>,
    host_functions: Box<[Option<HostFunction>]>,
    functions: Box<[FunctionState]>,
    cells: Box<[AtomicPtr<u8>]>,
    registry: Registry,
    stubs: StubTable,
    coverage: Option<Coverage>,
    has_thread: AtomicBool,
}

// SAFETY: the raw pointers inside lead to reservations that the instance owns; entries behind them are
// words, written by guest code as WebAssembly's memory model (no shared tables) permits.
unsafe impl Send for Instance {}
// SAFETY: see above.
unsafe impl Sync for Instance {}

impl Instance {
    /// Verifies `module`, resolves its imports, and writes its active segments. The start function is
    /// the first thread's to call: [`Thread::start`](crate::Thread::start).
    ///
    /// # Errors
    /// If the module is not valid or too large, an import is missing or of a kind that is not taken, a
    /// segment does not fit, or memory runs out; if transitions are to be forced in code that is not made
    /// for them.
    pub fn new(
        settings: Settings,
        module: Module,
        imports: &Imports,
    ) -> Result<Arc<Instance>, InstantiationError> {
        if settings.state_recording == StateRecording::None && settings.stress.wants_safepoints() {
            return Err(InstantiationError::NoStateRecorded);
        }
        osr_ir::verifier::verify(&module).map_err(|error| InstantiationError::Invalid(error.to_string()))?;
        module.functions.iter().try_for_each(|function| check_size(&module, function))?;
        let host_functions = resolve_functions(&module, imports)?;
        let globals = initial_globals(&module, imports)?;
        let (tables, table_views) = new_tables(&module)?;
        let out_of_memory = |source| InstantiationError::OutOfMemory { what: "compiled code", source };
        let registry = Registry::new(settings.code_bytes, settings.checked).map_err(out_of_memory)?;
        let stubs = registry.install_stubs(module.functions.len()).map_err(out_of_memory)?;
        let policy: Arc<dyn TieringPolicy> =
            settings.policy.clone().unwrap_or_else(|| Arc::new(Ladder::of(&settings)));
        let instance = Instance {
            thresholds: Tier::ALL.map(|tier| policy.threshold(tier)),
            policy,
            layouts: module.signatures.iter().map(CallLayout::of).collect(),
            memory: new_memory(&module)?,
            data_dropped: module.data.iter().map(|_| AtomicBool::new(false)).collect(),
            elements: element_words(&module, &globals),
            elements_dropped: module.elements.iter().map(|_| AtomicBool::new(false)).collect(),
            functions: module.functions.iter().map(|_| FunctionState::default()).collect(),
            cells: module.function_indices().map(|function| AtomicPtr::new(stubs.stub(function))).collect(),
            coverage: settings.coverage.then(Coverage::default),
            has_thread: AtomicBool::new(false),
            registry,
            stubs,
            settings,
            module,
            globals,
            tables,
            table_views,
            host_functions,
        };
        instance.write_active_segments()?;
        Ok(Arc::new(instance))
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The module.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// The linear memory, if the module has one.
    pub fn memory(&self) -> Option<&LinearMemory> {
        self.memory.as_ref()
    }

    /// The words of the globals.
    pub(crate) fn globals(&self) -> &[AtomicU64] {
        &self.globals
    }

    /// The value of a global, as a word.
    pub fn global(&self, global: GlobalIndex) -> u64 {
        self.globals[global.index()].load(Ordering::Relaxed)
    }

    /// Sets a global, to a word of its type.
    pub(crate) fn set_global(&self, global: GlobalIndex, word: u64) {
        self.globals[global.index()].store(word, Ordering::Relaxed);
    }

    /// The tables as compiled code sees them.
    pub(crate) fn table_views(&self) -> &[TableView] {
        &self.table_views
    }

    /// The tables, for growing.
    pub(crate) fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// The bytes of a data segment; none once it is dropped.
    pub(crate) fn data(&self, segment: DataIndex) -> &[u8] {
        let dropped = self.data_dropped[segment.index()].load(Ordering::Relaxed);
        if dropped { &[] } else { &self.module.data[segment.index()].bytes }
    }

    pub(crate) fn drop_data(&self, segment: DataIndex) {
        self.data_dropped[segment.index()].store(true, Ordering::Relaxed);
    }

    /// The references of an element segment; none once it is dropped.
    pub(crate) fn elements(&self, segment: ElementIndex) -> &[u64] {
        let dropped = self.elements_dropped[segment.index()].load(Ordering::Relaxed);
        if dropped { &[] } else { &self.elements[segment.index()] }
    }

    pub(crate) fn drop_elements(&self, segment: ElementIndex) {
        self.elements_dropped[segment.index()].store(true, Ordering::Relaxed);
    }

    /// The host's function behind an import.
    pub(crate) fn host_function(&self, function: FunctionIndex) -> Option<&HostFunction> {
        self.host_functions[function.index()].as_ref()
    }

    /// What the engine knows of `function`.
    #[inline(always)]
    pub(crate) fn function(&self, function: FunctionIndex) -> &FunctionState {
        &self.functions[function.index()]
    }

    /// Points and liveness of a defined function.
    pub(crate) fn analysis(&self, function: FunctionIndex) -> &Analysis {
        let body = self.module.function(function).body().expect("a defined function");
        self.function(function).analysis(body)
    }

    /// The points of a defined function, in its body as it is executed.
    ///
    /// # Panics
    /// If the function is imported.
    pub fn points(&self, function: FunctionIndex) -> &Points {
        &self.analysis(function).points
    }

    /// The call cells: what new calls of each function enter.
    pub(crate) fn cells(&self) -> &[AtomicPtr<u8>] {
        &self.cells
    }

    /// How calls of a signature use the machine.
    #[inline(always)]
    pub(crate) fn layout(&self, signature: SignatureIndex) -> &CallLayout {
        &self.layouts[signature.index()]
    }

    /// How calls of a function use the machine.
    #[inline(always)]
    pub(crate) fn layout_of(&self, function: FunctionIndex) -> &CallLayout {
        self.layout(self.module.function(function).signature)
    }

    /// The body of a defined function.
    #[inline(always)]
    pub(crate) fn body(&self, function: FunctionIndex) -> &Body {
        self.module.function(function).body().expect("a defined function")
    }

    /// Words that a call of `function` takes on the value stack: its frame, or, for a function of the
    /// host, its arguments and results.
    pub(crate) fn window_words(&self, function: FunctionIndex) -> usize {
        let signature = self.module.signature_of(function);
        let words = signature.parameters.len().max(signature.results.len());
        words.max(self.module.function(function).body().map_or(0, |body| body.registers.len()))
    }

    /// Notes that a thread executes the instance. False if one does already.
    pub(crate) fn attach_thread(&self) -> bool {
        !self.has_thread.swap(true, Ordering::Acquire)
    }

    /// The thread is gone.
    pub(crate) fn detach_thread(&self) {
        self.has_thread.store(false, Ordering::Release);
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

    /// What decides where functions go on.
    pub(crate) fn policy(&self) -> &dyn TieringPolicy {
        &*self.policy
    }

    /// The policy's threshold of `tier`.
    #[inline(always)]
    pub(crate) fn threshold(&self, tier: Tier) -> u32 {
        self.thresholds[tier as usize]
    }

    /// The counters of `function`'s baseline code.
    pub(crate) fn profile(&self, function: FunctionIndex) -> &Profile {
        let points = &self.analysis(function).points;
        let new = || Profile::new(self.body(function), points, self.threshold(Tier::Baseline));
        self.function(function).profile(new)
    }

    /// What baseline code of `function` has counted; nothing if there never was any.
    pub fn profiled(&self, function: FunctionIndex) -> Profiled {
        self.function(function).existing_profile().map(Profile::read).unwrap_or_default()
    }

    /// From now on `version` is entered.
    pub(crate) fn publish(&self, version: &CodeVersion) {
        let state = self.function(version.function);
        state.set_code(version.tier, version.entry, version.start as *mut u8);
        self.update_cell(version);
        if let Some(coverage) = &self.coverage {
            coverage.compiled(version);
        }
    }

    /// Cuts the incoming edges of `version`: nothing new enters it. The function's counting begins anew.
    pub(crate) fn retire(&self, version: &CodeVersion) {
        let state = self.function(version.function);
        state.set_code(version.tier, version.entry, std::ptr::null_mut());
        self.update_cell(version);
        state.counter.store(0, Ordering::Relaxed);
        if let Some(profile) = state.existing_profile() {
            profile.reset_countdown(self.threshold(Tier::Baseline));
        }
        version.state.store(State::Retired as u8, Ordering::Release);
    }

    /// Calls of `version`'s function enter its best code.
    fn update_cell(&self, version: &CodeVersion) {
        if version.entry == EntryPoint::Function {
            let compiled = self.function(version.function).compiled();
            let code = compiled.map_or(self.stubs.stub(version.function), <*const u8>::cast_mut);
            self.cells[version.function.index()].store(code, Ordering::Release);
        }
    }

    /// The sites of all versions compiled so far with their landings; empty unless
    /// [`Settings::coverage`] is on.
    pub fn covered_sites(&self) -> Vec<CoveredSite> {
        self.coverage.as_ref().map(Coverage::sites).unwrap_or_default()
    }

    /// How much code there is and was.
    pub fn code_statistics(&self) -> CodeStatistics {
        self.registry.statistics()
    }

    /// The versions whose code is in memory.
    pub fn versions(&self) -> Vec<&CodeVersion> {
        self.registry.live()
    }

    /// Compiles `function` in `tier` to be entered at `entry`, and installs the code, which nothing enters: for
    /// tools that show compiled code.
    ///
    /// # Errors
    /// If the compiler refuses the body, or no code memory is left.
    ///
    /// # Panics
    /// If the function is imported, or has no such entry.
    pub fn compile(
        &self,
        function: FunctionIndex,
        tier: CompiledTier,
        entry: EntryPoint,
    ) -> Result<&CodeVersion, CompileError> {
        self.registry.compile(self, function, tier, entry)
    }

    /// The function that entry `index` of `table` refers to; `None` if it is null.
    ///
    /// # Errors
    /// [`TrapKind::TableOutOfBounds`] if there is no such entry.
    pub fn table_function(&self, table: TableIndex, index: u32) -> Result<Option<FunctionIndex>, TrapKind> {
        self.table_get(table, index).map(referenced_function)
    }

    /// The exported function of that name.
    pub fn exported_function(&self, name: &str) -> Option<FunctionIndex> {
        match self.module.export(name) {
            Some(ExportItem::Function(function)) => Some(function),
            _ => None,
        }
    }

    fn write_active_segments(&self) -> Result<(), InstantiationError> {
        for (number, segment) in self.module.elements.iter().enumerate() {
            let index = ElementIndex::new(number);
            if let SegmentMode::Active { target, offset } = &segment.mode {
                let offset = evaluate(&self.module, &self.globals, offset) as u32;
                let length = self.elements(index).len() as u32;
                self.table_init(*target, index, offset, 0, length)
                    .map_err(|_| InstantiationError::ElementsOutOfBounds { segment: number })?;
            }
            if segment.mode != SegmentMode::Passive {
                self.drop_elements(index);
            }
        }
        for (number, segment) in self.module.data.iter().enumerate() {
            let index = DataIndex::new(number);
            if let SegmentMode::Active { offset, .. } = &segment.mode {
                let offset = evaluate(&self.module, &self.globals, offset) as u32;
                self.memory_init(index, offset, 0, segment.bytes.len() as u32)
                    .map_err(|_| InstantiationError::DataOutOfBounds { segment: number })?;
                self.drop_data(index);
            }
        }
        Ok(())
    }
}

/// The most parameters that a function may have, and the most results: WebAssembly's own limit.
pub(crate) const MAXIMUM_VALUES: usize = 1_000;

/// The most registers that a body may have: the interpreter's operations number them with 16 bits, and
/// number words beyond them for a function's results.
const MAXIMUM_REGISTERS: usize = (1 << 16) - 2 * MAXIMUM_VALUES;

/// Refuses a function that has more of something than there is room for.
fn check_size(module: &Module, function: &osr_ir::Function) -> Result<(), InstantiationError> {
    let signature = module.signature(function.signature);
    let registers = function.body().map_or(0, |body| body.registers.len());
    let sizes = [
        ("parameters", signature.parameters.len(), MAXIMUM_VALUES),
        ("results", signature.results.len(), MAXIMUM_VALUES),
        ("registers", registers, MAXIMUM_REGISTERS),
    ];
    match sizes.into_iter().find(|(_, count, limit)| count > limit) {
        Some((what, count, limit)) => {
            Err(InstantiationError::FunctionTooLarge { function: function.name.clone(), what, count, limit })
        }
        None => Ok(()),
    }
}

fn resolve_functions(
    module: &Module,
    imports: &Imports,
) -> Result<Box<[Option<HostFunction>]>, InstantiationError> {
    let resolve = |function: &osr_ir::Function| match &function.kind {
        FunctionKind::Defined(_) => Ok(None),
        FunctionKind::Import(name) => {
            let signature = module.signature(function.signature);
            let found = imports.find_function(name).filter(|host| host.signature == *signature);
            found.cloned().map(Some).ok_or_else(|| InstantiationError::MissingImport {
                name: name.clone(),
                expected: format!("a function {:?} -> {:?}", signature.parameters, signature.results),
            })
        }
    };
    module.functions.iter().map(resolve).collect()
}

fn initial_globals(module: &Module, imports: &Imports) -> Result<Box<[AtomicU64]>, InstantiationError> {
    let mut words: Vec<AtomicU64> = Vec::with_capacity(module.globals.len());
    for global in &module.globals {
        let word = match &global.initial {
            GlobalInitial::Expression(expression) => evaluate(module, &words, expression),
            GlobalInitial::Import(name) if global.mutable => {
                let what = "mutable globals";
                return Err(InstantiationError::UnsupportedImport { name: name.clone(), what });
            }
            GlobalInitial::Import(name) => imports
                .find_global(name)
                .filter(|value| value.ty() == global.ty)
                .ok_or_else(|| InstantiationError::MissingImport {
                    name: name.clone(),
                    expected: format!("an immutable global of type {}", global.ty),
                })?
                .to_bits(),
        };
        words.push(AtomicU64::new(word));
    }
    Ok(words.into())
}

/// The word that an initializer gives, where the globals it may refer to are `globals`.
fn evaluate(module: &Module, globals: &[AtomicU64], expression: &ConstantExpression) -> u64 {
    match expression {
        ConstantExpression::Value(value) => value.to_bits(),
        ConstantExpression::Global(global) => globals[global.index()].load(Ordering::Relaxed),
        ConstantExpression::Function(function) => function_reference(module, *function),
    }
}

fn element_words(module: &Module, globals: &[AtomicU64]) -> Box<[Box<[u64]>]> {
    let words =
        |items: &[ConstantExpression]| items.iter().map(|item| evaluate(module, globals, item)).collect();
    module.elements.iter().map(|segment| words(&segment.items)).collect()
}

fn new_memory(module: &Module) -> Result<Option<LinearMemory>, InstantiationError> {
    let Some(memory) = &module.memory else { return Ok(None) };
    if let Some(name) = &memory.import {
        return Err(InstantiationError::UnsupportedImport { name: name.clone(), what: "memories" });
    }
    LinearMemory::new(memory.minimum, memory.maximum)
        .map(Some)
        .map_err(|source| InstantiationError::OutOfMemory { what: "the linear memory", source })
}

/// Tables with what compiled code sees of them.
type Tables = (Box<[Table]>, Box<[TableView]>);

fn new_tables(module: &Module) -> Result<Tables, InstantiationError> {
    let mut tables = (Vec::new(), Vec::new());
    for table in &module.tables {
        if let Some(name) = &table.import {
            return Err(InstantiationError::UnsupportedImport { name: name.clone(), what: "tables" });
        }
        let (table, view) = Table::new(table.minimum, table.maximum)
            .map_err(|source| InstantiationError::OutOfMemory { what: "a table", source })?;
        tables.0.push(table);
        tables.1.push(view);
    }
    Ok((tables.0.into(), tables.1.into()))
}
