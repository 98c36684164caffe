//! The compiler: a unit to machine code with frame maps, by Cranelift.
//!
//! ```text
//!   Body ──recording──> what each safepoint must store
//!    └────translate───> CLIF ──Cranelift──> code, unwind rows
//!                        └──safepoints────> frame maps, trap sites
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::entity::PrimaryMap;
use cranelift_codegen::ir::{self, StackSlotData, StackSlotKind};
use cranelift_codegen::isa;
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::{CompiledCode, Context as Cranelift, FinalizedMachReloc, FinalizedRelocTarget};
use cranelift_frontend::FunctionBuilderContext;
use gimli::write::{Address, CommonInformationEntry};
use osr_ir::inlining::FrameIndex;
use osr_ir::{Body, FunctionIndex, GlobalIndex, Instruction};
use osr_stackwalk::{CfiRows, CompactRows};
use thiserror::Error;

use super::disassembly::Disassembly;
use super::isa::isa;
use super::near_call::{Called, DIRECT_DISTANCE, NEAR_DISTANCE, NearCall, NearWord};
use super::poll_exits::{PollExits, handlers};
use super::safepoint::{Origins, Safepoint};
use super::source::{Merged, Source};
use super::tightening::{Replaced, Tight, tighten};
use super::translate::Translated;
use super::trap_site::trap_sites;
use super::{coldness, compared_in_memory, epilogue, guard, invalidation_point, pad, safepoint, translate};
use crate::analysis::Analysis;
use crate::fallback::Fallback;
use crate::frame_map::{FrameMaps, VirtualFrames};
use crate::guard::Guard;
use crate::pad_sites::PadSites;
use crate::poll_sites::PollSites;
use crate::residence::ResidenceCount;
use crate::settings::{BaselineCompiler, CompiledTier, ReturnSites, StateRecording};
use crate::single_pass::{Buffers, SinglePass};
use crate::speculation::Speculations;
use crate::trap_site::TrapSite;
use crate::unit::Unit;

/// What the compiler makes: everything of a version but its place in memory.
#[derive(Debug)]
pub struct CompiledBody {
    /// Position-independent machine code.
    pub code: Box<[u8]>,
    /// A frame map for every call.
    pub frame_maps: FrameMaps,
    /// By ascending offset.
    pub trap_sites: Box<[TrapSite]>,
    /// Which activations its frames stand for, if other bodies are inlined into it.
    pub virtual_frames: Option<Box<VirtualFrames>>,
    /// How its calls make the frame state known.
    pub recording: StateRecording,
    /// The frame maps that execute.
    pub pads: Option<Box<PadSites>>,
    /// With [`StateRecording::CrossChecked`], the frame maps that slots yield.
    pub slot_maps: Option<Box<FrameMaps>>,
    /// The polls of its loops, if they are to be overwritten.
    pub polls: Option<Box<PollSites>>,
    /// Where it counts its activations, if it was to. It keeps the address of the count.
    pub residence: Option<Box<ResidenceCount>>,
    /// Where its frames have a word for the return PC that leads into them, if they were to: bytes from the frame base.
    pub kept_return_pc: Option<i32>,
    /// How its frames are unwound.
    pub unwind: CompactRows,
    /// The sites of polls whose frame maps hold at the polls themselves, in whichever machine registers values are, in order.
    /// Those of other polls in loops hold where the frames are left.
    pub in_place: Box<[u32]>,
    /// The calls of other functions that are to be bound when it is in its place.
    pub direct_calls: Vec<DirectCall>,
    /// The calls that are to be given the distance of a word when it is in its place.
    pub near_calls: Vec<NearCall>,
    /// Its guards, by their numbers.
    pub guards: Box<[Guard]>,
    /// What it speculates on, if that is not nothing.
    pub speculation: Option<Box<Speculations>>,
    /// The globals that it takes for constants, and for which: it is to be invalidated when one has another value.
    pub kept_globals: Box<[(GlobalIndex, u64)]>,
    /// The globals that it stores to, if [that is asked](crate::CodeSettings::lists_stores).
    pub stored_globals: Box<[GlobalIndex]>,
    /// What was not done as the settings say.
    pub fallback: Option<Box<Fallback>>,
}

/// A `call rel32` without its distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectCall {
    /// Where the distance goes, in the code. It counts from the end of the instruction.
    pub offset: u32,
    /// The function that is called.
    pub callee: FunctionIndex,
}

