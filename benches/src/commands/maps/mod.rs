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

use std::path::PathBuf;

use clap::Args;
use osr_engine::{CompiledTier, EntryPoint, Instance, Settings};
use osr_ir::{ExportItem, FunctionIndex, PointKind, Points};

use crate::cli::{BaselineName, CompiledTierName, MechanismOptions};
use crate::error::Error;
use crate::guest::compiled::{defined_functions, instantiate};
use crate::guest::load::{Program, load};
use crate::output;
use listing::Listing;

const MAPS_EXAMPLES: &str = "\
Each instruction is printed with its offset in the version's code. Where control returns from a call, the \
frame map follows: the point of the body, and where each live register of the body is. Slots are relative \
to rbp, the frame base.

Examples:
  osr-bench maps fib.wasm
  osr-bench maps richards.wasm --function schedule --continuations
  osr-bench maps fib.wasm --state-recording pads
  osr-bench maps fib.wasm --mechanism orc
  osr-bench maps fib.wasm --json";

/// Options of `maps`.
#[derive(Debug, Args)]
#[command(after_help = MAPS_EXAMPLES)]
pub(crate) struct MapsOptions {
    /// The program: a .wasm, .wat or .ir file.
    pub(crate) program: PathBuf,
    /// The tier that compiles.
    #[arg(long, value_enum, default_value_t = CompiledTierName::Optimized)]
    pub(crate) tier: CompiledTierName,
    /// What makes baseline code.
    #[arg(long, value_name = "COMPILER", value_enum, default_value_t = BaselineName::default())]
    pub(crate) baseline: BaselineName,
    /// What the code carries for replacements.
    #[command(flatten)]
    pub(crate) mechanism: MechanismOptions,
    /// Only this function, by its name, its export name, or its index.
    #[arg(long, value_name = "NAME")]
    pub(crate) function: Option<String>,
    /// Also the continuations: versions that are entered at loop headers.
    #[arg(long)]
    pub(crate) continuations: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Shows what `options` ask for.
pub(crate) fn run(options: &MapsOptions) -> Result<(), Error> {
    let program = load(&options.program)?;
    let functions = functions(&program, options.function.as_deref())?;
    let (mechanism, baseline) = (options.mechanism.mechanism()?, options.baseline.compiler());
    let instance = instantiate(&program, Settings { mechanism, baseline, ..Settings::default() })?;
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
