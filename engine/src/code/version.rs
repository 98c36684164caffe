//! Code versions: one compiled body each, from installation to release.
//!
//! A version is shared by handles: the registry has one until the code is released and no ledger record
//! names the version; [`Instance::versions`](crate::Instance::versions) hands out others, and
//! [`CodeVersion::handle`] makes one of what an event or a policy lends. Its [life](super::life) has one
//! owner all the same: handles keep what is known of the code, never the code itself.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use gimli::write::FrameDescriptionEntry;
use osr_compiler::frame_map::{FrameMaps, VirtualActivation, VirtualFrames};
use osr_compiler::{
    CompiledBody, DirectCall, EntryPoint, Guard, ResidenceCount, Speculations, TrapSite, VersionKey,
};
use osr_ir::{FunctionIndex, GlobalIndex, PointKind};
use osr_stackwalk::CompactRows;

use super::guards::VersionGuard;
use super::landing_table::LandingTable;
use super::life::{Life, VersionState};
use super::memory::{Allocation, Memory};
use super::pads::Pads;
use super::polls::Polls;
use super::stackings::Stackings;
use crate::settings::{CompiledTier, StateRecording};

/// The number of a version: unique in its instance, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId(pub u64);

impl fmt::Display for VersionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "v{}", self.0)
    }
}

/// A compiled body with everything that is known of it.
#[derive(Debug)]
pub struct CodeVersion {
    /// Its number.
    pub id: VersionId,
    /// What it is code of.
    pub function: FunctionIndex,
    /// The tier that made it.
    pub tier: CompiledTier,
    /// Where it is entered.
    pub entry: EntryPoint,
    /// The address of its first instruction.
    pub start: u64,
    /// Bytes of code.
    pub code_bytes: u32,
    /// Where the frame state is at each call.
    pub frame_maps: FrameMaps,
    /// What traps.
    pub trap_sites: Box<[TrapSite]>,
    /// Which activations its frames stand for, if other bodies are inlined into it.
    pub(crate) virtual_frames: Option<Box<VirtualFrames>>,
    /// How they become frames of the interpreter.
    pub(crate) stackings: Stackings,
    /// How its calls make the frame state known.
    pub recording: StateRecording,
    /// The frame maps that execute, if there are any.
    pub(crate) pads: Option<Box<Pads>>,
    /// With [`StateRecording::CrossChecked`], what the frame maps would be with slots.
    pub(crate) slot_maps: Option<Box<FrameMaps>>,
    /// The polls of its loops, if they are overwritten while none is requested.
    pub(crate) polls: Option<Box<Polls>>,
    /// The sites of polls whose frame maps hold at the polls themselves, in any machine register; in order.
    pub(crate) in_place: Box<[u32]>,
    /// Where it counts its activations, if it does.
    pub(crate) residence: Option<Box<ResidenceCount>>,
    /// Where its hijacked frames land, if that is in code of its own.
    pub(crate) landings: Option<LandingTable>,
    /// How its frames are unwound.
    pub(crate) unwind: CompactRows,
    /// The calls in its code that name their callee, by callee.
    pub(crate) direct_calls: Box<[DirectCall]>,
    pub(crate) allocation: Allocation,
    /// Its place in the registry, while its code is in memory.
    pub(crate) slot: u32,
    pub(crate) life: Life,
    /// Sites of it at which frames are pending, each as often as there are ledger batches with such frames; with a
    /// landing table, the frames.
    pub(crate) pending_sites: AtomicU64,
    /// Its guards, by their numbers.
    pub(crate) guards: Box<[VersionGuard]>,
    /// What it speculates on; none if on nothing.
    pub(crate) speculation: Option<Box<Speculations>>,
    /// The globals that it takes for constants, and for which.
    pub(crate) kept_globals: Box<[(GlobalIndex, u64)]>,
    pub(crate) handle: Weak<CodeVersion>,
}

