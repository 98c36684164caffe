//! Linking: what a module's imports become.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use osr_compiler::reference::reference;
use osr_ir::module::{Global, GlobalInitial};
use osr_ir::{
    ConstantExpression, Export, ExportItem, FunctionIndex, FunctionKind, GlobalIndex, ImportName, Memory,
    Module, Signature, SignatureIndex, TableIndex, TagIndex, Type, WordLayout,
};
use osr_stubs::TableView;

use crate::error::{InstantiationError, Tag};
use crate::instance::Instance;
use crate::instance::held_type::{HeldType, NumberedSignatures};
use crate::instance::host::{HostFunction, Imports, Provided};
use crate::instance::kept_globals::KeptGlobal;
use crate::instance::store::StoreState;
use crate::memory::linear_memory::LinearMemory;
use crate::memory::table::Table;

/// What an imported function is.
#[derive(Clone, Debug)]
pub(crate) enum ImportedFunction {
    /// The host's.
    Host(HostFunction),
    /// Another instance defines it.
    Linked(Arc<Instance>, FunctionIndex),
}

/// The globals of an instance.
#[derive(Debug)]
pub(crate) struct Globals {
    /// The value of each, as a word, or two if it is a vector; of an imported mutable one the address of its words.
    pub(crate) words: Vec<AtomicU64>,
    layout: WordLayout,
    /// Those that own the words of imported ones.
    _owners: Vec<Arc<Instance>>,
    /// By global, what is known of it where it is imported from, if code may take it for a constant.
    pub(crate) kept: Vec<Option<Arc<KeptGlobal>>>,
}

impl Globals {
    /// The first words of `global`, as many as a value of type `ty` takes.
    fn words_of(&self, global: GlobalIndex, ty: Type) -> Vec<u64> {
        let first = self.layout.first(global.index());
        self.words[first..first + ty.words()].iter().map(|word| word.load(Ordering::Relaxed)).collect()
    }
}

/// Tables, and what compiled code sees of them.
pub(crate) struct Tables {
    pub(crate) tables: Box<[Arc<Table>]>,
    pub(crate) views: Arc<[TableView]>,
}

/// The word that an initializer evaluates to, where the globals it may refer to are `globals`: immutable ones, whose
/// words are values.
pub(crate) fn evaluate(
    expression: &ConstantExpression,
    globals: &Globals,
    reference: impl Fn(FunctionIndex) -> u64,
) -> u64 {
    expression.evaluate(|global| globals.words_of(global, Type::I64)[0], reference)
}

/// Resolves the imports of one module.
pub(crate) struct Linker<'a> {
    pub(crate) module: &'a Module,
    pub(crate) imports: &'a Imports,
    pub(crate) store: &'a Arc<StoreState>,
    /// Per signature of the module, its number in the store.
    pub(crate) signature_numbers: &'a [u32],
}

