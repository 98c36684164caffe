//! One attempt to compile a unit by Cranelift, in one way, and what can be in the way.
//!
//! ```text
//!   Source ──translate──> CLIF ──Cranelift──> code ──overwritten, tightened──> code ──maps──> CompiledBody
//! ```

use std::collections::BTreeMap;

use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::{StackSlot, StackSlotData, StackSlotKind};
use cranelift_codegen::{CompiledCode, isa};
use gimli::write::Address;
use osr_ir::Type;
use osr_ir::inlining::FrameIndex;
use osr_stackwalk::{CfiRows, CompactRows};

use super::named_calls::NamedCalls;
use super::{Compiler, Scratch, stored_globals};
use crate::analysis::Analysis;
use crate::compiled_body::{CompiledBody, DirectCall};
use crate::emitted::disassembly::{Disassembly, NotReadable};
use crate::emitted::frame_words::FrameWords;
use crate::emitted::near_access::NearAccess;
use crate::emitted::near_polls::NearPolls;
use crate::emitted::poll_exits::{PollExits, handlers};
use crate::emitted::poll_sites::PollSites;
use crate::emitted::tightening::{Replaced, Tight, reached, tighten};
use crate::emitted::{compared_in_memory, epilogue};
use crate::error::CompileError;
use crate::frame_map::VirtualFrames;
use crate::safepoint::{Origins, Safepoint};
use crate::settings::{CompiledTier, ReturnSites, StateRecording};
use crate::source::Source;
use crate::translate::Translated;
use crate::trap_site::trap_sites;
use crate::unit::Unit;
use crate::{coldness, contexts, guard, invalidation_point, pad, safepoint, translate};

/// What to compile, and how.
#[derive(Clone, Copy)]
pub(crate) struct Request<'u> {
    pub(crate) unit: Unit<'u>,
    pub(crate) source: Source<'u>,
    pub(crate) load_merging: LoadMerging,
    pub(crate) cells: Cells,
    pub(super) scattering: Scattering,
    pub(crate) recording: StateRecording,
    /// The address of the count of activations.
    pub(crate) residence: Option<i64>,
}

/// Whether Cranelift may merge a load into the instruction that uses its value, which then traps for it.
/// That instruction has a point, unless an optimization remade it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadMerging {
    Allowed,
    Prevented,
}

/// Where code finds the call cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cells {
    /// [Near](super::near_access).
    Near,
    /// By the context.
    InContext,
}

/// Whether values that stay in place may be scattered over the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scattering {
    Allowed,
    Refused,
}

/// Why an attempt to compile failed.
pub(super) enum Failure {
    Refused(CompileError),
    /// It would not be known where in the body a trap is.
    TrapWithoutPoint,
    /// The code is not as expected, in which calls and polls were to be replaced.
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

impl From<NotReadable> for Failure {
    fn from(_: NotReadable) -> Self {
        Failure::NotReadable
    }
}

impl From<CompileError> for Failure {
    fn from(error: CompileError) -> Self {
        Failure::Refused(error)
    }
}

impl Compiler {
    /// Compiles what `request` says, in the way that it says.
    pub(super) fn attempt(
        &self,
        request: Request<'_>,
        scratch: &mut Scratch,
    ) -> Result<CompiledBody, Failure> {
        let Request { unit: Unit { key, settings, .. }, source, .. } = request;
        let isa = &*self.isas[key.tier as usize];
        let Scratch { cranelift, builder_context, .. } = scratch;
        cranelift.clear();
        // Which leaves these: they would grow with each compilation.
        cranelift.func.dfg.exception_tables.clear();
        let word = StackSlotData::new(StackSlotKind::ExplicitSlot, 8, 3);
        let kept = settings.keeps_return_pc.then(|| cranelift.func.create_sized_stack_slot(word));
        let Translated { mut safepoints, mut guards, kept_globals, request_slot } =
            translate::translate(request, isa.frontend_config(), &mut cranelift.func, builder_context);
        contexts::reduce(&mut cranelift.func, &mut safepoints);
        if !guards.is_empty() {
            coldness::pass_on(&mut cranelift.func);
        }
        let mut control = ControlPlane::default();
        cranelift
            .compile(isa, &mut control)
            .map_err(|error| CompileError::Cranelift(format!("{:?}", error.inner)))?;
        let compiled = cranelift.compiled_code().expect("just compiled");
        check_frame(compiled, settings.frame_limit)?;
        let is_in_place = matches!(request.recording, StateRecording::Locations | StateRecording::Pads);
        let may_scatter = request.scattering == Scattering::Allowed;
        if is_in_place && !may_scatter && is_scattered(compiled, source.analysis) {
            return Err(Failure::Scattered);
        }
        let unwind = self.unwind_rows(compiled, isa)?;
        let calls = NamedCalls::of(compiled, cranelift.func.params.user_named_funcs());
        let Edited { mut tight, frame, polls, direct_calls, near_accesses } =
            edited(request, compiled, (&calls, FrameSlots { kept, request: request_slot }), &mut safepoints)?;
        let unwind = unwind
            .moved(|offset| tight.offset(offset))
            .ok_or_else(|| CompileError::Cranelift("its prologue has become longer".into()))?;
        let maps = safepoint::maps(source, &safepoints, compiled, (&tight, &frame))?;
        for (site, guard) in maps.guards.iter().enumerate() {
            if let Some(guard) = guard {
                guards[*guard as usize].site = Some(site as u32);
            }
        }
        let trap_sites =
            trap_sites(source, &safepoints, compiled, &tight).ok_or(Failure::TrapWithoutPoint)?;
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
            kept_return_pc: kept
                .map(|slot| frame.base_offset(safepoint::in_frame(safepoint::layout(compiled), slot))),
            direct_calls,
            near_accesses,
            in_place: match request.recording {
                StateRecording::None => Box::default(),
                _ => maps.in_place,
            },
            guards: guards.into(),
            speculation: None,
            kept_globals: kept_globals.into_iter().collect(),
            stored_globals: stored_globals(&request.unit, source.body),
            polls,
            fallback: None,
            unwind,
        })
    }

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

