//! Compiled code in memory: the arena that holds it, versions, and their registry.

pub(crate) mod assumption;
mod binding;
pub(crate) mod call_cells;
pub(crate) mod guards;
pub(crate) mod landing_table;
pub(crate) mod ledger;
pub(crate) mod life;
pub(crate) mod memory;
mod pads;
mod places;
mod polls;
pub(crate) mod registry;
pub(crate) mod stackings;
pub(crate) mod version;
pub(crate) mod x86_64;

pub use binding::BindingStatistics;
pub use life::VersionState;
pub use registry::links::ExitLink;
pub use registry::{CodeStatistics, CodeTimes};
pub(crate) use registry::{Registry, SiteRef, StubTable};
pub use version::{CodeVersion, VersionId};
