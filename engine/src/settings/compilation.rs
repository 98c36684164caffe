//! Where functions are compiled that tier up, and what that is taken to cost.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where functions are compiled that tier up. What landings compile is compiled while they wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compilation {
    /// On the guest's native thread, which waits.
    #[default]
    Sync,
    /// On native threads of the instance's own, while the guest continues in the tier that it is in, but for baseline
    /// code that takes less than a quarter of a millisecond. When code arrives depends on time: such runs are neither recorded nor forced.
    Background,
    /// As in the background, but deterministically, for tests: ordered at one safepoint, code arrives at a later one, as
    /// the seed has it.
    Simulated(u64),
}

impl fmt::Display for Compilation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Compilation::Sync => formatter.write_str("sync"),
            Compilation::Background => formatter.write_str("background"),
            Compilation::Simulated(seed) => write!(formatter, "simulated:{seed}"),
        }
    }
}

impl FromStr for Compilation {
    type Err = String;

    fn from_str(text: &str) -> Result<Compilation, String> {
        let seed = text.strip_prefix("simulated:").and_then(|seed| seed.parse().ok());
        match (text, seed) {
            ("sync", _) => Ok(Compilation::Sync),
            ("background", _) => Ok(Compilation::Background),
            (_, Some(seed)) => Ok(Compilation::Simulated(seed)),
            _ => Err("write sync, background or simulated:SEED".to_owned()),
        }
    }
}

/// What compilations are taken to cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Costs {
    /// As much as they did when the engine was calibrated. Decisions are the same in every run.
    #[default]
    Nominal,
    /// As much as this process measures. Decisions depend on time: such runs are neither recorded nor forced.
    Measured,
}

#[cfg(test)]
mod tests {
    use super::Compilation;

    #[test]
    fn what_is_written_is_read() {
        for compilation in [Compilation::Sync, Compilation::Background, Compilation::Simulated(u64::MAX)] {
            assert_eq!(compilation.to_string().parse(), Ok(compilation));
        }
        for text in ["", "simulated", "simulated:", "simulated:-1", "Sync"] {
            assert!(text.parse::<Compilation>().is_err(), "{text}");
        }
    }
}
