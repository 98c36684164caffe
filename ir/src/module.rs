//! Modules: what a program's file becomes.

use std::collections::BTreeMap;
use std::fmt;

use crate::addition::AddedBodies;
use crate::body::Body;
use crate::index::{FunctionIndex, GlobalIndex, MemoryIndex, SignatureIndex, TableIndex, TagIndex};
use crate::lazy_body::LazyBody;
use crate::operation::BinaryOp;
use crate::origin::Origin;
use crate::redefinition::{Alternative, Step};
use crate::reference_type::{ExactType, ReferenceType, Referent};
use crate::state_map::StateMap;
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
    /// Tables of references.
    pub tables: Vec<Table>,
    /// The linear memories.
    pub memories: Vec<Memory>,
    /// Tags of exceptions.
    pub tags: Vec<Tag>,
    /// The global that says what was caught, if anything here catches: [`Tag`] explains it.
    pub caught: Option<GlobalIndex>,
    /// Data segments, active ones in the order in which instantiation writes them.
    pub data: Vec<DataSegment>,
    /// Element segments, active ones in the order in which instantiation writes them.
    pub elements: Vec<ElementSegment>,
    /// Exported names; unique.
    pub exports: Vec<Export>,
    /// The function that instantiation calls last.
    pub start: Option<FunctionIndex>,
    /// Further bodies of functions.
    pub alternatives: Vec<Alternative>,
    /// How activations continue when their function is redefined, for pairs of bodies that are distinct.
    pub state_maps: Vec<StateMap>,
    /// What an experiment does while the module executes, by ascending calls.
    pub script: Vec<Step>,
    /// What it was made from.
    pub origin: Origin,
    /// Further bodies that were added later, and the room for them.
    pub added: AddedBodies,
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

    /// The function at `index`, or the body that was added there.
    ///
    /// # Panics
    /// If there is none.
    #[inline(always)]
    pub fn function(&self, index: FunctionIndex) -> &Function {
        self.known_function(index).expect("there is such a function")
    }

    /// The function at `index`, or the body that was added there, if there is one.
    #[inline(always)]
    pub fn known_function(&self, index: FunctionIndex) -> Option<&Function> {
        self.functions.get(index.index()).or_else(|| self.added_function(index))
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

    /// Everything that the module imports: functions, tables, memories, globals, tags.
    pub fn imports(&self) -> impl Iterator<Item = (&ImportName, ExportItem)> {
        let functions = self.functions.iter().zip(self.function_indices());
        let functions = functions.filter_map(|(function, index)| match &function.kind {
            FunctionKind::Import(name) => Some((name, ExportItem::Function(index))),
            FunctionKind::Defined(_) => None,
        });
        let tables = self.tables.iter().enumerate().filter_map(|(number, table)| {
            Some((table.import.as_ref()?, ExportItem::Table(TableIndex::new(number))))
        });
        let memories = self.memories.iter().enumerate().filter_map(|(number, memory)| {
            Some((memory.import.as_ref()?, ExportItem::Memory(MemoryIndex::new(number))))
        });
        let globals = self.globals.iter().enumerate();
        let globals = globals.filter_map(|(number, global)| match &global.initial {
            GlobalInitial::Import(name) => Some((name, ExportItem::Global(GlobalIndex::new(number)))),
            GlobalInitial::Expression(_) => None,
        });
        let tags = self.tags.iter().enumerate();
        let tags = tags
            .filter_map(|(number, tag)| Some((tag.import.as_ref()?, ExportItem::Tag(TagIndex::new(number)))));
        functions.chain(tables).chain(memories).chain(globals).chain(tags)
    }

    /// The indices of all functions, without bodies that were added later.
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
    /// What is said of the references among them beyond their types, if anything is: by position, the results after the
    /// parameters. Signatures that are mentioned come before this one.
    pub references: BTreeMap<usize, ReferenceType>,
}

impl Signature {
    /// The signature of these types, whose references refer to whatever their types admit.
    pub fn new(parameters: Vec<Type>, results: Vec<Type>) -> Signature {
        Signature { parameters, results, references: BTreeMap::new() }
    }

    /// The signature of these types.
    pub fn exact(parameters: Vec<ExactType>, results: Vec<ExactType>) -> Signature {
        let references = parameters.iter().chain(&results).map(|&(_, reference)| reference).enumerate();
        let references = references.filter(|&(_, reference)| reference != ReferenceType::default()).collect();
        let types = |exact: Vec<ExactType>| exact.into_iter().map(|(ty, _)| ty).collect();
        Signature { parameters: types(parameters), results: types(results), references }
    }

