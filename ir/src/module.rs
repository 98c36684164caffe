//! Modules: what a program's file becomes.

use crate::body::Body;
use crate::index::{FunctionIndex, GlobalIndex, SignatureIndex, TableIndex};
use crate::lazy_body::LazyBody;
use crate::value::{Type, Value};

/// A program: functions and the state that they share.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Module {
    /// Interned signatures: no two are equal, so equal indices mean equal signatures.
    pub signatures: Vec<Signature>,
    /// Imported and defined functions.
    pub functions: Vec<Function>,
    /// Globals.
    pub globals: Vec<Global>,
    /// Tables of function references.
    pub tables: Vec<Table>,
    /// The linear memory, if any.
    pub memory: Option<Memory>,
    /// Data segments, active ones in the order in which instantiation writes them.
    pub data: Vec<DataSegment>,
    /// Element segments, active ones in the order in which instantiation writes them.
    pub elements: Vec<ElementSegment>,
    /// Exported names; unique.
    pub exports: Vec<Export>,
    /// The function that instantiation calls last.
    pub start: Option<FunctionIndex>,
}

impl Module {
    /// The index of `signature`, added if it is new.
    pub fn intern_signature(&mut self, signature: Signature) -> SignatureIndex {
        let position = self.signatures.iter().position(|known| *known == signature);
        SignatureIndex::new(position.unwrap_or_else(|| {
            self.signatures.push(signature);
            self.signatures.len() - 1
        }))
    }

    /// The function at `index`.
    pub fn function(&self, index: FunctionIndex) -> &Function {
        &self.functions[index.index()]
    }

    /// The signature at `index`.
    pub fn signature(&self, index: SignatureIndex) -> &Signature {
        &self.signatures[index.index()]
    }

    /// The signature of the function at `index`.
    pub fn signature_of(&self, index: FunctionIndex) -> &Signature {
        self.signature(self.function(index).signature)
    }

    /// What is exported under `name`.
    pub fn export(&self, name: &str) -> Option<ExportItem> {
        self.exports.iter().find(|export| export.name == name).map(|export| export.item)
    }

    /// The indices of all functions.
    pub fn function_indices(&self) -> impl Iterator<Item = FunctionIndex> + use<> {
        (0..self.functions.len()).map(FunctionIndex::new)
    }
}

/// Parameter and result types.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Signature {
    /// Types of the parameters, in order.
    pub parameters: Vec<Type>,
    /// Types of the results, in order.
    pub results: Vec<Type>,
}

/// A function: its name, type, and where its code comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// A name for people; unique in its module and never empty. From the name section, the export or
    /// import name, or else `f` and the index.
    pub name: String,
    /// The type.
    pub signature: SignatureIndex,
    /// Imported or defined.
    pub kind: FunctionKind,
}

impl Function {
    /// Whether the module defines it.
    pub fn is_defined(&self) -> bool {
        matches!(self.kind, FunctionKind::Defined(_))
    }

    /// How many registers its body has: exactly, or at most as long as the body has not been made.
    /// None if it is imported.
    pub fn register_bound(&self) -> usize {
        match &self.kind {
            FunctionKind::Import(_) => 0,
            FunctionKind::Defined(body) => body.register_bound(),
        }
    }

    /// The body, unless the function is imported. It is made if this is its first use.
    pub fn body(&self) -> Option<&Body> {
        match &self.kind {
            FunctionKind::Import(_) => None,
            FunctionKind::Defined(body) => Some(body),
        }
    }
}

/// Where a function's code comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum FunctionKind {
    /// The host provides it.
    Import(ImportName),
    /// The module defines it.
    Defined(LazyBody),
}

/// The two-level name under which the host provides something.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImportName {
    /// The module name, for instance `env`.
    pub module: String,
    /// The name within that module.
    pub name: String,
}

/// A global variable.
#[derive(Clone, Debug, PartialEq)]
pub struct Global {
    /// The type of its value.
    pub ty: Type,
    /// Whether `global.set` may change it.
    pub mutable: bool,
    /// The initial value; for an imported global the host's name of it.
    pub initial: GlobalInitial,
}

/// Where a global's initial value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum GlobalInitial {
    /// The host provides it.
    Import(ImportName),
    /// The module computes it.
    Expression(ConstantExpression),
}

/// An initializer, evaluated at instantiation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConstantExpression {
    /// A constant.
    Value(Value),
    /// The value of an earlier immutable global.
    Global(GlobalIndex),
    /// A reference to a function.
    Function(FunctionIndex),
}

/// A table of function references.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Entries at the start, all null before element segments are written.
    pub minimum: u32,
    /// The most entries it may grow to.
    pub maximum: Option<u32>,
    /// The host's name of it, if it is imported.
    pub import: Option<ImportName>,
}

/// A linear memory. Sizes are in pages of 64 KiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Pages at the start, all zero before data segments are written. At most 65,536.
    pub minimum: u32,
    /// The most pages it may grow to. At most 65,536.
    pub maximum: Option<u32>,
    /// The host's name of it, if it is imported.
    pub import: Option<ImportName>,
}

/// Bytes of a page of linear memory.
pub const PAGE_BYTES: u64 = 65_536;
/// Pages of the largest 32-bit memory.
pub const MAXIMUM_PAGES: u32 = 65_536;

/// When a segment is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SegmentMode<Target> {
    /// At instantiation, at `offset` of `target`.
    Active {
        /// Which memory (`()`) or table.
        target: Target,
        /// The first byte or entry written.
        offset: ConstantExpression,
    },
    /// By `memory.init` or `table.init`.
    Passive,
    /// Never (elements only): it declares functions that `ref.func` may name.
    Declared,
}

/// Bytes for linear memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSegment {
    /// When it is written.
    pub mode: SegmentMode<()>,
    /// What is written.
    pub bytes: Vec<u8>,
}

/// Function references for a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementSegment {
    /// When it is written.
    pub mode: SegmentMode<TableIndex>,
    /// What is written: functions, null (`Value(NullFuncref)`), or values of globals.
    pub items: Vec<ConstantExpression>,
}

/// A name that the host can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// The name; unique among the exports.
    pub name: String,
    /// What it names.
    pub item: ExportItem,
}

/// What an export names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportItem {
    /// A function.
    Function(FunctionIndex),
    /// A global.
    Global(GlobalIndex),
    /// A table.
    Table(TableIndex),
    /// The linear memory.
    Memory,
}
