//! Where hijacked frames continue.

use serde::{Deserialize, Serialize};

use crate::settings::CompiledTier;

/// Where a hijacked frame continues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Destination {
    /// In the interpreter.
    #[default]
    Interpreter,
    /// In the continuation of that tier, if there is one; in the interpreter otherwise.
    Cached(CompiledTier),
    /// In the continuation of that tier, which the landing compiles if there is none.
    Compiled(CompiledTier),
}
