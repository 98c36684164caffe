//! The command line, and the options that several commands share.

mod call;
mod engine;
mod host;
mod inlining;
pub(crate) mod mechanism;
mod size;
mod stress;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use crate::commands::completions::CompletionsOptions;
use crate::commands::ir::IrOptions;
use crate::commands::man::ManOptions;
use crate::commands::maps::MapsOptions;
use crate::commands::run::RunOptions;
use crate::commands::shrink::ShrinkOptions;
use crate::commands::soak::SoakOptions;
use crate::commands::why::WhyOptions;
use crate::laboratory::compare::CompareOptions;
use crate::laboratory::compilation::CompilationOptions;
use crate::laboratory::guards::GuardsOptions;
use crate::laboratory::list::ListOptions;
use crate::laboratory::loop_curve::LoopCurveOptions;
use crate::laboratory::main_job::MainJobOptions;
use crate::laboratory::readiness::ReadinessOptions;
use crate::laboratory::recording::RecordingOptions;
use crate::laboratory::regret::RegretOptions;
use crate::laboratory::report::ReportOptions;
use crate::laboratory::steady::SteadyOptions;
use crate::laboratory::sweep::SweepOptions;
use crate::laboratory::thread::ThreadOptions;
use crate::laboratory::transitions::TransitionsOptions;

pub(crate) use call::CallOptions;
pub(crate) use engine::{BaselineName, CompiledTierName, TierName};
pub(crate) use host::{Directory, HostOptions, ImportPolicy, Variable};
pub(crate) use inlining::InliningOption;
pub(crate) use mechanism::MechanismOptions;
pub(crate) use size::Size;

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
  osr-bench thread                                  every mechanism side by side
  osr-bench maps tests/programs/wasm/fib.wasm       frame maps beside the disassembly

Exit codes: 0; 1 after a trap, or if results of the main job differ; 2 for bad input.";

/// What was asked for.
#[derive(Debug, Parser)]
#[command(name = "osr-bench", version = env!("OSR_VERSION"), about = ABOUT, long_about = LONG_ABOUT, after_help = EXAMPLES)]
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
    Run(Box<RunOptions>),
    /// Tell why frames of a run left compiled code: what did not hold, who saw to that, what it cost.
    Why(Box<WhyOptions>),
    /// Make a failing run small: reduce its program and its schedule of forced transitions.
    Shrink(Box<ShrinkOptions>),
    /// Compile a program's functions and print their frame maps beside the disassembly.
    Maps(MapsOptions),
    /// Print the IR of a program, with its points, blocks and registers, beside offsets and source lines.
    Ir(IrOptions),
    /// Report what it takes to know the frame states of optimized code, with each state recording.
    Recording(RecordingOptions),
    /// Measure what each compiler takes for a program, and the bytes that it makes.
    Compilation(CompilationOptions),
    /// Run random modules and the bundled programs under random schedules, until something differs.
    Soak(SoakOptions),
    /// Measure programs in every tier, and in other engines, in the steady state.
    Steady(SteadyOptions),
    /// Measure what optimized code pays for being ready to be replaced, component by component.
    Readiness(ReadinessOptions),
    /// Measure what a hijack and a landing of one frame take, by depth, live values and destination.
    Transitions(TransitionsOptions),
    /// Measure what leaving optimized code at guards costs, and how it is best answered.
    Guards(GuardsOptions),
    /// Measure what tiering policies take against the best fixed choice of tiers, from start to exit.
    Regret(RegretOptions),
    /// Measure one call with one hot loop: how soon it runs in optimized code, and what was lost until then.
    LoopCurve(LoopCurveOptions),
    /// Measure all mechanisms side by side: what each costs while nothing happens, and when something does.
    Thread(ThreadOptions),
    /// Run the experiments that a file describes, and append what they find to a file; continues what was ended.
    Sweep(SweepOptions),
    /// Show what changed between two files of results.
    Compare(CompareOptions),
    /// Make a report of results, or a file for other tools.
    Report(ReportOptions),
    /// Show mechanisms, their axes, and experiments: what each measures, and which question it answers.
    List(ListOptions),
    /// Print a completion script for a shell.
    Completions(CompletionsOptions),
    /// Print a manual page: of osr-bench, or of one of its commands.
    Man(ManOptions),
    /// Do one job of a measurement: what measuring commands run in processes of their own.
    #[command(hide = true)]
    Worker,
    /// Make one trial of an experiment: what `thread` and `sweep` run in processes of their own.
    #[command(hide = true)]
    Trial,
}

/// Reads the command line; exits if it is not understood.
pub(crate) fn parse() -> Cli {
    let mut options_end = false;
    let protect = |argument: OsString| {
        options_end |= argument == "--";
        if options_end { argument } else { protect_number(argument) }
    };
    Cli::parse_from(std::env::args_os().map(protect))
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

/// A positive percentage.
pub(crate) fn percent(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "write a number above 0, like 2.5".to_owned())
}
