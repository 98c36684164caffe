//! What can be wrong with a module, and where.

use std::fmt;

use thiserror::Error;

use super::frames::FrameError;
use super::redefinition::EntryError;
use crate::index::{
    Block, DataIndex, ElementIndex, FunctionIndex, GlobalIndex, MemoryIndex, Register, SignatureIndex,
    TableIndex, TagIndex,
};
use crate::operation::BinaryOp;
use crate::point::{Point, Position};
use crate::value::Type;

/// Something in a module that refers to others or is referred to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A register of the body at hand.
    Register(Register),
    /// A block of the body at hand.
    Block(Block),
    /// A function.
    Function(FunctionIndex),
    /// A signature.
    Signature(SignatureIndex),
    /// A global.
    Global(GlobalIndex),
    /// A table.
    Table(TableIndex),
    /// A linear memory.
    Memory(MemoryIndex),
    /// A tag.
    Tag(TagIndex),
    /// What is caught.
    Caught,
    /// A data segment.
    Data(DataIndex),
    /// An element segment.
    Element(ElementIndex),
    /// The export of this name.
    Export(String),
    /// The start function.
    Start,
}

impl fmt::Display for Item {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Register(register) => write!(formatter, "register {register}"),
            Item::Block(block) => write!(formatter, "block {block}"),
            Item::Function(function) => write!(formatter, "function {function}"),
            Item::Signature(signature) => write!(formatter, "signature {signature}"),
            Item::Global(global) => write!(formatter, "global {global}"),
            Item::Table(table) => write!(formatter, "table {table}"),
            Item::Memory(memory) => write!(formatter, "memory {memory}"),
            Item::Tag(tag) => write!(formatter, "tag {tag}"),
            Item::Caught => formatter.write_str("caught"),
            Item::Data(data) => write!(formatter, "data segment {data}"),
            Item::Element(element) => write!(formatter, "element segment {element}"),
            Item::Export(name) => write!(formatter, "export {name:?}"),
            Item::Start => formatter.write_str("start"),
        }
    }
}

