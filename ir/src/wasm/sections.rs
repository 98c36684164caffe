//! Sections: everything of a module but its function bodies, which are only collected.
//!
//! The bytes have been validated: indices are in range and types agree.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use wasmparser::{
    AbstractHeapType, ConstExpr, DataKind, Element, ElementItems, ElementKind, ExternalKind, GlobalType,
    HeapType, Import, KnownCustom, MemoryType, Name, NameSectionReader, Operator, Parser, Payload, RefType,
    TableInit, TableType, TypeRef, ValType,
};

use super::debug_lines::DebugLines;
use super::error::{Feature, ImportError};
use super::features::Valid;
use super::source::SourceModule;
use crate::body_source::{BodySource, UnmadeBody};
use crate::index::{FunctionIndex, GlobalIndex, MemoryIndex, SignatureIndex, TableIndex, TagIndex};
use crate::lazy_body::LazyBody;
use crate::module::{
    ConstantExpression, ConstantStep, DataSegment, ElementSegment, Export, ExportItem, Function,
    FunctionKind, Global, GlobalInitial, ImportName, Memory, Module, SegmentMode, Signature, Table, Tag,
};
use crate::operation::BinaryOp;
use crate::origin::Origin;
use crate::reference_type::{ExactType, ReferenceType, Referent};
use crate::value::{Type, Value};

type Result<T, E = ImportError> = std::result::Result<T, E>;

/// What the sections say.
pub(super) struct Sections<'a> {
    /// The module; no function has a name.
    pub(super) module: Module,
    /// The function names of the name section.
    pub(super) names: HashMap<u32, &'a str>,
}

/// Reads the sections of a module, of which this is known.
pub(super) fn read(bytes: &[u8], valid: Valid) -> Result<Sections<'_>> {
    let Valid { has_exceptions, has_typed_references, heights } = valid;
    let mut reader = Reader::default();
    for payload in Parser::new(0).parse_all(bytes) {
        reader.payload(payload?)?;
    }
    if has_exceptions {
        reader.add_caught_globals();
    }
    let called = has_typed_references.then(|| reader.add_table_of_the_called());
    let Reader { mut module, types, code, bodies, names, lines, .. } = reader;
    let section = &bytes[code.start as usize..code.end as usize];
    let source = SourceModule::new(&module, types, called, (section, code.start), (bodies, heights), lines);
    let functions = source.functions();
    let source: Arc<dyn BodySource> = Arc::new(source);
    for function in functions {
        let body = UnmadeBody { source: Arc::clone(&source), function };
        module.functions[function.index()].kind = FunctionKind::Defined(LazyBody::unmade(body));
    }
    module.origin = Origin::of(source);
    Ok(Sections { module, names })
}

/// The type of the textual and register code that `ty` is.
pub(super) fn value_type(ty: ValType, offset: u64) -> Result<Type> {
    match ty {
        ValType::I32 => Ok(Type::I32),
        ValType::I64 => Ok(Type::I64),
        ValType::F32 => Ok(Type::F32),
        ValType::F64 => Ok(Type::F64),
        ValType::FUNCREF => Ok(Type::Funcref),
        ValType::V128 => Ok(Type::V128),
        ValType::EXTERNREF => Ok(Type::Externref),
        ValType::EXNREF => Ok(Type::Exnref),
        ValType::Ref(ty) => reference_type(ty.heap_type())
            .ok_or(ImportError::Unsupported { feature: Feature::GarbageCollection, offset }),
    }
}

/// The type of references to what `ty` says, null or not; none if they are to objects that are collected. Code has been
/// validated, and what a reference is called as is checked all the same: so only types of functions, and linking, ask which function type it was.
fn reference_type(ty: HeapType) -> Option<Type> {
    use AbstractHeapType::{Exn, Extern, Func, NoExn, NoExtern, NoFunc};
    match ty {
        HeapType::Concrete(_) => Some(Type::Funcref),
        HeapType::Abstract { shared: false, ty: Func | NoFunc } => Some(Type::Funcref),
        HeapType::Abstract { shared: false, ty: Extern | NoExtern } => Some(Type::Externref),
        HeapType::Abstract { shared: false, ty: Exn | NoExn } => Some(Type::Exnref),
        _ => None,
    }
}

