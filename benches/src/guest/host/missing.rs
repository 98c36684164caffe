//! What a program imports and nobody provides: all of it, in one message.

use osr_engine::Imports;
use osr_ir::{ExportItem, Shown};

use super::super::load::Program;
use super::{env, imported};
use crate::error::Error;

/// Checks that everything that `program` imports is among `imports`.
pub(crate) fn check(program: &Program, imports: &Imports) -> Result<(), Error> {
    let module = &program.module;
    let missing: Vec<String> = imported::distinct(module)
        .filter_map(|(name, item)| {
            let shown = format!("{}.{}", Shown(&name.module), Shown(&name.name));
            match item {
                ExportItem::Function(function) => {
                    let wanted = module.signature_of(function);
                    match imports.host_function(name) {
                        Some(host) if host.signature.has_types_of(wanted) => None,
                        Some(host) => Some(format!(
                            "function {shown} {} (provided is {shown} {})",
                            wanted, host.signature
                        )),
                        None => Some(format!("function {shown} {}", wanted)),
                    }
                }
                ExportItem::Global(global) => {
                    let global = &module.globals[global.index()];
                    let kind = if global.mutable { "mutable global" } else { "global" };
                    Some(format!("{kind} {shown}: {}", global.ty))
                }
                // Those are the program's own: `adopted`.
                ExportItem::Memory(_) | ExportItem::Table(_) | ExportItem::Tag(_) => None,
            }
        })
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::MissingImports {
        path: program.path.clone(),
        kind: program.kind,
        missing: missing.len(),
        imports: imported::distinct(module).count(),
        list: list(&missing),
        provided: env::provided_list(),
    })
}

/// Imports that are listed, at most.
const LISTED: usize = 50;

/// A line for each of those that are `missing`.
fn list(missing: &[String]) -> String {
    let lines = missing.iter().take(LISTED).map(|line| format!("\n    {line}"));
    let more = missing.len().saturating_sub(LISTED);
    let rest = (more > 0).then(|| format!("\n    and {more} more"));
    lines.chain(rest).collect()
}