/// Why a module is not well formed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum VerifyError {
    /// Two signatures are equal, so that their indices say nothing.
    #[error("signatures {first} and {second} are equal")]
    DuplicateSignature {
        /// The first of them.
        first: SignatureIndex,
        /// The second.
        second: SignatureIndex,
    },
    /// A signature mentions one that does not come before it.
    #[error("signature {signature} mentions {mentioned}, which does not come before it")]
    SignatureOrder {
        /// The signature.
        signature: SignatureIndex,
        /// The one that it mentions.
        mentioned: SignatureIndex,
    },
    /// A function's name is empty.
    #[error("function {function} has no name")]
    UnnamedFunction {
        /// The function.
        function: FunctionIndex,
    },
    /// Two functions have one name.
    #[error("functions {first} and {second} are both named `{name}`")]
    DuplicateFunction {
        /// The name.
        name: String,
        /// The first of them.
        first: FunctionIndex,
        /// The second.
        second: FunctionIndex,
    },
    /// Something refers to what the module does not have.
    #[error("{user}: there is no {item}")]
    NoSuch {
        /// What refers.
        user: Item,
        /// What is not there.
        item: Item,
    },
    /// A memory or table starts larger than it may become.
    #[error("{item}: the minimum {minimum} is above the maximum {maximum}")]
    Size {
        /// The memory or table.
        item: Item,
        /// Its minimum.
        minimum: u32,
        /// Its maximum.
        maximum: u32,
    },
    /// A memory is larger than 32-bit addresses reach.
    #[error("memory {memory}: {pages} pages are more than 65536")]
    TooManyPages {
        /// The memory.
        memory: MemoryIndex,
        /// The pages asked for.
        pages: u32,
    },
    /// The type of a table or element segment is none of references.
    #[error("{item}: values of type {ty} are no references")]
    NoReferences {
        /// The table or segment.
        item: Item,
        /// Its type.
        ty: Type,
    },
    /// A global, table or signature is said to refer to what a type does not.
    #[error("{item} is of type {ty}, and cannot refer to {referent}")]
    Referent {
        /// The global, table or signature.
        item: Item,
        /// Its type.
        ty: Type,
        /// What it is said to refer to.
        referent: &'static str,
    },
    /// An element segment is for a table of another type.
    #[error("element segment {element} has type {found}, not {expected} as its table")]
    ElementType {
        /// The segment.
        element: ElementIndex,
        /// The type of the table.
        expected: Type,
        /// The type of the segment.
        found: Type,
    },
    /// A global that takes what is caught has another type, is not mutable or is imported.
    #[error(
        "{user}: {global} must be a mutable global of the module's own, of type i32 if it is what `caught` names"
    )]
    CaughtGlobal {
        /// What names the global.
        user: Item,
        /// The global.
        global: GlobalIndex,
    },
    /// An initializer has another type than what it initializes.
    #[error("{of}: the initializer has type {found}, not {expected}")]
    InitializerType {
        /// What is initialized.
        of: Item,
        /// The type it needs.
        expected: Type,
        /// The type it gets.
        found: Type,
    },
    /// An operation of an initializer has too few operands, or something is left over.
    #[error("{of}: the initializer's operations do not leave one value")]
    InitializerUnbalanced {
        /// What is initialized.
        of: Item,
    },
    /// An initializer computes what initializers cannot.
    #[error("{of}: an initializer adds, subtracts or multiplies integers, but does no `{}`", operation.name())]
    InitializerOperation {
        /// What is initialized.
        of: Item,
        /// What it computes.
        operation: BinaryOp,
    },
    /// An initializer reads a global that may have changed.
    #[error("{of}: the initializer reads {global}, which is mutable")]
    InitializerMutable {
        /// What is initialized.
        of: Item,
        /// The mutable global.
        global: GlobalIndex,
    },
    /// A global's initializer reads a global that has no value yet.
    #[error("{of}: the initializer reads {global}, which is not an earlier global")]
    InitializerLater {
        /// What is initialized.
        of: Item,
        /// The later global.
        global: GlobalIndex,
    },
    /// Only element segments can be declared.
    #[error("data segment {data}: only element segments can be declared")]
    DeclaredData {
        /// The data segment.
        data: DataIndex,
    },
    /// Two exports have one name.
    #[error("there are two exports {name:?}")]
    DuplicateExport {
        /// The name.
        name: String,
    },
    /// The start function has parameters or results.
    #[error("start: `{name}` has parameters or results")]
    StartSignature {
        /// The name of the function.
        name: String,
    },
    /// A body has no blocks.
    #[error("function `{function}`: there is no entry block")]
    NoEntry {
        /// The name of the function.
        function: String,
    },
    /// A body's first registers are not its parameters.
    #[error("function `{function}`: {register} is a parameter of type {expected}, but {}", register_type(*found))]
    Parameter {
        /// The name of the function.
        function: String,
        /// The register that should be a parameter.
        register: Register,
        /// The type of the parameter.
        expected: Type,
        /// The type of the register, if there is one.
        found: Option<Type>,
    },
    /// A further body of a function does not fit it.
    #[error("`{name}` cannot be a body of `{of}`: {why}")]
    Alternative {
        /// The name of the body.
        name: String,
        /// The name of the function.
        of: String,
        /// Why not.
        why: &'static str,
    },
    /// A further body of a function is called or referred to by its name.
    #[error("{user} names `{name}`, which is a further body of a function: name the function")]
    NamesAlternative {
        /// What names it.
        user: Item,
        /// The name of the body.
        name: String,
    },
    /// A state map does not lead from one body of a function to another.
    #[error("map `{from}` to `{to}`: those are not two bodies of one function")]
    StateMapBodies {
        /// The name of the old body.
        from: String,
        /// The name of the new body.
        to: String,
    },
    /// There are two state maps for one pair of bodies.
    #[error("there is a second map `{from}` to `{to}`")]
    DuplicateStateMap {
        /// The name of the old body.
        from: String,
        /// The name of the new body.
        to: String,
    },
    /// An entry of a state map is wrong.
    #[error("map `{from}` to `{to}`, {point}: {error}")]
    StateMap {
        /// The name of the old body.
        from: String,
        /// The name of the new body.
        to: String,
        /// The point of the old body.
        point: Point,
        /// What is wrong with the entry.
        error: EntryError,
    },
    /// A function cannot be changed so.
    #[error("`{function}` cannot be redefined as `{body}`: {why}")]
    Change {
        /// The name of the function.
        function: String,
        /// The name of the body.
        body: String,
        /// Why not.
        why: &'static str,
    },
    /// A function has no code of its own that the script could invalidate.
    #[error("script: code of `{function}` cannot be invalidated: {why}")]
    Invalidated {
        /// The name of the function.
        function: String,
        /// Why not.
        why: &'static str,
    },
    /// The steps of the script are not in order.
    #[error("script: call {call} is not after call {last}: calls ascend from 1")]
    ScriptOrder {
        /// The call of the step.
        call: u64,
        /// That of the step before.
        last: u64,
    },
    /// An instruction or terminator is wrong.
    #[error("function `{function}`, {position}: {error}")]
    Code {
        /// The name of the function.
        function: String,
        /// The instruction; the terminator counts as the last of its block.
        position: Position,
        /// What is wrong with it.
        error: CodeError,
    },
}