/// The null reference to what `ty` says.
pub(super) fn null(ty: HeapType) -> Value {
    Value::null(reference_type(ty).expect("validated to be no collected object"))
}

#[derive(Default)]
struct Reader<'a> {
    module: Module,
    interned: HashMap<Signature, SignatureIndex>,
    types: Vec<SignatureIndex>,
    /// The signature of each tag.
    tags: Vec<SignatureIndex>,
    /// Where the code section is, and each body.
    code: Range<u64>,
    bodies: Vec<Range<u64>>,
    names: HashMap<u32, &'a str>,
    lines: DebugLines,
}

impl<'a> Reader<'a> {
    fn payload(&mut self, payload: Payload<'a>) -> Result<()> {
        match payload {
            Payload::TypeSection(section) => {
                let offset = section.range().start;
                for ty in section.into_iter_err_on_gc_types() {
                    self.add_type(&ty?, offset)?;
                }
            }
            Payload::ImportSection(section) => {
                let offset = section.range().start;
                section.into_imports().try_for_each(|import| self.add_import(&import?, offset))?;
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.add_function(ty?, FunctionKind::Defined(LazyBody::default()));
                }
            }
            Payload::TableSection(section) => {
                for item in section.into_iter_with_offsets() {
                    let (offset, table) = item?;
                    let initial = match &table.init {
                        TableInit::RefNull => None,
                        TableInit::Expr(expression) => Some(constant(expression)?),
                    };
                    let table = self.table_of(&table.ty, None, offset)?;
                    self.module.tables.push(Table { initial, ..table });
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    self.module.memories.push(memory_of(&memory?, None));
                }
            }
            Payload::GlobalSection(section) => {
                for item in section.into_iter_with_offsets() {
                    let (offset, global) = item?;
                    let initial = GlobalInitial::Expression(constant(&global.init_expr)?);
                    self.add_global(global.ty, initial, offset)?;
                }
            }
            Payload::TagSection(section) => {
                for tag in section {
                    self.add_tag(tag?.func_type_idx, None);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    self.add_export(&export?);
                }
            }
            Payload::StartSection { func, .. } => self.module.start = Some(function_index(func)),
            Payload::ElementSection(section) => {
                for item in section.into_iter_with_offsets() {
                    let (offset, element) = item?;
                    self.module.elements.push(element_segment(element, offset)?);
                }
            }
            Payload::DataSection(section) => {
                for data in section {
                    self.add_data(&data?)?;
                }
            }
            Payload::CodeSectionStart { unchecked_range, .. } => self.code = unchecked_range,
            Payload::CodeSectionEntry(body) => self.bodies.push(body.range()),
            Payload::CustomSection(section) => match section.as_known() {
                KnownCustom::Name(names) => self.add_names(names),
                _ => self.lines.add(section.name(), section.data()),
            },
            _ => {}
        }
        Ok(())
    }

    fn add_type(&mut self, ty: &wasmparser::FuncType, offset: u64) -> Result<()> {
        let list = |types: &[ValType]| -> Result<Vec<ExactType>> {
            types.iter().map(|&ty| self.exact_type(ty, offset)).collect()
        };
        let signature = Signature::exact(list(ty.params())?, list(ty.results())?);
        // Not `Module::intern_signature`, which searches linearly: modules may have a million types.
        let signatures = &mut self.module.signatures;
        let index = *self.interned.entry(signature).or_insert_with_key(|signature| {
            signatures.push(signature.clone());
            SignatureIndex::new(signatures.len() - 1)
        });
        self.types.push(index);
        Ok(())
    }

    fn add_function(&mut self, ty: u32, kind: FunctionKind) {
        let signature = self.types[ty as usize];
        self.module.functions.push(Function { name: String::new(), signature, kind });
    }

    /// Its values get their globals when all others are known.
    fn add_tag(&mut self, ty: u32, import: Option<ImportName>) {
        self.tags.push(self.types[ty as usize]);
        self.module.tags.push(Tag { values: Vec::new(), import });
    }

    fn add_global(&mut self, global: GlobalType, initial: GlobalInitial, offset: u64) -> Result<()> {
        let (ty, reference) = self.exact_type(global.content_type, offset)?;
        self.module.globals.push(Global { ty, reference, mutable: global.mutable, initial });
        Ok(())
    }

    fn table_of(&self, table: &TableType, import: Option<ImportName>, offset: u64) -> Result<Table> {
        let (ty, reference) = self.exact_type(ValType::Ref(table.element_type), offset)?;
        let (minimum, maximum) = (size(table.initial), table.maximum.map(size));
        Ok(Table { ty, reference, minimum, maximum, is_64: table.table64, initial: None, import })
    }

    fn exact_type(&self, ty: ValType, offset: u64) -> Result<ExactType> {
        let reference = match ty {
            ValType::Ref(ty) => self.reference(ty),
            _ => ReferenceType::default(),
        };
        Ok((value_type(ty, offset)?, reference))
    }

    /// What `ty` says of its referents beyond [`reference_type`].
    fn reference(&self, ty: RefType) -> ReferenceType {
        use AbstractHeapType::{NoExn, NoExtern, NoFunc};
        let referent = match ty.heap_type() {
            HeapType::Concrete(index) => {
                let index = index.as_module_index().expect("it is not canonical where it stands in a module");
                Referent::Function(self.types[index as usize])
            }
            HeapType::Abstract { ty: NoFunc | NoExtern | NoExn, .. } => Referent::Nothing,
            _ => Referent::Any,
        };
        ReferenceType { is_non_null: !ty.is_nullable(), referent }
    }

    /// Adds the globals that hold what was caught: tags share them.
    fn add_caught_globals(&mut self) {
        let globals = &mut self.module.globals;
        let mut add = |(ty, reference)| {
            let initial = GlobalInitial::Expression(ConstantExpression::Value(Value::zero(ty)));
            globals.push(Global { ty, reference, mutable: true, initial });
            GlobalIndex::new(globals.len() - 1)
        };
        self.module.caught = Some(add((Type::I32, ReferenceType::default())));
        let mut known = HashMap::new();
        for (tag, signature) in self.module.tags.iter_mut().zip(&self.tags) {
            let types = self.module.signatures[signature.index()].exact_parameters().enumerate();
            tag.values = types.map(|value| *known.entry(value).or_insert_with(|| add(value.1))).collect();
        }
    }

    /// Adds the table through which references are called: it has the one that is called next.
    fn add_table_of_the_called(&mut self) -> TableIndex {
        let tables = &mut self.module.tables;
        let (minimum, maximum) = (1, Some(1));
        let (is_64, initial, import) = (false, None, None);
        let (ty, reference) = (Type::Funcref, ReferenceType::default());
        tables.push(Table { ty, reference, minimum, maximum, is_64, initial, import });
        TableIndex::new(tables.len() - 1)
    }

    fn add_import(&mut self, import: &Import<'_>, offset: u64) -> Result<()> {
        let name = ImportName { module: import.module.to_owned(), name: import.name.to_owned() };
        match import.ty {
            TypeRef::Func(ty) => self.add_function(ty, FunctionKind::Import(name)),
            TypeRef::Table(ty) => {
                let table = self.table_of(&ty, Some(name), offset)?;
                self.module.tables.push(table);
            }
            TypeRef::Memory(ty) => self.module.memories.push(memory_of(&ty, Some(name))),
            TypeRef::Global(ty) => self.add_global(ty, GlobalInitial::Import(name), offset)?,
            TypeRef::Tag(tag) => self.add_tag(tag.func_type_idx, Some(name)),
            TypeRef::FuncExact(_) => {
                return Err(ImportError::Unsupported { feature: Feature::CustomDescriptors, offset });
            }
        }
        Ok(())
    }

    fn add_export(&mut self, export: &wasmparser::Export<'_>) {
        let index = export.index as usize;
        let item = match export.kind {
            ExternalKind::Func | ExternalKind::FuncExact => ExportItem::Function(FunctionIndex::new(index)),
            ExternalKind::Table => ExportItem::Table(TableIndex::new(index)),
            ExternalKind::Global => ExportItem::Global(GlobalIndex::new(index)),
            ExternalKind::Memory => ExportItem::Memory(MemoryIndex::new(index)),
            ExternalKind::Tag => ExportItem::Tag(TagIndex::new(index)),
        };
        self.module.exports.push(Export { name: export.name.to_owned(), item });
    }

    fn add_data(&mut self, data: &wasmparser::Data<'_>) -> Result<()> {
        let mode = match &data.kind {
            DataKind::Passive => SegmentMode::Passive,
            DataKind::Active { memory_index, offset_expr } => SegmentMode::Active {
                target: MemoryIndex::new(*memory_index as usize),
                offset: constant(offset_expr)?,
            },
        };
        self.module.data.push(DataSegment { mode, bytes: data.data.to_vec() });
        Ok(())
    }

    /// Keeps the names up to where the section is broken, if it is: a custom section is never an error.
    fn add_names(&mut self, section: NameSectionReader<'a>) {
        for subsection in section.into_iter().map_while(std::result::Result::ok) {
            if let Name::Function(names) = subsection {
                let names = names.map_while(std::result::Result::ok);
                self.names.extend(names.map(|naming| (naming.index, naming.name)));
            }
        }
    }
}

