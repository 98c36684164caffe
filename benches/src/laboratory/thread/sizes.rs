//! How much an experiment does.

use serde::{Deserialize, Serialize};

/// How much an experiment does: sizes of what it measures, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Sizes {
    /// Bundled programs of the steady state.
    pub(crate) programs: Vec<String>,
    /// Call sites of the function that is updated.
    pub(crate) sites: Vec<u64>,
    /// Frames on the stack at an update.
    pub(crate) frames: Vec<u64>,
    /// Frames on the stack at sparse hijacks.
    pub(crate) depths: Vec<u64>,
    /// Times that an update is measured.
    pub(crate) updates: usize,
    /// Replacements whose latency is measured.
    pub(crate) replacements: usize,
    /// Frames on the stack at those.
    pub(crate) depth: u64,
    /// Iterations of the loop that does not end by itself, in thousands.
    pub(crate) loop_thousands: u64,
    /// Processes of a steady state, rounds in each, and milliseconds in all.
    pub(crate) processes: u32,
    /// See above.
    pub(crate) rounds: u32,
    /// See above.
    pub(crate) milliseconds: u32,
}

impl Sizes {
    /// As results carry them.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("our data has string keys")
    }

    /// For tests: everything is gone through, nothing can be concluded.
    pub(crate) fn tiny() -> Sizes {
        Sizes {
            programs: vec!["fib".into()],
            sites: vec![1, 100],
            frames: vec![1, 20],
            depths: vec![10, 100],
            updates: 2,
            replacements: 3,
            depth: 5,
            loop_thousands: 2,
            processes: 1,
            rounds: 3,
            milliseconds: 1,
        }
    }

    /// An answer within three minutes.
    pub(crate) fn quick() -> Sizes {
        Sizes {
            programs: ["fib", "richards", "spectral-norm", "fannkuch"].map(String::from).into(),
            sites: vec![1, 100, 10_000],
            frames: vec![1, 100, 10_000],
            depths: vec![10, 1_000, 100_000],
            updates: 15,
            replacements: 200,
            depth: 100,
            loop_thousands: 2_000,
            processes: 5,
            rounds: 20,
            milliseconds: 1_000,
        }
    }

    /// The data of a report.
    pub(crate) fn full() -> Sizes {
        Sizes {
            programs: crate::guest::suite::all().into_iter().map(|program| program.name).collect(),
            sites: vec![1, 10, 100, 1_000, 10_000, 100_000],
            frames: vec![0, 1, 10, 100, 1_000, 10_000, 100_000, 1_000_000],
            depths: vec![10, 100, 1_000, 10_000, 100_000, 1_000_000],
            updates: 25,
            replacements: 1_000,
            depth: 100,
            loop_thousands: 10_000,
            processes: 8,
            rounds: 40,
            milliseconds: 1_500,
        }
    }
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes::quick()
    }
}
