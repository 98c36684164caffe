//! `osr-bench compilation`: what each compiler takes for a program, and what it makes.
//!
//! ```text
//!   function ──compiled by each in turn──┬─> time for each instruction of the body
//!                                        └─> bytes of code and of frame maps
//! ```
//!
//! Every function is compiled at its entry, and installed; points and liveness are known, as they are computed once for
//! each function, whatever compiles it. Times are of the processor, the least of several rounds. What comes before, from the
//! bytes of the module on, is a table of its own: [phase by phase](phases), and the [whole] beside what V8's
//! [baseline compiler](liftoff) takes.

mod liftoff;
mod phases;
mod whole;

use std::sync::Arc;

use clap::Args;
use comfy_table::{Cell, CellAlignment, Table, presets};
use osr_engine::{BaselineCompiler, CompiledTier, EntryPoint, Instance, Settings};
use osr_ir::FunctionIndex;
use serde::Serialize;

use crate::error::Error;
use crate::guest::compiled::{defined_functions, instantiate};
use crate::guest::load::{self, Program};
use crate::guest::suite;
use crate::laboratory::early_end::{self, Progress};
use crate::laboratory::measuring::{Clock, Origin};
use crate::laboratory::show::print;
use crate::laboratory::wide_table::WideTable;
use crate::output;
use phases::Phases;
use whole::Whole;

const COMPILATION_EXAMPLES: &str = "\
Compiles every function with each compiler: processor time and bytes for each instruction. Then all that lies between the \
bytes of the module and baseline code: processor time phase by phase, and of the `whole`, function by function, on one \
thread; and the time that has `elapsed` if all processors compile. Beside it what Liftoff takes, V8's baseline compiler, if \
`node` is installed.

Examples:
  osr-bench compilation                       all bundled programs
  osr-bench compilation my.wasm --rounds 10
  osr-bench compilation --baseline-only --json";

/// Options of `compilation`.
#[derive(Debug, Args)]
#[command(after_help = COMPILATION_EXAMPLES)]
pub(crate) struct CompilationOptions {
    /// Bundled programs by name, or files [default: all bundled programs].
    #[arg(value_name = "PROGRAM")]
    pub(crate) programs: Vec<String>,
    /// How often each compiler compiles everything.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Leave optimized code out.
    #[arg(long)]
    pub(crate) baseline_only: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is measured.
#[derive(Clone, Copy, Debug)]
struct Subject {
    name: &'static str,
    tier: CompiledTier,
    baseline: BaselineCompiler,
}

const SUBJECTS: [Subject; 3] = [
    Subject {
        name: "baseline, single-pass",
        tier: CompiledTier::Baseline,
        baseline: BaselineCompiler::SinglePass,
    },
    Subject {
        name: "baseline, cranelift",
        tier: CompiledTier::Baseline,
        baseline: BaselineCompiler::Cranelift,
    },
    Subject { name: "optimized", tier: CompiledTier::Optimized, baseline: BaselineCompiler::SinglePass },
];

/// A program.
#[derive(Debug, Serialize)]
struct Report {
    program: String,
    functions: usize,
    /// Instructions of all bodies, terminators included.
    instructions: usize,
    compilers: Vec<Made>,
    /// Of baseline code; none if the program is textual.
    phases: Option<Phases>,
    /// All of it; none if the program is textual.
    whole: Option<Whole>,
    /// The fastest of V8's compilations.
    liftoff: Option<Whole>,
}

/// What a compiler makes of a program.
#[derive(Debug, Serialize)]
struct Made {
    compiler: &'static str,
    /// Processor time of the fastest round, in nanoseconds.
    nanoseconds: u64,
    /// Bytes of machine code.
    code: u64,
    /// Bytes of frame maps.
    maps: u64,
    /// Functions that it refuses.
    refused: usize,
}

/// Reports on what `options` name.
pub(crate) fn run(options: &CompilationOptions) -> Result<(), Error> {
    let origins: Vec<Origin> = match &options.programs[..] {
        [] => suite::all().into_iter().map(|bundled| Origin::Bundled(bundled.name)).collect(),
        names => names.iter().map(|name| Origin::named(name)).collect(),
    };
    early_end::watch();
    let mut reports = Vec::new();
    for origin in &origins {
        reports.push(report(&origin.load()?, origin, options)?);
        if early_end::is_wanted() {
            break;
        }
    }
    let interrupted =
        Progress::new((reports.len() as u64, origins.len() as u64), "programs", None).if_early()?;
    match options.json {
        true => output::json_to_stdout(&reports)?,
        false => print(&format!(
            "{}{}\n\nFrom bytes to baseline code, ns/instruction:\n\n{}\n",
            Progress::line(interrupted),
            table(&reports),
            phases_table(&reports)
        ))?,
    }
    Progress::verdict(interrupted)
}

fn report(program: &Program, origin: &Origin, options: &CompilationOptions) -> Result<Report, Error> {
    let subjects = &SUBJECTS[..if options.baseline_only { 2 } else { 3 }];
    let functions: Vec<FunctionIndex> = defined_functions(&program.module).collect();
    let bodies = functions.iter().filter_map(|&function| program.module.function(function).body());
    let instructions = bodies.map(|body| body.instruction_count()).sum();
    let mut compilers: Vec<Made> = Vec::new();
    for round in 0..options.rounds {
        for (number, subject) in subjects.iter().enumerate() {
            let settings = Settings { baseline: subject.baseline, ..Settings::default() };
            let instance = instantiate(program, settings)?;
            let made = compile(&instance, &functions, *subject);
            match round {
                0 => compilers.push(made),
                _ => compilers[number].nanoseconds = compilers[number].nanoseconds.min(made.nanoseconds),
            }
        }
        if early_end::is_wanted() {
            break;
        }
    }
    let (mut phases, mut whole, mut liftoff) = (None::<Phases>, None::<Whole>, None::<Whole>);
    if let Some(bytes) = binary(program, origin)? {
        for _ in 0..options.rounds {
            let new = Phases::of(program, &bytes)?;
            phases = Some(phases.map_or(new, |before| before.least(new)));
            whole = [whole, Some(Whole::of(origin, &bytes)?)].into_iter().flatten().reduce(Whole::least);
            liftoff = [liftoff, liftoff::compile(&bytes)].into_iter().flatten().reduce(Whole::least);
            if early_end::is_wanted() {
                break;
            }
        }
    }
    let program = program.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Report { program, functions: functions.len(), instructions, compilers, phases, whole, liftoff })
}

