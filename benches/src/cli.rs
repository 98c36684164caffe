//! The command line.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use osr_engine::{CompiledTier, Mechanism, PlantedDefect, Settings, StateRecording, Tiers};

use crate::error::Error;
use crate::measure::{Effort, Way};
use crate::size::Size;
use crate::stress::{self, StressItem};
use crate::subjects::SubjectOptions;

const ABOUT: &str = "Runs programs on the osr-engine, shows frame maps, and measures frame replacement.";

const LONG_ABOUT: &str = "\
Runs WebAssembly (.wasm, .wat) and textual IR (.ir) programs on an engine that replaces the frames of \
active functions by redirecting their return addresses.

Without a command it runs the main job: every bundled program in the interpreter, in optimized code, and \
in optimized code whose frames are replaced again and again. The results must agree; the table says what \
a replacement costs.";

const EXAMPLES: &str = "\
Examples:
  osr-bench                                         the main job, as a table
  osr-bench --only fib,richards --json              some programs, for machines
  osr-bench run tests/programs/wasm/fib.wasm 24     call `run(24)`, print the result
  osr-bench maps tests/programs/wasm/fib.wasm       frame maps beside the disassembly

Exit codes: 0; 1 after a trap, or if results of the main job differ; 2 for bad input.";

const RUN_EXAMPLES: &str = "\
Arguments are signed decimals or hexadecimal bits (0x..) for i32 and i64, decimals, inf or nan for f32 and \
f64, null for funcref. Each result is printed on a line of its own; what the program prints goes to stderr.

Examples:
  osr-bench run fib.wasm 24
  osr-bench run cases.wat --invoke shift -- -5 3
  osr-bench run fib.wasm 24 --tier optimized --stress invalidate=100 --stats -
  osr-bench run fib.wasm 24 --stress hijack=10 --shadow
  osr-bench run deep-recursion.wasm 100000 --stack-size 256M --stats deep.json
  osr-bench run richards.wasm 100 --stress random=3 --record r.json
  osr-bench run richards.wasm 100 --replay r.json --verify --explain --trace trace.json

Exit codes: 0; 1 after `trap: KIND in FUNCTION at POINT`; 2 for bad input; 3 if --verify finds a difference.";

const SHRINK_ABOUT: &str = "\
Makes a failing run small: its program, its arguments and its schedule of forced transitions.

A run fails if it differs from the interpreter alone, as `osr-bench run --verify` finds, or if it crashes. \
Candidates run in child processes. What is given is the failing run: a schedule of --record with --replay, \
or --stress, which is written out as a schedule first.";

const SHRINK_EXAMPLES: &str = "\
Prints the command that reproduces the failure with the small program and schedule.

Examples:
  osr-bench shrink richards.wasm 100 --stress random=3
  osr-bench shrink richards.wasm 100 --replay r.json --output small --seconds 600

Exit codes: 0; 2 for bad input, and if nothing fails.";

const MAPS_EXAMPLES: &str = "\
Each instruction is printed with its offset in the version's code. Where control returns from a call, the \
frame map follows: the point of the body, and where each live register of the body is. Slots are relative \
to rbp, the frame base.

Examples:
  osr-bench maps fib.wasm
  osr-bench maps richards.wasm --function schedule --continuations
  osr-bench maps fib.wasm --state-recording pads
  osr-bench maps fib.wasm --json";

const SOAK_EXAMPLES: &str = "\
Every round runs a random module, or one of the bundled programs, in the interpreter and under a random \
schedule: tiers, thresholds, invalidations, hijacks, landings. Results, traps with their points, memory \
and globals must be equal; in some rounds a shadow interpreter compares every frame state, too. A round \
follows from its seed: the seed of the first is given, each next one is larger by 1.

Examples:
  osr-bench soak --seconds 600
  osr-bench soak --seconds 60 --seed 1000000 --json
  osr-bench soak --seed 1234 --rounds 1             one round again, the one that differed

Exit codes: 0; 1 at the first difference, whose seed is printed; 2 for bad input.";

