//! `osr-bench maps`: compiles functions and shows where compiled code keeps each value.
//!
//! ```text
//!   Instance::compile ──> CodeVersion ──┬─ code ───────> disassembly ─┐
//!                                       └─ frame maps, trap sites ────┴─> listing ──> text or JSON
//! ```
//!
//! Offsets are from the start of the version's code; there are no addresses, so listings can be compared.

mod disassembly;
mod listing;

use std::sync::Arc;

use osr_engine::{
    CompiledTier, EntryPoint, HostError, Imports, Instance, Mechanism, Settings, StateRecording,
};
use osr_ir::{ExportItem, FunctionIndex, FunctionKind, GlobalInitial, Module, PointKind, Points, Value};

use crate::cli::MapsOptions;
use crate::error::Error;
use crate::load::{Program, load};
use crate::output;
use listing::Listing;

/// Shows what `options` ask for.
pub(crate) fn maps(options: &MapsOptions) -> Result<(), Error> {
    let program = load(&options.program)?;
    let functions = functions(&program, options.function.as_deref())?;
    let instance = instantiate(&program, options.state_recording.recording())?;
    let mut listings = Vec::new();
    for function in functions {
        for entry in entries(&program, function, options.continuations) {
            listings.push(compile(&program, &instance, function, options.tier.into(), entry)?);
        }
    }
    if options.json {
        return output::json_to_stdout(&listings);
    }
    let mut texts: Vec<String> = listings.iter().map(Listing::to_string).collect();
    if listings.len() > 1 {
        texts.push(Listing::sum(&listings));
    }
    output::to_stdout(&texts.join("\n"))
}

fn compile(
    program: &Program,
    instance: &Instance,
    function: FunctionIndex,
    tier: CompiledTier,
    entry: EntryPoint,
) -> Result<Listing, Error> {
    let refused = |message: String| Error::Compile {
        path: program.path.clone(),
        function: program.module.function(function).name.clone(),
        message,
    };
    let version = instance.compile(function, tier, entry).map_err(|error| refused(error.to_string()))?;
    Ok(Listing::of(&program.module, &version))
}

/// The functions of `module` that have bodies.
pub(crate) fn defined_functions(module: &Module) -> impl Iterator<Item = FunctionIndex> {
    module.function_indices().filter(|&index| module.function(index).is_defined())
}

/// The functions with bodies that are meant: all, or the one of that name, export name or index.
fn functions(program: &Program, name: Option<&str>) -> Result<Vec<FunctionIndex>, Error> {
    let module = &program.module;
    let defined: Vec<FunctionIndex> = defined_functions(module).collect();
    let Some(name) = name else { return Ok(defined) };
    let exported = match module.export(name) {
        Some(ExportItem::Function(function)) => Some(function),
        _ => None,
    };
    let by = |is: &dyn Fn(FunctionIndex) -> bool| defined.iter().copied().find(|&function| is(function));
    let found = by(&|function| module.function(function).name == name)
        .or_else(|| by(&|function| Some(function) == exported))
        .or_else(|| by(&|function| function.index().to_string() == name));
    found.map(|function| vec![function]).ok_or_else(|| {
        let name_of = |&function: &FunctionIndex| format!("`{}`", module.function(function).name);
        let functions = defined.iter().map(name_of).collect::<Vec<_>>().join(", ");
        Error::NoSuchFunction { path: program.path.clone(), name: name.to_owned(), functions }
    })
}

/// Where versions of `function` are entered.
fn entries(program: &Program, function: FunctionIndex, continuations: bool) -> Vec<EntryPoint> {
    let body = program.module.function(function).body().expect("only functions with bodies are asked for");
    let points = Points::of(body);
    let headers = points.iter().filter(|(_, kind, _)| continuations && *kind == PointKind::LoopHeader);
    let headers = headers.map(|(point, _, _)| EntryPoint::Continuation(point));
    std::iter::once(EntryPoint::Function).chain(headers).collect()
}

/// An instance that is only compiled, never entered: its imports are stand-ins.
pub(crate) fn instantiate(program: &Program, recording: StateRecording) -> Result<Arc<Instance>, Error> {
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
    let settings =
        Settings { checked: false, mechanism: Mechanism::recorded_by(recording), ..Settings::default() };
    Instance::new(settings, module.clone(), &imports)
        .map_err(|source| Error::Instantiate { path: program.path.clone(), source })
}