impl Linker<'_> {
    /// Per function what is imported; `None` for those that the module defines.
    pub(crate) fn functions(&self) -> Result<Box<[Option<ImportedFunction>]>, InstantiationError> {
        let resolve = |function: &osr_ir::Function| match &function.kind {
            FunctionKind::Defined(_) => Ok(None),
            FunctionKind::Import(name) => self.function(name, function.signature).map(Some),
        };
        self.module.functions.iter().map(resolve).collect()
    }

    fn function(
        &self,
        name: &ImportName,
        index: SignatureIndex,
    ) -> Result<ImportedFunction, InstantiationError> {
        let signature = self.module.signature(index);
        let expected = || describe_function(self.signatures(), signature);
        let number = |instance: &Instance, function| {
            instance.signature_number(instance.module().function(function).signature)
        };
        match self.find(name, expected)? {
            Provided::Host(host) if host.signature.has_types_of(signature) => {
                Ok(ImportedFunction::Host(host.clone()))
            }
            Provided::Export(instance, ExportItem::Function(function))
                if number(instance, *function) == self.signature_numbers[index.index()] =>
            {
                let imported = instance.imported_function(*function).cloned();
                Ok(imported.unwrap_or_else(|| ImportedFunction::Linked(Arc::clone(instance), *function)))
            }
            other => Err(incompatible(name, expected(), other)),
        }
    }

    /// Per function the word that refers to it: `imported` functions of other instances have theirs, all others are numbered
    /// from `first` on.
    pub(crate) fn references(&self, imported: &[Option<ImportedFunction>], first: u32) -> Box<[u64]> {
        let word = |(function, imported): (FunctionIndex, &Option<ImportedFunction>)| match imported {
            Some(ImportedFunction::Linked(instance, function)) => instance.reference(*function),
            _ => {
                let signature = self.signature_numbers[self.module.function(function).signature.index()];
                reference(signature, first + function.as_u32())
            }
        };
        self.module.function_indices().zip(imported).map(word).collect()
    }

    /// Per element segment its words.
    pub(crate) fn elements(&self, globals: &Globals, references: &[u64]) -> Box<[Box<[u64]>]> {
        let word = |item| evaluate(item, globals, |function| references[function.index()]);
        self.module.elements.iter().map(|segment| segment.items.iter().map(word).collect()).collect()
    }

    /// The globals with their initial values.
    pub(crate) fn globals(
        &self,
        reference: impl Fn(FunctionIndex) -> u64,
    ) -> Result<Globals, InstantiationError> {
        let layout = WordLayout::of(self.module.globals.iter().map(|global| global.ty));
        let words = Vec::with_capacity(layout.count());
        let mut globals = Globals { words, layout, _owners: Vec::new(), kept: Vec::new() };
        for global in &self.module.globals {
            let mut kept = None;
            let words = match &global.initial {
                GlobalInitial::Expression(ConstantExpression::Value(value)) => value.to_words().collect(),
                &GlobalInitial::Expression(ConstantExpression::Global(other)) => {
                    globals.words_of(other, global.ty)
                }
                GlobalInitial::Expression(expression) => vec![evaluate(expression, &globals, &reference)],
                GlobalInitial::Import(name) if global.mutable => {
                    let (owner, index) = self.mutable_global(name, global)?;
                    let word: *const AtomicU64 = owner.global_word(index);
                    let address = word as u64;
                    kept = owner.kept_globals().known(index).cloned();
                    globals._owners.push(Arc::clone(owner));
                    // Only the first is looked at.
                    vec![address; global.ty.words()]
                }
                GlobalInitial::Import(name) => self.constant(name, global)?,
            };
            globals.words.extend(words.into_iter().map(AtomicU64::new));
            globals.kept.push(kept);
        }
        Ok(globals)
    }

    /// The value of an immutable global.
    fn constant(&self, name: &ImportName, wanted: &Global) -> Result<Vec<u64>, InstantiationError> {
        let ty = HeldType::of_global(self.signatures(), wanted);
        let expected = || describe_global(ty, false);
        match self.find(name, expected)? {
            Provided::Constant(value) if HeldType::of_value(*value).is_subtype_of(ty) => {
                Ok(value.to_words().collect())
            }
            Provided::Export(instance, ExportItem::Global(global))
                if global_type(instance, *global).is_subtype_of(ty) && !is_mutable(instance, *global) =>
            {
                Ok(instance.global_value(*global))
            }
            other => Err(incompatible(name, expected(), other)),
        }
    }

    /// A mutable global of another instance.
    fn mutable_global(
        &self,
        name: &ImportName,
        wanted: &Global,
    ) -> Result<(&Arc<Instance>, GlobalIndex), InstantiationError> {
        let ty = HeldType::of_global(self.signatures(), wanted);
        let expected = || describe_global(ty, true);
        match self.find(name, expected)? {
            Provided::Export(instance, ExportItem::Global(global))
                if global_type(instance, *global).is_same_as(ty) && is_mutable(instance, *global) =>
            {
                Ok((instance, *global))
            }
            other => Err(incompatible(name, expected(), other)),
        }
    }

    /// The tags. None must be there under two names: its number stands for it.
    pub(crate) fn tags(&self) -> Result<Box<[Tag]>, InstantiationError> {
        let mut tags: Vec<Tag> = Vec::with_capacity(self.module.tags.len());
        for (number, tag) in self.module.tags.iter().enumerate() {
            let types: Vec<Type> =
                tag.values.iter().map(|global| self.module.globals[global.index()].ty).collect();
            let Some(name) = &tag.import else {
                let index = TagIndex::new(number);
                let named = |export: &&Export| export.item == ExportItem::Tag(index);
                let export = self.module.exports.iter().find(named).map(|export| export.name.clone());
                tags.push(Tag::new(&export.unwrap_or_else(|| index.to_string()), &types));
                continue;
            };
            let own = tag_type(self.module, self.signatures(), tag);
            let expected = || describe_tag(own.clone());
            let imported = match self.find(name, expected)? {
                Provided::Tag(tag) if tag.types() == types => tag,
                Provided::Export(instance, ExportItem::Tag(tag))
                    if are_same(own.clone(), exported_tag_type(instance, *tag)) =>
                {
                    instance.tag(*tag)
                }
                other => return Err(incompatible(name, expected(), other)),
            };
            let is_known = |known: &Tag| known == imported;
            let first = tags.iter().position(is_known);
            if first.is_some_and(|first| self.module.tags[first].import != tag.import) {
                return Err(InstantiationError::TagImportedTwice { name: name.clone() });
            }
            tags.push(imported.clone());
        }
        Ok(tags.into())
    }

    /// The linear memories.
    pub(crate) fn memories(&self) -> Result<Box<[Arc<LinearMemory>]>, InstantiationError> {
        self.module.memories.iter().map(|memory| self.memory(memory)).collect()
    }

    fn memory(&self, memory: &Memory) -> Result<Arc<LinearMemory>, InstantiationError> {
        let Some(name) = &memory.import else {
            let new = LinearMemory::of_store(memory, Arc::clone(self.store.occupancy()));
            return new.map(Arc::new).map_err(out_of_memory("a linear memory"));
        };
        let wanted = Limits { minimum: memory.minimum, maximum: memory.maximum, is_64: memory.is_64 };
        let is_shared = memory.is_shared;
        let expected = || describe_memory(wanted, is_shared);
        match self.find(name, expected)? {
            Provided::Export(instance, ExportItem::Memory(index))
                if wanted.admit(Limits::of_memory(instance.memory_at(*index)))
                    && instance.memory_at(*index).is_shared() == is_shared =>
            {
                Ok(Arc::clone(instance.memory_at(*index)))
            }
            other => Err(incompatible(name, expected(), other)),
        }
    }

    /// The tables.
    pub(crate) fn tables(&self) -> Result<Tables, InstantiationError> {
        let tables =
            self.module.tables.iter().map(|table| self.table(table)).collect::<Result<Box<[_]>, _>>()?;
        let views: Arc<[TableView]> = tables.iter().map(|table| table.view()).collect();
        for (position, table) in tables.iter().enumerate() {
            table.keep_current(&views, position);
        }
        Ok(Tables { tables, views })
    }

    fn table(&self, table: &osr_ir::module::Table) -> Result<Arc<Table>, InstantiationError> {
        let Some(name) = &table.import else {
            let new = Table::new(table);
            return new.map(Arc::new).map_err(out_of_memory("a table"));
        };
        let wanted = Limits { minimum: table.minimum, maximum: table.maximum, is_64: table.is_64 };
        let ty = HeldType::of_table(self.signatures(), table);
        let expected = || describe_table(ty, wanted);
        match self.find(name, expected)? {
            Provided::Export(instance, ExportItem::Table(index))
                if table_type(instance, *index).is_same_as(ty)
                    && wanted.admit(Limits::of_table(instance.table(*index))) =>
            {
                Ok(Arc::clone(instance.table(*index)))
            }
            other => Err(incompatible(name, expected(), other)),
        }
    }

    fn signatures(&self) -> NumberedSignatures<'_> {
        NumberedSignatures { signatures: &self.module.signatures, numbers: self.signature_numbers }
    }

    /// What is provided under `name`.
    fn find(
        &self,
        name: &ImportName,
        expected: impl Fn() -> String,
    ) -> Result<&Provided, InstantiationError> {
        let missing = || InstantiationError::MissingImport { name: name.clone(), expected: expected() };
        let found = self.imports.find(name).ok_or_else(missing)?;
        match found {
            Provided::Export(instance, _) if !Arc::ptr_eq(instance.store(), self.store) => {
                Err(InstantiationError::OtherStore { name: name.clone() })
            }
            found => Ok(found),
        }
    }
}

