//! The main job: every bundled program in each tier and under invalidation, and the cost of a frame.

mod descent;
mod report;

use clap::Args;
use osr_engine::{Delegates, Settings, Stress, Tiers};
use osr_ir::{Type, Value};
use serde::Serialize;

use crate::error::Error;
use crate::guest::entry;
use crate::guest::host;
use crate::guest::load::Program;
use crate::guest::session::{Outcome, Session};
use crate::guest::suite::{self, Recorded};
use crate::laboratory::early_end::{self, Progress};
use crate::laboratory::show::print;
use crate::number::{read_arguments, show_outcome};
use crate::output;
use descent::Descent;

/// Options of the main job.
#[derive(Debug, Args)]
pub(crate) struct MainJobOptions {
    /// Only these programs, by name.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Under invalidation, every Nth safepoint reached in compiled code invalidates all active versions.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) every: u64,
    /// Print JSON instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
    /// Show no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

const STACK_BYTES: usize = 64 << 20;
/// Each time is the least of that many calls.
const ROUNDS: usize = 3;

/// What the main job finds.
#[derive(Debug, Serialize)]
pub(crate) struct Findings {
    /// Under invalidation, what is active is invalidated every that many safepoints.
    pub(crate) every: u64,
    /// How far it came, if it was interrupted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) interrupted: Option<Progress>,
    /// By program.
    pub(crate) programs: Vec<Row>,
    /// By depth of a recursion.
    pub(crate) descents: Vec<Descent>,
}

/// One program in each tier and under invalidation.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// The program.
    pub(crate) name: String,
    /// The arguments, as text.
    pub(crate) arguments: Vec<String>,
    /// What is recorded.
    pub(crate) expected: String,
    /// In the interpreter.
    pub(crate) interpreter: Sample,
    /// In optimized code.
    pub(crate) optimized: Sample,
    /// In optimized code that is invalidated while it is active.
    pub(crate) invalidated: Sample,
    /// Whether all results and memories are equal, and as recorded.
    pub(crate) agrees: bool,
}

/// One program in one way.
#[derive(Debug, Serialize)]
pub(crate) struct Sample {
    /// The result, or the trap.
    pub(crate) result: String,
    /// The time of the call, compilation included.
    pub(crate) wall_ns: u64,
    /// The time of the same call made again in the same instance.
    pub(crate) again_ns: u64,
    /// Whether that gave the same result.
    pub(crate) again_agrees: bool,
    /// The memory afterwards.
    pub(crate) memory_hash: Option<String>,
    /// Frames that were hijacked.
    pub(crate) hijacked_frames: u64,
    /// Frames that landed.
    pub(crate) landings: u64,
    /// Versions compiled.
    pub(crate) versions_compiled: u64,
    /// Versions released.
    pub(crate) versions_released: u64,
    /// Bytes of their code.
    pub(crate) released_bytes: u64,
    /// The time to install a version, on average.
    pub(crate) install_ns: f64,
    /// The time to release a version, on average.
    pub(crate) release_ns: f64,
}

/// Runs the main job.
pub(crate) fn run(options: &MainJobOptions) -> Result<(), Error> {
    let programs = suite::named(&options.only)?;
    let progress = output::progress(programs.len() as u64 + 1, options.quiet);
    let mut rows = Vec::new();
    early_end::watch();
    for recorded in &programs {
        progress.set_message(recorded.name.clone());
        rows.push(row(recorded, options.every)?);
        progress.inc(1);
        if early_end::is_wanted() {
            break;
        }
    }
    let bar = progress.clone();
    let descents = descent::measure(move |depth| bar.set_message(format!("recursion of depth {depth}")))?;
    progress.finish_and_clear();
    let parts = (rows.len() as u64, programs.len() as u64);
    let interrupted = Progress::new(parts, "programs", None).if_early()?;
    let findings = Findings { every: options.every, interrupted, programs: rows, descents };
    if options.json {
        output::json_to_stdout(&findings)?;
    } else {
        print(&report::tables(&findings))?;
    }
    findings.verdict()?;
    Progress::verdict(findings.interrupted)
}