fn function_index(index: u32) -> FunctionIndex {
    FunctionIndex::new(index as usize)
}

/// Sizes of 32-bit memories and tables fit: that is part of being valid. Of others there is not room for so much.
fn size(of: u64) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

fn memory_of(ty: &MemoryType, import: Option<ImportName>) -> Memory {
    let (minimum, maximum) = (size(ty.initial), ty.maximum.map(size));
    Memory { minimum, maximum, is_64: ty.memory64, is_shared: ty.shared, import }
}

fn element_segment(element: Element<'_>, offset: u64) -> Result<ElementSegment> {
    let mode = match &element.kind {
        ElementKind::Passive => SegmentMode::Passive,
        ElementKind::Declared => SegmentMode::Declared,
        ElementKind::Active { table_index, offset_expr } => SegmentMode::Active {
            target: TableIndex::new(table_index.unwrap_or(0) as usize),
            offset: constant(offset_expr)?,
        },
    };
    let (ty, items) = match element.items {
        ElementItems::Functions(functions) => {
            let item = |function| Ok(ConstantExpression::Function(function_index(function?)));
            (Type::Funcref, functions.into_iter().map(item).collect::<Result<_>>()?)
        }
        ElementItems::Expressions(ty, expressions) => {
            let items = expressions.into_iter().map(|expression| constant(&expression?));
            (value_type(ValType::Ref(ty), offset)?, items.collect::<Result<_>>()?)
        }
    };
    Ok(ElementSegment { mode, ty, items })
}