fn is_mutable(instance: &Instance, global: GlobalIndex) -> bool {
    instance.module().globals[global.index()].mutable
}

fn global_type(instance: &Instance, global: GlobalIndex) -> HeldType<'_> {
    HeldType::of_global(instance.signatures(), &instance.module().globals[global.index()])
}

fn table_type(instance: &Instance, table: TableIndex) -> HeldType<'_> {
    HeldType::of_table(instance.signatures(), &instance.module().tables[table.index()])
}

/// The types of the values of a tag of `module`.
fn tag_type<'m>(
    module: &'m Module,
    signatures: NumberedSignatures<'m>,
    tag: &'m osr_ir::module::Tag,
) -> impl Iterator<Item = HeldType<'m>> + Clone {
    tag.values.iter().map(move |global| HeldType::of_global(signatures, &module.globals[global.index()]))
}

fn exported_tag_type(instance: &Instance, tag: TagIndex) -> impl Iterator<Item = HeldType<'_>> + Clone {
    tag_type(instance.module(), instance.signatures(), &instance.module().tags[tag.index()])
}

fn are_same<'m>(
    some: impl Iterator<Item = HeldType<'m>> + Clone,
    others: impl Iterator<Item = HeldType<'m>> + Clone,
) -> bool {
    some.clone().count() == others.clone().count()
        && some.zip(others).all(|(one, other)| one.is_same_as(other))
}

