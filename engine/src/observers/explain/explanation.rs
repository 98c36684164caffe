//! What explanations consist of.

use osr_compiler::DeoptReason;
use serde::Serialize;

use super::{DeoptimizationLoop, ExplainedRedefinition};
use crate::event::{Cause, Estimate};
use crate::settings::{CompiledTier, StateRecording, Tier};

/// The version of the format of an [`Explanation`] as JSON.
pub const FORMAT_VERSION: u32 = 2;

/// What happened to the code of each function.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// [`FORMAT_VERSION`].
    pub version: u32,
    /// Functions that were compiled, by index.
    pub functions: Vec<ExplainedFunction>,
    /// What redefinitions did, in the order in which they were carried out.
    pub redefinitions: Vec<ExplainedRedefinition>,
    /// Code that was retired and made again and again.
    pub deoptimization_loops: Vec<DeoptimizationLoop>,
}

/// What happened to the code of a function.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedFunction {
    /// Its name.
    pub function: String,
    /// Its index in the module.
    pub index: usize,
    /// What the compiler refused, with its reason.
    pub refused: Vec<String>,
    /// What it has made in another way than was asked for, with its reason.
    pub fallbacks: Vec<String>,
    /// What was ordered and did not arrive.
    pub outstanding: Vec<Outstanding>,
    /// Per loop header, how often baseline code arrived there, in all its versions together.
    pub baseline_arrivals: Vec<(String, u32)>,
    /// Its versions, in the order in which they were made.
    pub versions: Vec<ExplainedVersion>,
}

/// What happened to a version.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedVersion {
    /// Its number.
    pub id: u64,
    /// The tier that made it.
    pub tier: CompiledTier,
    /// Where it is entered: `function`, or the point of a continuation.
    pub entry: String,
    /// Bytes of code.
    pub code_bytes: u32,
    /// How it makes its frame states known: not always as the settings ask, where that would make too large a frame.
    pub recording: StateRecording,
    /// Why it was made.
    pub cause: Cause,
    /// When it was there.
    pub made: Moment,
    /// The time that its compilation took, in nanoseconds.
    pub compile_ns: u64,
    /// When the policy ordered it, and what was expected of it; none if a landing or a tool asked for it.
    pub ordered: Option<Order>,
    /// The functions that are inlined into it, each as often as it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inlined: Vec<String>,
    /// How often the runtime has seen it entered.
    pub entered: Entered,
    /// Its guards that have an exit.
    pub guards: usize,
    /// Those that failed.
    pub failed_guards: Vec<FailedGuard>,
    /// Its frames that were hijacked.
    pub hijacked: u64,
    /// Where hijacked frames went.
    pub frames: Vec<FramesGone>,
    /// When and why it was retired.
    pub retired: Option<Retired>,
    /// When its memory was freed.
    pub released: Option<Released>,
}

/// When something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// Nanoseconds since the observer was made.
    pub ns: u64,
    /// Safepoints so far; 0 where they are not [counted](crate::Settings::counts_safepoints).
    pub safepoint: u64,
}

/// What was expected of code when it was ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Order {
    /// When.
    pub at: Moment,
    /// What it was expected to cost, and to save if the function runs for as long again.
    pub estimate: Estimate,
}

/// Code that was ordered and did not arrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outstanding {
    /// The tier that was to make it.
    pub tier: CompiledTier,
    /// Where it was to be entered.
    pub entry: String,
    /// The order.
    pub order: Order,
    /// Whether it was discarded, since code of the function was retired meanwhile; otherwise the run ended before.
    pub discarded: bool,
}

/// How often a version was entered. Calls by compiled code are not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Entered {
    /// By calls of a function that had become hot in the interpreter.
    pub calls: u64,
    /// By frames that left the interpreter.
    pub tier_ups: u64,
    /// By hijacked frames that landed in it.
    pub landings: u64,
}

/// Hijacked frames of a version that waited at one point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FramesGone {
    /// Where they resumed.
    pub point: String,
    /// Where that is in the binary module, and in the program's source, as far as it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Where they went.
    pub to: Gone,
    /// How many.
    pub count: u64,
}

/// A guard that failed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FailedGuard {
    /// What it was there for.
    pub reason: DeoptReason,
    /// The function whose body has it: that of the version, or one that is inlined.
    pub function: String,
    /// Where in that body.
    pub at: String,
    /// Where in the binary module that it was made from, and in the program's source, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The number of the point where its frames continued.
    pub point: u32,
    /// How often.
    pub failed: u64,
    /// How often it was made to, besides.
    pub forced: u64,
    /// The number of the version that its exit was linked to last. Frames that took it after that are not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linked_to: Option<u64>,
}

/// What became of a hijacked frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gone {
    /// It landed in that tier.
    Landed(Tier),
    /// A trap has jumped over it.
    Dropped,
    /// Its return slot was restored.
    Restored,
}

/// The end of a version.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Retired {
    /// When.
    pub at: Moment,
    /// Why.
    pub cause: Cause,
}

/// The end of a version's code.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Released {
    /// Nanoseconds since it was retired.
    pub after_ns: u64,
    /// Safepoints since it was retired.
    pub after_safepoints: u64,
    /// Of its hijacked frames, those that had not landed yet.
    pub pending_frames: u64,
}
