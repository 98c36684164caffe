//! The options that choose a mechanism.

use clap::Args;
use osr_engine::{Mechanism, PRESETS};

use super::engine::StateRecordingName;
use crate::error::Error;

/// Options that choose how active code is replaced.
#[derive(Clone, Debug, Args)]
pub(crate) struct MechanismOptions {
    /// How active code is replaced: the name of a preset, `AXIS=VALUE,..`, or a preset with changes, like
    /// `v8,poll=flag`. `osr-bench list` shows presets, axes and values.
    #[arg(long, value_name = "PRESET|AXIS=VALUE,..", conflicts_with = "state_recording")]
    mechanism: Option<Mechanism>,
    /// How optimized code makes its frame states known: short for `--mechanism recording=HOW`. With `none`, frames run
    /// out.
    #[arg(long, value_name = "HOW", value_enum, default_value_t = StateRecordingName::default())]
    state_recording: StateRecordingName,
}

impl MechanismOptions {
    /// The mechanism, if it is one that works.
    pub(crate) fn mechanism(&self) -> Result<Mechanism, Error> {
        match self.mechanism {
            Some(mechanism) => checked(mechanism),
            None => Ok(Mechanism::recorded_by(self.state_recording.recording())),
        }
    }
}

/// `mechanism`, unless a rule refuses it.
pub(crate) fn checked(mechanism: Mechanism) -> Result<Mechanism, Error> {
    match mechanism.check() {
        Ok(()) => Ok(mechanism),
        Err(refusal) => Err(Error::RefusedMechanism { mechanism: name(&mechanism), refusal }),
    }
}

/// What a mechanism is called: a preset's name, `bare`, or its values where they are not the default's.
pub(crate) fn name(mechanism: &Mechanism) -> String {
    match PRESETS.iter().find(|preset| preset.mechanism == *mechanism) {
        Some(preset) => preset.name.to_owned(),
        None if *mechanism == Mechanism::BARE => "bare".to_owned(),
        None => mechanism.to_string(),
    }
}
