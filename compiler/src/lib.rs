//! The compiler: from a *unit* to a *compiled body*, by Cranelift.
//!
//! ```text
//!   Unit ───────────────────────────> CompiledBody
//!     LinkedModule                      code: position-independent bytes
//!     VersionKey: function, tier, entry frame maps: for each call, where the frame state is
//!     Analysis: points, liveness        trap sites, unwind rows
//!     CodeSettings, Profile             pads, direct calls
//! ```
//!
//! A unit is everything that a compilation depends on, and immutable: compiling is a function, which any native
//! thread can compute. The crate knows nothing of instances, threads, or code in memory.
//!
//! What the rest may rely on: compiled code keeps frame pointers; it refers to nothing by absolute
//! address but its profile, which outlives it (everything else outside comes through the context), so it
//! runs wherever it is put, once its direct calls, if it has any, are bound; every call that can return has a frame map.

mod analysis;
mod call;
pub mod calling_convention;
mod compiler;
pub mod frame_map;
mod isa;
mod linked_module;
mod numeric;
mod pad;
mod pad_sites;
mod poll;
pub mod profile;
mod profiling;
mod recording;
pub mod reference;
mod registers;
mod runtime_operation;
mod safepoint;
mod settings;
mod state;
mod translate;
mod trap_site;
mod unit;
mod unrolling;

pub use analysis::Analysis;
pub use compiler::{CompileError, CompiledBody, Compiler, DirectCall};
pub use linked_module::{LinkedModule, is_elsewhere};
pub use pad_sites::{PadRange, PadSites, Reference};
pub use runtime_operation::RuntimeOperation;
pub use settings::{CallBinding, CodeSettings, CompiledTier, Poll, StateRecording};
pub use trap_site::TrapSite;
pub use unit::{EntryPoint, Unit, VersionKey};
