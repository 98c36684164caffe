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

use crate::frame_map::{FrameMapBuilder, FrameMapEntry, FrameMaps, Location, MachineRegister};

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
}

/// A call, as the compiler sees it. Its number is the position in the list of all.
#[derive(Debug)]
pub(super) struct Safepoint {
    /// Where execution resumes after it.
    pub(super) point: Point,
    /// Where each register that is live there is.
    pub(super) state: Vec<(Register, Recorded)>,
}

/// The frame maps of a compiled body.
pub(super) fn frame_maps(
    body: &Body,
    points: &Points,
    safepoints: &[Safepoint],
    compiled: &CompiledCode,
) -> FrameMaps {
    let layout = compiled.buffer.frame_layout().expect("every function of ours has a frame");
    let mut maps = Maps { body, points, safepoints, layout, builder: FrameMapBuilder::default() };
    // Cranelift tags every machine instruction that a call is lowered to; the one *after* which the tag
    // applies is the call proper.
    for tagged in compiled.buffer.debug_tags().filter(|tagged| tagged.pos == MachDebugTagPos::Post) {
        let [DebugTag::User(number)] = tagged.tags else { unreachable!("one tag per call") };
        maps.site(*number, tagged.offset, &[]);
    }
    for call in compiled.buffer.call_sites() {
        if let Some((Handler::Tag(tag, _), contexts)) = call.exception_handlers.split_last() {
            maps.site(tag.as_u32(), call.ret_addr, contexts);
        }
    }
    let maps = maps.builder.finish();
    let calls: Vec<u32> = compiled.buffer.call_sites().map(|call| call.ret_addr).collect();
    let sites: Vec<u32> = maps.sites().iter().map(|site| site.return_offset).collect();
    assert_eq!(calls, sites, "a frame map for every call, and no other");
    maps
}

/// Makes frame maps.
struct Maps<'c> {
    body: &'c Body,
    points: &'c Points,
    safepoints: &'c [Safepoint],
    layout: &'c MachBufferFrameLayout,
    builder: FrameMapBuilder,
}

impl Maps<'_> {
    /// Adds the frame map of safepoint `number`, whose call returns to `return_offset`.
    fn site(&mut self, number: u32, return_offset: u32, contexts: &[Handler]) {
        let Safepoint { point, state } = &self.safepoints[number as usize];
        let entries: Vec<_> = state
            .iter()
            .map(|&(register, recorded)| {
                let location = match recorded {
                    Recorded::Slot(slot) => self.in_frame(self.layout.stackslots[slot].offset),
                    Recorded::Constant(bits) => self.builder.constant(bits),
                    Recorded::Result(location) => location,
                    Recorded::Allocated(number) => self.allocated(contexts[number]),
                };
                let wide = matches!(self.body.ty(register), Type::I64 | Type::F64 | Type::Funcref);
                FrameMapEntry { register, location, wide }
            })
            .collect();
        self.builder.site(return_offset, (*point, self.points.kind(*point)), entries.into_iter());
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