/// What was asked for.
#[derive(Debug, Parser)]
#[command(name = "osr-bench", version, about = ABOUT, long_about = LONG_ABOUT, after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true, max_term_width = 110)]
pub(crate) struct Cli {
    /// The command, if it is not the main job.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Options of the main job.
    #[command(flatten)]
    pub(crate) main_job: MainJobOptions,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Call an exported function of a program and print its results.
    Run(RunOptions),
    /// Make a failing run small: reduce its program and its schedule of forced transitions.
    Shrink(ShrinkOptions),
    /// Compile a program's functions and print their frame maps beside the disassembly.
    Maps(MapsOptions),
    /// Report what it takes to know the frame states of optimized code, with each state recording.
    Recording(RecordingOptions),
    /// Run random modules and the bundled programs under random schedules, until something differs.
    Soak(SoakOptions),
    /// Measure programs in every tier, and in other engines, in the steady state.
    Steady(SteadyOptions),
    /// Measure what optimized code pays for being ready to be replaced, component by component.
    Readiness(ReadinessOptions),
    /// Do one job of a measurement: what measuring commands run in processes of their own.
    #[command(hide = true)]
    Worker,
}

/// Options of `soak`.
#[derive(Debug, Args)]
#[command(after_help = SOAK_EXAMPLES)]
pub(crate) struct SoakOptions {
    /// Stop after that many seconds: the round that has begun is ended.
    #[arg(long, value_name = "N", default_value_t = 60, conflicts_with = "rounds")]
    pub(crate) seconds: u64,
    /// The seed of the first round.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Stop after that many rounds instead.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rounds: Option<u64>,
    /// Print JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
    /// Show no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Make the rounds in this process, and tell of each: what the command runs.
    #[arg(long, hide = true)]
    pub(crate) supervised: bool,
}

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

/// Options that choose what is called, and how.
#[derive(Debug, Args)]
pub(crate) struct CallOptions {
    /// The program: a .wasm, .wat or .ir file.
    pub(crate) program: PathBuf,
    /// Arguments of the function.
    #[arg(value_name = "ARG", allow_negative_numbers = true)]
    pub(crate) arguments: Vec<String>,
    /// The exported function to call [default: `run`, else `_start`, else `main`, else the only one].
    #[arg(long, value_name = "NAME")]
    pub(crate) invoke: Option<String>,
    /// Force the transitions that --record has written to FILE, instead of --stress. The program, its
    /// arguments and all options that decide where safepoints are must be the same.
    #[arg(long, value_name = "FILE")]
    pub(crate) replay: Option<PathBuf>,
    /// Options of the engine.
    #[command(flatten)]
    pub(crate) engine: EngineOptions,
}

/// Options of `run`.
#[derive(Debug, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub(crate) struct RunOptions {
    /// What is called.
    #[command(flatten)]
    pub(crate) call: CallOptions,
    /// Write statistics as JSON to FILE, which is replaced at once or not at all; `-` means stderr.
    #[arg(long, value_name = "FILE")]
    pub(crate) stats: Option<PathBuf>,
    /// Write what was forced, and where frames landed, to FILE, for --replay. Makes every poll of compiled
    /// code take its slow path.
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Write every tier-up, compilation, invalidation, hijack, landing and release, with its cause, to FILE:
    /// JSON for <https://ui.perfetto.dev> or Chrome.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Say on stderr, per function, which versions of its code there were: why each was made, how often it
    /// was entered, where its frames went, why and when it died.
    #[arg(long, value_name = "FORMAT", value_enum, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "text")]
    pub(crate) explain: Option<ExplainFormat>,
    /// Run the program in the interpreter alone, too, and compare results, traps, memory and globals.
    #[arg(long)]
    pub(crate) verify: bool,
    /// Run a shadow interpreter alongside, which compares every frame state that is rebuilt, every arrival at
    /// an entry and at a loop header, memory, globals, results and traps. Says what it compared on stderr; exits
    /// with 1 if something differs. Implies --points, under which the same transitions occur without it. Many
    /// times slower.
    #[arg(long)]
    pub(crate) shadow: bool,
    /// Do not show what the program prints.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// How an explanation is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExplainFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Options of `shrink`.
