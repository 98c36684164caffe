//! The verifier: what makes a module well formed. Every module is verified once before it runs, whatever it
//! was made from; a [`VerifiedModule`] is the proof, and everything after may rely on what is checked here. Only
//! the bodies that are still WebAssembly are left out then ([`verify_lazily`]): validation has checked them.
//!
//! ```text
//! module ──> items (this file, initializers) ──> each body: code ──> assignment
//! ```
//!
//! A verified module keeps these promises:
//! - every index is in range, signatures are distinct, names of functions and exports are unique;
//! - operands, results, arguments and initializers have the required types;
//! - a body has an entry block without predecessors, its first registers are the parameters, and on
//!   every path from the entry a register is assigned before it is read;
//! - memories are touched only if there are such; sizes are ordered and within limits;
//! - alternatives have the signature of their function, and nothing names them; state maps have a value of the right
//!   type for every register that is live where they lead, from registers that are live where they begin; so have frames
//!   that an activation becomes.
//!
//! It is not checked that segments are in bounds (instantiation does, and traps), that blocks can be
//! reached, or that functions named by `ref.func` are declared.

mod assignment;
mod code;
mod error;
mod frames;
mod initializer;
mod redefinition;
mod verified;

use std::collections::{HashMap, HashSet};

pub use error::{CodeError, Item, List, VerifyError};
pub use frames::FrameError;
pub(crate) use redefinition::verify_addition;
pub use redefinition::{EntryError, verify_redefinition, verify_state_map};
pub use verified::VerifiedModule;

use crate::body::Body;
use crate::body_source::SourceCheck;
use crate::index::{
    DataIndex, ElementIndex, FunctionIndex, GlobalIndex, MemoryIndex, Register, SignatureIndex, TableIndex,
    TagIndex,
};
use crate::module::{
    ExportItem, Function, FunctionKind, GlobalInitial, MAXIMUM_PAGES, Module, SegmentMode, Signature,
};
use crate::reference_type::{ExactType, ReferenceType, Referent};
use crate::value::Type;
use initializer::Initializer;

/// Checks that `module` is well formed, and reports the first thing that is not. Every body is made.
pub fn verify(module: &Module) -> Result<(), VerifyError> {
    verify_items(module)?;
    module.functions.iter().try_for_each(|function| verify_function(module, function))?;
    frames::verify(module)?;
    redefinition::verify(module)
}

/// As [`verify`], but leaves out the bodies that are still as a WebAssembly module has them, if what they
/// refer to has not been changed since: they were validated, and translation makes well-formed bodies of
/// valid ones.
pub fn verify_lazily(module: &Module) -> Result<(), VerifyError> {
    verify_items(module)?;
    let mut check = SourceCheck::of(module);
    module.functions.iter().try_for_each(|function| match &function.kind {
        FunctionKind::Defined(body) if body.is_unmade_and_sound(function, &mut check) => Ok(()),
        _ => verify_function(module, function),
    })?;
    frames::verify(module)?;
    redefinition::verify(module)
}

/// Checks the body of `function`, one of `module`, if it is defined. The items must have been.
pub fn verify_function(module: &Module, function: &Function) -> Result<(), VerifyError> {
    function.body().map_or(Ok(()), |body| verify_body(module, function, body))
}

fn verify_items(module: &Module) -> Result<(), VerifyError> {
    verify_signatures(module)?;
    verify_functions(module)?;
    verify_memories(module)?;
    verify_tables(module)?;
    verify_globals(module)?;
    verify_tags(module)?;
    verify_segments(module)?;
    verify_exports(module)?;
    verify_start(module)
}

