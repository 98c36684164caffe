//! A mechanism: how active code is replaced, as a choice on each axis.
//!
//! ```text
//!   axis          question                                          values
//!   binding       how do new calls reach the current version?       CallBinding
//!   placement     where does new code go?                           Placement
//!   frames        what becomes of old activations?                  ActiveFrames
//!   rebuild       when is a hijacked frame rebuilt?                 RebuildTime
//!   density       which frames are hijacked?                        HijackDensity
//!   release       when is old code freed?                           CodeRelease
//!   poll          what can stop a running loop or a call chain?     Poll
//!   recording     how is the frame state known?                     StateRecording
//!   bookkeeping   where are hijacked slots remembered?              Bookkeeping
//! ```
//!
//! The axes are independent questions, but not every combination is an answer: [`Mechanism::check`] holds a
//! combination against a [table of rules](Refusal), and a refusal names the rule. [Presets](PRESETS) are the
//! combinations of known engines.
//!
//! A mechanism is written as the name of a preset, axis values, or both: `v8`, `poll=flag,release=epoch`,
//! `v8,poll=flag`. Axes that are not named are the preset's, or the default's.

mod axes;
mod preset;
mod rules;
mod text;

use osr_compiler::{CallBinding, Poll, ReturnSites, StateRecording};
use serde::{Deserialize, Serialize};

pub use axes::{ActiveFrames, Bookkeeping, CodeRelease, HijackDensity, Placement, RebuildTime};
pub use preset::{PRESETS, Preset};
pub use rules::Refusal;
pub use text::MechanismError;

/// How active code is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// Where optimized code can be stopped. Baseline code always polls by the stack limit.
    pub poll: Poll,
    /// How optimized code makes its frame states known. Baseline code always stores them in slots.
    pub recording: StateRecording,
    /// Where hijacked slots are remembered.
    pub bookkeeping: Bookkeeping,
}

impl Default for Mechanism {
    fn default() -> Self {
        Mechanism::DEFAULT
    }
}

impl Mechanism {
    /// The first value of every axis.
    pub const DEFAULT: Mechanism = Mechanism {
        binding: CallBinding::Cell,
        placement: Placement::Elsewhere,
        frames: ActiveFrames::Hijack,
        rebuild: RebuildTime::AtLanding,
        density: HijackDensity::EveryFrame,
        release: CodeRelease::OnHijack,
        poll: Poll::StackLimit,
        recording: StateRecording::Locations,
        bookkeeping: Bookkeeping::Ledger,
    };

    /// The program and nothing else: plain direct calls, no polls, no frame states. Nothing can be replaced.
    pub const BARE: Mechanism = Mechanism {
        binding: CallBinding::Direct,
        frames: ActiveFrames::RunOut,
        release: CodeRelease::Never,
        poll: Poll::None,
        recording: StateRecording::None,
        ..Mechanism::DEFAULT
    };

    /// The default mechanism, with another way to record frame states. Without any, frames run out.
    #[must_use]
    pub fn recorded_by(recording: StateRecording) -> Mechanism {
        let base = Mechanism { recording, ..Mechanism::DEFAULT };
        if recording == StateRecording::None { base.without_transitions() } else { base }
    }

    /// The same, but nothing is replaced: frames run out, and code is kept.
    #[must_use]
    pub fn without_transitions(self) -> Mechanism {
        Mechanism { frames: ActiveFrames::RunOut, release: CodeRelease::Never, ..self }
    }

    /// Whether optimized code lacks something that other tiers rely on: then all of it is compiled when the instance is
    /// made, and nothing else executes.
    pub fn is_final(&self) -> bool {
        self.binding == CallBinding::Direct || self.poll == Poll::None
    }

    /// Whether optimized code can be left where a guard fails: its frame states are known, and other tiers execute.
    pub fn can_leave(&self) -> bool {
        self.recording != StateRecording::None && !self.is_final()
    }

    /// Whether optimized code polls: whether a loop of it can be stopped.
    pub fn polls(&self) -> bool {
        self.poll.stops_loops()
    }

    /// Whether the return PCs that lead into old activations are swapped, so that nothing returns into them.
    pub fn hijacks(&self) -> bool {
        use ActiveFrames as F;
        matches!(self.frames, F::Hijack | F::HijackToInterpreter | F::HijackToVersion | F::LandingPad)
    }

    /// Whether old activations leave their code by themselves: no return PC is swapped, what is returned into does not
    /// continue.
    pub fn frames_leave(&self) -> bool {
        matches!(self.frames, ActiveFrames::InvalidationPoint | ActiveFrames::ReturnCheck)
    }

    /// What has to be so where calls return to.
    pub(crate) fn return_sites(&self) -> ReturnSites {
        match self.frames {
            ActiveFrames::InvalidationPoint => ReturnSites::Overwritable,
            ActiveFrames::ReturnCheck => ReturnSites::Checked,
            _ => ReturnSites::Plain,
        }
    }

    /// Whether old activations continue in other code.
    pub fn replaces_frames(&self) -> bool {
        !matches!(self.frames, ActiveFrames::RunOut | ActiveFrames::ReturnBarrier)
    }

    /// Whether anything depends on that versions are replaced: their frames, memory, or place.
    fn replaces_code(&self) -> bool {
        let is_kept = self.release == CodeRelease::Never && self.placement == Placement::Elsewhere;
        self.frames != ActiveFrames::RunOut || !is_kept
    }

    /// Whether the combination is one that works.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self) -> Result<(), Refusal> {
        match rules::RULES.iter().find(|(_, is_broken)| is_broken(self)) {
            Some((refusal, _)) => Err(*refusal),
            None => Ok(()),
        }
    }
}

/// An axis, and what can be chosen on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Its name.
    pub name: &'static str,
    /// The name of each value, and what it means.
    pub values: Vec<(&'static str, &'static str)>,
}

/// What is the same for all axes.
macro_rules! axes {
    ($($axis:ident: $values:ty,)+) => {
        impl Mechanism {
            /// The names of the axes, in order.
            pub const AXES: [&str; [$(stringify!($axis)),+].len()] = [$(stringify!($axis)),+];

            /// The axes with all their values, in order.
            pub fn axes() -> [Axis; Mechanism::AXES.len()] {
                [$(Axis {
                    name: stringify!($axis),
                    values: <$values>::ALL.iter().map(|value| (value.name(), value.meaning())).collect(),
                }),+]
            }

            /// The names of its values, by axis.
            pub fn values(&self) -> [&'static str; Mechanism::AXES.len()] {
                [$(self.$axis.name()),+]
            }

            /// Every combination of the values of all axes, valid or not.
            pub fn all() -> impl Iterator<Item = Mechanism> {
                let all = std::iter::once(Mechanism::DEFAULT);
                $(
                    let all = all.flat_map(|mechanism| {
                        <$values>::ALL.iter().map(move |&$axis| Mechanism { $axis, ..mechanism })
                    });
                )+
                all
            }
        }
    };
}

axes! {
    binding: CallBinding,
    placement: Placement,
    frames: ActiveFrames,
    rebuild: RebuildTime,
    density: HijackDensity,
    release: CodeRelease,
    poll: Poll,
    recording: StateRecording,
    bookkeeping: Bookkeeping,
}

#[cfg(test)]
mod tests;