/// A body could not be compiled; it stays in the interpreter.
#[derive(Clone, Debug, Error)]
pub enum CompileError {
    /// Cranelift refused.
    #[error("code generation failed: {0}")]
    Cranelift(String),
    /// An optimization has made an instruction that traps, of which it is not known where in the body it is.
    #[error("an instruction traps, and it is not known at which point")]
    TrapWithoutPoint,
    /// It was to continue for several activations, of which some are not inlined.
    #[error("not all calls are inlined that its frames would stand for")]
    NotInlined,
    /// The compiler panicked, beside the guest: a bug.
    #[error("the compiler panicked: {0}")]
    Panicked(String),
    /// The arena is full.
    #[error("no code memory is left")]
    NoCodeMemory,
    /// The place for the code is that of a version that is not drained yet.
    #[error("the code that it replaces is not drained yet")]
    PlaceOccupied,
    /// The place for the code is too small.
    #[error(
        "its code of {bytes} bytes does not fit the place of {available} bytes of the code that it replaces"
    )]
    PlaceTooSmall {
        /// What it would take.
        bytes: usize,
        /// What there is.
        available: usize,
    },
    /// No jump could be written behind one of its calls.
    #[error("two of its calls are too near to one another to be invalidation points")]
    NoRoom,
    /// Compiling it would take too much memory.
    #[error(
        "compiling its {instructions} instructions would take some {} MB, and {} MB are allowed",
        bytes >> 20, limit >> 20
    )]
    UnitTooLarge {
        /// Instructions in the unit.
        instructions: u32,
        /// What compiling them would take, as it is estimated.
        bytes: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The frame would not fit the stack reserve.
    #[error("its frame of {bytes} bytes exceeds the limit of {limit}")]
    FrameTooLarge {
        /// What it would take.
        bytes: u32,
        /// What is allowed.
        limit: u32,
    },
}

/// Compiles bodies for one machine.
pub struct Compiler {
    /// By tier.
    isas: [OwnedTargetIsa; 2],
    common_unwind: CommonInformationEntry,
    /// The other compiler of baseline code, or why this machine cannot have it.
    single_pass: Result<SinglePass, &'static str>,
    /// What compilations leave to the next.
    scratch: Mutex<Vec<Scratch>>,
}

/// Memory that a compilation needs.
struct Scratch {
    single_pass: Buffers,
    cranelift: Cranelift,
    builder_context: FunctionBuilderContext,
}

impl Scratch {
    fn new() -> Scratch {
        Scratch {
            single_pass: Buffers::default(),
            cranelift: Cranelift::new(),
            builder_context: FunctionBuilderContext::new(),
        }
    }
}

impl std::fmt::Debug for Compiler {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Compiler({})", self.isas[0].triple())
    }
}

impl Compiler {
    /// A compiler for this machine.
    pub fn native() -> Compiler {
        let isas = CompiledTier::ALL.map(isa);
        let common_unwind = isas[0].create_systemv_cie().expect("x86-64 has System V unwind information");
        Compiler { isas, common_unwind, single_pass: SinglePass::native(), scratch: Mutex::default() }
    }

    /// The common part of all versions' unwind rows.
    pub fn common_unwind(&self) -> &CommonInformationEntry {
        &self.common_unwind
    }

    /// Compiles `unit`.
    ///
    /// # Errors
    /// If Cranelift refuses the body, or its frame would be larger than the unit allows.
    pub fn compile(&self, unit: &Unit<'_>) -> Result<CompiledBody, CompileError> {
        let residence = unit.settings.counts_residents.then(Box::<ResidenceCount>::default);
        let address = residence.as_ref().map(|count| count.address());
        let mut scratch = self.scratch().pop().unwrap_or_else(Scratch::new);
        let compiled = match self.single_pass(unit, address, &mut scratch.single_pass) {
            Some(Ok(compiled)) => Ok(compiled),
            Some(Err(reason)) => self.cranelift(unit, address, &mut scratch).map(|compiled| {
                let fallback = Some(Box::new(Fallback::Compiler { reason }));
                CompiledBody { fallback, ..compiled }
            }),
            None => self.cranelift(unit, address, &mut scratch),
        };
        self.scratch().push(scratch);
        Ok(CompiledBody { residence, ..compiled? })
    }

