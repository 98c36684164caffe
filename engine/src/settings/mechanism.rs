//! A mechanism: how active code is replaced, as a choice on each axis.
//!
//! ```text
//!   axis          question                                          values here
//!   binding       how do new calls reach the current version?       cell, direct
//!   placement     where does new code go?                           elsewhere
//!   frames        what becomes of old activations?                  hijack, run-out
//!   rebuild       when is a hijacked frame rebuilt?                 at-landing
//!   density       which frames are hijacked?                        every-frame
//!   release       when is old code freed?                           on-hijack, never
//!   poll          what can stop a running loop or a call chain?     none, stack-check, stack-limit
//!   recording     how is the frame state known?                     none, slots, locations, pads, cross-checked
//!   bookkeeping   where are hijacked slots remembered?              ledger
//! ```
//!
//! The axes are independent questions, but not every combination is an answer: [`Mechanism::check`] holds a
//! combination against [`RULES`], and a refusal names the rule. Where a hijacked frame continues is not part of
//! the mechanism: the tiering policy says ([`Destination`](crate::Destination)).

use std::fmt;

use osr_compiler::{CallBinding, Poll, StateRecording};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where the code of a new version goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// To memory that no other version occupies.
    #[default]
    Elsewhere,
}

/// What becomes of old activations when their version is invalidated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActiveFrames {
    /// The return PCs that lead into them are swapped for the landing stub's; each continues elsewhere when
    /// control returns to it. Frames stopped at a poll land when the poll returns.
    #[default]
    Hijack,
    /// They run to their end in the old code. Nothing is ever replaced: for measuring what the others cost.
    RunOut,
}

/// When a hijacked frame is rebuilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RebuildTime {
    /// When control returns to it.
    #[default]
    AtLanding,
}

/// Which frames are hijacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HijackDensity {
    /// All frames of the invalidated versions.
    #[default]
    EveryFrame,
}

/// When the memory of invalidated code is freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CodeRelease {
    /// As soon as every return PC that leads into it is swapped.
    #[default]
    OnHijack,
    /// With its instance.
    Never,
}

/// Where it is remembered which slots are hijacked, and what they held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bookkeeping {
    /// In a table beside the stack, one for each thread.
    #[default]
    Ledger,
}

/// How active code is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Mechanism {
    /// How new calls reach the current version of a function.
    pub binding: CallBinding,
    /// Where new code goes.
    pub placement: Placement,
    /// What becomes of old activations.
    pub frames: ActiveFrames,
    /// When hijacked frames are rebuilt.
    pub rebuild: RebuildTime,
    /// Which frames are hijacked.
    pub density: HijackDensity,
    /// When old code is freed.
    pub release: CodeRelease,
    /// Where optimized code can be stopped. Baseline code always polls.
    pub poll: Poll,
    /// How optimized code makes its frame states known. Baseline code always stores them in slots.
    pub recording: StateRecording,
    /// Where hijacked slots are remembered.
    pub bookkeeping: Bookkeeping,
}

/// Why a combination is no mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Refusal {
    /// [`CallBinding::Direct`] with [`ActiveFrames::Hijack`].
    #[error("frames cannot be hijacked out of code whose calls are bound for good: use the binding `cell`")]
    CallsBoundForGood,
    /// [`ActiveFrames::Hijack`] without polls.
    #[error("a loop without calls can only be left at a poll: use the poll `stack-limit`")]
    NoPolls,
    /// [`ActiveFrames::Hijack`] without frame states.
    #[error("a frame can only be rebuilt from a recorded state: choose a recording")]
    NoStateRecorded,
    /// [`CodeRelease::OnHijack`] where nothing is hijacked.
    #[error("code that active frames run out in can only be kept: use the release `never`")]
    ReleaseUnderFrames,
    /// [`CodeRelease::Never`] where everything is hijacked.
    #[error("hijacked code has no frames left to be kept for: use the release `on-hijack`")]
    KeptForNothing,
}

/// A rule: what it refuses, and whether a combination breaks it.
type Rule = (Refusal, fn(&Mechanism) -> bool);

/// What a combination must not do, the first broken rule counts.
const RULES: [Rule; 5] = [
    (Refusal::CallsBoundForGood, |m| m.hijacks() && m.binding == CallBinding::Direct),
    (Refusal::NoPolls, |m| m.hijacks() && m.poll != Poll::StackLimit),
    (Refusal::NoStateRecorded, |m| m.hijacks() && m.recording == StateRecording::None),
    (Refusal::ReleaseUnderFrames, |m| !m.hijacks() && m.release == CodeRelease::OnHijack),
    (Refusal::KeptForNothing, |m| m.hijacks() && m.release == CodeRelease::Never),
];

