//! How much is inlined, as it is given.

use std::fmt;
use std::str::FromStr;

use osr_engine::{Inlining, InliningError};

/// `off`, `on`, or how much. Programs that are run have it on, which [`Settings`](osr_engine::Settings) leave off: what the
/// laboratory measures is one function's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InliningOption(pub(crate) Option<Inlining>);

impl Default for InliningOption {
    fn default() -> InliningOption {
        InliningOption(Some(Inlining::default()))
    }
}

impl FromStr for InliningOption {
    type Err = InliningError;

    fn from_str(text: &str) -> Result<InliningOption, InliningError> {
        Ok(InliningOption(match text {
            "off" => None,
            "on" => Some(Inlining::default()),
            _ => Some(text.parse()?),
        }))
    }
}

impl fmt::Display for InliningOption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => formatter.write_str("off"),
            Some(inlining) if inlining == Inlining::default() => formatter.write_str("on"),
            Some(inlining) => inlining.fmt(formatter),
        }
    }
}