    /// By the single-pass compiler, if `unit` is for it, or why it refuses.
    fn single_pass(
        &self,
        unit: &Unit<'_>,
        residence: Option<i64>,
        buffers: &mut Buffers,
    ) -> Option<Result<CompiledBody, String>> {
        let is_wanted = unit.key.tier == CompiledTier::Baseline
            && unit.settings.baseline == BaselineCompiler::SinglePass
            && unit.settings.return_sites == ReturnSites::Plain;
        is_wanted.then(|| {
            let compiler = self.single_pass.as_ref().map_err(|reason| (*reason).to_owned())?;
            if unit.analysis.words.has_vectors() {
                return Err("it has vectors".to_owned());
            }
            let body = unit.linked.body(unit.key.function);
            if body.has_tail_calls() {
                return Err("it makes tail calls".to_owned());
            }
            if unit.linked.module().memories.len() > 1 && body.accesses_further_memories() {
                return Err("it accesses further memories".to_owned());
            }
            let compiled = compiler.compile(unit, residence, buffers).map_err(|error| error.to_string())?;
            Ok(CompiledBody { stored_globals: stored_globals(unit, body), ..compiled })
        })
    }

    /// By Cranelift, in whichever way it can.
    fn cranelift(
        &self,
        unit: &Unit<'_>,
        residence: Option<i64>,
        scratch: &mut Scratch,
    ) -> Result<CompiledBody, CompileError> {
        let has_tail_calls = unit.linked.body(unit.key.function).has_tail_calls();
        let recording = match unit.key.tier {
            CompiledTier::Baseline => StateRecording::Slots,
            CompiledTier::Optimized => match unit.settings.recording {
                // A frame that leaves to make a tail call lands, whatever else does.
                StateRecording::None if has_tail_calls => StateRecording::Slots,
                recording => recording,
            },
        };
        let merged = Merged::of(unit)?;
        let source = Source::new(unit, merged.as_ref());
        let mut request = Request {
            unit: *unit,
            source,
            load_merging: LoadMerging::Allowed,
            cells: match unit.settings.has_near_words && unit.key.tier == CompiledTier::Optimized {
                true => Cells::Near,
                false => Cells::InContext,
            },
            scattering: Scattering::Refused,
            recording,
            residence,
        };
        // Where the frame is too large with one recording, it may not be with another. Slots are never scattered.
        let others = [StateRecording::Locations, StateRecording::Slots];
        let is_optimized = unit.key.tier == CompiledTier::Optimized && recording != StateRecording::None;
        let mut others = others.into_iter().filter(|&other| is_optimized && other != recording);
        // What would do, were its values not scattered.
        let mut scattered = None;
        let mut reason = String::new();
        let compiled = loop {
            match self.attempt(request, scratch) {
                Ok(compiled) => break compiled,
                Err(Failure::Refused(error @ CompileError::FrameTooLarge { .. })) => {
                    if let Some(scattered) = scattered.take() {
                        (request.recording, request.scattering) = (scattered, Scattering::Allowed);
                    } else {
                        request.recording = others.next().ok_or(error.clone())?;
                    }
                    reason = error.to_string();
                }
                Err(Failure::Refused(error)) => return Err(error),
                Err(Failure::TrapWithoutPoint) if request.load_merging == LoadMerging::Allowed => {
                    request.load_merging = LoadMerging::Prevented;
                }
                Err(Failure::TrapWithoutPoint) => {
                    debug_assert!(false, "instructions that trap have points: {:?}", unit.key);
                    return Err(CompileError::TrapWithoutPoint);
                }
                Err(Failure::NotReadable) => request.cells = Cells::InContext,
                Err(Failure::ImmovablePad) => {
                    reason = "a pad cannot be moved away from its code".to_owned();
                    request.recording = StateRecording::Slots;
                }
                Err(Failure::Scattered) => {
                    reason = "its frame would have several words for each value".to_owned();
                    scattered = Some(request.recording);
                    request.recording = StateRecording::Slots;
                }
                // Where pads or ways out are in the way, they are elsewhere with another recording.
                Err(Failure::NoRoom) => {
                    reason = CompileError::NoRoom.to_string();
                    request.recording = match request.recording {
                        StateRecording::Pads | StateRecording::CrossChecked => StateRecording::Locations,
                        StateRecording::Locations if is_optimized => StateRecording::Slots,
                        _ => return Err(CompileError::NoRoom),
                    };
                }
            }
        };
        let (from, to) = (recording, compiled.recording);
        let fallback = (from != to).then(|| Box::new(Fallback::Recording { from, to, reason }));
        let speculation = unit.speculation.cloned().map(Box::new);
        Ok(CompiledBody { fallback, speculation, ..compiled })
    }

