//! Safepoints: where compiled code can be seen from outside, and what its frame map says there.
//!
//! State recording is *slots*: before the call, live values are stored into explicit stack slots. The
//! call carries its safepoint's number as a debug tag, which Cranelift keeps attached to the return
//! PC; slots become offsets from the frame base when the frame's layout is known.

use cranelift_codegen::ir::{self, DebugTag};
use cranelift_codegen::{CompiledCode, MachDebugTagPos};
use osr_ir::{Body, Point, Points, Register, Type};

use crate::frame_map::{FrameMapBuilder, FrameMapEntry, FrameMaps, Location};

/// Where the compiler put a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Recorded {
    /// Stored into a stack slot.
    Slot(ir::StackSlot),
    /// Known when compiling.
    Constant(u64),
    /// Returned by the callee.
    Result(Location),
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
    let mut builder = FrameMapBuilder::default();
    // Cranelift tags every machine instruction that a call is lowered to; the one *after* which the tag
    // applies is the call proper.
    let tags = compiled.buffer.debug_tags().filter(|tagged| tagged.pos == MachDebugTagPos::Post);
    for tagged in tags {
        let [DebugTag::User(number)] = tagged.tags else { unreachable!("one tag per call") };
        let safepoint = &safepoints[*number as usize];
        let entries: Vec<_> = safepoint
            .state
            .iter()
            .map(|&(register, recorded)| {
                let location = match recorded {
                    Recorded::Slot(slot) => {
                        let offset = layout.stackslots[slot].offset;
                        Location::FrameSlot(offset as i32 - layout.frame_to_fp_offset as i32)
                    }
                    Recorded::Constant(bits) => builder.constant(bits),
                    Recorded::Result(location) => location,
                };
                let wide = matches!(body.ty(register), Type::I64 | Type::F64 | Type::Funcref);
                FrameMapEntry { register, location, wide }
            })
            .collect();
        let point = (safepoint.point, points.kind(safepoint.point));
        builder.site(tagged.offset, point, entries.into_iter());
    }
    let maps = builder.finish();
    let calls: Vec<u32> = compiled.buffer.call_sites().map(|call| call.ret_addr).collect();
    let sites: Vec<u32> = maps.sites().iter().map(|site| site.return_offset).collect();
    assert_eq!(calls, sites, "a frame map for every call, and no other");
    maps
}
