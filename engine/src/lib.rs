//! The engine: runs a module's functions in an interpreter and in compiled tiers, and replaces
//! frames of compiled code while they are active.
//!
//! # Stores, instances, threads
//!
//! An [`Instance`] is a module with its state: memory, tables, globals, and the code that calls enter. Instances that
//! import from one another share a [`Store`]. A [`Thread`] executes an instance on the native thread that made it;
//! it owns what execution needs: stack bounds, the interpreter's stack, the ledger of hijacked slots.
//!
//! # Tiers and versions
//!
//! A function starts in the interpreter. When the [`TieringPolicy`] says so, it tiers up: the compiler
//! ([`osr_compiler`]) makes a *version* ([`CodeVersion`]) of it, in a [`CompiledTier`], entered by calls or, as a
//! *continuation*, at a loop header or after a call ([`EntryPoint`]). A version's life is *current*, *retired* (nothing
//! new enters), *drained* (nothing will return into it), *released* (its memory is free): [`VersionState`].
//!
//! # How a frame is replaced
//!
//! ```text
//!   interpreter ──tier-up──> versions
//!        ^                      │ invalidate: retire, hijack, release
//!        └── landing <── ledger <┘
//!                └──────────> another version
//! ```
//!
//! [`Thread::hijack`] walks the compiled frames and swaps the return PCs that lead into the chosen ones for the landing
//! stub's; [`Thread::invalidate_active`] retires versions, hijacks their frames, and frees their code. When control
//! returns through a swapped slot, the frame is rebuilt from its frame map ([`FrameMaps`]) and continues where the policy
//! says ([`Destination`]). A [`Mechanism`] says which of the possible designs is in effect, axis by axis.
//!
//! # Watching
//!
//! An [`Observer`] is told of every [`Event`]. [`trace`], [`explain`] and the [`Shadow`] interpreter are observers.
//! Observing changes nothing but time: the same transitions occur. What changes code is a setting
//! ([`Settings::points`]), also where it is there for the sake of an observer.
//!
//! # The house
//!
//! Each folder uses itself and those above it in this list, and nothing else (`engine/tests/arrows.rs`):
//!
//! ```text
//!   phase          what a thread is doing
//!   memory/        address space: linear memory, tables, the interpreter's stack
//!   settings/      tiers, the mechanism, stress, destinations: all of it data
//!   error          how calls and transitions fail
//!   code/          versions and their lives, the registry, code memory, the ledger
//!   event/         events, causes, counts
//!   ┌ instance/    a linked module with its state       ┐ a knot, tied by the embedder: instances import from
//!   │ interpreter/ executes bodies                      │ instances, a host function gets the thread that called
//!   │ thread/      stack, calls, exits, observers       │ it, the interpreter calls what tiering chooses, and
//!   └ tiering/     policies, compilation                ┘ compilation reads the instance
//!   transition/    safepoints, invalidation, hijack, landing, release
//!   boundary/      what the stubs call, faults, making threads
//!   observers/     trace, explain, shadow
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
//! | the choice of [`Thread::hijack`] | a version | decide | nothing is hijacked; the panic continues to the caller |
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
mod phase;
mod settings;
mod thread;
mod tiering;
mod transition;

pub use code::{CodeStatistics, CodeTimes, CodeVersion, VersionId, VersionState};
pub use error::{InstantiationError, InvokeError, ThreadError, TransitionError, Trap};
pub use event::coverage::CoveredSite;
pub use event::statistics::{Moves, Place, Transitions};
pub use event::{Cause, Continuation, Event, FrameState, Replacement};
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
pub use phase::{NotNow, Phase};
pub use settings::Settings;
pub use settings::code_memory::CodeMemory;
pub use settings::destination::Destination;
pub use settings::mechanism::{
    ActiveFrames, Bookkeeping, CodeRelease, HijackDensity, Mechanism, Placement, RebuildTime, Refusal,
};
pub use settings::planted::PlantedDefect;
pub use settings::stress::{Action, Land, Periodic, Schedule, Stress};
pub use settings::tier::{Tier, Tiers};
pub use thread::Thread;
pub use thread::observation::{Observation, Request};
pub use thread::observer::{Observer, Observers};
pub use thread::walk::CompiledFrame;
pub use tiering::{Ladder, TieringPolicy};
pub use transition::hijack::Hijacked;
pub use transition::invalidation::Invalidated;
