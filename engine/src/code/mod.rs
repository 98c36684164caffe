//! Compiled code in memory: the arena that holds it, versions, and their registry.

pub(crate) mod arena;
pub(crate) mod call_cells;
pub(crate) mod callee_saves;
pub(crate) mod ledger;
mod pads;
pub(crate) mod registry;
pub(crate) mod version;

pub use registry::{CodeStatistics, CodeTimes};
pub(crate) use registry::{Registry, StubTable};
pub use version::{CodeVersion, State, VersionId};
