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

mod boundary;
mod code;
mod error;
mod event;
mod instance;
mod interpreter;
mod memory;
mod observers;
mod settings;
mod thread;
mod tiering;
mod transition;

pub use code::{CodeStatistics, CodeTimes, CodeVersion, VersionId, VersionState};
pub use error::{InstantiationError, InvokeError, ThreadError, TransitionError, Trap};
pub use event::coverage::CoveredSite;
pub use event::statistics::{Moves, Place, Transitions};
pub use event::{Cause, Event, FrameState, Observer, Observers, Replacement};
pub use instance::Instance;
pub use instance::delegates::Delegates;
pub use instance::host::{HostCall, HostCode, HostError, HostFunction, Imports};
pub use instance::store::Store;
pub use memory::linear_memory::LinearMemory;
pub use observers::shadow::{Compared, Difference, Disagreement, Shadow, Transition};
pub use observers::{explain, trace};
pub use osr_compiler::frame_map::{FrameMapEntry, FrameMaps, Location, MachineRegister, Site};
pub use osr_compiler::profile::{IndirectCalls, Profiled};
pub use osr_compiler::{CallBinding, CompileError, CompiledTier, EntryPoint, Poll, StateRecording, TrapSite};
pub use settings::Settings;
pub use settings::destination::Destination;
pub use settings::mechanism::{
    ActiveFrames, Bookkeeping, CodeRelease, HijackDensity, Mechanism, Placement, RebuildTime, Refusal,
};
pub use settings::planted::PlantedDefect;
pub use settings::stress::{Action, Land, Periodic, Schedule, Stress};
pub use settings::tier::{Tier, Tiers};
pub use thread::Thread;
pub use thread::walk::CompiledFrame;
pub use tiering::{Ladder, TieringPolicy};
pub use transition::hijack::Hijacked;
pub use transition::invalidation::Invalidated;
