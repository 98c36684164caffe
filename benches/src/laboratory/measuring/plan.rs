//! Jobs for workers: several processes per program, spread over the whole run.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use indicatif::ProgressBar;
use serde::Serialize;

use super::clock::Clock;
use super::job::{Job, Reply, Subject};
use super::variant::Variant;
use crate::error::Error;
use crate::laboratory::child::{self, Ended};
use crate::laboratory::early_end::{self, Progress};

/// How much is measured. Together the defaults take a few minutes for the bundled programs.
#[derive(Clone, Debug, Args, Serialize)]
pub(crate) struct Effort {
    /// Processes per program. Intervals come from the spread between them; one has none.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) processes: u32,
    /// Rounds per process: in each, everything that is compared is sampled once, in random order.
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rounds: u32,
    /// Seconds per program, all its processes together: no round begins later, but the first three of
    /// each process.
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) budget: u32,
    /// Calls are repeated until a sample takes about that many microseconds.
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 2_000,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) sample: u32,
    /// The clock.
    #[arg(long, value_enum, default_value_t = Clock::Wall)]
    pub(crate) clock: Clock,
    /// Seed of all random order [default: the clock].
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

impl Effort {
    /// Nanoseconds of a worker.
    fn budget_ns(&self) -> u64 {
        u64::from(self.budget) * 1_000_000_000 / u64::from(self.processes)
    }

    /// The same, with a seed.
    pub(crate) fn seeded(&self) -> Effort {
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        Effort { seed: Some(self.seed.unwrap_or_else(clock)), ..self.clone() }
    }
}

/// The replies of all processes about one program.
pub(crate) type Replies = Vec<Reply>;

/// What was measured.
#[derive(Debug)]
pub(crate) struct Measurements {
    /// The programs: all, or those that were measured before an interrupt.
    pub(crate) subjects: Vec<Subject>,
    /// The replies about each.
    pub(crate) replies: Vec<Replies>,
    /// Where there should be more.
    pub(crate) early: Option<Progress>,
}

/// Has workers measure `variants` of each of `subjects`. The processes of a program are not run one after the
/// other, but all programs once, in random order, then all again: what disturbs the machine for a while
/// does not disturb one program alone.
pub(crate) fn measure(
    subjects: &[Subject],
    variants: &[Variant],
    effort: &Effort,
    progress: &ProgressBar,
) -> Result<Measurements, Error> {
    early_end::watch();
    let mut random = fastrand::Rng::with_seed(effort.seed.unwrap_or(0));
    let mut replies = vec![Vec::new(); subjects.len()];
    let mut order: Vec<usize> = (0..subjects.len()).collect();
    let mut made = 0;
    'processes: for process in 1..=effort.processes {
        random.shuffle(&mut order);
        for &position in &order {
            let subject = &subjects[position];
            progress.set_message(format!("{}, process {process}", subject.name()));
            let job = Job {
                subject: subject.clone(),
                variants: variants.to_vec(),
                rounds: effort.rounds as usize,
                budget_ns: effort.budget_ns(),
                sample_ns: u64::from(effort.sample) * 1_000,
                clock: effort.clock,
                seed: random.u64(..),
            };
            match ask(&job) {
                Err(Error::Interrupted) => break 'processes,
                reply => replies[position].push(reply?),
            }
            made += 1;
            progress.inc(1);
        }
    }
    let wanted = subjects.len() as u64 * u64::from(effort.processes);
    let early = Progress::new((made, wanted), "processes", effort.seed).if_early()?;
    let measured = subjects.iter().cloned().zip(replies).filter(|(_, replies)| !replies.is_empty());
    let (subjects, replies) = measured.unzip();
    Ok(Measurements { subjects, replies, early })
}

/// Runs one worker.
fn ask(job: &Job) -> Result<Reply, Error> {
    let failed = |message: String| Error::Worker { program: job.subject.name(), message };
    let binary = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let mut worker = Command::new(binary);
    worker.arg("worker");
    let text = serde_json::to_string(job).expect("our data has string keys");
    let ended = child::run(worker, text.as_bytes(), None).map_err(|error| failed(error.to_string()))?;
    let Ended::Itself(output) = ended else { return Err(Error::Interrupted) };
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{}: {}", output.status, message.trim())));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(format!("it answers nonsense: {error}")))
}
