//! Safepoints: where compiled code can be seen from outside, and what its frame map says there.
//!
//! A call carries its safepoint's number: as a debug tag, which Cranelift keeps attached to the return PC,
//! or as the tag of its exception handler. Slots become offsets from the frame base when the frame's layout
//! is known; where the allocator keeps a call's contexts is said by the exception table.

use cranelift_codegen::ir::{self, DebugTag};
use cranelift_codegen::{
    CompiledCode, ExceptionContextLoc, FinalizedMachExceptionHandler as Handler, MachBufferFrameLayout,
    MachDebugTagPos,
};
use osr_ir::{Body, Point, Points, Register, Type};

use super::pad::{Immovable, read_pads};
use crate::frame_map::{FrameMapBuilder, FrameMapEntry, FrameMaps, Location, MachineRegister};
use crate::pad_sites::PadSites;

/// Where the compiler put a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Recorded {
    /// Stored into a stack slot.
    Slot(ir::StackSlot),
    /// Known when compiling.
    Constant(u64),
    /// Returned by the callee.
    Result(Location),
    /// Where the allocator keeps the call's context of that number.
    Allocated(usize),
    /// Stored by the call's pad.
    Pad,
}

/// Where each register is that is live at a safepoint.
pub(super) type State = Vec<(Register, Recorded)>;

/// A call, as the compiler sees it. Its number is the position in the list of all.
#[derive(Debug)]
pub(super) struct Safepoint {
    /// Where execution resumes after it.
    pub(super) point: Point,
    /// Where each register that is live there is.
    pub(super) state: State,
    /// Where each of them is as well, if it is in two places.
    pub(super) stored: Option<State>,
    /// Whether the call's exception handler is a pad.
    pub(super) has_pad: bool,
    /// Whether another call, which does not return, is where the frame is left.
    pub(super) leaves_apart: bool,
}

impl Safepoint {
    /// A safepoint that resumes at `point`, where nothing is live.
    pub(super) fn new(point: Point) -> Safepoint {
        Safepoint { point, state: State::new(), stored: None, has_pad: false, leaves_apart: false }
    }
}

/// What is known of the frame states of a compiled body.
pub(super) struct CompiledMaps {
    pub(super) frame_maps: FrameMaps,
    /// Frame maps by slots, if they are there beside others.
    pub(super) slots: Option<FrameMaps>,
    /// Pads, if there are any.
    pub(super) pads: Option<PadSites>,
}

/// A call in machine code.
struct Call<'c> {
    safepoint: &'c Safepoint,
    return_offset: u32,
    /// The contexts of a call that may throw.
    contexts: &'c [Handler],
    /// Where its pad begins.
    pad: Option<u32>,
}

/// The frame maps of a compiled body.
pub(super) fn maps(
    body: &Body,
    points: &Points,
    safepoints: &[Safepoint],
    compiled: &CompiledCode,
) -> Result<CompiledMaps, Immovable> {
    let layout = compiled.buffer.frame_layout().expect("every function of ours has a frame");
    let calls = calls(safepoints, compiled);
    let build = |state: fn(&Safepoint) -> &[(Register, Recorded)]| {
        let mut maps = Maps { body, points, layout, builder: FrameMapBuilder::default() };
        calls.iter().for_each(|call| maps.site(call, state(call.safepoint)));
        maps.builder.finish()
    };
    let frame_maps = build(|safepoint| &safepoint.state);
    let is_twofold = safepoints.iter().any(|safepoint| safepoint.stored.is_some());
    let slots = is_twofold.then(|| build(|safepoint| safepoint.stored.as_ref().unwrap_or(&safepoint.state)));
    let starts: Vec<Option<u32>> = calls.iter().map(|call| call.pad).collect();
    let has_pads = starts.iter().any(Option::is_some);
    let pads = has_pads.then(|| read_pads(compiled.code_buffer(), &starts)).transpose()?;
    Ok(CompiledMaps { frame_maps, slots, pads })
}

/// The calls of a compiled body, by ascending return offset.
fn calls<'c>(safepoints: &'c [Safepoint], compiled: &'c CompiledCode) -> Vec<Call<'c>> {
    let mut calls = Vec::with_capacity(safepoints.len());
    // Cranelift tags every machine instruction that a call is lowered to; the one *after* which the tag
    // applies is the call proper.
    for tagged in compiled.buffer.debug_tags().filter(|tagged| tagged.pos == MachDebugTagPos::Post) {
        let [DebugTag::User(number)] = tagged.tags else { unreachable!("one tag per call") };
        let safepoint = &safepoints[*number as usize];
        calls.push(Call { safepoint, return_offset: tagged.offset, contexts: &[], pad: None });
    }
    for call in compiled.buffer.call_sites() {
        if let Some((Handler::Tag(tag, handler), contexts)) = call.exception_handlers.split_last() {
            let safepoint = &safepoints[tag.as_u32() as usize];
            let pad = safepoint.has_pad.then_some(*handler);
            calls.push(Call { safepoint, return_offset: call.ret_addr, contexts, pad });
        }
    }
    calls.sort_by_key(|call| call.return_offset);
    let pads = calls.iter().filter(|call| call.pad.is_some()).count();
    let leaves = calls.iter().filter(|call| call.safepoint.leaves_apart).count();
    let found = compiled.buffer.call_sites().count();
    assert_eq!(calls.len() + pads + leaves, found, "a frame map for every call that can return");
    calls
}

/// Makes frame maps.
struct Maps<'c> {
    body: &'c Body,
    points: &'c Points,
    layout: &'c MachBufferFrameLayout,
    builder: FrameMapBuilder,
}

impl Maps<'_> {
    /// Adds the frame map of `call`, which has that state.
    fn site(&mut self, call: &Call<'_>, state: &[(Register, Recorded)]) {
        let entries: Vec<_> = state
            .iter()
            .map(|&(register, recorded)| {
                let location = match recorded {
                    Recorded::Slot(slot) => self.in_frame(self.layout.stackslots[slot].offset),
                    Recorded::Constant(bits) => self.builder.constant(bits),
                    Recorded::Result(location) => location,
                    Recorded::Allocated(number) => self.allocated(call.contexts[number]),
                    Recorded::Pad => Location::Pad,
                };
                let wide = matches!(self.body.ty(register), Type::I64 | Type::F64 | Type::Funcref);
                FrameMapEntry { register, location, wide }
            })
            .collect();
        let point = call.safepoint.point;
        self.builder.site(call.return_offset, (point, self.points.kind(point)), entries);
    }

    /// The place `offset` bytes from the stack pointer.
    fn in_frame(&self, offset: u32) -> Location {
        Location::FrameSlot(offset as i32 - self.layout.frame_to_fp_offset as i32)
    }

    /// The place of a context.
    fn allocated(&self, context: Handler) -> Location {
        match context {
            Handler::Context(ExceptionContextLoc::SPOffset(offset)) => self.in_frame(offset),
            Handler::Context(ExceptionContextLoc::GPR(encoding)) => {
                let register = MachineRegister::preserved(encoding);
                Location::Register(
                    register.expect("a context outlives the call in a register that it preserves"),
                )
            }
            Handler::Tag(..) | Handler::Default(_) => unreachable!("contexts come first, handlers last"),
        }
    }
}
