//! `osr-bench recording`: what it takes to know the frame states of optimized code, by function.
//!
//! ```text
//!   function ──compiled with each state recording──┬─> bytes of code, frame maps, pads
//!                                                  ├─> frame maps: registers, spill slots, constants
//!                                                  └─> pads, read: what they recompute
//! ```
//!
//! The table is that of D'Elia and Demetrescu, "On-Stack Replacement, Distilled" (PLDI 2018), for Cranelift:
//! how much of a source program's state survives in optimized code as it is, how much can be made again,
//! and how much must be kept for that purpose.

mod pads;
mod table;

use clap::Args;
use osr_engine::{CompiledTier, EntryPoint, Location, MachineRegister, Mechanism, StateRecording};
use osr_ir::PointKind;
use serde::Serialize;

use crate::error::Error;
use crate::guest::compiled::{defined_functions, instantiate};
use crate::guest::load::{Program, load};
use crate::guest::suite;
use crate::output;
use pads::Source;

const RECORDING_EXAMPLES: &str = "\
Compiles every function with each state recording: how many values are live at calls and where they are, \
and the bytes of code, frame maps and pads.

Examples:
  osr-bench recording                               all bundled programs
  osr-bench recording richards my.wasm --functions  function by function
  osr-bench recording --json";

/// Options of `recording`.
#[derive(Debug, Args)]
#[command(after_help = RECORDING_EXAMPLES)]
pub(crate) struct RecordingOptions {
    /// Bundled programs by name, or files [default: all bundled programs].
    #[arg(value_name = "PROGRAM")]
    pub(crate) programs: Vec<String>,
    /// A table of the functions of each program, too. With --json they are there anyway.
    #[arg(long)]
    pub(crate) functions: bool,
    /// Print JSON instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is known of a function, or of all functions of a program.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Counts {
    /// Functions.
    functions: u64,
    /// Calls of guest code and of the runtime.
    calls: u64,
    /// Values that are live at them, in all.
    live: u64,
    /// Of those: returned by the call itself.
    results: u64,
    /// Constants.
    constants: u64,
    /// In registers that the call preserves.
    registers: u64,
    /// In spill slots.
    spilled: u64,
    /// Values that pads make again: nothing else needs them as they are. Locations force them into a register
    /// or a spill slot.
    recomputed: u64,
    /// Values that pads know to be constant, beyond what frame maps know. Locations force these, too.
    pad_constants: u64,
    /// Bytes, by state recording.
    none: Bytes,
    slots: Bytes,
    locations: Bytes,
    pads: Bytes,
}

/// Bytes of one state recording.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Bytes {
    /// Machine code, pads included.
    code: u64,
    /// Of that, pads.
    pads: u64,
    /// Frame maps.
    maps: u64,
}

/// A program with its functions.
#[derive(Debug, Serialize)]
struct Report {
    program: String,
    total: Counts,
    functions: Vec<Function>,
}

#[derive(Debug, Serialize)]
struct Function {
    name: String,
    #[serde(flatten)]
    counts: Counts,
}

/// Reports on what `options` name.
pub(crate) fn run(options: &RecordingOptions) -> Result<(), Error> {
    let mut programs = Vec::new();
    if options.programs.is_empty() {
        for recorded in suite::all() {
            programs.push(recorded.load()?);
        }
    }
    for name in &options.programs {
        let bundled = suite::all().into_iter().find(|recorded| recorded.name == *name);
        programs.push(match bundled {
            Some(recorded) => recorded.load()?,
            None => load(name.as_ref())?,
        });
    }
    let reports = programs.iter().map(report).collect::<Result<Vec<_>, _>>()?;
    if options.json {
        return output::json_to_stdout(&reports);
    }
    output::to_stdout(&table::text(&reports, options.functions))
}

fn report(program: &Program) -> Result<Report, Error> {
    let recordings =
        [StateRecording::None, StateRecording::Slots, StateRecording::Locations, StateRecording::Pads];
    let instances = recordings.map(|recording| instantiate(program, Mechanism::recorded_by(recording)));
    let [none, slots, locations, pads] = instances;
    let instances = [none?, slots?, locations?, pads?];
    let mut functions = Vec::new();
    let mut total = Counts::default();
    for function in defined_functions(&program.module) {
        let name = program.module.function(function).name.clone();
        let refused =
            |message: String| Error::Compile { path: program.path.clone(), function: name.clone(), message };
        let mut versions = Vec::new();
        for instance in &instances {
            let version = instance.compile(function, CompiledTier::Optimized, EntryPoint::Function);
            versions.push(version.map_err(|error| refused(error.to_string()))?);
        }
        let mut counts = Counts { functions: 1, ..Counts::default() };
        let bytes = [&mut counts.none, &mut counts.slots, &mut counts.locations, &mut counts.pads];
        for (bytes, version) in bytes.into_iter().zip(&versions) {
            bytes.code = u64::from(version.code_bytes);
            bytes.pads = version.pad_bytes();
            bytes.maps = version.frame_map_bytes();
        }
        counts.add_places(&versions[2]);
        counts.add_pads(&versions[3]);
        total.add(&counts);
        functions.push(Function { name, counts });
    }
    let program = program.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Report { program, total, functions })
}

impl Counts {
    /// Counts where `version`, with locations, has its values.
    fn add_places(&mut self, version: &osr_engine::CodeVersion) {
        use MachineRegister::{R12, R13, R14, R15, Rbx};
        let maps = &version.frame_maps;
        for site in maps.sites().filter(|site| site.kind == PointKind::AfterCall) {
            self.calls += 1;
            for entry in maps.entries(&site) {
                self.live += 1;
                *match entry.location {
                    Location::Register(Rbx | R12 | R13 | R14 | R15) => &mut self.registers,
                    Location::FrameSlot(_) => &mut self.spilled,
                    Location::Constant(_) => &mut self.constants,
                    Location::Register(_) | Location::Result(_) | Location::Pad => &mut self.results,
                } += 1;
            }
        }
    }

    /// Counts what the pads of `version` know better.
    fn add_pads(&mut self, version: &osr_engine::CodeVersion) {
        let code = version.code().expect("a version that nothing enters is not released");
        for pad in version.pad_ranges().into_iter().flatten() {
            for source in pads::sources(&code, pad.start) {
                match source {
                    Source::Recomputed => self.recomputed += 1,
                    Source::Constant => self.pad_constants += 1,
                    Source::Register | Source::Spill => {}
                }
            }
        }
    }

    fn add(&mut self, other: &Counts) {
        let all = |counts: &Counts| {
            let Counts { functions, calls, live, results, constants, registers, spilled, .. } = *counts;
            [functions, calls, live, results, constants, registers, spilled]
        };
        let sums: Vec<u64> = all(self).iter().zip(all(other)).map(|(a, b)| a + b).collect();
        let [functions, calls, live, results, constants, registers, spilled] = sums[..] else {
            unreachable!("as many as there were")
        };
        *self = Counts {
            functions,
            calls,
            live,
            results,
            constants,
            registers,
            spilled,
            recomputed: self.recomputed + other.recomputed,
            pad_constants: self.pad_constants + other.pad_constants,
            none: self.none.plus(other.none),
            slots: self.slots.plus(other.slots),
            locations: self.locations.plus(other.locations),
            pads: self.pads.plus(other.pads),
        };
    }
}

impl Bytes {
    fn plus(self, other: Bytes) -> Bytes {
        let Bytes { code, pads, maps } = self;
        Bytes { code: code + other.code, pads: pads + other.pads, maps: maps + other.maps }
    }
}
