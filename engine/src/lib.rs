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
//!
//! # What code of the embedder may do
//!
//! It is called from inside the engine in four places. What may be done there depends on the [`Phase`] of the
//! thread; what may not is refused with an error that names the phase ([`NotNow`]), also if the thread was got
//! at in another way than being handed over.
//!
//! | hook | sees | may do | if it panics |
//! |---|---|---|---|
//! | host function ([`HostCall`]) | the thread, the guest's memory | all: call the guest, walk the stack, hijack, invalidate, unhijack | the guest's call ends with [`HostError`](osr_ir::TrapKind::HostError) |
//! | [`Observer::observe`] | the event, and an [`Observation`]: instance, counts, frames unless one is landing | [request](Observation::request) that frames are hijacked, code is invalidated: done at the next safepoint, which is the point itself that was [`Reached`](Event::Reached) | what it was told of is completed; the guest's call ends with [`HostError`](osr_ir::TrapKind::HostError) at the next safepoint, or when it returns; what the host has asked for returns [`TransitionError::Panicked`] |
//! | [`TieringPolicy`] | a function and a place, or a version and a point | decide | the function stays in its tier, the frame lands in the interpreter; then as an observer's |
//! | the choice of [`Thread::hijack`] | a version | decide | nothing is hijacked; the panic goes on to the caller |
//!
//! All of them may read the [`Instance`]. None of them unwinds through the engine: a panic is caught where
//! the engine calls the hook, but for that of a choice, which is in the middle of nothing. The message of a panic is
//! in the trap ([`Trap::message`]) or error.
//!
//! A process that executes guest code has the engine's signal handler: [`Thread::new`].

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

pub use code::{CodeMemory, CodeStatistics, CodeTimes, CodeVersion, VersionId, VersionState};
pub use error::{InstantiationError, InvokeError, ThreadError, TransitionError, Trap};
pub use event::coverage::CoveredSite;
pub use event::statistics::{Moves, Place, Transitions};
pub use event::{
    Cause, Continuation, Event, FrameState, Observation, Observer, Observers, Replacement, Request,
};
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
pub use thread::phase::{NotNow, Phase};
pub use thread::walk::CompiledFrame;
pub use tiering::{Ladder, TieringPolicy};
pub use transition::hijack::Hijacked;
pub use transition::invalidation::Invalidated;
