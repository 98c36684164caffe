//! Instances that are only compiled, never entered.

use std::sync::Arc;

use osr_engine::{HostError, Imports, Instance, Settings};
use osr_ir::{FunctionIndex, FunctionKind, GlobalInitial, Module, Value};

use super::load::Program;
use crate::error::Error;

/// The functions of `module` that have bodies.
pub(crate) fn defined_functions(module: &Module) -> impl Iterator<Item = FunctionIndex> {
    module.function_indices().filter(|&index| module.function(index).is_defined())
}

/// An instance that is only compiled, never entered: its imports are stand-ins.
pub(crate) fn instantiate(program: &Program, settings: Settings) -> Result<Arc<Instance>, Error> {
    let module = &program.module;
    let mut imports = Imports::new();
    for function in &module.functions {
        if let FunctionKind::Import(name) = &function.kind {
            let signature = module.signature(function.signature).clone();
            imports.function(&name.module, &name.name, signature, |_, _, _| {
                Err(HostError::Failed("only a stand-in".to_owned()))
            });
        }
    }
    for global in &module.globals {
        if let GlobalInitial::Import(name) = &global.initial {
            imports.global(&name.module, &name.name, Value::zero(global.ty));
        }
    }
    let settings = Settings { checked: false, ..settings };
    Instance::new(settings, module.clone(), &imports)
        .map_err(|source| Error::Instantiate { path: program.path.clone(), source })
}
