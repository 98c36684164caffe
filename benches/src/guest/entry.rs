//! Which exported function to call.

use osr_ir::{ExportItem, FunctionIndex, Shown, Signature};

use super::host::wasi;
use super::load::Program;
use crate::error::Error;
use crate::output;

/// The names that are tried if none is given; in a module that imports WASI after `_start`.
const DEFAULTS: [&str; 3] = ["run", "_start", "main"];

/// The names that are tried for `program`.
fn defaults(program: &Program) -> impl Iterator<Item = &'static str> {
    let start = wasi::is_imported(&program.module).then_some(START);
    start.into_iter().chain(DEFAULTS)
}

/// The function by which WASI starts a program.
pub(crate) const START: &str = "_start";

/// Whether the exported function of that name and type is a program's own start, in WASI: the program's arguments
/// are not its.
pub(crate) fn is_command(name: &str, signature: &Signature) -> bool {
    name == START && *signature == Signature::default()
}

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
        (None, _) => defaults(program)
            .find_map(named)
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
        format!("`{}` {}", Shown(name), program.module.signature_of(function))
    };
    let functions = exported_functions(program);
    if functions.is_empty() {
        "no functions".to_owned()
    } else {
        output::join_some(functions.iter().map(show))
    }
}
