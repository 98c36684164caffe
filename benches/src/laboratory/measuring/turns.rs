//! The options of measurements that take everything in turn, in random order, round after round.

use clap::Args;
use indicatif::ProgressBar;

use super::clock::Clock;
use crate::error::Error;
use crate::output;

/// How rounds are made.
#[derive(Clone, Debug, Args)]
pub(crate) struct Turns {
    /// The clock. Where a sample is a process, processor time is that of all its threads.
    #[arg(long, value_enum, default_value_t = Clock::Wall)]
    pub(crate) clock: Clock,
    /// Seed of the order in each round.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Show no progress.
    #[arg(long, short)]
    quiet: bool,
}

impl Turns {
    /// Has `sample` measure each of `count` things, in another order in each of so many `rounds`. Shows progress of `what`,
    /// unless it is not wanted or `is_data` says that data are written.
    pub(crate) fn take(
        &self,
        what: &str,
        (rounds, count): (u32, usize),
        is_data: bool,
        mut sample: impl FnMut(usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let progress: ProgressBar = output::progress(rounds.into(), self.quiet || is_data);
        progress.set_message(what.to_owned());
        let mut random = fastrand::Rng::with_seed(self.seed);
        let mut order: Vec<usize> = (0..count).collect();
        for _ in 0..rounds {
            random.shuffle(&mut order);
            order.iter().try_for_each(|&position| sample(position))?;
            progress.inc(1);
        }
        progress.finish_and_clear();
        Ok(())
    }
}