impl Mechanism {
    /// The program and nothing else: plain direct calls, no polls, no frame states. Nothing can be replaced.
    pub const BARE: Mechanism = Mechanism {
        binding: CallBinding::Direct,
        placement: Placement::Elsewhere,
        frames: ActiveFrames::RunOut,
        rebuild: RebuildTime::AtLanding,
        density: HijackDensity::EveryFrame,
        release: CodeRelease::Never,
        poll: Poll::None,
        recording: StateRecording::None,
        bookkeeping: Bookkeeping::Ledger,
    };

    /// The default mechanism, with another way to record frame states. Without any, frames run out.
    #[must_use]
    pub fn recorded_by(recording: StateRecording) -> Mechanism {
        let base = Mechanism { recording, ..Mechanism::default() };
        if recording == StateRecording::None { base.without_transitions() } else { base }
    }

    /// The same, but nothing is replaced: frames run out, and code is kept.
    #[must_use]
    pub fn without_transitions(self) -> Mechanism {
        Mechanism { frames: ActiveFrames::RunOut, release: CodeRelease::Never, ..self }
    }

    /// Whether optimized code lacks something that other tiers rely on: then all of it is compiled when the instance is
    /// made, and nothing else executes.
    pub(crate) fn is_final(&self) -> bool {
        self.binding == CallBinding::Direct || self.poll != Poll::StackLimit
    }

    /// Whether active frames are replaced.
    pub fn hijacks(&self) -> bool {
        self.frames == ActiveFrames::Hijack
    }

    /// Whether the combination is one that works.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self) -> Result<(), Refusal> {
        match RULES.iter().find(|(_, is_broken)| is_broken(self)) {
            Some((refusal, _)) => Err(*refusal),
            None => Ok(()),
        }
    }

    /// Every combination of the values of all axes, valid or not.
    pub fn all() -> impl Iterator<Item = Mechanism> {
        let binding = [CallBinding::Cell, CallBinding::Direct];
        let frames = [ActiveFrames::Hijack, ActiveFrames::RunOut];
        let release = [CodeRelease::OnHijack, CodeRelease::Never];
        let product = binding.into_iter().flat_map(move |binding| {
            frames.into_iter().flat_map(move |frames| release.into_iter().map(move |r| (binding, frames, r)))
        });
        product.flat_map(|(binding, frames, release)| {
            Poll::ALL.into_iter().flat_map(move |poll| {
                StateRecording::ALL.into_iter().map(move |recording| Mechanism {
                    binding,
                    frames,
                    release,
                    poll,
                    recording,
                    ..Mechanism::default()
                })
            })
        })
    }
}

impl fmt::Display for Mechanism {
    /// The axes that have more than one value, as `axis=value`, in the words of the settings file.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = serde_json::to_value(self).map_err(|_| fmt::Error)?;
        for (position, axis) in ["binding", "frames", "release", "poll", "recording"].into_iter().enumerate()
        {
            let separator = if position == 0 { "" } else { " " };
            write!(formatter, "{separator}{axis}={}", value[axis].as_str().unwrap_or_default())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole product of axes, one line each: what is refused says why.
    #[test]
    fn every_combination_is_a_mechanism_or_refused_for_a_reason() {
        let line = |mechanism: Mechanism| match mechanism.check() {
            Ok(()) => format!("{mechanism}: valid"),
            Err(refusal) => format!("{mechanism}: {refusal:?}"),
        };
        let table: Vec<String> = Mechanism::all().map(line).collect();
        assert_eq!(table.len(), 2 * 2 * 2 * 3 * 5);
        insta::assert_snapshot!(table.join("\n"));
    }

    #[test]
    fn presets_are_valid_and_written_as_they_are_read() {
        for mechanism in [Mechanism::default(), Mechanism::BARE, Mechanism::default().without_transitions()] {
            assert_eq!(mechanism.check(), Ok(()));
            let text = serde_json::to_string(&mechanism).expect("plain data");
            assert_eq!(serde_json::from_str::<Mechanism>(&text).expect("as written"), mechanism);
        }
        assert!(serde_json::from_str::<Mechanism>(r#"{ "polls": "none" }"#).is_err(), "no such axis");
    }
}