#[derive(Debug, Args)]
#[command(long_about = SHRINK_ABOUT, after_help = SHRINK_EXAMPLES)]
pub(crate) struct ShrinkOptions {
    /// What is called.
    #[command(flatten)]
    pub(crate) call: CallOptions,
    /// Where to write: STEM.ir and STEM.json [default: PROGRAM-shrunk, in the current directory].
    #[arg(long, short, value_name = "STEM")]
    pub(crate) output: Option<PathBuf>,
    /// Stop after that many seconds with what is smallest then. Also how long the first run may take.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: u64,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Show no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// Options that choose how the engine executes.
#[derive(Debug, Args)]
pub(crate) struct EngineOptions {
    /// Which tiers execute.
    #[arg(long, value_enum, default_value_t = TierName::Auto)]
    pub(crate) tier: TierName,
    /// Function entries plus back-edges in the interpreter before a function tiers up. For `--tier auto`.
    #[arg(long, value_name = "N", help = threshold_help())]
    pub(crate) threshold: Option<u32>,
    /// Function entries plus back-edges in baseline code before a function is optimized. For `--tier auto`.
    #[arg(long, value_name = "N", help = optimize_threshold_help())]
    pub(crate) optimize_threshold: Option<u32>,
    /// How optimized code makes its frame states known.
    #[arg(long, value_name = "HOW", value_enum, default_value_t = StateRecordingName::default())]
    pub(crate) state_recording: StateRecordingName,
    /// How often optimized code unrolls small innermost loops, at most: how many iterations share a poll. 1:
    /// not at all.
    #[arg(long, value_name = "N", default_value_t = Settings::DEFAULT_UNROLLING)]
    pub(crate) unrolling: u8,
    /// Make every arrival at a function's entry and at a loop header a safepoint: loops are not unrolled, and
    /// optimized functions that call nothing poll, too. Implied by `run --shadow`.
    #[arg(long)]
    pub(crate) points: bool,
    /// Force transitions; may be repeated. `invalidate=N`: every Nth safepoint reached in compiled code
    /// invalidates every version active on the stack, hijacks its frames and releases its code.
    /// `hijack=N`: hijacks the frames, and the code stays. `land=interpreter|baseline|optimized|random:SEED`:
    /// where hijacked frames land. `random=SEED`: anything at any safepoint, as the seed has it.
    #[arg(long, value_name = "KIND=VALUE")]
    pub(crate) stress: Vec<StressItem>,
    /// Native stack of the guest, and as much again for interpreter frames. With k, M or G.
    #[arg(long, value_name = "BYTES", default_value_t = Size::DEFAULT_STACK)]
    pub(crate) stack_size: Size,
    /// Check invariants while running: stack scans before each release, released code inaccessible,
    /// dead registers and slots poisoned.
    #[arg(long)]
    pub(crate) checked: bool,
    /// Make the frame maps of the continuations of FUNCTION wrong about register number N, to try out the
    /// tools that find such defects.
    #[arg(long, value_name = "FUNCTION:N", hide = true)]
    pub(crate) plant_defect: Option<DefectOption>,
}

/// A [`PlantedDefect`] as it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DefectOption(PlantedDefect);

impl FromStr for DefectOption {
    type Err = String;

    fn from_str(text: &str) -> Result<DefectOption, String> {
        let parts = text.rsplit_once(':').and_then(|(function, n)| Some((function, n.parse().ok()?)));
        let (function, register) = parts.ok_or("write FUNCTION:N, with the number N of a register")?;
        Ok(DefectOption(PlantedDefect { function: function.to_owned(), register }))
    }
}

impl fmt::Display for DefectOption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.0.function, self.0.register)
    }
}

fn threshold_help() -> String {
    format!(
        "Function entries plus back-edges in the interpreter before a function tiers up, with --tier auto \
         [default: {}]",
        Settings::DEFAULT_THRESHOLD
    )
}

fn optimize_threshold_help() -> String {
    format!(
        "Function entries plus back-edges in baseline code before a function is optimized, with --tier auto; \
         0: there is no baseline code [default: {}]",
        Settings::DEFAULT_OPTIMIZE_THRESHOLD
    )
}

/// Names of [`Tiers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TierName {
    /// The interpreter only.
    Interpreter,
    /// Baseline code from the first call on; landed frames may pass through the interpreter.
    Baseline,
    /// Optimized code from the first call on; landed frames may pass through the interpreter.
    Optimized,
    /// Start in the interpreter, go on in baseline code, optimize what is hot.
    Auto,
}