    fn scratch(&self) -> MutexGuard<'_, Vec<Scratch>> {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attempt(&self, request: Request<'_>, scratch: &mut Scratch) -> Result<CompiledBody, Failure> {
        let Request { unit: Unit { key, settings, .. }, source, .. } = request;
        let isa = &*self.isas[key.tier as usize];
        let Scratch { cranelift, builder_context, .. } = scratch;
        cranelift.clear();
        // Which leaves these: they would grow with each compilation.
        cranelift.func.dfg.exception_tables.clear();
        let word = StackSlotData::new(StackSlotKind::ExplicitSlot, 8, 3);
        let kept = settings.keeps_return_pc.then(|| cranelift.func.create_sized_stack_slot(word));
        let Translated { mut safepoints, mut guards, kept_globals } =
            translate::translate(request, isa.frontend_config(), &mut cranelift.func, builder_context);
        if !guards.is_empty() {
            coldness::pass_on(&mut cranelift.func);
        }
        let mut control = ControlPlane::default();
        cranelift
            .compile(isa, &mut control)
            .map_err(|error| CompileError::Cranelift(format!("{:?}", error.inner)))?;
        let compiled = cranelift.compiled_code().expect("just compiled");
        let names = cranelift.func.params.user_named_funcs();
        check_frame(compiled, settings.frame_limit)?;
        let is_in_place = matches!(request.recording, StateRecording::Locations | StateRecording::Pads);
        let may_scatter = request.scattering == Scattering::Allowed;
        if is_in_place && !may_scatter && is_scattered(compiled, source.analysis) {
            return Err(Failure::Scattered);
        }
        let unwind = self.unwind_rows(compiled, isa)?;
        let mut code = compiled.code_buffer().to_vec();
        compared_in_memory::replace(&mut code, compiled, settings.return_sites);
        epilogue::replace(&mut code, compiled);
        let has_poll_sites = key.tier == CompiledTier::Optimized && settings.poll.is_overwritten();
        let is_optimized = key.tier == CompiledTier::Optimized;
        let disassembly = is_optimized.then(|| Disassembly::of(&code, compiled)).flatten();
        let polls = has_poll_sites.then(|| PollSites::of(&code, compiled, disassembly.as_ref()));
        let calls = NamedCalls::of(compiled, names);
        if disassembly.is_none() && !calls.near.is_empty() {
            return Err(Failure::NotReadable);
        }
        let (mut tight, mut near_calls) =
            tightened(request, (code, disassembly), &mut safepoints, compiled, &calls);
        let polls = polls.map(|polls| Box::new(polls.moved(&tight)));
        let maps = safepoint::maps(source, &safepoints, compiled, &tight)?;
        for (site, guard) in maps.guards.iter().enumerate() {
            if let Some(guard) = guard {
                guards[*guard as usize].site = Some(site as u32);
            }
        }
        let trap_sites =
            trap_sites(source, &safepoints, compiled, &tight).ok_or(Failure::TrapWithoutPoint)?;
        near_calls.extend(calls.near(&tight));
        let direct_calls = calls.direct(&tight);
        let mut code = std::mem::take(&mut tight.code);
        guard::lead_back(&mut code, &maps)
            .map_err(|at| CompileError::Cranelift(format!("no trap behind the exit at {at:#x}")))?;
        if settings.return_sites == ReturnSites::Overwritable {
            invalidation_point::make_room(&mut code, &maps)?;
        }
        Ok(CompiledBody {
            code: code.into(),
            frame_maps: maps.frame_maps,
            trap_sites: trap_sites.iter().map(|(_, site)| *site).collect(),
            virtual_frames: source.tree.map(|tree| {
                let traps: Vec<FrameIndex> = trap_sites.iter().map(|&(frame, _)| frame).collect();
                Box::new(VirtualFrames::new(tree, &maps.innermost, &traps))
            }),
            recording: request.recording,
            pads: maps.pads.map(Box::new),
            slot_maps: maps.slots.map(Box::new),
            residence: None,
            kept_return_pc: kept.map(|slot| safepoint::in_frame(safepoint::layout(compiled), slot)),
            direct_calls,
            near_calls,
            in_place: maps.in_place,
            guards: guards.into(),
            speculation: None,
            kept_globals: kept_globals.into_iter().collect(),
            stored_globals: stored_globals(&request.unit, source.body),
            polls,
            fallback: None,
            unwind,
        })
    }
}