fn row(recorded: &Recorded, every: u64) -> Result<Row, Error> {
    let program = recorded.load()?;
    let sample = |tiers, stress| {
        let settings =
            Settings { tiers, stress, checked: false, value_stack_bytes: STACK_BYTES, ..Settings::default() };
        sample(&program, recorded, &settings)
    };
    let interpreter = sample(Tiers::Interpreter, Stress::None)?;
    let optimized = sample(Tiers::Optimized, Stress::None)?;
    let invalidated = sample(Tiers::Optimized, Stress::invalidate(every))?;
    let agrees = [&interpreter, &optimized, &invalidated]
        .iter()
        .all(|sample| sample.agrees(&recorded.expect) && sample.memory_hash == interpreter.memory_hash);
    Ok(Row {
        name: recorded.name.clone(),
        arguments: recorded.small.iter().map(i64::to_string).collect(),
        expected: recorded.expect.clone(),
        interpreter,
        optimized,
        invalidated,
        agrees,
    })
}

/// The fastest of some calls, each in an instance of its own.
fn sample(program: &Program, recorded: &Recorded, settings: &Settings) -> Result<Sample, Error> {
    let (name, function) = entry::find(program, Some(&recorded.invoke))?;
    let signature = program.module.signature_of(function);
    let texts: Vec<String> = recorded.small.iter().map(i64::to_string).collect();
    let arguments: Vec<Value> = read_arguments(name, signature, &texts)?;
    let mut best: Option<Outcome> = None;
    for _ in 0..ROUNDS {
        let imports = host::env::imports(true);
        let arguments = &arguments;
        let session = Session {
            program,
            steps: &[],
            added: &[],
            reads: &[],
            function,
            arguments,
            settings,
            delegates: Delegates::default(),
            stack_bytes: STACK_BYTES,
            imports,
            handle: None,
            again: true,
            hash_memory: true,
        };
        let outcome = session.run()?;
        if best.as_ref().is_none_or(|best| outcome.wall < best.wall) {
            best = Some(outcome);
        }
    }
    Ok(Sample::of(&best.expect("there is a round"), &signature.results))
}

impl Sample {
    fn agrees(&self, expected: &str) -> bool {
        self.result == expected && self.again_agrees
    }

    fn of(outcome: &Outcome, types: &[Type]) -> Sample {
        let (again, again_wall) = outcome.again.as_ref().expect("calls are made again");
        Sample {
            again_ns: again_wall.as_nanos() as u64,
            again_agrees: show_outcome(types, again) == show_outcome(types, &outcome.result),
            result: show_outcome(types, &outcome.result),
            wall_ns: outcome.wall.as_nanos() as u64,
            memory_hash: outcome.memory_hash.map(|hash| format!("{hash:016x}")),
            hijacked_frames: outcome.transitions.hijacked_frames,
            landings: outcome.transitions.landings,
            versions_compiled: outcome.code.versions_compiled,
            versions_released: outcome.code.versions_released,
            released_bytes: outcome.code.released_bytes,
            install_ns: per(outcome.code_times.install_ns, outcome.code.versions_compiled),
            release_ns: per(outcome.code_times.release_ns, outcome.code.versions_released),
        }
    }
}

/// The share of each of `count` in `sum`; 0 if there is none.
fn per(sum: u64, count: u64) -> f64 {
    sum as f64 / count.max(1) as f64
}

impl Findings {
    fn verdict(&self) -> Result<(), Error> {
        let programs = self.programs.iter().filter(|row| !row.agrees).map(|row| row.name.clone());
        let descents = self.descents.iter().filter(|descent| !descent.agrees);
        let descents = descents.map(|descent| format!("the recursion of depth {}", descent.depth));
        let differing: Vec<String> = programs.chain(descents).collect();
        if differing.is_empty() { Ok(()) } else { Err(Error::ResultsDiffer(differing.join(", "))) }
    }
}
