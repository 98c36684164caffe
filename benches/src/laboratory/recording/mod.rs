//! `osr-bench recording`: what it takes to know the frame states of optimized code, by function.
//!
//! ```text
//!   function ──compiled with each state recording──┬─> bytes of code, moves, frame, compile time
//!                                                  ├─> frame maps: registers, spill slots, constants
//!                                                  └─> pads, read: what they recompute
//! ```
//!
//! The table of values is that of D'Elia and Demetrescu, "On-Stack Replacement, Distilled" (PLDI 2018), for Cranelift:
//! how much of a source program's state survives in optimized code as it is, how much can be made again,
//! and how much must be kept for that purpose. The tables of costs are there to find code that frame states make
//! explode: any module, all functions, those with the most bytes in excess first.

mod cost;
mod instructions;
mod pads;
mod table;
mod values;
#[cfg(feature = "peers")]
mod wasmtime;

use std::sync::Arc;

use clap::Args;
use osr_engine::{CodeVersion, CompiledTier, EntryPoint, Instance, Mechanism, Settings, StateRecording};
use osr_ir::FunctionIndex;
use serde::Serialize;

use super::measuring::{Clock, Origin};
use super::show::print;
use crate::error::Error;
use crate::guest::compiled::{defined_functions, instantiate};
use crate::guest::load::Program;
use crate::guest::suite;
use crate::output;
use cost::Cost;
use values::Values;

const RECORDING_EXAMPLES: &str = "\
Compiles every function with each state recording: how many values are live at calls and where they are, and what the \
code takes: bytes, moves, spills, frames, compile time. Built with the feature `peers` it compares with wasmtime.

Examples:
  osr-bench recording                               all bundled programs
  osr-bench recording richards my.wasm --functions  the functions with the most bytes in excess, too
  osr-bench recording my.wasm --functions=100
  osr-bench recording --json                        all functions, as data";

/// Options of `recording`.
#[derive(Debug, Args)]
#[command(after_help = RECORDING_EXAMPLES)]
pub(crate) struct RecordingOptions {
    /// Bundled programs by name, or files [default: all bundled programs].
    #[arg(value_name = "PROGRAM")]
    pub(crate) programs: Vec<String>,
    /// For each program a table of code by recording, and of the N functions [default: 20] that `locations` adds the most
    /// bytes to, worst first. With --json all functions are there anyway.
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "20")]
    pub(crate) functions: Option<usize>,
    /// Print JSON instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
    /// Show no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// The state recordings that are compared, the one that records nothing first.
const RECORDINGS: [StateRecording; 4] =
    [StateRecording::None, StateRecording::Slots, StateRecording::Locations, StateRecording::Pads];

/// What is known of a function, or of all functions of a program that can be compiled.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Findings {
    /// Functions.
    functions: u64,
    #[serde(flatten)]
    values: Values,
    none: Cost,
    slots: Cost,
    locations: Cost,
    pads: Cost,
    /// By wasmtime, if it was asked.
    wasmtime: Option<Cost>,
}

/// A program with its functions.
#[derive(Debug, Serialize)]
struct Report {
    program: String,
    total: Findings,
    functions: Vec<Function>,
    /// Functions that cannot be compiled with some recording. They are not in the total.
    refused: Vec<Refused>,
    /// Why there is nothing by wasmtime.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_wasmtime: Option<String>,
}

#[derive(Debug, Serialize)]
struct Function {
    name: String,
    /// The recordings that were not possible, and what there is instead.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    instead: Vec<Instead>,
    #[serde(flatten)]
    findings: Findings,
}

/// A recording that a function cannot have: its frame would be too large, its values would be scattered over the frame, or
/// its pads could not be moved. And what it has instead.
#[derive(Debug, Serialize)]
struct Instead {
    asked: StateRecording,
    used: StateRecording,
}

#[derive(Debug, Serialize)]
struct Refused {
    name: String,
    recording: StateRecording,
    message: String,
}

