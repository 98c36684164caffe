//! `osr-bench`: runs programs on the engine, shows frame maps, and measures what replacing frames costs.
//!
//! ```text
//!   cli ──┬─> run ────────> load ──> session (a thread with a stack of its own) ──> stats, trace, schedule
//!         ├─> shrink ─────> runs in child processes ──> a smaller program and schedule
//!         ├─> maps ───────> load ──> compile ──> disassembly beside frame maps
//!         ├─> recording ──> suite ──> compile ──> counts and bytes of frame states
//!         ├─> soak ───────> suite ──> osr_tests::soak, round by round
//!         ├─> steady, readiness ──> measure (processes of their own, rounds) ──> statistics
//!         └─> main_job ───> suite, descent ────> report
//! ```
//!
//! Exit codes: 0, 1 for a trap or a main job whose results differ, 2 for what the user can mend, 3 where a
//! verified run differs from the interpreter.

mod call;
mod cli;
mod descent;
mod entry;
mod error;
mod host;
mod load;
mod main_job;
mod maps;
mod measure;
mod native_stack;
mod new_file;
mod number;
mod output;
mod readiness;
mod recording;
mod report;
mod run;
mod schedule_file;
mod session;
mod shrink;
mod size;
mod soak;
mod statistics;
mod stats;
mod steady;
mod stress;
mod subjects;
mod suite;
mod verify;

use std::process::ExitCode;

use cli::Command;
use error::Error;

fn main() -> ExitCode {
    let cli = cli::parse();
    let done = match &cli.command {
        Some(Command::Run(options)) => run::run(options),
        Some(Command::Shrink(options)) => shrink::run(options),
        Some(Command::Maps(options)) => maps::maps(options),
        Some(Command::Recording(options)) => recording::run(options),
        Some(Command::Steady(options)) => steady::run(options),
        Some(Command::Readiness(options)) => readiness::run(options),
        Some(Command::Worker) => measure::work(),
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
