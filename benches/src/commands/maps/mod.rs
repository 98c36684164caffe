//! `osr-bench maps`: compiles functions and shows where compiled code keeps each value.
//!
//! ```text
//!   Instance::compile ──> CodeVersion ──┬─ code ───────> disassembly ─┐
//!                                       └─ frame maps, trap sites ────┴─> listing ──> text or JSON
//! ```
//!
//! Offsets are from the start of the version's code, and what code names by address is shown by name; so listings can be
//! compared. Each is written when it is made.

mod disassembly;
pub(in crate::commands) mod listing;
mod without_code;

use std::fmt::Display;
use std::path::PathBuf;

use clap::Args;
use osr_engine::{CompileError, EntryPoint, Instance, Settings};
use osr_ir::{FunctionIndex, Locator, PointKind, Shown};
use serde::Serialize;

use crate::cli::{BaselineName, CompiledTierName, InliningOption, MechanismOptions};
use crate::error::Error;
use crate::guest::compiled::{defined_functions, function_named, instantiate};
use crate::guest::load::{Program, load};
use crate::json;
use crate::output;
use listing::{Listing, Sum};
use without_code::WithoutCode;

const MAPS_EXAMPLES: &str = "\
Each instruction is printed with its offset in the version's code. Where control returns from a call, the \
frame map follows: the point of the body, and where each live register of the body is. Slots are relative \
to rbp, the frame base. Where bodies are inlined, it has the activations that the frame stands for, innermost first, \
and `v1.r2` is register 2 of the one that is number 1 from the outermost.

Examples:
  osr-bench maps fib.wasm
  osr-bench maps richards.wasm --function schedule --continuations
  osr-bench maps fib.wasm --state-recording pads
  osr-bench maps fib.wasm --mechanism orc
  osr-bench maps fib.wasm --inline off
  osr-bench maps fib.wasm --tier baseline --without-code      for a snapshot
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
    /// What is inlined into optimized code: `off`, `on`, or CALLEE,GROWTH,DEPTH,RECURSION, as for `run`.
    #[arg(long = "inline", value_name = "WHAT", default_value_t = InliningOption::default())]
    pub(crate) inlining: InliningOption,
    /// What the code carries for replacements.
    #[command(flatten)]
    pub(crate) mechanism: MechanismOptions,
    /// Only this function, by its name, its export name, or its index.
    #[arg(long, value_name = "NAME")]
    pub(crate) function: Option<String>,
    /// Also the continuations: versions that are entered at loop headers.
    #[arg(long)]
    pub(crate) continuations: bool,
    /// Leave out the instructions, offsets and sizes: for comparing frame maps while code changes.
    #[arg(long)]
    pub(crate) without_code: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Bytes of code after which functions are compiled in another instance, so that memory is bounded: an instance
/// keeps code, frame maps and bodies, and what has found the lines of its functions keeps those.
const BYTES_PER_INSTANCE: u64 = 4 << 20;

/// Shows what `options` ask for, version by version.
pub(crate) fn run(options: &MapsOptions) -> Result<(), Error> {
    let program = load(&options.program)?;
    let functions = functions(&program, options.function.as_deref())?;
    let (mechanism, baseline) = (options.mechanism.mechanism()?, options.baseline.compiler());
    let settings = Settings { mechanism, baseline, inlining: options.inlining.0, ..Settings::default() };
    let new = || Ok::<_, Error>((instantiate(&program, settings.clone())?, Locator::default()));
    let mut printer = Printer { json: options.json, without_code: options.without_code, sum: Sum::default() };
    let (mut compiling, mut bytes) = (None, 0);
    for function in functions {
        if bytes > BYTES_PER_INSTANCE {
            // Not two of them at once.
            (compiling, bytes) = (None, 0);
        }
        let (instance, locator) = compiling.take().map_or_else(new, Ok)?;
        for entry in entries(&instance, function, options.continuations) {
            match instance.compile(function, options.tier.into(), entry) {
                Ok(version) => {
                    bytes += u64::from(version.code_bytes);
                    printer.print(&Listing::of(&instance, &version, &locator))?;
                }
                Err(error) if options.function.is_some() => return Err(refused(&program, function, &error)),
                Err(error) => printer.print(&Listing::refused(instance.module(), function, entry, &error))?,
            }
        }
        compiling = Some((instance, locator));
    }
    printer.finish()
}

fn refused(program: &Program, function: FunctionIndex, error: &CompileError) -> Error {
    let function = Shown(&program.module.function(function).name).to_string();
    Error::Compile { path: program.path.clone(), function, message: error.to_string() }
}

/// Writes listings to standard output, one at a time.
struct Printer {
    json: bool,
    without_code: bool,
    sum: Sum,
}

impl Printer {
    fn print(&mut self, listing: &Listing) -> Result<(), Error> {
        let is_first = self.sum.is_empty();
        self.sum.add(listing);
        if self.without_code {
            self.write(&WithoutCode::of(listing), is_first)
        } else {
            self.write(listing, is_first)
        }
    }

    fn write(&self, shown: &(impl Serialize + Display), is_first: bool) -> Result<(), Error> {
        if self.json {
            let text = json::pretty(shown);
            return output::to_stdout(&format!("{}{text}", if is_first { "[\n" } else { ",\n" }));
        }
        output::to_stdout(&format!("{}{shown}", if is_first { "" } else { "\n" }))
    }

    fn finish(&self) -> Result<(), Error> {
        match (self.json, self.sum.versions()) {
            (true, 0) => output::to_stdout("[]\n"),
            (true, _) => output::to_stdout("\n]\n"),
            (false, 0 | 1) => Ok(()),
            (false, _) if self.without_code => Ok(()),
            (false, _) => output::to_stdout(&format!("\n{}", self.sum)),
        }
    }
}

/// The functions with bodies that are meant: all, or the one of that name.
fn functions(program: &Program, name: Option<&str>) -> Result<Vec<FunctionIndex>, Error> {
    match name {
        Some(name) => Ok(vec![function_named(program, name)?]),
        None => Ok(defined_functions(&program.module).collect()),
    }
}

/// Where versions of `function` are entered.
fn entries(instance: &Instance, function: FunctionIndex, continuations: bool) -> Vec<EntryPoint> {
    let points = instance.points(function).iter();
    let headers = points.filter(|(_, kind, _)| continuations && *kind == PointKind::LoopHeader);
    let headers = headers.map(|(point, _, _)| EntryPoint::Continuation(point));
    std::iter::once(EntryPoint::Function).chain(headers).collect()
}
