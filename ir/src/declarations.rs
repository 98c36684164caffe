//! What a module declares: everything outside of a body that its instructions may refer to.
//!
//! Whether a body is well formed depends on the body and on these, and on nothing else of the module. So bodies
//! that were validated under declarations are still good while the module's are equal to them.

use std::collections::HashMap;

use crate::index::{FunctionIndex, GlobalIndex, SignatureIndex, TagIndex};
use crate::module::{Module, Signature};
use crate::value::Type;

/// The declarations of a module.
#[derive(Debug, PartialEq)]
pub(crate) struct Declarations {
    pub(crate) signatures: Vec<Signature>,
    /// The signature of each function.
    functions: Vec<SignatureIndex>,
    /// The type of each global, and whether it is mutable.
    globals: Vec<(Type, bool)>,
    /// Whether the addresses of each memory are of 64 bits.
    memories: Vec<bool>,
    /// The type of the entries of each table, and whether its indices are of 64 bits.
    tables: Vec<(Type, bool)>,
    /// The globals of each tag's values.
    tags: Vec<Vec<GlobalIndex>>,
    /// The number of each tag where it is caught: that of the first one that is imported under its name.
    caught_tags: Vec<usize>,
    /// The global that says what was caught.
    pub(crate) caught: Option<GlobalIndex>,
    /// How many there are.
    data: usize,
    /// The type of each element segment.
    elements: Vec<Type>,
}

impl Declarations {
    pub(crate) fn of(module: &Module) -> Declarations {
        Declarations {
            signatures: module.signatures.clone(),
            functions: module.functions.iter().map(|function| function.signature).collect(),
            globals: module.globals.iter().map(|global| (global.ty, global.mutable)).collect(),
            memories: module.memories.iter().map(|memory| memory.is_64).collect(),
            tables: module.tables.iter().map(|table| (table.ty, table.is_64)).collect(),
            tags: module.tags.iter().map(|tag| tag.values.clone()).collect(),
            caught_tags: caught_tags(module),
            caught: module.caught,
            data: module.data.len(),
            elements: module.elements.iter().map(|segment| segment.ty).collect(),
        }
    }

    /// The signature at `index`.
    pub(crate) fn signature(&self, index: SignatureIndex) -> &Signature {
        &self.signatures[index.index()]
    }

    /// The signature of a function.
    pub(crate) fn signature_of(&self, function: FunctionIndex) -> SignatureIndex {
        self.functions[function.index()]
    }

    /// The type of the entries of a table.
    pub(crate) fn table(&self, index: u32) -> Type {
        self.tables[index as usize].0
    }

    /// Whether the indices of a table are of 64 bits.
    pub(crate) fn is_table_64(&self, index: u32) -> bool {
        self.tables[index as usize].1
    }

    /// Whether the addresses of a memory are of 64 bits.
    pub(crate) fn is_memory_64(&self, index: u32) -> bool {
        self.memories[index as usize]
    }

    /// The globals of the values of `tag`.
    pub(crate) fn tag(&self, tag: TagIndex) -> &[GlobalIndex] {
        &self.tags[tag.index()]
    }

    /// The number by which code tells `tag` from others when it has caught something.
    pub(crate) fn caught_tag(&self, tag: TagIndex) -> usize {
        self.caught_tags[tag.index()]
    }

    /// The type of a global.
    pub(crate) fn global(&self, index: u32) -> Type {
        self.globals[index as usize].0
    }
}

fn caught_tags(module: &Module) -> Vec<usize> {
    let mut imported = HashMap::new();
    let tags = module.tags.iter().enumerate();
    tags.map(|(number, tag)| match &tag.import {
        Some(name) => *imported.entry(name).or_insert(number),
        None => number,
    })
    .collect()
}