/// The sizes that an import asks for.
#[derive(Clone, Copy)]
struct Limits {
    minimum: u32,
    maximum: Option<u32>,
    is_64: bool,
}

impl Limits {
    fn of_memory(memory: &LinearMemory) -> Limits {
        let (minimum, maximum) = (memory.pages(), memory.declared_maximum());
        Limits { minimum, maximum, is_64: memory.is_64() }
    }

    fn of_table(table: &Table) -> Limits {
        let (minimum, maximum) = (table.length(), table.declared_maximum());
        Limits { minimum, maximum, is_64: table.is_64() }
    }

    /// Whether what has those limits now will do.
    fn admit(self, now: Limits) -> bool {
        let is_bounded = |wanted| now.maximum.is_some_and(|maximum| maximum <= wanted);
        now.minimum >= self.minimum && self.maximum.is_none_or(is_bounded) && now.is_64 == self.is_64
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.maximum {
            Some(maximum) => write!(formatter, "{} to at most {maximum}", self.minimum),
            None => write!(formatter, "at least {}", self.minimum),
        }
    }
}

pub(crate) fn out_of_memory(what: &'static str) -> impl Fn(std::io::Error) -> InstantiationError + Copy {
    move |source| InstantiationError::OutOfMemory { what, source }
}

fn incompatible(name: &ImportName, expected: String, found: &Provided) -> InstantiationError {
    InstantiationError::IncompatibleImport { name: name.clone(), expected, found: describe(found) }
}

fn describe(provided: &Provided) -> String {
    match provided {
        Provided::Host(host) => {
            // What its references refer to goes unsaid.
            let HostFunction { signature: Signature { parameters, results, .. }, .. } = host;
            format!("a function {}", Signature::new(parameters.clone(), results.clone()))
        }
        Provided::Constant(value) => describe_global(HeldType::of_value(*value), false),
        Provided::Export(instance, item) => describe_export(instance, *item),
        Provided::Tag(tag) => describe_tag(tag.types().iter()),
    }
}

fn describe_export(instance: &Instance, item: ExportItem) -> String {
    match item {
        ExportItem::Function(function) => {
            describe_function(instance.signatures(), instance.module().signature_of(function))
        }
        ExportItem::Global(global) => {
            describe_global(global_type(instance, global), is_mutable(instance, global))
        }
        ExportItem::Tag(tag) => describe_tag(exported_tag_type(instance, tag)),
        ExportItem::Memory(index) => {
            let memory = instance.memory_at(index);
            describe_memory(Limits::of_memory(memory), memory.is_shared())
        }
        ExportItem::Table(table) => {
            describe_table(table_type(instance, table), Limits::of_table(instance.table(table)))
        }
    }
}

fn describe_function(signatures: NumberedSignatures<'_>, signature: &Signature) -> String {
    let shown = |ty| HeldType::of_signature(signatures, ty);
    let parameters = list(signature.exact_parameters().map(shown));
    format!("a function ({parameters}) -> ({})", list(signature.exact_results().map(shown)))
}

fn describe_tag(types: impl Iterator<Item = impl fmt::Display>) -> String {
    format!("a tag ({})", list(types))
}

fn list(types: impl Iterator<Item = impl fmt::Display>) -> String {
    types.map(|ty| ty.to_string()).collect::<Vec<_>>().join(", ")
}

fn describe_memory(limits: Limits, is_shared: bool) -> String {
    let bits = if limits.is_64 { "64-bit " } else { "" };
    let shared = if is_shared { "shared " } else { "" };
    format!("a {shared}{bits}memory of {limits} pages")
}

/// The entries are function references, unless it is said otherwise.
fn describe_table(ty: HeldType<'_>, limits: Limits) -> String {
    let bits = if limits.is_64 { "64-bit " } else { "" };
    match ty.is_usual_for_tables() {
        true => format!("a {bits}table of {limits} entries"),
        false => format!("a {bits}table of {limits} entries of type {ty}"),
    }
}

fn describe_global(ty: HeldType<'_>, mutable: bool) -> String {
    let kind = if mutable { "a mutable" } else { "an immutable" };
    format!("{kind} global of type {ty}")
}