impl Compiler {
    /// How frames of `compiled` are unwound.
    fn unwind_rows(
        &self,
        compiled: &CompiledCode,
        isa: &dyn isa::TargetIsa,
    ) -> Result<CompactRows, CompileError> {
        let description = match compiled.create_unwind_info(isa) {
            Ok(Some(isa::unwind::UnwindInfo::SystemV(info))) => info.to_fde(Address::Constant(0)),
            other => return Err(CompileError::Cranelift(format!("no unwind rows: {other:?}"))),
        };
        let rows = CfiRows::new(&self.common_unwind, description)
            .map_err(|error| CompileError::Cranelift(error.to_string()))?;
        CompactRows::of(&rows)
            .ok_or_else(|| CompileError::Cranelift("its prologue is not an ordinary one".into()))
    }
}

/// Tightens `code`, which is that of `compiled`, if there is a disassembly of it, and says in `safepoints` where values are at
/// polls then.
fn tightened(
    Request { unit, source, recording, cells, .. }: Request<'_>,
    (code, disassembly): (Vec<u8>, Option<Disassembly>),
    safepoints: &mut [Safepoint],
    compiled: &CompiledCode,
    calls: &NamedCalls,
) -> (Tight, Vec<NearCall>) {
    let Some(disassembly) = disassembly else { return (Tight::unchanged(code), Vec::new()) };
    // Where frames leave at invalidation points, or where returns are checked, they leave polls in the same way.
    let frames_leave = unit.settings.return_sites != ReturnSites::Plain;
    let exits = match recording {
        StateRecording::None | StateRecording::CrossChecked => PollExits::default(),
        _ if frames_leave || cells == Cells::InContext => PollExits::default(),
        _ => PollExits::read(&disassembly, source, safepoints, compiled),
    };
    let polls =
        if unit.settings.poll.is_overwritten() { Origins::of(compiled).polls() } else { BTreeMap::new() };
    let is_of_poll = |offset: u32| polls.values().flatten().any(|range| range.contains(&offset));
    let edits = compared_in_memory::apart(&disassembly, compiled, unit.settings.return_sites);
    let replaced = Replaced { blocks: &exits.replacements, calls: &calls.near_starts(), edits: &edits };
    let tight = tighten(&code, &disassembly, handlers(compiled), replaced, is_of_poll);
    let near_calls = exits.record(safepoints, &tight);
    (tight, near_calls)
}

/// What to compile, and how.
#[derive(Clone, Copy)]
pub(super) struct Request<'u> {
    pub(super) unit: Unit<'u>,
    pub(super) source: Source<'u>,
    pub(super) load_merging: LoadMerging,
    pub(super) cells: Cells,
    scattering: Scattering,
    pub(super) recording: StateRecording,
    /// The address of the count of activations.
    pub(super) residence: Option<i64>,
}

/// Whether Cranelift may merge a load into the instruction that uses its value, which then traps for it.
/// That instruction has a point, unless an optimization remade it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoadMerging {
    Allowed,
    Prevented,
}

/// Where code finds the call cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cells {
    /// [Near](super::near_call).
    Near,
    /// By the context.
    InContext,
}

/// Whether values that stay in place may be scattered over the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scattering {
    Allowed,
    Refused,
}

/// Why an attempt to compile failed.
enum Failure {
    Refused(CompileError),
    /// It would not be known where in the body a trap is.
    TrapWithoutPoint,
    /// There is no disassembly of the code, in which calls were to be replaced.
    NotReadable,
    /// A pad could not outlive its code.
    ImmovablePad,
    /// The versions of a register that frame states keep alive have slots of their own, and edges move them about.
    Scattered,
    /// A call could not be an invalidation point.
    NoRoom,
}

impl From<invalidation_point::NoRoom> for Failure {
    fn from(_: invalidation_point::NoRoom) -> Self {
        Failure::NoRoom
    }
}

