//! Schedules in files: what `--record` writes and `--replay` reads.
//!
//! ```json
//! { "format": "osr-schedule", "version": 2,
//!   "run": { "program_hash": "0123456789abcdef", "invoke": "run", "arguments": ["24"],
//!            "stack_bytes": 8388608, "settings": { "tiers": "auto", "unrolling": 4, .. } },
//!   "schedule": { "safepoints": [[7, "invalidate"]], "landings": [[2, "optimized"]] },
//!   "reached": { "safepoints": 1234, "landings": 5 } }
//! ```
//!
//! Safepoints and landings are counted, and their numbers mean something in one run only: of that program,
//! called so, with settings that put safepoints where they were. A replay of anything else is refused, and
//! one that does not reach as many of them in the end is an error. A schedule that was made and not
//! recorded does not say how many there are.

use std::fmt;
use std::fs;
use std::path::Path;

use osr_engine::{
    BaselineCompiler, CodeMemory, Compilation, Costs, FailingGuards, Mechanism, Schedule, Settings,
    StateRecording, Stress, Tiers,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::session::Outcome;
use crate::cli::InliningOption;
use crate::error::Error;
use crate::json;
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
    reached: Option<Reached>,
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
    /// The options that say what is done before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) steps: Vec<String>,
    /// The bodies that are added meanwhile: values of `--add`, and hashes of the files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) added: Vec<(String, String)>,
    /// Imported globals that are given, in the order of their names: values of `--global`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) globals: Vec<String>,
    /// Bytes of native stack.
    pub(crate) stack_bytes: usize,
    /// The engine's settings, without those that only force, record, check or count, and defects.
    settings: Settings,
}

/// How far a run got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reached {
    safepoints: u64,
    landings: u64,
}

impl Reached {
    /// How far the run came whose outcome this is.
    pub(crate) fn by(outcome: &Outcome) -> Reached {
        Reached { safepoints: outcome.transitions.safepoints, landings: outcome.transitions.landings }
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "it reached {} safepoints and {} landings", self.safepoints, self.landings)
    }
}

impl ScheduledRun {
    /// The run of the program whose file has that hash, that calls `invoke`.
    pub(crate) fn new(
        program_hash: String,
        invoke: &str,
        arguments: Vec<String>,
        settings: &Settings,
        stack_bytes: usize,
    ) -> ScheduledRun {
        ScheduledRun {
            program_hash,
            invoke: invoke.to_owned(),
            arguments,
            steps: Vec::new(),
            added: Vec::new(),
            globals: Vec::new(),
            stack_bytes,
            settings: Settings {
                stress: Stress::None,
                record: false,
                checked: false,
                coverage: false,
                profile: false,
                planted: None,
                ..settings.clone()
            },
        }
    }

    /// The options of `osr-bench run` that make such a run.
    pub(crate) fn options(&self) -> Vec<String> {
        let mut options = [&self.arguments[..], &self.steps].concat();
        let mut option = |name: &str, value: &dyn fmt::Display| {
            options.extend([name.to_owned(), value.to_string()]);
        };
        option("--invoke", &self.invoke);
        self.added.iter().for_each(|(at, _)| option("--add", at));
        self.globals.iter().for_each(|global| option("--global", global));
        let Settings {
            tiers,
            threshold,
            optimize_threshold,
            compilation,
            mechanism,
            inlining,
            unrolling,
            ..
        } = self.settings;
        let Settings { speculate, speculation_threshold, guard_failures, .. } = &self.settings;
        let Settings { baseline, failing_guards, contexts, .. } = self.settings;
        option("--tier", &plain(&serde_json::json!(tiers)));
        if tiers == Tiers::Auto {
            let given = [("--threshold", threshold), ("--optimize-threshold", optimize_threshold)];
            given.iter().for_each(|(name, count)| count.iter().for_each(|count| option(name, count)));
        }
        if compilation != Compilation::default() {
            option("--compile", &compilation);
        }
        if self.settings.costs != Costs::default() {
            option("--costs", &plain(&serde_json::json!(self.settings.costs)));
        }
        if self.settings.code_memory != CodeMemory::default() {
            option("--code-memory", &plain(&serde_json::json!(self.settings.code_memory)));
        }
        let recording = mechanism.recording;
        if mechanism != Mechanism::recorded_by(recording) {
            option("--mechanism", &mechanism);
        } else if recording != StateRecording::default() {
            option("--state-recording", &recording.name());
        }
        let inlining = InliningOption(inlining);
        if inlining != InliningOption::default() {
            option("--inline", &inlining);
        }
        if unrolling != Settings::DEFAULT_UNROLLING {
            option("--unrolling", &unrolling);
        }
        if baseline != BaselineCompiler::default() {
            option("--baseline", &baseline.name());
        }
        if !speculate.is_empty() {
            let kinds: Vec<&str> = speculate.iter().map(|kind| kind.name()).collect();
            option("--speculate", &kinds.join(","));
            option("--speculation-threshold", speculation_threshold);
        }
        if *guard_failures != Settings::DEFAULT_GUARD_FAILURES {
            option("--guard-failures", guard_failures);
        }
        if failing_guards != FailingGuards::default() {
            option("--failing-guards", &failing_guards.name());
        }
        if contexts != Settings::DEFAULT_CONTEXTS {
            option("--contexts", &contexts);
        }
        option("--stack-size", &self.stack_bytes);
        if self.settings.points {
            options.push("--points".to_owned());
        }
        options
    }