/// Code of Cranelift's in which all is done that can be done in machine code, and the calls that are to be bound.
struct Edited {
    tight: Tight,
    frame: FrameWords,
    polls: Option<Box<PollSites>>,
    direct_calls: Vec<DirectCall>,
    near_accesses: Vec<NearAccess>,
}

/// Slots of a frame with a meaning of their own.
#[derive(Clone, Copy)]
struct FrameSlots {
    /// Has the return PC.
    kept: Option<StackSlot>,
    /// [Stands](crate::emitted::near_polls) for the word that requests polls.
    request: Option<StackSlot>,
}

/// What becomes of the code of `compiled`, whose frames have these slots. `safepoints` say where values are at polls then.
fn edited(
    request: Request<'_>,
    compiled: &CompiledCode,
    (calls, slots): (&NamedCalls, FrameSlots),
    safepoints: &mut [Safepoint],
) -> Result<Edited, Failure> {
    let Unit { key, settings, .. } = request.unit;
    let mut code = compiled.code_buffer().to_vec();
    compared_in_memory::replace(&mut code, compiled, settings.return_sites);
    epilogue::replace(&mut code, compiled);
    let is_optimized = key.tier == CompiledTier::Optimized;
    let disassembly = is_optimized.then(|| Disassembly::of(&code, compiled)).flatten();
    let has_poll_sites = is_optimized && settings.poll.is_overwritten();
    let polls = has_poll_sites.then(|| PollSites::of(&code, compiled, disassembly.as_ref()));
    if disassembly.is_none() && !calls.near.is_empty() {
        return Err(Failure::NotReadable);
    }
    let (tight, frame, near_accesses) =
        tightened(request, (code, disassembly), safepoints, compiled, (calls, slots))?;
    let polls = polls.map(|polls| Box::new(polls.moved(&tight)));
    Ok(Edited { polls, direct_calls: calls.direct(&tight), near_accesses, tight, frame })
}

/// Tightens `code`, which is that of `compiled`, if there is a disassembly of it, and says in `safepoints` where values are at
/// polls then.
fn tightened(
    Request { unit, source, recording, cells, .. }: Request<'_>,
    (mut code, disassembly): (Vec<u8>, Option<Disassembly>),
    safepoints: &mut [Safepoint],
    compiled: &CompiledCode,
    (calls, slots): (&NamedCalls, FrameSlots),
) -> Result<(Tight, FrameWords, Vec<NearAccess>), Failure> {
    let Some(disassembly) = disassembly else {
        return Ok((Tight::unchanged(code), FrameWords::default(), Vec::new()));
    };
    // Where frames leave at invalidation points, or where returns are checked, they leave polls in the same way.
    let frames_leave = unit.settings.return_sites != ReturnSites::Plain;
    let exits = match recording {
        StateRecording::CrossChecked => PollExits::default(),
        _ if frames_leave || cells == Cells::InContext => PollExits::default(),
        _ => PollExits::read(&disassembly, source, safepoints, compiled)?,
    };
    let polls =
        if unit.settings.poll.is_overwritten() { Origins::of(compiled).polls() } else { BTreeMap::new() };
    let is_of_poll = |offset: u32| polls.values().flatten().any(|range| range.contains(&offset));
    let mut edits = compared_in_memory::apart(&disassembly, compiled, unit.settings.return_sites);
    let near_polls = match slots.request {
        Some(slot) => NearPolls::of(&disassembly, compiled, slot, &mut edits)?,
        None => NearPolls::default(),
    };
    let reached = reached(&disassembly, handlers(compiled), &exits.calls);
    let may_go = !source.body.registers.contains(&Type::V128);
    let layout = safepoint::layout(compiled);
    let frame = FrameWords::of((&code, &disassembly), (&reached, &edits), layout, slots.kept, may_go);
    if let Some(frame) = &frame {
        frame.readdress(&mut code, &disassembly, &reached, &mut edits);
    }
    let replaced = Replaced { blocks: &exits.calls, calls: &calls.near, edits: &edits };
    let tight = tighten(&code, &disassembly, &reached, replaced, is_of_poll);
    let mut near_accesses = exits.record(safepoints, &tight);
    near_accesses.extend(calls.near(&tight));
    near_accesses.extend(near_polls.accesses(&tight));
    Ok((tight, frame.unwrap_or_default(), near_accesses))
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

fn frame_bytes(compiled: &CompiledCode) -> u32 {
    compiled.buffer.frame_layout().map_or(0, |layout| layout.frame_to_fp_offset)
}

/// Refuses a frame that is too large.
fn check_frame(compiled: &CompiledCode, limit: u32) -> Result<(), CompileError> {
    let bytes = frame_bytes(compiled);
    if bytes > limit { Err(CompileError::FrameTooLarge { bytes, limit }) } else { Ok(()) }
}