/// The bytes of `program`, if they are a binary module.
fn binary(program: &Program, origin: &Origin) -> Result<Option<Vec<u8>>, Error> {
    let bytes = match origin {
        Origin::Bundled(name) => suite::bytes(name).to_vec(),
        Origin::Kernel(_) => return Ok(None),
        Origin::File(_) => load::read(&program.path)?,
    };
    Ok(Some(bytes).filter(|bytes| bytes.starts_with(b"\0asm")))
}

/// A table of what comes before and after compiling.
fn phases_table(reports: &[Report]) -> WideTable {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let head = ["program"].into_iter().chain(Phases::NAMES);
    table.set_header(head.chain(["whole", "Liftoff", "elapsed", "Liftoff's"]).map(Cell::new));
    let times = |report: &Report| -> Option<[Option<u64>; 10]> {
        let (phases, whole) = (report.phases?.all(), report.whole?);
        let (ours, theirs) = (Some(whole), report.liftoff);
        let processor = [ours, theirs].map(|whole| whole.map(|whole| whole.processor));
        let elapsed = [ours, theirs].map(|whole| whole.map(|whole| whole.elapsed));
        let all: Vec<_> = phases.map(Some).into_iter().chain(processor).chain(elapsed).collect();
        all.try_into().ok()
    };
    let mut row = |name: &str, instructions: usize, times: [Option<u64>; 10]| {
        let of_each = |sum: u64| format!("{:.1}", sum as f64 / instructions.max(1) as f64);
        let numbers = times.map(|time| time.map_or("-".to_owned(), of_each));
        let cells = numbers.map(|number| Cell::new(number).set_alignment(CellAlignment::Right));
        table.add_row([Cell::new(name)].into_iter().chain(cells));
    };
    let (mut instructions, mut totals) = (0, [Some(0); 10]);
    for report in reports {
        let Some(times) = times(report) else { continue };
        row(&report.program, report.instructions, times);
        instructions += report.instructions;
        totals = std::array::from_fn(|column| Some(totals[column]? + times[column]?));
    }
    if reports.len() > 1 {
        row("all", instructions, totals);
    }
    table.into()
}

fn compile(instance: &Arc<Instance>, functions: &[FunctionIndex], subject: Subject) -> Made {
    for &function in functions {
        let _ = instance.points(function);
    }
    let mut made = Made { compiler: subject.name, nanoseconds: 0, code: 0, maps: 0, refused: 0 };
    let begin = Clock::Cpu.now();
    let compile = |&function| instance.compile(function, subject.tier, EntryPoint::Function);
    let versions: Vec<_> = functions.iter().map(compile).collect();
    made.nanoseconds = (Clock::Cpu.now() - begin).as_nanos() as u64;
    for version in versions {
        match version {
            Ok(version) => {
                made.code += u64::from(version.code_bytes);
                made.maps += version.frame_map_bytes();
            }
            Err(_) => made.refused += 1,
        }
    }
    made
}

fn table(reports: &[Report]) -> WideTable {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let head =
        ["program", "instructions", "compiler", "ns/instruction", "bytes/instruction", "maps/instruction"];
    table.set_header(head.map(Cell::new));
    let number = |value: f64| Cell::new(format!("{value:.2}")).set_alignment(CellAlignment::Right);
    let mut totals: Vec<(&'static str, [u64; 4])> = Vec::new();
    for report in reports {
        for (position, made) in report.compilers.iter().enumerate() {
            let of_each = |sum: u64| number(sum as f64 / report.instructions as f64);
            table.add_row(vec![
                Cell::new(if position == 0 { &*report.program } else { "" }),
                Cell::new(if position == 0 { report.instructions.to_string() } else { String::new() })
                    .set_alignment(CellAlignment::Right),
                Cell::new(made.compiler),
                of_each(made.nanoseconds),
                of_each(made.code),
                of_each(made.maps),
            ]);
            if totals.len() == position {
                totals.push((made.compiler, [0; 4]));
            }
            let sums = [report.instructions as u64, made.nanoseconds, made.code, made.maps];
            totals[position].1.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
        }
    }
    for (position, (compiler, [instructions, nanoseconds, code, maps])) in
        totals.into_iter().enumerate().filter(|_| reports.len() > 1)
    {
        let of_each = |sum: u64| number(sum as f64 / instructions as f64);
        table.add_row(vec![
            Cell::new(if position == 0 { "all" } else { "" }),
            Cell::new(if position == 0 { instructions.to_string() } else { String::new() })
                .set_alignment(CellAlignment::Right),
            Cell::new(compiler),
            of_each(nanoseconds),
            of_each(code),
            of_each(maps),
        ]);
    }
    table.into()
}