    /// What of `self`, which was recorded, is not as in `given`.
    fn mismatch(&self, given: &ScheduledRun) -> Option<Mismatch> {
        let mut pairs = self.parts().into_iter().zip(given.parts());
        let (recorded, given) = pairs.find(|(recorded, given)| recorded != given)?;
        Some(Mismatch { recorded, given })
    }

    /// What has to be the same, in the order in which it is compared.
    fn parts(&self) -> Vec<Part> {
        let settings = &self.settings;
        let list = |values: Vec<String>| Some(values.join(" ")).filter(|text| !text.is_empty());
        let added = self.added.iter().map(|(at, hash)| format!("{at} of hash {hash}"));
        let kinds: Vec<&str> = settings.speculate.iter().map(|kind| kind.name()).collect();
        let number = |count: Option<u32>| count.map(|count| count.to_string());
        let word = |value: Value| Some(plain(&value));
        let mut parts = vec![
            Part::new("a program of hash", Some(self.program_hash.clone())),
            Part::new("--invoke", Some(self.invoke.clone())),
            Part::new("arguments", Some(format!("({})", self.arguments.join(", ")))),
            Part::new("what is done before:", list(self.steps.clone())),
            Part::new("--add", list(added.collect())),
            Part::new("--global", list(self.globals.clone())),
            Part::new("--stack-size", Some(self.stack_bytes.to_string())),
            Part::new("--tier", word(serde_json::json!(settings.tiers))),
            Part::new("--threshold", number(settings.threshold)),
            Part::new("--optimize-threshold", number(settings.optimize_threshold)),
            Part::new("--costs", word(serde_json::json!(settings.costs))),
            Part::new("--compile", Some(settings.compilation.to_string())),
            Part::new("--state-recording", Some(settings.mechanism.recording.name().to_owned())),
            Part::new("--code-memory", word(serde_json::json!(settings.code_memory))),
            Part::new("--baseline", Some(settings.baseline.name().to_owned())),
            Part::new("--inline", Some(InliningOption(settings.inlining).to_string())),
            Part::new("--unrolling", Some(settings.unrolling.to_string())),
            Part::new("--speculate", Some(kinds.join(",")).filter(|kinds| !kinds.is_empty())),
            Part::new("--speculation-threshold", Some(settings.speculation_threshold.to_string())),
            Part::new("--guard-failures", Some(settings.guard_failures.to_string())),
            Part::new("--failing-guards", Some(settings.failing_guards.name().to_owned())),
            Part::new("--contexts", Some(settings.contexts.to_string())),
            Part::new("--points", settings.points.then(String::new)),
            Part::new("--mechanism", Some(settings.mechanism.to_string())),
        ];
        // All others have the same value in every run of this build.
        let all = serde_json::json!(settings);
        let others = all.as_object().into_iter().flatten();
        parts.extend(
            others.map(|(name, value)| Part::new(&format!("the setting {name}"), word(value.clone()))),
        );
        parts
    }
}