/// An initializer: one operator and `end`, or several, which are arithmetic.
fn constant(expression: &ConstExpr<'_>) -> Result<ConstantExpression> {
    let mut operators = expression.get_operators_reader();
    let mut steps = Vec::new();
    loop {
        let operator = operators.read()?;
        let step = match operator {
            Operator::End => break,
            Operator::RefFunc { function_index: index } => {
                return Ok(ConstantExpression::Function(function_index(index)));
            }
            Operator::I32Const { value } => ConstantStep::Value(Value::I32(value)),
            Operator::I64Const { value } => ConstantStep::Value(Value::I64(value)),
            Operator::F32Const { value } => ConstantStep::Value(Value::F32(value.bits())),
            Operator::F64Const { value } => ConstantStep::Value(Value::F64(value.bits())),
            Operator::V128Const { value } => ConstantStep::Value(Value::of_bytes(*value.bytes())),
            Operator::RefNull { hty } => ConstantStep::Value(null(hty)),
            Operator::GlobalGet { global_index } => {
                ConstantStep::Global(GlobalIndex::new(global_index as usize))
            }
            Operator::I32Add => ConstantStep::Operation(BinaryOp::I32Add),
            Operator::I32Sub => ConstantStep::Operation(BinaryOp::I32Sub),
            Operator::I32Mul => ConstantStep::Operation(BinaryOp::I32Mul),
            Operator::I64Add => ConstantStep::Operation(BinaryOp::I64Add),
            Operator::I64Sub => ConstantStep::Operation(BinaryOp::I64Sub),
            Operator::I64Mul => ConstantStep::Operation(BinaryOp::I64Mul),
            other => unreachable!("validation refuses {other:?} in an initializer"),
        };
        steps.push(step);
    }
    Ok(match *steps {
        [ConstantStep::Value(value)] => ConstantExpression::Value(value),
        [ConstantStep::Global(global)] => ConstantExpression::Global(global),
        _ => ConstantExpression::Arithmetic(steps.into()),
    })
}
