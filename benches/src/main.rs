//! `osr-bench`: runs programs on the engine, shows frame maps, and measures what replacing frames costs.
//!
//! ```text
//!   commands/     run ────────> a call ──> a session (a thread with a stack of its own) ──> stats, trace, schedule
//!                 shrink ─────> runs in child processes ──> a smaller program and schedule
//!                 why ────────> a call ──> its deoptimizations, one by one
//!                 maps ───────> compile ──> disassembly beside frame maps
//!                 ir ─────────> the IR, with positions, points, and places in the source
//!                 soak ───────> random modules and the bundled programs, round by round
//!   laboratory/   main_job ───> the bundled programs in three ways, one frame's price ──> tables
//!                 steady, readiness ──> measuring (processes of their own, rounds) ──> statistics
//!                 transitions > descents in one process, plain and hijacked by turns ──> statistics
//!                 guards ─────> cases in one process, round by round ──> statistics
//!                 regret ─────> processes from start to exit, in every way ──> statistics
//!                 loop-curve ─> one call with one hot loop, by its length
//!                 thread, sweep > trials, in processes of their own ──> the answer, results
//!                 report, compare <── results
//!                 recording ──> compile ──> counts and bytes of frame states
//!                 compilation > compile ──> time and bytes for each instruction
//!   guest/        what both run: programs, their host functions, calls, sessions
//!   cli/          the command line, and the options that commands share
//! ```
//!
//! The options of a command or an experiment are beside it. Nothing in `commands` is used by `laboratory`, nor
//! the other way round, and `guest` uses neither.
//!
//! Exit codes: 0, 1 for a trap or a main job whose results differ, 2 for what the user can mend, 3 where a
//! verified run differs from the interpreter.

mod asked_stderr;
mod cli;
mod commands;
mod destination;
mod error;
mod guest;
mod interrupt;
mod json;
mod laboratory;
mod new_file;
mod number;
mod output;
mod rendered;
mod temporary;
mod wrapped;

use std::process::ExitCode;

use cli::Command;
use commands::{completions, ir, man, maps, run, shrink, soak, why};
use error::Error;
use laboratory::{
    compare, compilation, guards, list, loop_curve, main_job, measuring, readiness, recording, regret,
    report, steady, sweep, thread, transitions,
};

fn main() -> ExitCode {
    let cli = cli::parse();
    let done = match &cli.command {
        Some(Command::Run(options)) => run::run(options),
        Some(Command::Why(options)) => why::run(options),
        Some(Command::Shrink(options)) => shrink::run(options),
        Some(Command::Maps(options)) => maps::run(options),
        Some(Command::Ir(options)) => ir::run(options),
        Some(Command::Recording(options)) => recording::run(options),
        Some(Command::Compilation(options)) => compilation::run(options),
        Some(Command::Steady(options)) => steady::run(options),
        Some(Command::Transitions(options)) => transitions::run(options),
        Some(Command::Guards(options)) => guards::run(options),
        Some(Command::Readiness(options)) => readiness::run(options),
        Some(Command::Regret(options)) => regret::run(options),
        Some(Command::LoopCurve(options)) => loop_curve::run(options),
        Some(Command::Sweep(options)) => sweep::run(options),
        Some(Command::Compare(options)) => compare::run(options),
        Some(Command::Report(options)) => report::run(options),
        Some(Command::List(options)) => list::run(options),
        Some(Command::Thread(options)) => thread::run(options),
        Some(Command::Completions(options)) => completions::run(options),
        Some(Command::Man(options)) => man::run(options),
        Some(Command::Worker) => measuring::work(),
        Some(Command::Trial) => thread::work(),
        Some(Command::Soak(options)) => soak::run(options),
        None => main_job::run(&cli.main_job),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::OutputClosed) => ExitCode::SUCCESS,
        Err(error) => {
            error.show();
            ExitCode::from(error.exit_code())
        }
    }
}
