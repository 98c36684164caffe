//! What a module imports, each import once. A module may import the same thing more than once; the functions, globals and so on
//! that this makes are different ones of the module, and one of the host.

use std::collections::HashSet;

use osr_ir::{ExportItem, ImportName, Module};

/// What `module` imports; for what is imported more than once under the same name and type, the first.
pub(crate) fn distinct(module: &Module) -> impl Iterator<Item = (&ImportName, ExportItem)> {
    let mut seen = HashSet::new();
    module.imports().filter(move |&(name, item)| {
        let signature = match item {
            ExportItem::Function(function) => Some(module.signature_of(function)),
            _ => None,
        };
        seen.insert((name, std::mem::discriminant(&item), signature))
    })
}
