//! Tiers: what executes a function.

use osr_compiler::CompiledTier;
use serde::{Deserialize, Serialize};

/// What executes a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// The interpreter.
    Interpreter,
    /// Code that is compiled quickly, and profiles.
    Baseline,
    /// Code that is optimized.
    Optimized,
}

impl Tier {
    /// All, slowest first.
    pub const ALL: [Tier; 3] = [Tier::Interpreter, Tier::Baseline, Tier::Optimized];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Interpreter => "interpreter",
            Tier::Baseline => "baseline",
            Tier::Optimized => "optimized",
        }
    }
}

impl From<CompiledTier> for Tier {
    fn from(tier: CompiledTier) -> Tier {
        match tier {
            CompiledTier::Baseline => Tier::Baseline,
            CompiledTier::Optimized => Tier::Optimized,
        }
    }
}

impl TryFrom<Tier> for CompiledTier {
    type Error = ();

    /// Fails for the interpreter.
    fn try_from(tier: Tier) -> Result<CompiledTier, ()> {
        match tier {
            Tier::Interpreter => Err(()),
            Tier::Baseline => Ok(CompiledTier::Baseline),
            Tier::Optimized => Ok(CompiledTier::Optimized),
        }
    }
}

/// Which tiers execute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tiers {
    /// The interpreter only.
    Interpreter,
    /// Baseline code from the first call on. The interpreter executes what lands in it, up to the
    /// next loop header or call.
    Baseline,
    /// Optimized code from the first call on, otherwise like [`Tiers::Baseline`].
    Optimized,
    /// Start in the interpreter, continue in baseline code at [`Settings::threshold`](crate::Settings::threshold), and from there in
    /// optimized code at [`Settings::optimize_threshold`](crate::Settings::optimize_threshold).
    #[default]
    Auto,
}
