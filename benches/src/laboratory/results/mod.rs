//! Results: what experiments found, as lines of JSON that a file collects.
//!
//! ```json
//! {"experiment":"update","program":"sites","metric":"invalidate","unit":"ns","size":1000,
//!  "mechanism":"v8","settings":{"binding":"cell",..},"seed":7,"repetition":1,"part":[1,4],
//!  "sizes":{"updates":15,..},"time":"2026-11-28T14:31:00Z","samples":[812.0,799.0],"machine":{..},
//!  "versions":{..},"command":"osr-bench thread update"}
//! ```
//!
//! A file is appended to, whole lines at a time. Reading leaves out a last line that is torn, which is what a kill
//! while writing leaves behind.

mod export;
mod file;
mod origin;

pub(crate) use export::{RebenchOptions, quoted, tidy};
pub(crate) use file::{Appender, read_some};
pub(crate) use origin::{Origin, mixtures, origins};

use osr_engine::Mechanism;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::measuring::Machine;
use super::statistics::{Processes, Steadiness, Steady, steadiness};

/// What a trial found of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Finding {
    /// The program, or the kernel.
    pub(crate) program: String,
    /// What was measured.
    pub(crate) metric: String,
    /// In what.
    pub(crate) unit: String,
    /// Of how many call sites, frames or versions, where it depends on them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    /// What was measured in the steady state, in order.
    pub(crate) samples: Vec<f64>,
    /// What was measured before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) warmup: Vec<f64>,
    /// How the process went, where that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) steadiness: Option<Steadiness>,
    /// Why there are no samples, or what is to be known of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

impl Finding {
    /// Samples of a metric.
    pub(crate) fn new(program: &str, metric: &str, unit: &str, samples: Vec<f64>) -> Finding {
        let (program, metric, unit) = (program.to_owned(), metric.to_owned(), unit.to_owned());
        Finding {
            program,
            metric,
            unit,
            size: None,
            samples,
            warmup: Vec::new(),
            steadiness: None,
            note: None,
        }
    }

    /// The same without its warm-up, which is detected: the samples are times, in the order of measurement. Where no steady state is
    /// reached, the second half is taken.
    pub(crate) fn steady(self) -> Finding {
        let Steady { kind, from } = steadiness(&self.samples);
        let (warmup, samples) = self.samples.split_at(from);
        Finding { warmup: warmup.to_vec(), samples: samples.to_vec(), steadiness: Some(kind), ..self }
    }

    /// The same, of that size.
    pub(crate) fn at(self, size: u64) -> Finding {
        Finding { size: Some(size), ..self }
    }

    /// The same, with a note.
    pub(crate) fn noted(self, note: impl Into<String>) -> Finding {
        Finding { note: Some(note.into()), ..self }
    }

    /// There is nothing to measure, for that reason.
    pub(crate) fn nothing(why: impl Into<String>) -> Finding {
        Finding::new("", NOTHING, "", Vec::new()).noted(why)
    }

    /// What was to be measured was not, for that reason.
    pub(crate) fn failed(why: impl Into<String>) -> Finding {
        Finding::new("", FAILED, "", Vec::new()).noted(why)
    }

    /// Whether its trial failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.metric == FAILED
    }

    /// Whether nothing is all that its trial found.
    pub(crate) fn is_nothing(&self) -> bool {
        self.metric == NOTHING || self.has_failed()
    }
}

/// The metric of a trial in which there is nothing to measure.
const NOTHING: &str = "nothing";

/// The metric of a trial that failed: it is made again.
const FAILED: &str = "failed";

/// A line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The experiment.
    pub(crate) experiment: String,
    /// What it found.
    #[serde(flatten)]
    pub(crate) finding: Finding,
    /// What the mechanism is called.
    pub(crate) mechanism: String,
    /// The mechanism.
    pub(crate) settings: Mechanism,
    /// Of everything random.
    pub(crate) seed: u64,
    /// Which repetition of the trial, from 1: each is a process of its own.
    pub(crate) repetition: u32,
    /// Which of how many lines of that trial.
    pub(crate) part: (usize, usize),
    /// How much the trial did, as the version says it that made it; nothing if that said nothing.
    #[serde(default)]
    pub(crate) sizes: Value,
    /// When the trial began, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) time: Option<String>,
    /// Where.
    pub(crate) machine: Machine,
    /// By what.
    pub(crate) versions: Versions,
    /// The command that makes it.
    pub(crate) command: String,
}