fn verify_signatures(module: &Module) -> Result<(), VerifyError> {
    let mut seen = HashMap::new();
    for (i, signature) in module.signatures.iter().enumerate() {
        let second = SignatureIndex::new(i);
        if let Some(first) = seen.insert(signature, second) {
            return Err(VerifyError::DuplicateSignature { first, second });
        }
        let types: Vec<ExactType> = signature.exact_parameters().chain(signature.exact_results()).collect();
        for (&position, &reference) in &signature.references {
            // Said of no value, it is as if said of one that is no reference.
            let ty = types.get(position).map_or(Type::I32, |&(ty, _)| ty);
            verify_referent(module, Item::Signature(second), ty, reference)?;
            match reference.referent {
                Referent::Function(mentioned) if mentioned.index() >= i => {
                    return Err(VerifyError::SignatureOrder { signature: second, mentioned });
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn verify_functions(module: &Module) -> Result<(), VerifyError> {
    let mut seen = HashMap::new();
    for (i, function) in module.functions.iter().enumerate() {
        let second = FunctionIndex::new(i);
        if function.name.is_empty() {
            return Err(VerifyError::UnnamedFunction { function: second });
        }
        if let Some(first) = seen.insert(&function.name, second) {
            return Err(VerifyError::DuplicateFunction { name: function.name.clone(), first, second });
        }
        let item = Item::Signature(function.signature);
        exists(module.signatures.len(), function.signature.index(), Item::Function(second), item)?;
    }
    Ok(())
}

fn verify_memories(module: &Module) -> Result<(), VerifyError> {
    for (i, memory) in module.memories.iter().enumerate() {
        let index = MemoryIndex::new(i);
        verify_size(Item::Memory(index), memory.minimum, memory.maximum)?;
        let pages = memory.minimum.max(memory.maximum.unwrap_or(0));
        if pages > MAXIMUM_PAGES && !memory.is_64 {
            return Err(VerifyError::TooManyPages { memory: index, pages });
        }
    }
    Ok(())
}

fn verify_tables(module: &Module) -> Result<(), VerifyError> {
    for (i, table) in module.tables.iter().enumerate() {
        let item = Item::Table(TableIndex::new(i));
        if !table.ty.is_reference() {
            return Err(VerifyError::NoReferences { item, ty: table.ty });
        }
        verify_referent(module, item.clone(), table.ty, table.reference)?;
        verify_size(item.clone(), table.minimum, table.maximum)?;
        if let Some(initial) = &table.initial {
            Initializer { module, globals: module.globals.len(), of: &|| item.clone() }
                .verify(initial, table.ty)?;
        }
    }
    Ok(())
}

fn verify_referent(
    module: &Module,
    item: Item,
    ty: Type,
    reference: ReferenceType,
) -> Result<(), VerifyError> {
    let refuse = |item, referent| Err(VerifyError::Referent { item, ty, referent });
    match reference.referent {
        _ if !ty.is_reference() && reference != ReferenceType::default() => refuse(item, "anything"),
        Referent::Function(_) if ty != Type::Funcref => refuse(item, "functions"),
        Referent::Function(signature) => {
            exists(module.signatures.len(), signature.index(), item, Item::Signature(signature))
        }
        Referent::Any | Referent::Nothing => Ok(()),
    }
}

fn verify_size(item: Item, minimum: u32, maximum: Option<u32>) -> Result<(), VerifyError> {
    match maximum {
        Some(maximum) if maximum < minimum => Err(VerifyError::Size { item, minimum, maximum }),
        _ => Ok(()),
    }
}

fn verify_globals(module: &Module) -> Result<(), VerifyError> {
    for (i, global) in module.globals.iter().enumerate() {
        verify_referent(module, Item::Global(GlobalIndex::new(i)), global.ty, global.reference)?;
        if let GlobalInitial::Expression(expression) = &global.initial {
            let of = || Item::Global(GlobalIndex::new(i));
            Initializer { module, globals: i, of: &of }.verify(expression, global.ty)?;
        }
    }
    Ok(())
}

/// The globals of tags, and the one that says what was caught, are written when something is caught.
fn verify_tags(module: &Module) -> Result<(), VerifyError> {
    let verify = |user: Item, global: GlobalIndex, ty: Option<Type>| {
        exists(module.globals.len(), global.index(), user.clone(), Item::Global(global))?;
        let found = &module.globals[global.index()];
        let is_own = matches!(found.initial, GlobalInitial::Expression(_));
        let fits = found.mutable && is_own && ty.is_none_or(|ty| found.ty == ty);
        if fits { Ok(()) } else { Err(VerifyError::CaughtGlobal { user, global }) }
    };
    for (i, tag) in module.tags.iter().enumerate() {
        tag.values.iter().try_for_each(|&global| verify(Item::Tag(TagIndex::new(i)), global, None))?;
    }
    module.caught.map_or(Ok(()), |global| verify(Item::Caught, global, Some(Type::I32)))
}

fn verify_segments(module: &Module) -> Result<(), VerifyError> {
    let globals = module.globals.len();
    for (i, data) in module.data.iter().enumerate() {
        let index = DataIndex::new(i);
        match &data.mode {
            SegmentMode::Active { target, offset } => {
                exists(module.memories.len(), target.index(), Item::Data(index), Item::Memory(*target))?;
                let ty = module.memories[target.index()].address_type();
                Initializer { module, globals, of: &|| Item::Data(index) }.verify(offset, ty)?;
            }
            SegmentMode::Passive => {}
            SegmentMode::Declared => return Err(VerifyError::DeclaredData { data: index }),
        }
    }
    for (i, element) in module.elements.iter().enumerate() {
        let index = ElementIndex::new(i);
        let initializer = Initializer { module, globals, of: &|| Item::Element(index) };
        if !element.ty.is_reference() {
            return Err(VerifyError::NoReferences { item: Item::Element(index), ty: element.ty });
        }
        if let SegmentMode::Active { target, offset } = &element.mode {
            exists(module.tables.len(), target.index(), Item::Element(index), Item::Table(*target))?;
            let table = &module.tables[target.index()];
            let expected = table.ty;
            if element.ty != expected {
                return Err(VerifyError::ElementType { element: index, expected, found: element.ty });
            }
            initializer.verify(offset, table.address_type())?;
        }
        element.items.iter().try_for_each(|item| initializer.verify(item, element.ty))?;
    }
    Ok(())
}

fn verify_exports(module: &Module) -> Result<(), VerifyError> {
    let mut seen = HashSet::new();
    for export in &module.exports {
        if !seen.insert(&export.name) {
            return Err(VerifyError::DuplicateExport { name: export.name.clone() });
        }
        let user = Item::Export(export.name.clone());
        match export.item {
            ExportItem::Function(function) => {
                exists(module.functions.len(), function.index(), user, Item::Function(function))?;
            }
            ExportItem::Global(global) => {
                exists(module.globals.len(), global.index(), user, Item::Global(global))?;
            }
            ExportItem::Table(table) => {
                exists(module.tables.len(), table.index(), user, Item::Table(table))?;
            }
            ExportItem::Tag(tag) => exists(module.tags.len(), tag.index(), user, Item::Tag(tag))?,
            ExportItem::Memory(memory) => {
                exists(module.memories.len(), memory.index(), user, Item::Memory(memory))?;
            }
        }
    }
    Ok(())
}

fn verify_start(module: &Module) -> Result<(), VerifyError> {
    let Some(start) = module.start else { return Ok(()) };
    exists(module.functions.len(), start.index(), Item::Start, Item::Function(start))?;
    if *module.signature_of(start) != Signature::default() {
        return Err(VerifyError::StartSignature { name: module.function(start).name.clone() });
    }
    Ok(())
}

/// Checks that there is a member `index` among `count`.
fn exists(count: usize, index: usize, user: Item, item: Item) -> Result<(), VerifyError> {
    if index < count { Ok(()) } else { Err(VerifyError::NoSuch { user, item }) }
}

fn verify_body(module: &Module, function: &Function, body: &Body) -> Result<(), VerifyError> {
    let name = || function.name.clone();
    if body.blocks.is_empty() {
        return Err(VerifyError::NoEntry { function: name() });
    }
    let signature = module.signature(function.signature);
    for (i, &expected) in signature.parameters.iter().enumerate() {
        let found = body.registers.get(i).copied();
        if found != Some(expected) {
            let register = Register::new(i);
            return Err(VerifyError::Parameter { function: name(), register, expected, found });
        }
    }
    let located = |(position, error)| VerifyError::Code { function: name(), position, error };
    code::verify(module, signature, body).map_err(located)?;
    assignment::verify(body, signature.parameters.len()).map_err(located)
}
