//! The compiler: a body to machine code with frame maps, by Cranelift.
//!
//! ```text
//!   Body ──recording──> what each safepoint must store
//!    └────translate───> CLIF ──Cranelift──> code, unwind rows
//!                        └──safepoints────> frame maps, trap sites
//! ```
//!
//! What the rest may rely on: compiled code keeps frame pointers; it refers to nothing by absolute
//! address but its profile, which outlives it (everything else outside comes through the context), so it
//! runs wherever it is put, once its direct calls, if it has any, are bound; every call that can return has a frame map.

mod call;
mod numeric;
mod pad;
mod poll;
mod profiling;
mod recording;
mod registers;
mod safepoint;
mod state;
mod translate;
mod unrolling;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::entity::PrimaryMap;
use cranelift_codegen::ir;
use cranelift_codegen::isa;
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::isa::unwind::systemv::UnwindInfo;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::{CompiledCode, Context as Cranelift, FinalizedMachReloc, FinalizedRelocTarget};
use cranelift_frontend::FunctionBuilderContext;
use gimli::write::CommonInformationEntry;
use osr_ir::{Body, FunctionIndex, Instruction, Point, Points, Position, TrapKind};
use thiserror::Error;

use crate::code::Pads;
use crate::frame::frame_map::FrameMaps;
use crate::instance::Instance;
use crate::settings::{CompiledTier, StateRecording};

/// Where a version is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryPoint {
    /// At the function's entry, with arguments.
    Function,
    /// At a point, with a frame state: a *continuation*.
    Continuation(Point),
}

impl fmt::Display for EntryPoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EntryPoint::Function => formatter.write_str("function"),
            EntryPoint::Continuation(point) => point.fmt(formatter),
        }
    }
}

/// An instruction that may trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrapSite {
    /// Its offset in the code.
    pub offset: u32,
    /// Why it traps.
    pub kind: TrapKind,
    /// The point of the body that it belongs to.
    pub point: Point,
}

/// What the compiler makes: everything of a version but its place in memory.
#[derive(Debug)]
pub(crate) struct CompiledBody {
    /// Position-independent machine code.
    pub(crate) code: Box<[u8]>,
    /// A frame map for every call.
    pub(crate) frame_maps: FrameMaps,
    /// By ascending offset.
    pub(crate) trap_sites: Box<[TrapSite]>,
    /// How its calls make the frame state known.
    pub(crate) recording: StateRecording,
    /// The frame maps that execute.
    pub(crate) pads: Option<Box<Pads>>,
    /// With [`StateRecording::CrossChecked`], the frame maps that slots give.
    pub(crate) slot_maps: Option<Box<FrameMaps>>,
    /// Unwind rows.
    pub(crate) unwind: UnwindInfo,
    /// The calls of other functions that are to be bound when it is in its place.
    pub(crate) direct_calls: Vec<DirectCall>,
}

/// A `call rel32` without its distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DirectCall {
    /// Where the distance goes, in the code. It counts from the end of the instruction.
    pub(crate) offset: u32,
    /// The function that is called.
    pub(crate) callee: FunctionIndex,
}

/// A body could not be compiled; it stays in the interpreter.
#[derive(Debug, Error)]
pub enum CompileError {
    /// Cranelift refused.
    #[error("code generation failed: {0}")]
    Cranelift(String),
    /// The arena is full.
    #[error("no code memory is left")]
    NoCodeMemory,
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
pub(crate) struct Compiler {
    /// By tier.
    isas: [OwnedTargetIsa; 2],
    common_unwind: CommonInformationEntry,
    /// What compilations leave to the next.
    scratch: Mutex<Vec<Scratch>>,
}

/// Memory that a compilation needs.
struct Scratch {
    cranelift: Cranelift,
    builder_context: FunctionBuilderContext,
}

impl Scratch {
    fn new() -> Scratch {
        Scratch { cranelift: Cranelift::new(), builder_context: FunctionBuilderContext::new() }
    }
}

impl std::fmt::Debug for Compiler {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Compiler({})", self.isas[0].triple())
    }
}

impl Compiler {
    /// A compiler for this machine.
    pub(crate) fn new() -> Compiler {
        let isas = CompiledTier::ALL.map(isa);
        let common_unwind = isas[0].create_systemv_cie().expect("x86-64 has System V unwind information");
        Compiler { isas, common_unwind, scratch: Mutex::default() }
    }

