//! Mechanisms as text: `PRESET`, `AXIS=VALUE,..`, or a preset with changes. `default` and `bare` are read as presets.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};
use thiserror::Error;

use super::{Mechanism, PRESETS, Preset};

/// Why a text is no mechanism.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MechanismError {
    /// A word without `=`, where the name of a preset was expected.
    #[error("there is no preset `{name}`: choose one of {}, or write AXIS=VALUE", known_presets())]
    UnknownPreset {
        /// What was written.
        name: String,
    },
    /// A preset that does not come first.
    #[error("the preset `{name}` must come first: axis values change it")]
    LatePreset {
        /// What was written.
        name: String,
    },
    /// An axis that does not exist.
    #[error("there is no axis `{axis}`: the axes are {}", Mechanism::AXES.join(", "))]
    UnknownAxis {
        /// What was written.
        axis: String,
    },
    /// A value that the axis does not have.
    #[error("the axis `{axis}` has no value `{value}`: {reason}")]
    UnknownValue {
        /// The axis.
        axis: String,
        /// What was written.
        value: String,
        /// What the axis has.
        reason: String,
    },
}

fn known_presets() -> String {
    PRESETS.map(|preset| preset.name).join(", ")
}

/// The axes with their values, in order.
fn fields(mechanism: &Mechanism) -> Vec<(String, Value)> {
    let values = mechanism.values().into_iter().map(Value::from);
    Mechanism::AXES.map(str::to_owned).into_iter().zip(values).collect()
}

impl FromStr for Mechanism {
    type Err = MechanismError;

    fn from_str(text: &str) -> Result<Mechanism, MechanismError> {
        let mut fields: Map<String, Value> = fields(&Mechanism::DEFAULT).into_iter().collect();
        for (position, part) in text.split(',').map(str::trim).enumerate() {
            let Some((axis, value)) = part.split_once('=') else {
                let named = named(part).ok_or(MechanismError::UnknownPreset { name: part.into() })?;
                if position > 0 {
                    return Err(MechanismError::LatePreset { name: part.into() });
                }
                fields = self::fields(&named).into_iter().collect();
                continue;
            };
            let known = fields.get_mut(axis).ok_or(MechanismError::UnknownAxis { axis: axis.into() })?;
            let before = std::mem::replace(known, Value::String(value.into()));
            if let Err(error) = serde_json::from_value::<Mechanism>(Value::Object(fields.clone())) {
                debug_assert_ne!(before, Value::String(value.into()));
                let (axis, value, reason) = (axis.into(), value.into(), error.to_string());
                return Err(MechanismError::UnknownValue { axis, value, reason });
            }
        }
        Ok(serde_json::from_value(Value::Object(fields)).expect("every value was tried"))
    }
}

/// The mechanism of that name: a preset's, `default`, or `bare`.
fn named(name: &str) -> Option<Mechanism> {
    match name {
        "default" => Some(Mechanism::DEFAULT),
        "bare" => Some(Mechanism::BARE),
        name => Preset::named(name).map(|preset| preset.mechanism),
    }
}

impl Preset {
    /// The preset of that name.
    pub fn named(name: &str) -> Option<&'static Preset> {
        PRESETS.iter().find(|preset| preset.name == name)
    }
}

impl fmt::Display for Mechanism {
    /// The axes on which it is not the default, as they are read; `default` if there is none.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.values().into_iter().zip(Mechanism::DEFAULT.values()).zip(Mechanism::AXES);
        let changed: Vec<String> = values
            .filter(|((here, there), _)| here != there)
            .map(|((value, _), axis)| format!("{axis}={value}"))
            .collect();
        formatter.write_str(if changed.is_empty() { "default" } else { "" })?;
        formatter.write_str(&changed.join(","))
    }
}