/// Where the code of a version is, and what the registry has put there with it.
#[derive(Debug)]
pub(super) struct CodePlace {
    /// The address of its first instruction.
    pub(super) start: u64,
    /// Without what is put around it.
    pub(super) code_bytes: u32,
    pub(super) allocation: Allocation,
    pub(super) slot: u32,
    pub(super) landings: Option<LandingTable>,
    pub(super) polls: Option<Box<Polls>>,
}

impl CodeVersion {
    /// What was compiled from `body`, at its place.
    pub(super) fn new(
        id: VersionId,
        VersionKey { function, tier, entry }: VersionKey,
        CodePlace { start, code_bytes, allocation, slot, landings, polls }: CodePlace,
        body: CompiledBody,
        guards: Box<[VersionGuard]>,
    ) -> Arc<CodeVersion> {
        Arc::new_cyclic(|handle| CodeVersion {
            id,
            function,
            tier,
            entry,
            start,
            code_bytes,
            frame_maps: body.frame_maps,
            trap_sites: body.trap_sites,
            virtual_frames: body.virtual_frames,
            stackings: Stackings::default(),
            recording: body.recording,
            pads: body.pads.map(|sites| Box::new(Pads::new(*sites))),
            slot_maps: body.slot_maps,
            polls,
            in_place: body.in_place,
            residence: body.residence,
            landings,
            unwind: body.unwind,
            direct_calls: body.direct_calls.into(),
            allocation,
            slot,
            life: Life::new(),
            pending_sites: AtomicU64::new(0),
            guards,
            speculation: body.speculation,
            kept_globals: body.kept_globals,
            handle: handle.clone(),
        })
    }

    /// A handle, which may be kept for as long as it is useful.
    pub fn handle(&self) -> Arc<CodeVersion> {
        self.handle.upgrade().expect("what is borrowed is kept by a handle")
    }

    /// Where it is in its life.
    #[inline(always)]
    pub fn state(&self) -> VersionState {
        self.life.state()
    }

    /// How long it took from its retirement until nothing would return into it; `None` if something may.
    pub fn drained(&self) -> Option<Duration> {
        self.life.latency()
    }

    /// Blocks until nothing will return into it, or the instance is gone, or `timeout` has passed. Returns
    /// false in the last case. For other native threads than the one that executes the instance: that one
    /// has to continue, for frames to be replaced.
    pub fn wait_until_drained(&self, timeout: Duration) -> bool {
        self.life.wait_until_drained(timeout)
    }

    /// Its guards, by their numbers, and how often each guard of the body has failed, in all versions together. Those that
    /// are made to fail are not counted.
    pub fn guards(&self) -> impl ExactSizeIterator<Item = (Guard, u64)> {
        self.guards.iter().map(|guard| (guard.guard, guard.all_failures()))
    }

    /// Whether it takes `global` for a constant.
    pub fn keeps(&self, global: GlobalIndex) -> bool {
        self.kept_globals.iter().any(|&(kept, _)| kept == global)
    }

    /// Whether `pc` is in its code, or just past its last call.
    pub fn contains(&self, pc: u64) -> bool {
        pc.wrapping_sub(self.start) <= u64::from(self.code_bytes)
    }

    /// A copy of its code; `None` once that is released.
    pub fn code(&self) -> Option<Vec<u8>> {
        // SAFETY: code in memory is readable, and is not written meanwhile: `CallSites::lead`.
        let bytes =
            || unsafe { std::slice::from_raw_parts(self.start as *const u8, self.code_bytes as usize) };
        self.life.while_in_memory(|| bytes().to_vec())
    }

    /// Whether it has code of `function`: is code of it, or has its body inlined. Then it has to be retired when that is
    /// redefined.
    pub fn depends_on(&self, function: FunctionIndex) -> bool {
        self.function == function || self.inlined().any(|inlined| inlined == function)
    }