    /// The types of the parameters, with what they refer to.
    pub fn exact_parameters(&self) -> impl Iterator<Item = ExactType> + Clone {
        self.exact_types(&self.parameters, 0)
    }

    /// The types of the results, with what they refer to.
    pub fn exact_results(&self) -> impl Iterator<Item = ExactType> + Clone {
        self.exact_types(&self.results, self.parameters.len())
    }

    fn exact_types<'s>(
        &'s self,
        types: &'s [Type],
        first: usize,
    ) -> impl Iterator<Item = ExactType> + Clone + 's {
        let reference = move |position| self.references.get(&position).copied().unwrap_or_default();
        types.iter().zip(first..).map(move |(&ty, position)| (ty, reference(position)))
    }

    /// Whether the values are of the same types as those of `other`, whatever their references refer to.
    pub fn has_types_of(&self, other: &Signature) -> bool {
        self.parameters == other.parameters && self.results == other.results
    }

    /// The same, with another index for each signature that is mentioned.
    #[must_use]
    pub fn renumbered(&self, number: impl Fn(SignatureIndex) -> SignatureIndex) -> Signature {
        let mut renumbered = self.clone();
        for reference in renumbered.references.values_mut() {
            if let Referent::Function(signature) = &mut reference.referent {
                *signature = number(*signature);
            }
        }
        renumbered
    }
}

/// `(i32, i64) -> (f64)`
impl fmt::Display for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parameters, results) = (list(self.exact_parameters()), list(self.exact_results()));
        write!(formatter, "({parameters}) -> ({results})")
    }
}

/// `i32, funcref nonnull to s0`
pub(crate) fn list(types: impl Iterator<Item = ExactType>) -> String {
    let show = |(ty, reference): ExactType| match reference == ReferenceType::default() {
        true => ty.to_string(),
        false => format!("{ty} {reference}"),
    };
    types.map(show).collect::<Vec<_>>().join(", ")
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

    /// The same, unless it is still to be made.
    pub(crate) fn made_body(&self) -> Option<&Body> {
        match &self.kind {
            FunctionKind::Defined(body) if body.is_made() => Some(body),
            _ => None,
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
    /// What else is known of the references that it holds.
    pub reference: ReferenceType,
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
    /// Arithmetic on integers, in postfix order: each operation after its operands, however deep they nest.
    Arithmetic(Box<[ConstantStep]>),
}

/// A step of arithmetic in an initializer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConstantStep {
    /// A constant.
    Value(Value),
    /// The value of an earlier immutable global.
    Global(GlobalIndex),
    /// Takes the two last values, and leaves one: addition, subtraction, or multiplication of `i32` or `i64`.
    Operation(BinaryOp),
}

impl Memory {
    /// The type of addresses and sizes in WebAssembly code.
    pub fn address_type(&self) -> Type {
        address_type(self.is_64)
    }
}

impl Table {
    /// The type of indices and sizes in WebAssembly code.
    pub fn address_type(&self) -> Type {
        address_type(self.is_64)
    }
}

fn address_type(is_64: bool) -> Type {
    if is_64 { Type::I64 } else { Type::I32 }
}

impl ConstantStep {
    /// The operations that an initializer may use.
    pub const OPERATIONS: [BinaryOp; 6] = [
        BinaryOp::I32Add,
        BinaryOp::I32Sub,
        BinaryOp::I32Mul,
        BinaryOp::I64Add,
        BinaryOp::I64Sub,
        BinaryOp::I64Mul,
    ];
}

impl ConstantExpression {
    /// The word that a verified expression evaluates to, where `global` and `function` know the words of globals and
    /// of references to functions.
    pub fn evaluate(
        &self,
        global: impl Fn(GlobalIndex) -> u64,
        function: impl Fn(FunctionIndex) -> u64,
    ) -> u64 {
        match self {
            ConstantExpression::Value(value) => value.to_bits(),
            ConstantExpression::Global(index) => global(*index),
            ConstantExpression::Function(index) => function(*index),
            ConstantExpression::Arithmetic(steps) => {
                let mut words = Vec::new();
                for step in steps {
                    let word = match *step {
                        ConstantStep::Value(value) => value.to_bits(),
                        ConstantStep::Global(index) => global(index),
                        ConstantStep::Operation(operation) => {
                            let right = words.pop().expect("verified");
                            compute(operation, words.pop().expect("verified"), right)
                        }
                    };
                    words.push(word);
                }
                words.pop().expect("verified")
            }
        }
    }
}

/// One of [`ConstantStep::OPERATIONS`], on words.
fn compute(operation: BinaryOp, left: u64, right: u64) -> u64 {
    let low = |word: u64| u64::from(word as u32);
    match operation {
        BinaryOp::I32Add => low(left.wrapping_add(right)),
        BinaryOp::I32Sub => low(left.wrapping_sub(right)),
        BinaryOp::I32Mul => low(left.wrapping_mul(right)),
        BinaryOp::I64Add => left.wrapping_add(right),
        BinaryOp::I64Sub => left.wrapping_sub(right),
        BinaryOp::I64Mul => left.wrapping_mul(right),
        other => unreachable!("{} in a verified initializer", other.name()),
    }
}

/// A table of references.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The type of the entries: [`Type::Funcref`] or [`Type::Externref`].
    pub ty: Type,
    /// What else is known of them.
    pub reference: ReferenceType,
    /// Entries at the start.
    pub minimum: u32,
    /// The most entries it may grow to.
    pub maximum: Option<u32>,
    /// Whether its indices are of 64 bits where WebAssembly code has them; see [`Memory::is_64`].
    pub is_64: bool,
    /// What the first entries are, before element segments are written, if not null.
    pub initial: Option<ConstantExpression>,
    /// The host's name of it, if it is imported.
    pub import: Option<ImportName>,
}

