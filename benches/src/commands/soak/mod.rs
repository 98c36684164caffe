//! `osr-bench soak`: random modules and the bundled programs under random schedules, until the time has passed or
//! something differs.
//!
//! The generator of random modules takes long to build, so it is there with the feature `soak` only.

#[cfg(feature = "soak")]
mod error;
#[cfg(feature = "soak")]
mod report;
#[cfg(feature = "soak")]
mod rounds;

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use osr_engine::{Mechanism, MechanismError};

#[cfg(feature = "soak")]
pub(crate) use error::SoakError;
#[cfg(feature = "soak")]
pub(crate) use rounds::run;

/// Refuses: this binary has no random modules.
#[cfg(not(feature = "soak"))]
pub(crate) fn run(_: &SoakOptions) -> Result<(), crate::error::Error> {
    Err(crate::error::Error::WithoutSoak)
}

/// Which mechanism a round has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice {
    /// One of all valid ones, as the round's seed has it.
    Random,
    /// The same in each round.
    #[cfg_attr(not(feature = "soak"), expect(dead_code, reason = "only refused"))]
    Fixed(Mechanism),
}

impl FromStr for Choice {
    type Err = MechanismError;

    fn from_str(text: &str) -> Result<Choice, MechanismError> {
        if text == "random" { Ok(Choice::Random) } else { text.parse().map(Choice::Fixed) }
    }
}

const SOAK_EXAMPLES: &str = "\
Every round runs a random module in the interpreter and under eight random schedules, or one of the bundled \
programs under one: mechanism, tiers, thresholds, invalidations, hijacks, landings. Results, traps with their points, memory \
and globals must be equal; in some executions a shadow interpreter compares every frame state, too. A round \
follows from its seed: the seed of the first is given, each next one is larger by 1.

Needs a build with the feature `soak`: cargo build --release -p osr-bench --features soak.

Examples:
  osr-bench soak --seconds 600
  osr-bench soak --seconds 60 --seed 1000000 --json
  osr-bench soak --executions 1000000               two hours on one core
  osr-bench soak --transitions 10000000
  osr-bench soak --seconds 60 --mechanism recording=pads
  osr-bench soak --seed 1234 --rounds 1             one round again, the one that differed
  osr-bench soak --seed 1234 --rounds 1 --save module.ir      and what it executed, if it differs again

Exit codes: 0; 1 at the first difference, whose seed is printed; 2 for bad input.";

/// Options of `soak`.
#[derive(Debug, Args)]
#[command(after_help = SOAK_EXAMPLES)]
pub(crate) struct SoakOptions {
    /// Stop after that many seconds: the round that has begun is ended.
    #[arg(long, value_name = "N", default_value_t = 60, conflicts_with_all = ["rounds", "executions", "transitions"])]
    pub(crate) seconds: u64,
    /// The seed of the first round.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Stop after that many rounds instead.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rounds: Option<u64>,
    /// Stop after that many executions instead: the round that has begun is ended.
    #[arg(long, value_name = "N", conflicts_with_all = ["rounds", "transitions"], value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) executions: Option<u64>,
    /// Stop after that many transitions instead: the round that has begun is ended.
    #[arg(long, value_name = "N", conflicts_with = "rounds", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) transitions: Option<u64>,
    /// How active code is replaced, in all executions: a preset, `AXIS=VALUE,..`, or both; `osr-bench list` shows them. With
    /// `random`, each execution has one of all valid mechanisms, which follows from the round's seed.
    #[arg(long, value_name = "random|PRESET|AXIS=VALUE,..", default_value = "random")]
    pub(crate) mechanism: Choice,
    /// Write the module of the round that differs to FILE, as textual IR.
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,
    /// Print JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
    /// Show no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Make the rounds in this process, and tell of each execution: what the command runs.
    #[arg(long, hide = true)]
    pub(crate) supervised: bool,
}

/// When a soak ends.
#[cfg(feature = "soak")]
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    Rounds(u64),
    Executions(u64),
    Transitions(u64),
    Seconds(u64),
}

#[cfg(feature = "soak")]
impl SoakOptions {
    pub(crate) fn limit(&self) -> Limit {
        match (self.rounds, self.executions, self.transitions) {
            (Some(rounds), _, _) => Limit::Rounds(rounds),
            (_, Some(executions), _) => Limit::Executions(executions),
            (_, _, Some(transitions)) => Limit::Transitions(transitions),
            _ => Limit::Seconds(self.seconds),
        }
    }
}
