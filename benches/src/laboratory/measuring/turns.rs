//! The options of measurements that take everything in turn, in random order, round after round.

use clap::Args;
use indicatif::ProgressBar;

use super::clock::Clock;
use crate::error::Error;
use crate::laboratory::early_end::{self, Progress};
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
    ///
    /// An interrupt ends it behind the round, or in the midst of it, if it has `sample` fail with [`Error::Interrupted`].
    pub(crate) fn take(
        &self,
        what: &str,
        (rounds, count): (u32, usize),
        is_data: bool,
        mut sample: impl FnMut(usize) -> Result<(), Error>,
    ) -> Result<Taken, Error> {
        early_end::watch();
        let progress: ProgressBar = output::progress(rounds.into(), self.quiet || is_data);
        progress.set_message(what.to_owned());
        let mut random = fastrand::Rng::with_seed(self.seed);
        let mut order: Vec<usize> = (0..count).collect();
        let mut made = 0;
        while made < rounds && !early_end::is_wanted() {
            random.shuffle(&mut order);
            match order.iter().try_for_each(|&position| sample(position)) {
                Err(Error::Interrupted) => break,
                round => round?,
            }
            made += 1;
            progress.inc(1);
        }
        progress.finish_and_clear();
        let early = self.progress((made.into(), rounds.into()), "rounds").if_early()?;
        Ok(Taken { rounds: made, early })
    }

    /// How far a measurement came that is made so.
    pub(crate) fn progress(&self, parts: (u64, u64), what: &'static str) -> Progress {
        Progress::new(parts, what, Some(self.seed))
    }
}

/// What was taken in turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    /// Rounds that are complete: one at least.
    pub(crate) rounds: u32,
    /// Where there should be more.
    pub(crate) early: Option<Progress>,
}