impl TierName {
    /// What the engine calls it.
    fn tiers(self) -> Tiers {
        match self {
            TierName::Interpreter => Tiers::Interpreter,
            TierName::Baseline => Tiers::Baseline,
            TierName::Optimized => Tiers::Optimized,
            TierName::Auto => Tiers::Auto,
        }
    }

    /// The name as it is given.
    fn name(self) -> &'static str {
        match self {
            TierName::Interpreter => "interpreter",
            TierName::Baseline => "baseline",
            TierName::Optimized => "optimized",
            TierName::Auto => "auto",
        }
    }
}

/// Names of [`StateRecording`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateRecordingName {
    /// Not at all: transitions of active frames are refused.
    None,
    /// Live values are stored into slots before each call.
    Slots,
    /// Live values are where the register allocator keeps them.
    Locations,
    /// Cold code at each call stores live values when a landing asks.
    Pads,
    /// Slots, locations and pads at once; landings compare them.
    CrossChecked,
}

impl StateRecordingName {
    /// What the engine calls it.
    pub(crate) fn recording(self) -> StateRecording {
        match self {
            StateRecordingName::None => StateRecording::None,
            StateRecordingName::Slots => StateRecording::Slots,
            StateRecordingName::Locations => StateRecording::Locations,
            StateRecordingName::Pads => StateRecording::Pads,
            StateRecordingName::CrossChecked => StateRecording::CrossChecked,
        }
    }
}

impl Default for StateRecordingName {
    fn default() -> StateRecordingName {
        match StateRecording::default() {
            StateRecording::None => StateRecordingName::None,
            StateRecording::Slots => StateRecordingName::Slots,
            StateRecording::Locations => StateRecordingName::Locations,
            StateRecording::Pads => StateRecordingName::Pads,
            StateRecording::CrossChecked => StateRecordingName::CrossChecked,
        }
    }
}

impl EngineOptions {
    /// The engine's settings, if the options agree.
    pub(crate) fn settings(&self) -> Result<Settings, Error> {
        let mut settings = Settings {
            tiers: self.tier.tiers(),
            threshold: self.threshold.unwrap_or(Settings::DEFAULT_THRESHOLD),
            optimize_threshold: self.optimize_threshold.unwrap_or(Settings::DEFAULT_OPTIMIZE_THRESHOLD),
            mechanism: Mechanism::recorded_by(self.state_recording.recording()),
            unrolling: self.unrolling,
            points: self.points,
            stress: stress::combine(&self.stress)?,
            value_stack_bytes: self.stack_size.bytes(),
            planted: self.plant_defect.as_ref().map(|defect| defect.0.clone()),
            ..Settings::default()
        };
        settings.checked |= self.checked;
        if settings.tiers != Tiers::Auto {
            self.check_no_thresholds()?;
        }
        if settings.tiers == Tiers::Interpreter && !self.stress.is_empty() {
            return Err(Error::NothingToHijack);
        }
        if self.stack_size < Size::MINIMUM_STACK {
            return Err(Error::SmallStack { given: self.stack_size, minimum: Size::MINIMUM_STACK });
        }
        Ok(settings)
    }

    /// Where nothing waits to tier up no thresholds may be given, but 0.
    fn check_no_thresholds(&self) -> Result<(), Error> {
        let given = [("--threshold", self.threshold), ("--optimize-threshold", self.optimize_threshold)];
        let senseless = given.into_iter().find(|(_, threshold)| threshold.is_some_and(|n| n > 0));
        match senseless {
            Some((option, _)) => Err(Error::ThresholdWithoutTierUp { option, tier: self.tier.name() }),
            None => Ok(()),
        }
    }
}

/// Names of [`CompiledTier`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompiledTierName {
    /// Compiled quickly, and profiling.
    Baseline,
    /// Optimized.
    Optimized,
}

impl From<CompiledTierName> for CompiledTier {
    fn from(name: CompiledTierName) -> CompiledTier {
        match name {
            CompiledTierName::Baseline => CompiledTier::Baseline,
            CompiledTierName::Optimized => CompiledTier::Optimized,
        }
    }
}