/// Reports on what `options` name.
pub(crate) fn run(options: &RecordingOptions) -> Result<(), Error> {
    let origins: Vec<Origin> = match &options.programs[..] {
        [] => suite::all().into_iter().map(|recorded| Origin::Bundled(recorded.name)).collect(),
        names => names.iter().map(|name| Origin::named(name)).collect(),
    };
    let mut programs = Vec::new();
    for origin in origins {
        programs.push((origin.load()?, origin));
    }
    let functions =
        programs.iter().map(|(program, _)| defined_functions(&program.module).count() as u64).sum();
    let progress = output::progress(functions, options.quiet || options.json);
    let reports = programs.iter().map(|(program, origin)| report(program, origin, &mut || progress.inc(1)));
    let reports = reports.collect::<Result<Vec<_>, _>>()?;
    progress.finish_and_clear();
    if options.json {
        return output::json_to_stdout(&reports);
    }
    print(&table::text(&reports, options.functions))
}

fn report(program: &Program, origin: &Origin, compiled: &mut dyn FnMut()) -> Result<Report, Error> {
    let mut instances = Vec::new();
    for recording in RECORDINGS {
        let mechanism = Mechanism::recorded_by(recording);
        instances.push(instantiate(program, Settings { mechanism, ..Settings::default() })?);
    }
    let (peer, no_wasmtime) = match by_wasmtime(origin) {
        Ok(peer) => (peer, None),
        Err(message) => (None, Some(message)),
    };
    let name = program.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut report = Report {
        program: name,
        total: Findings::default(),
        functions: Vec::new(),
        refused: Vec::new(),
        no_wasmtime,
    };
    for (position, function) in defined_functions(&program.module).enumerate() {
        let name = program.module.function(function).name.clone();
        let wasmtime = peer.as_ref().map(|(functions, _)| functions[position]);
        match measured(&instances, function, wasmtime) {
            Ok((instead, findings)) => {
                report.total.add(&findings);
                report.functions.push(Function { name, instead, findings });
            }
            Err((recording, message)) => report.refused.push(Refused { name, recording, message }),
        }
        compiled();
    }
    if let (Some(total), Some((_, whole))) = (&mut report.total.wasmtime, &peer) {
        total.compile_nanoseconds = whole.compile_nanoseconds;
    }
    Ok(report)
}

#[cfg(feature = "peers")]
fn by_wasmtime(origin: &Origin) -> Result<Option<(Vec<Cost>, Cost)>, String> {
    origin.bytes()?.map(|bytes| wasmtime::costs(&bytes)).transpose()
}

#[cfg(not(feature = "peers"))]
fn by_wasmtime(_: &Origin) -> Result<Option<(Vec<Cost>, Cost)>, String> {
    Ok(None)
}

/// What `function` takes in each of `instances`, which are by recording; or the recording that refuses it, and why.
fn measured(
    instances: &[Arc<Instance>],
    function: FunctionIndex,
    wasmtime: Option<Cost>,
) -> Result<(Vec<Instead>, Findings), (StateRecording, String)> {
    let mut versions: Vec<(Arc<CodeVersion>, Cost)> = Vec::new();
    let mut instead = Vec::new();
    for (asked, instance) in RECORDINGS.into_iter().zip(instances) {
        let began = Clock::Cpu.now();
        let version = instance.compile(function, CompiledTier::Optimized, EntryPoint::Function);
        let time = Clock::Cpu.now() - began;
        let version = version.map_err(|error| (asked, error.to_string()))?;
        if version.recording != asked {
            instead.push(Instead { asked, used: version.recording });
        }
        let cost = Cost::of(&version, time);
        versions.push((version, cost));
    }
    let [(_, none), (_, slots), (located, locations), (padded, pads)] = &versions[..] else {
        unreachable!("one for each recording")
    };
    let (none, slots, locations, pads) = (*none, *slots, *locations, *pads);
    let values = Values::of(located, padded);
    Ok((instead, Findings { functions: 1, values, none, slots, locations, pads, wasmtime }))
}

impl Findings {
    fn add(&mut self, other: &Findings) {
        self.functions += other.functions;
        self.values.add(&other.values);
        self.none.add(&other.none);
        self.slots.add(&other.slots);
        self.locations.add(&other.locations);
        self.pads.add(&other.pads);
        if let Some(wasmtime) = &other.wasmtime {
            self.wasmtime.get_or_insert_default().add(wasmtime);
        }
    }

    /// What `locations` is compared with: wasmtime's code, or else that without recording.
    fn reference(&self) -> &Cost {
        self.wasmtime.as_ref().unwrap_or(&self.none)
    }

    /// Bytes of code that `locations` has in excess.
    fn excess(&self) -> i64 {
        self.locations.code as i64 - self.reference().code as i64
    }
}
