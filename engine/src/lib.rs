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
//! ```
//! use osr_engine::{Imports, Instance, Settings, Thread, Tiers};
//! use osr_ir::{Signature, Value, wasm};
//!
//! // `sum` waits for the host in each of its activations, which frees the code that all of them execute.
//! let module = wasm::import_text(
//!     r#"(module
//!          (import "host" "step" (func $step))
//!          (func $sum (export "sum") (param i32) (result i32)
//!            (call $step)
//!            (if (result i32) (local.get 0)
//!              (then (i32.add (local.get 0) (call $sum (i32.sub (local.get 0) (i32.const 1)))))
//!              (else (i32.const 0)))))"#,
//! )?;
//! let mut imports = Imports::new();
//! imports.function("host", "step", Signature::new(vec![], vec![]), |call, _, _| {
//!     let invalidated = call.thread().invalidate_active().expect("a host function may");
//!     assert_eq!(invalidated.versions, 1);
//!     Ok(())
//! });
//! let settings = Settings { tiers: Tiers::Optimized, ..Settings::default() };
//! let instance = Instance::new(settings, module, &imports)?;
//! let thread = Thread::new(&instance)?;
//! assert_eq!(thread.invoke("sum", &[Value::I32(10)])?, [55]);
//!
//! // Every activation was hijacked while it waited, and its code was freed; it landed in the interpreter.
//! assert!(thread.transitions().landings >= 11);
//! assert!(instance.code_statistics().versions_released >= 11);
//! assert_eq!(thread.hijacked_slots(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Redefinition
//!
//! A function of the module may have further bodies ([`Alternative`](osr_ir::Alternative)). [`Thread::redefine`] lets calls
//! enter another one, for several functions at once, and carries the activations of the old ones along by state maps
//! ([`StateMap`](osr_ir::StateMap)). A module's [`Script`] says when, for experiments that are written as text.
//! [`Instance::add_bodies`] adds bodies that the module did not have.
//!
//! # Watching and deciding
//!
//! An [`Observer`] is told of every [`Event`]. [`trace`], [`explain`], a [`TransitionLog`] and the [`Shadow`] interpreter are
//! observers.
//! Observing changes nothing but time: the same transitions occur. What changes code is a setting
//! ([`Settings::points`]), also where it is there for the sake of an observer.
//!
//! A policy and an observer are handed to an instance beside its settings, as its [`Delegates`]:
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicU64, Ordering};
//!
//! use osr_engine::{
//!     Candidate, CodeVersion, CompiledTier, Delegates, Destination, Event, Imports, Instance, Observation, Observer,
//!     Settings, Stress, Thread, Tier, TieringPolicy,
//! };
//! use osr_ir::{Point, Value, wasm};
//!
//! /// Optimizes each function at its third call, and lets hijacked frames continue in baseline code.
//! #[derive(Debug)]
//! struct ThirdCall;
//!
//! impl TieringPolicy for ThirdCall {
//!     fn threshold(&self, tier: Tier) -> u32 {
//!         if tier == Tier::Interpreter { 3 } else { u32::MAX }
//!     }
//!     fn tier_up(&self, _: &Candidate) -> Option<CompiledTier> {
//!         Some(CompiledTier::Optimized)
//!     }
//!     fn land(&self, _: &CodeVersion, _: Point) -> Destination {
//!         Destination::Compiled(CompiledTier::Baseline)
//!     }
//! }
//!
//! /// Counts the frames that land.
//! #[derive(Debug, Default)]
//! struct Landings(AtomicU64);
//!
//! impl Observer for Landings {
//!     fn observe(&self, _: &Observation<'_>, event: &Event<'_>) {
//!         if let Event::Landed { .. } = event {
//!             self.0.fetch_add(1, Ordering::Relaxed);
//!         }
//!     }
//! }
//!
//! let module = wasm::import_text(
//!     r#"(module
//!          (func $fib (export "fib") (param i32) (result i32)
//!            (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
//!              (then (local.get 0))
//!              (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
//!                             (call $fib (i32.sub (local.get 0) (i32.const 2))))))))"#,
//! )?;
//! let landings = Arc::new(Landings::default());
//! let delegates = Delegates { observer: Some(landings.clone()), policy: Some(Arc::new(ThirdCall)) };
//! // Every third safepoint hijacks all compiled frames.
//! let settings = Settings { stress: Stress::hijack(3), ..Settings::default() };
//! let instance = Instance::with_delegates(settings, delegates, module, &Imports::new())?;
//! let thread = Thread::new(&instance)?;
//! assert_eq!(thread.invoke("fib", &[Value::I32(12)])?, [144]);
//! assert_eq!(landings.0.load(Ordering::Relaxed), thread.transitions().landings);
//! assert!(thread.transitions().landings > 100);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Embedding
//!
//! | to | there is |
//! |---|---|
//! | call with Rust's types, and be called | [`Thread::typed`], [`Imports::typed`] |
//! | end a call with an error of the embedder's own | [`HostError::embedder`], found again by [`Trap::cause`], and the trap's source |
//! | end a call from another native thread | [`Thread::interrupt_handle`] |
//! | throw code away | [`Thread::invalidate_function`], [`Thread::invalidate_chosen`], [`Thread::end_assumption`] |
//! | see the values of frames that wait | [`Thread::guest_frames`], with the setting [`Settings::guest_frames`] |
//! | call once more from the state of the first call | [`Thread::save_state`], [`Thread::restore_state`] |
//! | run programs of WASI | the crate `osr-wasi` |
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
//! | [`Observer::observe`] | the event, and an [`Observation`]: instance, counts, frames unless one is landing | [request](Observation::request) that frames are hijacked, code is invalidated, or that the call [ends](Observation::end): done at the next safepoint, which is the point itself that was [`Reached`](Event::Reached) | what it was told of is completed; the guest's call ends with [`HostError`](osr_ir::TrapKind::HostError) at the next safepoint, or when it returns; what the host has asked for returns [`TransitionError::Panicked`] |
//! | [`TieringPolicy`] | a function and a place, or a version and a point | decide | the function stays in its tier, the frame lands in the interpreter; then as an observer's |
//! | the choice of [`Thread::hijack`] | a version | decide | nothing is hijacked; the panic continues to the caller |
//!
//! All of them may read the [`Instance`]. None of them unwinds through the engine: a panic is caught where
//! the engine calls the hook, but for that of a choice, which is in the middle of nothing. The message of a panic is
//! in the trap ([`Trap::message`]) or error.
//!
//! A process that executes guest code has the engine's signal handler: [`Thread::new`].

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

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

