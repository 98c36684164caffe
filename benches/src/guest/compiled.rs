//! Instances that are only compiled, never entered.

use std::sync::Arc;

use osr_engine::{HostError, Imports, Instance, Settings, Tiers};
use osr_ir::{ExportItem, FunctionIndex, Module, Value};

use super::host::adopted::adopt_globals;
use super::load::Program;
use crate::error::Error;

/// The functions of `module` that have bodies.
pub(crate) fn defined_functions(module: &Module) -> impl Iterator<Item = FunctionIndex> {
    module.function_indices().filter(|&index| module.function(index).is_defined())
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
            ExportItem::Memory | ExportItem::Table(_) | ExportItem::Tag(_) => {}
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