    /// The common part of all versions' unwind rows.
    pub(crate) fn common_unwind(&self) -> &CommonInformationEntry {
        &self.common_unwind
    }

    /// Compiles `function` of `instance` in `tier` to be entered at `entry`.
    pub(crate) fn compile(
        &self,
        instance: &Instance,
        function: FunctionIndex,
        tier: CompiledTier,
        entry: EntryPoint,
    ) -> Result<CompiledBody, CompileError> {
        let recording = match tier {
            CompiledTier::Baseline => StateRecording::Slots,
            CompiledTier::Optimized => instance.settings().state_recording,
        };
        let load_merging = LoadMerging::Allowed;
        let mut request = Request { instance, function, tier, entry, load_merging, recording };
        let mut scratch = self.scratch().pop().unwrap_or_else(Scratch::new);
        let compiled = loop {
            match self.attempt(request, &mut scratch) {
                Ok(compiled) => break Ok(compiled),
                Err(Failure::Refused(error)) => break Err(error),
                Err(Failure::TrapWithoutPoint) => request.load_merging = request.load_merging.prevent(),
                Err(Failure::ImmovablePad) => request.recording = StateRecording::Slots,
            }
        };
        self.scratch().push(scratch);
        compiled
    }

    fn scratch(&self) -> MutexGuard<'_, Vec<Scratch>> {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attempt(&self, request: Request<'_>, scratch: &mut Scratch) -> Result<CompiledBody, Failure> {
        let instance = request.instance;
        let body = instance.body(request.function);
        let points = &instance.analysis(request.function).points;
        let isa = &*self.isas[request.tier as usize];
        let Scratch { cranelift, builder_context } = scratch;
        cranelift.clear();
        // Which leaves these: they would grow with each compilation.
        cranelift.func.dfg.exception_tables.clear();
        let safepoints =
            translate::translate(request, isa.frontend_config(), &mut cranelift.func, builder_context);
        let mut control = ControlPlane::default();
        cranelift
            .compile(isa, &mut control)
            .map_err(|error| CompileError::Cranelift(format!("{:?}", error.inner)))?;
        let compiled = cranelift.compiled_code().expect("just compiled");
        let names = cranelift.func.params.user_named_funcs();
        check(compiled, instance)?;
        let unwind = match compiled.create_unwind_info(isa) {
            Ok(Some(isa::unwind::UnwindInfo::SystemV(info))) => info,
            other => return Err(CompileError::Cranelift(format!("no unwind rows: {other:?}")).into()),
        };
        let maps = safepoint::maps(body, points, &safepoints, compiled)?;
        Ok(CompiledBody {
            code: compiled.code_buffer().into(),
            frame_maps: maps.frame_maps,
            trap_sites: trap_sites(body, points, compiled).ok_or(Failure::TrapWithoutPoint)?,
            recording: request.recording,
            pads: maps.pads.map(Box::new),
            slot_maps: maps.slots.map(Box::new),
            direct_calls: direct_calls(compiled, names),
            unwind,
        })
    }
}

/// What to compile, and how.
#[derive(Clone, Copy)]
struct Request<'i> {
    instance: &'i Instance,
    function: FunctionIndex,
    tier: CompiledTier,
    entry: EntryPoint,
    load_merging: LoadMerging,
    recording: StateRecording,
}

/// Cranelift, set up for `tier`. The baseline tier takes what is quick: no optimization, and the
/// allocator that makes a single pass.
fn isa(tier: CompiledTier) -> OwnedTargetIsa {
    let (opt_level, allocator) = match tier {
        CompiledTier::Baseline => ("none", "single_pass"),
        CompiledTier::Optimized => ("speed", "backtracking"),
    };
    let mut flags = settings::builder();
    for (name, value) in [
        ("opt_level", opt_level),
        ("regalloc_algorithm", allocator),
        ("preserve_frame_pointers", "true"),
        ("unwind_info", "true"),
        ("enable_probestack", "false"),
        ("enable_verifier", if cfg!(debug_assertions) { "true" } else { "false" }),
    ] {
        flags.set(name, value).expect("Cranelift knows the setting");
    }
    cranelift_native::builder()
        .expect("x86-64 is supported")
        .finish(settings::Flags::new(flags))
        .expect("the settings agree")
}

/// Whether Cranelift may merge a load into the instruction that uses its value, which then traps for it.
/// That instruction has a point, unless an optimization made it anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LoadMerging {
    Allowed,
    Prevented,
}