pub use code::assumption::Assumption;
pub use code::{
    BindingStatistics, CodeStatistics, CodeTimes, CodeVersion, ExitLink, VersionId, VersionState,
};
pub use error::{
    AddBodiesError, Callers, EmbedderError, Exception, InstantiationError, InvokeError, RedefinitionError,
    StateError, Tag, ThreadError, TransitionError, Trap, TrapFrame,
};
pub use event::coverage::CoveredSite;
pub use event::statistics::{Moves, Place, Transitions};
pub use event::{Cause, Continuation, Estimate, Event, FrameState, Replacement};
pub use instance::Instance;
pub use instance::code::RefusedCode;
pub use instance::delegates::Delegates;
pub use instance::externals::External;
pub use instance::host::{HostCall, HostCode, HostError, HostFunction, Imports};
pub use instance::store::Store;
pub use instance::typed::{HostValue, HostValues, TypedFunction};
pub use memory::linear_memory::LinearMemory;
pub use observers::script::Script;
pub use observers::shadow::{Compared, Difference, Disagreement, Shadow, Transition};
pub use observers::transition_log::TransitionLog;
pub use observers::{explain, trace};
pub use osr_compiler::frame_map::{
    FrameMapEntry, FrameMaps, Location, MachineRegister, Site, VirtualActivation,
};
pub use osr_compiler::profile::{IndirectCalls, Profiled};
pub use osr_compiler::{
    BaselineCompiler, CallBinding, CompileError, CompiledTier, DeoptReason, EntryPoint, Fallback, Guard,
    Poll, StateRecording, TrapSite, VersionKey,
};
/// What modules are read with and made of.
pub use osr_ir;
pub use phase::{NotNow, Phase};
pub use settings::Settings;
pub use settings::code_memory::CodeMemory;
pub use settings::compilation::{Compilation, Costs};
pub use settings::destination::Destination;
pub use settings::failing_guards::FailingGuards;
pub use settings::inlining::{Inlining, InliningError};
pub use settings::mechanism::{
    ActiveFrames, Axis, Bookkeeping, CodeRelease, HijackDensity, Mechanism, MechanismError, PRESETS,
    Placement, Preset, RebuildTime, Refusal,
};
pub use settings::planted::{DefectPlace, PlantedDefect};
pub use settings::speculate::SpeculationKind;
pub use settings::stress::{Action, Land, Periodic, Schedule, Stress};
pub use settings::tier::{Tier, Tiers};
pub use thread::Thread;
pub use thread::interrupt::InterruptHandle;
pub use thread::observation::{Observation, Request};
pub use thread::observer::{Observer, Observers};
pub use thread::saved_state::SavedState;
pub use thread::walk::{CompiledActivation, CompiledFrame};
pub use tiering::policy::{Candidate, Ladder, TieringPolicy};
pub use transition::guest_frames::GuestFrame;
pub use transition::hijack::Hijacked;
pub use transition::invalidation::Invalidated;
pub use transition::redefinition::Redefined;
