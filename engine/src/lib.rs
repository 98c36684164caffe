//! The engine: runs a module's functions in an interpreter and in compiled tiers, and replaces
//! frames of compiled code while they are active.
//!
//! ```text
//!   Store ───── instances that may import from one another
//!   Instance ── the module's state: memory, tables, globals, call cells, code versions
//!   Thread ──── what executes: stack bounds, value stack, entry chain, ledger
//!
//!   interpreter/ ──tier-up──> compiler/ ──> code/ (versions)
//!        ^                                    │ invalidate
//!        └── landing <── ledger <── hijack <──┘
//!                └──────────> another version
//! ```

mod call_cells;
mod calling_convention;
mod code;
mod compiler;
mod coverage;
mod error;
mod event;
pub mod explain;
mod fault;
mod frame_map;
mod function;
mod hijack;
mod hooks;
mod host;
mod instance;
mod interpreter;
mod invalidation;
mod landing;
mod leaving;
mod ledger;
mod link;
mod memory;
mod pad;
mod planted;
mod profile;
mod readiness;
mod reservation;
mod runtime;
mod safepoint;
mod settings;
mod shadow;
mod shadow_stack;
mod stack_scan;
mod statistics;
mod store;
mod stress;
mod table;
mod thread;
mod tiering;
pub mod trace;
mod value_stack;
mod walk;

pub use code::{CodeStatistics, CodeTimes, CodeVersion, State, VersionId};
pub use compiler::{CompileError, EntryPoint, TrapSite};
pub use coverage::CoveredSite;
pub use error::{InstantiationError, InvokeError, ThreadError, TransitionError, Trap};
pub use event::{Cause, Event, FrameState, Observer, Observers, Replacement};
pub use frame_map::{FrameMapEntry, FrameMaps, Location, MachineRegister, Site};
pub use hijack::Hijacked;
pub use host::{HostCall, HostCode, HostError, HostFunction, Imports};
pub use instance::Instance;
pub use invalidation::Invalidated;
pub use memory::LinearMemory;
pub use planted::PlantedDefect;
pub use profile::{IndirectCalls, Profiled};
pub use readiness::{CallBinding, Checks, Readiness};
pub use settings::{CompiledTier, Settings, StateRecording, Tier, Tiers};
pub use shadow::{Compared, Difference, Disagreement, Shadow, Transition};
pub use statistics::{Moves, Place, Transitions};
pub use store::Store;
pub use stress::{Action, Land, Periodic, Schedule, Stress};
pub use thread::Thread;
pub use tiering::{Destination, Ladder, TieringPolicy};
pub use walk::CompiledFrame;
