//! Instances that are only compiled, never entered.

use std::sync::Arc;

use osr_engine::{HostError, Imports, Instance, Settings, Tiers};
use osr_ir::{ExportItem, FunctionIndex, Module, Shown, Value};

use super::host::adopted::adopt_globals;
use super::load::Program;
use crate::error::Error;
use crate::output;

/// The functions of `module` that have bodies.
pub(crate) fn defined_functions(module: &Module) -> impl Iterator<Item = FunctionIndex> {
    module.function_indices().filter(|&index| module.function(index).is_defined())
}

/// The function with a body that is meant by its name, its export name, or its index.
pub(crate) fn function_named(program: &Program, name: &str) -> Result<FunctionIndex, Error> {
    let module = &program.module;
    let defined: Vec<FunctionIndex> = defined_functions(module).collect();
    let exported = match module.export(name) {
        Some(ExportItem::Function(function)) => Some(function),
        _ => None,
    };
    let by = |is: &dyn Fn(FunctionIndex) -> bool| defined.iter().copied().find(|&function| is(function));
    let found = by(&|function| module.function(function).name == name)
        .or_else(|| by(&|function| Some(function) == exported))
        .or_else(|| by(&|function| function.index().to_string() == name));
    found.ok_or_else(|| {
        let name_of = |&function: &FunctionIndex| format!("`{}`", Shown(&module.function(function).name));
        let functions = output::join_some(defined.iter().map(name_of));
        Error::NoSuchFunction { path: program.path.clone(), name: name.to_owned(), functions }
    })
}

/// Functions and globals that `module` can be linked with. The functions fail.
pub(crate) fn stand_ins(module: &Module) -> Imports {
    let mut imports = Imports::new();
    for (name, item) in module.imports() {
        match item {
            ExportItem::Function(function) => {
                let signature = module.signature_of(function).clone();
                imports.function(&name.module, &name.name, signature, |_, _, _| {
                    Err(HostError::Failed("only a stand-in".to_owned()))
                });
            }
            ExportItem::Global(global) => {
                let zero = Value::zero(module.globals[global.index()].ty);
                imports.global(&name.module, &name.name, zero);
            }
            ExportItem::Memory(_) | ExportItem::Table(_) | ExportItem::Tag(_) => {}
        }
    }
    imports
}

/// An instance that is only compiled, never entered: its imports are stand-ins.
pub(crate) fn instantiate(program: &Program, settings: Settings) -> Result<Arc<Instance>, Error> {
    let mut module = program.module.clone();
    adopt_globals(&mut module, &[], true)?;
    let tiers = if settings.mechanism.is_final() { Tiers::Optimized } else { settings.tiers };
    let settings = Settings { checked: false, tiers, ..settings };
    let imports = stand_ins(&module);
    Instance::new(settings, module, &imports)
        .map_err(|source| Error::Instantiate { path: program.path.clone(), source })
}