impl LoadMerging {
    /// Prevents it, where an attempt has shown that this is needed.
    fn prevent(self) -> LoadMerging {
        assert_eq!(self, LoadMerging::Allowed, "instructions that trap have points");
        LoadMerging::Prevented
    }
}

/// Why an attempt to compile failed.
enum Failure {
    Refused(CompileError),
    /// It would not be known where in the body a trap is.
    TrapWithoutPoint,
    /// A pad could not outlive its code.
    ImmovablePad,
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

/// What the engine relies on and Cranelift decides.
fn check(compiled: &CompiledCode, instance: &Instance) -> Result<(), CompileError> {
    // The frame is allocated before the stack check, and a landing needs some of the reserve.
    let limit = (instance.settings().stack_reserve_bytes / 2) as u32;
    let bytes = compiled.buffer.frame_layout().map_or(0, |layout| layout.frame_to_fp_offset);
    if bytes > limit { Err(CompileError::FrameTooLarge { bytes, limit }) } else { Ok(()) }
}

/// The calls that must be bound, by the function's table of names. Nothing else may need relocation.
fn direct_calls(
    compiled: &CompiledCode,
    names: &PrimaryMap<ir::UserExternalNameRef, ir::UserExternalName>,
) -> Vec<DirectCall> {
    let call = |relocation: &FinalizedMachReloc| match &relocation.target {
        FinalizedRelocTarget::ExternalName(ir::ExternalName::User(name))
            if (relocation.kind, relocation.addend) == (Reloc::X86CallPCRel4, -4) =>
        {
            let callee = FunctionIndex::new(names[*name].index as usize);
            DirectCall { offset: relocation.offset, callee }
        }
        _ => panic!("compiled code must not need relocation: {relocation:?}"),
    };
    compiled.buffer.relocs().iter().map(call).collect()
}

/// What traps, or `None` if it is not known at which point something does.
fn trap_sites(body: &Body, points: &Points, compiled: &CompiledCode) -> Option<Box<[TrapSite]>> {
    let locations = compiled.buffer.get_srclocs_sorted();
    let site = |trap: &cranelift_codegen::MachTrap| {
        let after = locations.partition_point(|location| location.start <= trap.offset);
        let location = locations[after.checked_sub(1)?].loc;
        let point = (!location.is_default()).then(|| Point::new(location.bits() as usize))?;
        let loaded = (trap.code == load_trap_code()).then(|| load_at(body, points, point)).flatten();
        Some(TrapSite { offset: trap.offset, kind: trap_kind(trap.code), point: loaded.unwrap_or(point) })
    };
    let traps = compiled.buffer.traps().iter();
    traps.filter(|trap| trap.code != never_trap_code()).map(site).collect()
}

/// The load that traps at `point`: the instruction there, or the last load before it, merged into one
/// that has a point of its own.
fn load_at(body: &Body, points: &Points, point: Point) -> Option<Point> {
    let Position { block, index } = points.position(point);
    let instructions = &body.block(block).instructions;
    let until = instructions.len().min(index + 1);
    let load = instructions[..until].iter().rposition(|found| matches!(found, Instruction::Load { .. }))?;
    points.at(block, load)
}

/// Cranelift's code for the trap of a load: stores have Cranelift's own.
fn load_trap_code() -> ir::TrapCode {
    trap_code(TrapKind::MemoryOutOfBounds)
}

/// Cranelift's code for a trap of `kind`.
fn trap_code(kind: TrapKind) -> ir::TrapCode {
    ir::TrapCode::unwrap_user(kind.code() + 1)
}

/// Cranelift's code for what is never executed.
fn never_trap_code() -> ir::TrapCode {
    ir::TrapCode::unwrap_user(200)
}

fn trap_kind(code: ir::TrapCode) -> TrapKind {
    match code {
        ir::TrapCode::HEAP_OUT_OF_BOUNDS => TrapKind::MemoryOutOfBounds,
        ir::TrapCode::INTEGER_OVERFLOW => TrapKind::IntegerOverflow,
        ir::TrapCode::INTEGER_DIVISION_BY_ZERO => TrapKind::IntegerDivideByZero,
        ir::TrapCode::BAD_CONVERSION_TO_INTEGER => TrapKind::InvalidConversionToInteger,
        ir::TrapCode::STACK_OVERFLOW => TrapKind::StackExhausted,
        user => TrapKind::from_code(user.as_raw().get() - 1).expect("a code of ours"),
    }
}
