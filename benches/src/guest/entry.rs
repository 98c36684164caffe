//! Which exported function to call.

use osr_ir::{ExportItem, FunctionIndex};

use super::load::Program;
use crate::error::Error;
use crate::number::show_signature;

/// The names that are tried if none is given.
const DEFAULTS: [&str; 3] = ["run", "_start", "main"];

/// The exported function `name` of `program`; without a name, the one that is meant.
pub(crate) fn find<'p>(
    program: &'p Program,
    name: Option<&'p str>,
) -> Result<(&'p str, FunctionIndex), Error> {
    let exports = exported_functions(program);
    let named = |name: &str| exports.iter().copied().find(|&(exported, _)| exported == name);
    let path = || program.path.clone();
    match (name, &*exports) {
        (Some(name), _) => named(name).ok_or_else(|| Error::NoSuchExport {
            path: path(),
            name: name.to_owned(),
            exported: list(program),
        }),
        (None, [only]) => Ok(*only),
        (None, _) => DEFAULTS
            .iter()
            .find_map(|name| named(name))
            .ok_or_else(|| Error::NoDefaultExport { path: path(), exported: list(program) }),
    }
}

fn exported_functions(program: &Program) -> Vec<(&str, FunctionIndex)> {
    let function = |export: &'_ osr_ir::Export| match export.item {
        ExportItem::Function(function) => Some(function),
        _ => None,
    };
    let exports = program.module.exports.iter();
    exports.filter_map(|export| Some((&*export.name, function(export)?))).collect()
}

fn list(program: &Program) -> String {
    let show = |&(name, function): &(&str, FunctionIndex)| {
        format!("`{name}` {}", show_signature(program.module.signature_of(function)))
    };
    let functions = exported_functions(program);
    if functions.is_empty() {
        "no functions".to_owned()
    } else {
        functions.iter().map(show).collect::<Vec<_>>().join(", ")
    }
}
