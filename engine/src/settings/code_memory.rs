//! What compiled code is kept in.

use serde::{Deserialize, Serialize};

/// What compiled code is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CodeMemory {
    /// An arena that is mapped twice: installing and releasing take no system call, versions share pages.
    #[default]
    Arena,
    /// A `JITModule` of cranelift-jit for each version, freed with it.
    JitModule,
}

impl CodeMemory {
    /// Both.
    pub const ALL: [CodeMemory; 2] = [CodeMemory::Arena, CodeMemory::JitModule];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            CodeMemory::Arena => "arena",
            CodeMemory::JitModule => "jit-module",
        }
    }
}