/// Something that has to be the same in a replay: an option, or what it is called.
#[derive(Clone, Debug, PartialEq)]
struct Part {
    name: String,
    /// As it is given; empty for an option that takes none. `None` if it is left out.
    value: Option<String>,
}

impl Part {
    fn new(name: &str, value: Option<String>) -> Part {
        Part { name: name.to_owned(), value }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value.as_deref() {
            None => write!(formatter, "without {}", self.name.trim_end_matches(':')),
            Some("") => write!(formatter, "with {}", self.name),
            Some(value) => write!(formatter, "with {} {value}", self.name),
        }
    }
}

/// What differs between a run that was recorded and one that is given.
#[derive(Debug)]
struct Mismatch {
    recorded: Part,
    given: Part,
}

impl Mismatch {
    /// What is given; without the name where that was said already.
    fn shown_given(&self) -> String {
        match (&self.recorded.value, &self.given.value) {
            (Some(_), Some(value)) if !value.is_empty() => value.clone(),
            _ => self.given.to_string(),
        }
    }

    /// The `options` of the recorded run, among which is what differs.
    fn options(&self, mut options: Vec<String>) -> String {
        let Part { name, value } = &self.recorded;
        if !name.starts_with("--") || options.contains(name) {
            return options.join(" ");
        }
        match value {
            Some(value) => options.extend([name.clone(), value.clone()]),
            None => return format!("{}, and without {name}", options.join(" ")),
        }
        options.join(" ").trim_end().to_owned()
    }
}

/// A value without quotation marks.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "left out".to_owned(),
        Value::String(text) => text.clone(),
        _ => value.to_string(),
    }
}

/// The hash of a program's file: 16 hexadecimal digits.
pub(crate) fn program_hash(program: &[u8]) -> String {
    format!("{:016x}", hash(program))
}

/// 64-bit FNV-1a over words, and over the bytes that are left: to tell files apart that are not made to be mistaken for each
/// other.
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    let (words, rest) = bytes.as_chunks::<8>();
    let seed = 0xcbf2_9ce4_8422_2325 ^ bytes.len() as u64;
    let hash = words.iter().fold(seed, |hash, word| step(hash, u64::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, &byte| step(hash, u64::from(byte)))
}

/// A schedule, and how far the run got that it was recorded of.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// What was forced.
    pub(crate) schedule: Schedule,
    /// None if it was not recorded.
    pub(crate) reached: Option<Reached>,
}

/// Writes `schedule`, which is of `run`, and puts the file in place.
pub(crate) fn write(
    file: NewFile,
    run: &ScheduledRun,
    schedule: &Schedule,
    reached: Option<Reached>,
) -> Result<(), Error> {
    let (format, run, schedule) = (FORMAT.to_owned(), run.clone(), schedule.clone());
    let contents = Contents { format, version: VERSION, run, schedule, reached };
    let text = json::line(&contents) + "\n";
    file.replace(text.as_bytes())
}

/// Reads the schedule at `path`, if it is of `run`.
pub(crate) fn read(path: &Path, run: &ScheduledRun) -> Result<Recorded, Error> {
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
            "a schedule of version {version}; this program reads {VERSION}: record it again"
        )));
    }
    let contents: Contents = serde_json::from_slice(&text).map_err(invalid)?;
    if !contents.schedule.is_ordered() {
        return Err(refuse("not a schedule: its numbers do not ascend from 1".to_owned()));
    }
    match contents.run.mismatch(run) {
        None => Ok(Recorded { schedule: contents.schedule, reached: contents.reached }),
        Some(mismatch) => {
            let (path, options) = (path.to_owned(), mismatch.options(contents.run.options()));
            let (recorded, given) = (mismatch.recorded.to_string(), mismatch.shown_given());
            Err(Error::ReplayMismatch { path, recorded, given, options })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::hash;

    #[test]
    fn files_that_differ_in_a_byte_or_in_their_length_have_different_hashes() {
        let mut hashes = std::collections::HashSet::new();
        for length in 0..40 {
            let file = vec![0; length];
            assert!(hashes.insert(hash(&file)), "{length} zeroes");
            for changed in 0..length {
                let mut other = file.clone();
                other[changed] = 0x80;
                assert!(hashes.insert(hash(&other)), "{length} bytes, of which number {changed} is not zero");
            }
        }
    }
}