impl From<pad::Immovable> for Failure {
    fn from(_: pad::Immovable) -> Self {
        Failure::ImmovablePad
    }
}

impl From<CompileError> for Failure {
    fn from(error: CompileError) -> Self {
        Failure::Refused(error)
    }
}

/// Whether the frame has several times as many words as there are values at once: then the allocator has failed to merge
/// the versions of registers that values in place keep alive (`docs/live_ranges.md`), and slots take less code. In real
/// modules the frames of such functions have 4 to 27 words for each value, those of others 1 to 3.
fn is_scattered(compiled: &CompiledCode, analysis: &Analysis) -> bool {
    const FRAME_BYTES: u32 = 1 << 10;
    const WORDS_FOR_VALUE: usize = 4;
    let most_values = || {
        let live = analysis.points.iter().map(|(point, _, _)| analysis.liveness.at(point).len());
        live.max().unwrap_or(0)
    };
    let bytes = frame_bytes(compiled);
    bytes > FRAME_BYTES && bytes as usize / 8 > WORDS_FOR_VALUE * most_values()
}

/// The globals that what is compiled stores to, if they are asked for.
fn stored_globals(unit: &Unit<'_>, body: &Body) -> Box<[GlobalIndex]> {
    if !unit.settings.lists_stores {
        return Box::default();
    }
    let instructions = body.blocks.iter().flat_map(|block| &block.instructions);
    let stored = instructions.filter_map(|instruction| match instruction {
        Instruction::GlobalSet { global, .. } => Some(*global),
        _ => None,
    });
    stored.collect::<BTreeSet<_>>().into_iter().collect()
}

fn frame_bytes(compiled: &CompiledCode) -> u32 {
    compiled.buffer.frame_layout().map_or(0, |layout| layout.frame_to_fp_offset)
}

/// Refuses a frame that is too large.
fn check_frame(compiled: &CompiledCode, limit: u32) -> Result<(), CompileError> {
    let bytes = frame_bytes(compiled);
    if bytes > limit { Err(CompileError::FrameTooLarge { bytes, limit }) } else { Ok(()) }
}

/// The calls that must be bound: where in Cranelift's code their distances go. Nothing else may need relocation.
struct NamedCalls {
    direct: Vec<DirectCall>,
    near: Vec<NearCall>,
}

impl NamedCalls {
    /// Those of `compiled`, by the function's table of names.
    fn of(
        compiled: &CompiledCode,
        names: &PrimaryMap<ir::UserExternalNameRef, ir::UserExternalName>,
    ) -> NamedCalls {
        let mut calls = NamedCalls { direct: Vec::new(), near: Vec::new() };
        for relocation in compiled.buffer.relocs() {
            let FinalizedMachReloc { offset, kind, addend, ref target } = *relocation;
            let FinalizedRelocTarget::ExternalName(ir::ExternalName::User(name)) = target else {
                panic!("compiled code must not need relocation: {relocation:?}");
            };
            assert_eq!((kind, addend), (Reloc::X86CallPCRel4, -4), "names are of what is called");
            match Called::of(&names[*name]) {
                Called::Function(index) => {
                    let callee = FunctionIndex::new(index as usize);
                    calls.direct.push(DirectCall { offset, callee });
                }
                Called::Cell(number) => calls.near.push(NearCall { offset, word: NearWord::Cell(number) }),
            }
        }
        calls
    }

    /// Those that are replaced by near calls: where they begin, by ascending offset.
    fn near_starts(&self) -> BTreeSet<u32> {
        self.near.iter().map(|call| call.offset - DIRECT_DISTANCE).collect()
    }

    /// The direct calls in code that was tightened.
    fn direct(&self, tight: &Tight) -> Vec<DirectCall> {
        let moved =
            |call: &DirectCall| Some(DirectCall { offset: tight.kept(call.offset)?, callee: call.callee });
        self.direct.iter().filter_map(moved).collect()
    }

    /// The near calls in code that was tightened.
    fn near(&self, tight: &Tight) -> impl Iterator<Item = NearCall> {
        self.near.iter().filter_map(|call| {
            let start = tight.kept(call.offset - DIRECT_DISTANCE)?;
            Some(NearCall { offset: start + NEAR_DISTANCE, word: call.word })
        })
    }
}