fn register_type(found: Option<Type>) -> String {
    found.map_or("is not declared".to_owned(), |ty| format!("is declared as {ty}"))
}

/// A list of registers whose length is given by a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Arguments of a call.
    Arguments,
    /// Results of a call.
    Results,
    /// Values of a return.
    Returned,
    /// Operands of an operation on vectors.
    Operands,
}

impl fmt::Display for List {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            List::Arguments => "arguments",
            List::Results => "results",
            List::Returned => "returned values",
            List::Operands => "operands",
        })
    }
}

/// Why an instruction or a terminator is wrong.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CodeError {
    /// A tail call, or a deoptimization, is not right behind `interpret`, or something else is.
    #[error("`interpret` must stand right before a tail call or `deoptimize`, and nowhere else")]
    InterpretedInCode,
    /// A deoptimization leads to no frame.
    #[error("`deoptimize` leads to no frame")]
    NoFrames,
    /// A frame that a deoptimization leads to is wrong.
    #[error("frame {number}, `{name}` {point}: {error}")]
    Frame {
        /// Which, from the innermost, which is 0.
        number: usize,
        /// The name of its body.
        name: String,
        /// Where it continues.
        point: Point,
        /// What is wrong with it.
        error: FrameError,
    },
    /// A function that is called in the place of another has other results.
    #[error("a function that is called last must have the results of its caller")]
    TailCallResults,
    /// It refers to what the body or the module does not have.
    #[error("there is no {0}")]
    NoSuch(Item),
    /// A register has another type than the operation needs.
    #[error("{register} has type {found}, not {expected}")]
    Type {
        /// The register.
        register: Register,
        /// The type that is needed.
        expected: Type,
        /// The type of the register.
        found: Type,
    },
    /// A table has another type than the operation needs.
    #[error("{table} has type {found}, not {expected}")]
    TableType {
        /// The table.
        table: TableIndex,
        /// The type that is needed.
        expected: Type,
        /// The type of the table.
        found: Type,
    },
    /// A list of registers has another length than the signature.
    #[error("{found} {list}, not {expected}")]
    Count {
        /// Which list.
        list: List,
        /// The length that the signature asks for.
        expected: usize,
        /// The length of the list.
        found: usize,
    },
    /// A vector has no such lane.
    #[error("there is no lane {lane} of {lanes}")]
    Lane {
        /// The lane, from 0.
        lane: u8,
        /// How many there are.
        lanes: u8,
    },
    /// A call assigns one register twice.
    #[error("{0} is assigned twice")]
    DuplicateResult(Register),
    /// An assignment to a global that is not mutable.
    #[error("{0} is not mutable")]
    ImmutableGlobal(GlobalIndex),
    /// A terminator leads to the entry block.
    #[error("the entry block cannot be a target")]
    EntryTarget,
    /// A register is read that some path from the entry leaves without a value.
    #[error("{0} may be read before it is assigned")]
    Unassigned(Register),
}