/// A linear memory. Sizes are in pages of 64 KiB; 2 to the 32, less one, stands for whatever is more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Pages at the start, all zero before data segments are written.
    pub minimum: u32,
    /// The most pages it may grow to.
    pub maximum: Option<u32>,
    /// Whether its addresses are of 64 bits where WebAssembly code has them. Instructions here address it by 32 bits all the
    /// same: it has no more than [`MAXIMUM_PAGES_64`], so that the highest address of 32 bits is never in bounds, and
    /// translation from WebAssembly makes that one of all higher addresses. The offset of an active segment has 64 bits.
    pub is_64: bool,
    /// Whether WebAssembly code says that threads share it. There is one that executes; but it can wait there only.
    pub is_shared: bool,
    /// The host's name of it, if it is imported.
    pub import: Option<ImportName>,
}

/// A tag: a kind of exceptions.
///
/// The values of an exception are in globals of the module, which belong to tags and can belong to several:
/// - `throw` makes an exception of what is there. It unwinds the stack to the innermost frame that catches: one that waits
///   for a call (or is at a throw) right behind which [`Module::caught`] is read;
/// - where it is caught, its values are in the globals of its tag, and `caught` is the number of the tag, from 1, the lowest
///   if it is imported more than once; of a tag that the module does not have, -1. The registers that the call would have
///   assigned are zero;
/// - code that has found `caught` other than zero sets it to zero, before anything else that is called reads it.
///
/// So a `try` is a branch behind each of its calls, and nothing where there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The globals that hold its values: mutable, and not imported.
    pub values: Vec<GlobalIndex>,
    /// The host's name of it, if it is imported.
    pub import: Option<ImportName>,
}

/// Bytes of a page of linear memory.
pub const PAGE_BYTES: u64 = 65_536;
/// Pages of the largest 32-bit memory.
pub const MAXIMUM_PAGES: u32 = 65_536;
/// Pages of the largest 64-bit memory.
pub const MAXIMUM_PAGES_64: u32 = MAXIMUM_PAGES - 1;

/// When a segment is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SegmentMode<Target> {
    /// At instantiation, at `offset` of `target`.
    Active {
        /// Which memory or table.
        target: Target,
        /// The first byte or entry written.
        offset: ConstantExpression,
    },
    /// By `memory.init` or `table.init`.
    Passive,
    /// Never (elements only): it declares functions that `ref.func` may name.
    Declared,
}

/// Bytes for a linear memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSegment {
    /// When it is written.
    pub mode: SegmentMode<MemoryIndex>,
    /// What is written.
    pub bytes: Vec<u8>,
}

/// References for a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementSegment {
    /// When it is written.
    pub mode: SegmentMode<TableIndex>,
    /// The type of the references.
    pub ty: Type,
    /// What is written: functions, null, or values of globals.
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

/// What an export names; also, what is behind a name that is imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportItem {
    /// A function.
    Function(FunctionIndex),
    /// A global.
    Global(GlobalIndex),
    /// A table.
    Table(TableIndex),
    /// A linear memory.
    Memory(MemoryIndex),
    /// A tag.
    Tag(TagIndex),
}
