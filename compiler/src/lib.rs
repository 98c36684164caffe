//! The compiler: from a *unit* to a *compiled body*, by Cranelift.
//!
//! ```text
//!   Unit ───────────────────────────> CompiledBody
//!     LinkedModule                      code: position-independent bytes
//!     VersionKey: function, tier, entry frame maps: for each call, where the frame state is
//!     Analysis: points, liveness        trap sites, unwind rows
//!     CodeSettings, Profile             pads, direct and near calls
//! ```
//!
//! A unit is everything that a compilation depends on, and immutable: compiling is a function, which any native
//! thread can compute. The crate knows nothing of instances, threads, or code in memory.
//!
//! # Frame maps
//!
//! At every call that can return the frame may be seen, and replaced: a [frame map](frame_map) says where each live
//! register of the body is then.
//!
//! ```
//! use std::collections::BTreeSet;
//!
//! use osr_compiler::{Analysis, BaselineCompiler, CodeSettings, CompiledTier, Compiler, EntryPoint, LinkedModule, Poll, Unit, VersionKey};
//! use osr_compiler::{CallBinding, ReturnSites, StateRecording};
//! use osr_ir::FunctionIndex;
//!
//! let module = osr_ir::wasm::import_text(
//!     r#"(module
//!          (func $id (param i64) (result i64) (local.get 0))
//!          (func (param i64 i64) (result i64) (i64.add (local.get 1) (call $id (local.get 0)))))"#,
//! )?;
//! let function = FunctionIndex::new(1);
//! let analysis = Analysis::of(module.function(function).body().expect("it is defined"));
//! let linked = LinkedModule::new(module, 0, Box::new([0, 1]), Box::new([0, 0]));
//! let unit = Unit {
//!     linked: &linked,
//!     key: VersionKey { function, tier: CompiledTier::Optimized, entry: EntryPoint::Function },
//!     analysis: &analysis,
//!     inner: &[],
//!     values: &[],
//!     settings: CodeSettings {
//!         baseline: BaselineCompiler::default(),
//!         recording: StateRecording::Locations,
//!         binding: CallBinding::Cell,
//!         has_near_words: true,
//!         poll: Poll::StackLimit,
//!         counts_residents: false,
//!         keeps_return_pc: false,
//!         return_sites: ReturnSites::Plain,
//!         inlining: None,
//!         unrolling: 1,
//!         guards_leave: true,
//!         exits_are_linked: false,
//!         guards_fail: false,
//!         shows_arrivals: false,
//!         lists_stores: false,
//!         frame_limit: 1 << 16,
//!     },
//!     profile: None,
//!     speculation: None,
//!     left_out: &BTreeSet::new(),
//! };
//! let compiled = Compiler::native().compile(&unit)?;
//!
//! // Two sites: the poll at the entry, where both parameters are live, and the call, after which the second one
//! // and the call's result are.
//! let live = |site| compiled.frame_maps.entries(&site).count();
//! let sites: Vec<_> = compiled.frame_maps.sites().map(|site| (site.kind, live(site))).collect();
//! assert_eq!(sites.len(), 2);
//! assert!(sites.iter().all(|&(_, live)| live == 2), "{sites:?}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What may be relied on
//!
//! Compiled code keeps frame pointers; it refers to nothing by absolute address but its profile and its residence count,
//! which outlive it (everything else outside comes through the context), so it runs wherever it is put, once its direct
//! and near calls, if it has any, are bound; every call that can return has a frame map.

mod analysis;
mod call;
pub mod calling_convention;
mod clif_type;
mod coldness;
mod compiled_body;
mod compiler;
mod contexts;
mod emitted;
mod error;
mod fallback;
pub mod frame_map;
mod global;
mod guard;
mod invalidation_point;
mod isa;
mod linked_module;
mod listed;
mod numeric;
mod pad;
mod pad_sites;
mod poll;
pub mod profile;
mod profiling;
mod recording;
pub mod reference;
mod registers;
mod residence;
mod return_check;
mod runtime_operation;
mod safepoint;
mod settings;
mod single_pass;
mod source;
mod speculation;
mod state;
mod translate;
mod trap_site;
mod unit;
mod unrolling;
mod vector;

pub use analysis::Analysis;
pub use compiled_body::{CompiledBody, DirectCall};
pub use compiler::Compiler;
pub use emitted::near_access::{NearAccess, NearWord};
pub use emitted::poll_sites::{PollSite, PollSites, PrecedingBranch};
pub use error::CompileError;
pub use fallback::Fallback;
pub use guard::{DeoptReason, Guard};
pub use invalidation_point::POINT_BYTES;
pub use linked_module::{LinkedModule, is_elsewhere};
pub use pad_sites::{PadRange, PadSites, Reference};
pub use residence::ResidenceCount;
pub use runtime_operation::RuntimeOperation;
pub use settings::{
    BaselineCompiler, CallBinding, CodeSettings, CompiledTier, Poll, ReturnSites, StateRecording,
};
pub use speculation::{Speculation, Speculations};
pub use trap_site::TrapSite;
pub use unit::{EntryPoint, Unit, VersionKey};
pub use unrolling::unrolled_instructions;