    /// The functions whose bodies are inlined, each as often as it is.
    pub fn inlined(&self) -> impl Iterator<Item = FunctionIndex> + '_ {
        self.virtual_frames.iter().flat_map(|frames| frames.inlined())
    }

    /// The activations that a frame at its `site`th site stands for, innermost first; nothing if no body is inlined into the
    /// version: [`Instance::activations`](crate::Instance::activations) knows that one, too.
    pub(crate) fn activations(&self, site: u32) -> impl Iterator<Item = VirtualActivation> + '_ {
        let point = self.frame_maps.site(site).point;
        self.virtual_frames.iter().flat_map(move |frames| frames.chain(site, point))
    }

    /// Visits the same, if bodies are inlined.
    #[inline]
    pub(crate) fn each_activation(&self, site: u32, visit: impl FnMut(VirtualActivation)) {
        if let Some(frames) = &self.virtual_frames {
            frames.each(site, self.frame_maps.site(site).point, visit);
        }
    }

    /// Whether a frame at its `site`th site stands for several activations.
    #[inline]
    pub(crate) fn has_chain(&self, site: u32) -> bool {
        self.virtual_frames.as_ref().is_some_and(|frames| frames.has_chain(site))
    }

    /// The words of the state of a frame at its `site`th site, where the function's body has so many registers.
    #[inline]
    pub(crate) fn state_words(&self, site: u32, registers: usize) -> usize {
        self.virtual_frames.as_ref().map_or(registers, |frames| frames.words(site))
    }

    /// The function that a frame at its `site`th site resumes in: its own, or one that is inlined.
    pub fn function_at(&self, site: u32) -> FunctionIndex {
        self.virtual_frames.as_ref().map_or(self.function, |frames| frames.function_at(site))
    }

    /// Whether frames are pending at a site of it.
    pub(crate) fn has_pending_frames(&self) -> bool {
        self.pending_sites.load(Ordering::Acquire) > 0
    }

    /// The address of the pad of `site`, if it has one.
    #[inline(always)]
    pub(crate) fn pad(&self, site: u32) -> Option<u64> {
        self.pads.as_ref()?.address(site, self.start)
    }

    /// The calls in its code that name their callee: for each callee those of it.
    pub(crate) fn direct_calls_by_callee(&self) -> impl Iterator<Item = &[DirectCall]> {
        self.direct_calls.chunk_by(|one, other| one.callee == other.callee)
    }

    /// The calls in its code that name `callee`.
    pub(crate) fn direct_calls_of(&self, callee: FunctionIndex) -> &[DirectCall] {
        let first = self.direct_calls.partition_point(|call| call.callee < callee);
        let calls = &self.direct_calls[first..];
        &calls[..calls.partition_point(|call| call.callee == callee)]
    }

    /// Where in its allocation its code begins.
    pub(crate) fn offset_in_allocation(&self, memory: &Memory) -> usize {
        (self.start - memory.range().start) as usize - self.allocation.offset
    }

    /// Bytes that say where the frame state is, in memory beside its code.
    pub fn frame_map_bytes(&self) -> u64 {
        let virtual_frames = self.virtual_frames.as_ref().map_or(0, |frames| frames.bytes());
        let in_place = size_of_val(&*self.in_place) as u64;
        self.frame_maps.bytes()
            + in_place
            + virtual_frames
            + self.pads.as_ref().map_or(0, |pads| pads.bytes())
    }

    /// Bytes that say how its frames are unwound.
    pub fn unwind_bytes(&self) -> u64 {
        size_of_val(&self.unwind) as u64
    }

    /// How many callee-saved registers of their callers its frames keep, besides `rbp`.
    pub fn saved_registers(&self) -> usize {
        self.unwind.saves().count()
    }

    /// Bytes of its code that are pads.
    pub fn pad_bytes(&self) -> u64 {
        self.pads.as_ref().map_or(0, |pads| pads.code_bytes())
    }

    /// The pads of its sites, as ranges of bytes of its code: per site, if it has one. Empty without pads.
    pub fn pad_ranges(&self) -> Vec<Option<std::ops::Range<u32>>> {
        let Some(pads) = &self.pads else { return Vec::new() };
        let sites = 0..self.frame_maps.len() as u32;
        sites.map(|site| pads.range(site).map(|range| range.start..range.end)).collect()
    }

    /// How many polls of its loops are overwritten while none is requested, and how many compare all the same, because
    /// their code is not as it must be for that. None where they are not to be overwritten.
    pub fn overwritten_polls(&self) -> Option<(usize, usize)> {
        self.polls.as_ref().map(|polls| polls.count())
    }

    /// Whether it polls where it is entered.
    pub(crate) fn polls_at_entry(&self) -> bool {
        self.entry == EntryPoint::Function
            && self.frame_maps.sites().any(|site| site.kind == PointKind::Entry)
    }

    /// Whether `site` is a poll whose frame state is stored only where the frame is left.
    pub(crate) fn exits_apart(&self, site: u32) -> bool {
        self.recording != StateRecording::None && self.polls_in_loop(site) && !self.is_in_place(site)
    }

    /// Whether its `site`th site is a poll whose frame map holds at the poll itself, in any machine register: a frame that is
    /// hijacked there executes no more of its code.
    pub fn is_in_place(&self, site: u32) -> bool {
        self.in_place.binary_search(&site).is_ok()
    }

    /// Whether a frame is rebuilt only when it lands that is hijacked at `site`: a poll whose frame state is stored when the
    /// frame is left, or is in registers that the poll's stub keeps until then.
    pub(crate) fn lands_first(&self, site: u32) -> bool {
        self.exits_apart(site) || self.is_in_place(site)
    }

    /// Whether `site` is a poll of a loop of optimized code.
    pub(crate) fn polls_in_loop(&self, site: u32) -> bool {
        self.tier == CompiledTier::Optimized && self.frame_maps.site(site).kind == PointKind::LoopHeader
    }

    /// The offset of `pc` in its code.
    pub fn offset(&self, pc: u64) -> u32 {
        (pc - self.start) as u32
    }

    /// Bytes from the start of its code at which its frames may be seen: of the code, and of the landing table behind it
    /// where hijacked slots lead there.
    pub fn described_bytes(&self) -> u32 {
        let table = self.landings.map_or(0, |table| table.bytes(self.frame_maps.len()));
        self.code_bytes + table as u32
    }

    /// The unwind rows of its code, if that begins at `start`. In its landing table they are what they are behind the
    /// prologue: a hijacked frame is as the call has left it.
    pub(crate) fn unwind_rows_at(&self, start: u64) -> FrameDescriptionEntry {
        self.unwind.to_fde(start, self.described_bytes())
    }

    /// The callers of the activation that traps at `pc`, if there is [something](Self::trap_site) that does, which are inlined
    /// with it: innermost first.
    pub(crate) fn callers_at_trap(&self, pc: u64) -> impl Iterator<Item = VirtualActivation> + '_ {
        let found = self.number_of_trap_site(pc).into_iter();
        let frames = self.virtual_frames.iter();
        let chain = found
            .zip(frames)
            .flat_map(|(trap, frames)| frames.chain_at_trap(trap, self.trap_sites[trap].point));
        chain.skip(1)
    }

    fn number_of_trap_site(&self, pc: u64) -> Option<usize> {
        self.trap_sites.binary_search_by_key(&self.offset(pc), |site| site.offset).ok()
    }

    /// Why the instruction at `pc` traps, if it is one that does, and the function that it is of: the version's own, or one
    /// that is inlined.
    pub fn trap_site(&self, pc: u64) -> Option<(FunctionIndex, &TrapSite)> {
        let found = self.number_of_trap_site(pc)?;
        let frames = self.virtual_frames.as_ref();
        let function = frames.map_or(self.function, |frames| frames.function_at_trap(found));
        Some((function, &self.trap_sites[found]))
    }
}
