//! How much is inlined into optimized code.

use std::fmt;
use std::str::FromStr;

use osr_ir::InlineBudget;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How much is inlined into the optimized code of one function. As text: `CALLEE,GROWTH,DEPTH,RECURSION`. Sizes are
/// instructions and terminators of bodies.
///
/// ```
/// # use osr_engine::Inlining;
/// let inlining: Inlining = "40,400,3,1".parse()?;
/// assert_eq!(inlining, Inlining { callee: 40, growth: 400, depth: 3, recursion: 1 });
/// assert_eq!(inlining.to_string(), "40,400,3,1");
/// # Ok::<(), osr_engine::InliningError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Inlining {
    /// The size of the largest body that is inlined.
    pub callee: u32,
    /// The most that is added, all inlined bodies together.
    pub growth: u32,
    /// The most activations that one frame stands for, besides the function's own.
    pub depth: u8,
    /// How often a function may be among its own callers, if these are inlined.
    pub recursion: u8,
}

impl Inlining {
    pub(crate) fn budget(self) -> InlineBudget {
        let Inlining { callee, growth, depth, recursion } = self;
        InlineBudget { callee, growth, depth, recursion }
    }
}

impl Default for Inlining {
    fn default() -> Inlining {
        Inlining { callee: 40, growth: 400, depth: 3, recursion: 1 }
    }
}

impl fmt::Display for Inlining {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inlining { callee, growth, depth, recursion } = self;
        write!(formatter, "{callee},{growth},{depth},{recursion}")
    }
}

/// A text says no [`Inlining`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not CALLEE,GROWTH,DEPTH,RECURSION: four whole numbers, the last two at most 255, such as {default}", default = Inlining::default())]
pub struct InliningError(String);

impl FromStr for Inlining {
    type Err = InliningError;

    fn from_str(text: &str) -> Result<Inlining, InliningError> {
        let parse = || {
            let mut numbers = text.split(',').map(str::trim);
            let (callee, growth) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
            let (depth, recursion) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
            numbers.next().is_none().then_some(Inlining { callee, growth, depth, recursion })
        };
        parse().ok_or_else(|| InliningError(text.to_owned()))
    }
}
