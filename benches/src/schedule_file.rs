//! Schedules in files: what `--record` writes and `--replay` reads.
//!
//! ```json
//! { "format": "osr-schedule", "version": 2,
//!   "run": { "program_hash": "0123456789abcdef", "invoke": "run", "arguments": ["24"], "tier": "auto",
//!            "threshold": 500, "optimize_threshold": 5000, "stack_bytes": 8388608 },
//!   "schedule": { "safepoints": [[7, "invalidate"]], "landings": [[2, "optimized"]] } }
//! ```
//!
//! Safepoints and landings are counted, and their numbers mean something in one run only: of that program,
//! called so, with such tiers. A replay of anything else is refused.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use osr_engine::{Schedule, Settings, Tiers};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::new_file::NewFile;

const FORMAT: &str = "osr-schedule";
const VERSION: u32 = 2;

/// What the file holds.
#[derive(Debug, Serialize, Deserialize)]
struct Contents {
    format: String,
    version: u32,
    run: ScheduledRun,
    schedule: Schedule,
}

/// The beginning of what any version of the format holds.
#[derive(Debug, Deserialize)]
struct Head {
    format: String,
    version: u32,
}

/// The run that a schedule is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ScheduledRun {
    /// Of the program's file: 16 hexadecimal digits.
    pub(crate) program_hash: String,
    /// The exported function.
    pub(crate) invoke: String,
    /// Its arguments, as they are printed.
    pub(crate) arguments: Vec<String>,
    /// Which tiers execute.
    pub(crate) tier: Tiers,
    /// [`Settings::threshold`].
    pub(crate) threshold: u32,
    /// [`Settings::optimize_threshold`].
    pub(crate) optimize_threshold: u32,
    /// Bytes of native stack.
    pub(crate) stack_bytes: usize,
}

impl ScheduledRun {
    /// The run of `program` (the contents of its file) that calls `invoke`.
    pub(crate) fn new(
        program: &[u8],
        invoke: &str,
        arguments: Vec<String>,
        settings: &Settings,
        stack_bytes: usize,
    ) -> ScheduledRun {
        ScheduledRun {
            program_hash: format!("{:016x}", hash(program)),
            invoke: invoke.to_owned(),
            arguments,
            tier: settings.tiers,
            threshold: settings.threshold,
            optimize_threshold: settings.optimize_threshold,
            stack_bytes,
        }
    }

    /// The options of `osr-bench run` that make such a run.
    pub(crate) fn options(&self) -> Vec<String> {
        let mut options = self.arguments.clone();
        let mut option = |name: &str, value: &dyn Display| {
            options.extend([name.to_owned(), value.to_string()]);
        };
        option("--invoke", &self.invoke);
        option("--tier", &tier_name(self.tier));
        if self.tier == Tiers::Auto {
            option("--threshold", &self.threshold);
            option("--optimize-threshold", &self.optimize_threshold);
        }
        option("--stack-size", &self.stack_bytes);
        options
    }

    /// What of `self`, which was recorded, is not as in `given`.
    fn mismatch(&self, given: &ScheduledRun) -> Option<(&'static str, String, String)> {
        let pairs = self.parts().into_iter().zip(given.parts());
        let differing = pairs.into_iter().find(|((_, recorded), (_, given))| recorded != given);
        differing.map(|((what, recorded), (_, given))| (what, recorded, given))
    }

    fn parts(&self) -> [(&'static str, String); 7] {
        [
            ("a program of hash", self.program_hash.clone()),
            ("--invoke", self.invoke.clone()),
            ("arguments", format!("({})", self.arguments.join(", "))),
            ("--tier", tier_name(self.tier).to_owned()),
            ("--threshold", self.threshold.to_string()),
            ("--optimize-threshold", self.optimize_threshold.to_string()),
            ("--stack-size", self.stack_bytes.to_string()),
        ]
    }
}

fn tier_name(tiers: Tiers) -> &'static str {
    match tiers {
        Tiers::Interpreter => "interpreter",
        Tiers::Baseline => "baseline",
        Tiers::Optimized => "optimized",
        Tiers::Auto => "auto",
    }
}

/// 64-bit FNV-1a: to tell files apart that are not made to be mistaken for each other.
fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Writes `schedule`, which is of `run`, and puts the file in place.
pub(crate) fn write(file: NewFile, run: &ScheduledRun, schedule: &Schedule) -> Result<(), Error> {
    let (format, run, schedule) = (FORMAT.to_owned(), run.clone(), schedule.clone());
    let contents = Contents { format, version: VERSION, run, schedule };
    let text = serde_json::to_string(&contents).expect("our data has string keys") + "\n";
    file.replace(text.as_bytes())
}

/// Reads the schedule at `path`, if it is of `run`.
pub(crate) fn read(path: &Path, run: &ScheduledRun) -> Result<Schedule, Error> {
    let text = fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let refuse = |problem: String| Error::Schedule { path: path.to_owned(), problem };
    let invalid = |error: serde_json::Error| refuse(format!("not a schedule: {error}"));
    let head: Head = serde_json::from_slice(&text).map_err(invalid)?;
    if head.format != FORMAT {
        return Err(refuse(format!("not a schedule, but of format `{}`", head.format)));
    }
    if head.version != VERSION {
        let version = head.version;
        return Err(refuse(format!(
            "a schedule of version {version}; this program reads {VERSION}: record it anew"
        )));
    }
    let contents: Contents = serde_json::from_slice(&text).map_err(invalid)?;
    if !contents.schedule.is_ordered() {
        return Err(refuse("not a schedule: its numbers do not ascend from 1".to_owned()));
    }
    match contents.run.mismatch(run) {
        None => Ok(contents.schedule),
        Some((what, recorded, given)) => {
            let (path, options) = (path.to_owned(), contents.run.options().join(" "));
            Err(Error::ReplayMismatch { path, what, recorded, given, options })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::hash;

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