impl Record {
    /// Whether it is of the same trial as `other`, made at the same time or at another.
    pub(crate) fn is_of_trial(&self, other: &Record) -> bool {
        let trial = |record: &Record| (record.settings, record.seed, record.repetition);
        self.experiment == other.experiment && trial(self) == trial(other)
    }

    /// What a series of samples, over repetitions, is known by.
    pub(crate) fn series(&self) -> Series {
        Series {
            experiment: self.experiment.clone(),
            mechanism: self.mechanism.clone(),
            program: self.finding.program.clone(),
            metric: self.finding.metric.clone(),
            size: self.finding.size,
        }
    }
}

/// What the processes that `records` are of have measured, all of one quantity.
pub(crate) fn processes<'r>(records: impl IntoIterator<Item = &'r Record>) -> Processes {
    let mut all = Processes::default();
    for Record { finding, .. } in records {
        all.add(&finding.samples, finding.steadiness == Some(Steadiness::None));
    }
    all
}

/// What samples are of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Series {
    /// The experiment.
    pub(crate) experiment: String,
    /// What the mechanism is called.
    pub(crate) mechanism: String,
    /// The program.
    pub(crate) program: String,
    /// The metric.
    pub(crate) metric: String,
    /// Call sites, frames or versions.
    pub(crate) size: Option<u64>,
}

/// What made results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Versions {
    /// Of this program.
    #[serde(rename = "crate")]
    pub(crate) package: String,
    /// The compiler that built it, if that is known.
    pub(crate) rustc: Option<String>,
    /// The commit that it was built from, if that is known; there may have been changes.
    pub(crate) commit: Option<String>,
    /// A hash of the sources that it was built from, changes included.
    #[serde(default)]
    pub(crate) sources: Option<String>,
    /// Whether it was built for measuring.
    pub(crate) optimized: bool,
}

impl Versions {
    /// Of this program.
    pub(crate) fn current() -> Versions {
        Versions {
            package: env!("CARGO_PKG_VERSION").to_owned(),
            rustc: option_env!("OSR_RUSTC").map(str::to_owned),
            commit: option_env!("OSR_COMMIT").map(str::to_owned),
            sources: option_env!("OSR_SOURCES").map(str::to_owned),
            optimized: !cfg!(debug_assertions),
        }
    }

    /// In one line, with a warning if figures mean nothing.
    pub(crate) fn name(&self) -> String {
        let [rustc, commit, sources] =
            [&self.rustc, &self.commit, &self.sources].map(|known| known.as_deref().unwrap_or("unknown"));
        let debug = if self.optimized { "" } else { ", a debug build: figures mean nothing" };
        format!("osr-bench {} (commit {commit}, sources {sources}), {rustc}{debug}", self.package)
    }
}

#[cfg(test)]
mod tests {
    use super::{Finding, Steadiness};

    #[test]
    fn warm_up_is_detected_and_kept_apart() {
        let level =
            |level: f64, length: usize| (0..length).map(move |n| level + (n % 3) as f64 * level / 500.0);
        let times: Vec<f64> = level(900.0, 4).chain(level(100.0, 16)).collect();
        let finding = Finding::new("frames", "replace", "ns", times.clone()).at(10).steady();
        assert_eq!((&*finding.warmup, &*finding.samples), (&times[..4], &times[4..]));
        assert_eq!((finding.steadiness, finding.size), (Some(Steadiness::Warmup), Some(10)));
        let never: Vec<f64> = level(100.0, 26).chain(level(150.0, 4)).collect();
        let finding = Finding::new("frames", "replace", "ns", never).steady();
        assert_eq!((finding.steadiness, finding.samples.len()), (Some(Steadiness::None), 15));
        assert!(Finding::new("frames", "replace", "ns", Vec::new()).steady().samples.is_empty());
    }
}