/// Options of `maps`.
#[derive(Debug, Args)]
#[command(after_help = MAPS_EXAMPLES)]
pub(crate) struct MapsOptions {
    /// The program: a .wasm, .wat or .ir file.
    pub(crate) program: PathBuf,
    /// The tier that compiles.
    #[arg(long, value_enum, default_value_t = CompiledTierName::Optimized)]
    pub(crate) tier: CompiledTierName,
    /// How optimized code makes its frame states known.
    #[arg(long, value_name = "HOW", value_enum, default_value_t = StateRecordingName::default())]
    pub(crate) state_recording: StateRecordingName,
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

const STEADY_EXAMPLES: &str = "\
Each program runs in several processes; in each, rounds sample every engine once, in random order. Steady \
samples are found by changepoint analysis, ratios are taken within rounds, intervals (95%, Student's t) are \
over processes. All results are checked.

Other engines need a build with the feature `peers`: cargo build --release -p osr-bench --features peers. \
Node.js is taken if `node` is installed.

Examples:
  osr-bench steady                                    all bundled programs
  osr-bench steady fib richards --engines optimized,wasmtime
  osr-bench steady --size bench --budget 120 --engines optimized,wasmtime,node
  osr-bench steady my.wasm --invoke run --argument 1000 --json

Exit codes: 0; 1 if results differ, or after a trap; 2 for bad input.";

/// Options of `steady`.
#[derive(Debug, Args)]
#[command(after_help = STEADY_EXAMPLES)]
pub(crate) struct SteadyOptions {
    /// What is measured.
    #[command(flatten)]
    pub(crate) subjects: SubjectOptions,
    /// The engines and tiers [default: all that there are].
    #[arg(long, value_name = "NAME", value_enum, value_delimiter = ',')]
    pub(crate) engines: Vec<Way>,
    /// What the others are relative to.
    #[arg(long, value_name = "NAME", value_enum, default_value_t = Way::Optimized)]
    pub(crate) base: Way,
    /// Intervals that are wider than this many percent to either side are marked as noisy.
    #[arg(long, value_name = "PERCENT", default_value_t = 3.0, value_parser = percent)]
    pub(crate) noise: f64,
    /// How much is measured.
    #[command(flatten)]
    pub(crate) effort: Effort,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Show no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

const READINESS_EXAMPLES: &str = "\
The bare baseline is the same IR compiled with plain `call rel32`, without polls, stack checks and frame \
maps. The stack check, polls and each state recording are added one after the other; call cells instead of \
direct calls are added to the bare code, apart from the others. Every process places the code elsewhere. \
Cranelift makes no code for x86-64 without frame pointers: their price is in the baseline.

Examples:
  osr-bench readiness                            all bundled programs
  osr-bench readiness --unrolling 1              with a poll in each iteration of small loops, too
  osr-bench readiness fib richards --processes 15
  osr-bench readiness --clock cpu --json         for a machine that is not quiet, as data

Exit codes: 0; 1 if results differ, or after a trap; 2 for bad input.";

/// Options of `readiness`.
#[derive(Debug, Args)]
#[command(after_help = READINESS_EXAMPLES)]
pub(crate) struct ReadinessOptions {
    /// What is measured.
    #[command(flatten)]
    pub(crate) subjects: SubjectOptions,
    /// Intervals that are wider than this many percent to either side are marked as noisy.
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, value_parser = percent)]
    pub(crate) noise: f64,
    /// How often small innermost loops are unrolled, at most, in all of them: how many iterations share a
    /// poll.
    #[arg(long, value_name = "N", default_value_t = Settings::DEFAULT_UNROLLING)]
    pub(crate) unrolling: u8,
    /// How much is measured.
    #[command(flatten)]
    pub(crate) effort: Effort,
    /// Print JSON instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
    /// Show no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// A positive percentage.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "write a number above 0, like 2.5".to_owned())
}

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

/// Reads the command line; exits if it is not understood.
pub(crate) fn parse() -> Cli {
    Cli::parse_from(std::env::args_os().map(protect_number))
}

/// Numbers that the parser would take for options (`-inf`, `-0x1`) get a real minus sign, U+2212, which
/// [`crate::number`] reads.
fn protect_number(argument: OsString) -> OsString {
    let looks_like_number = |text: &str| {
        let text = text.to_ascii_lowercase();
        ["-inf", "-nan", "-0x", "-."].iter().any(|prefix| text.starts_with(prefix))
    };
    match argument.to_str() {
        Some(text) if looks_like_number(text) => format!("\u{2212}{}", &text[1..]).into(),
        _ => argument,
    }
}
