//! Safepoints: where compiled code can be seen from outside, and what its frame map says there.
//!
//! A call carries its safepoint's number in its source location, which Cranelift keeps with its machine code. Slots
//! become offsets from the frame base when the frame's layout is known; where the allocator keeps a call's
//! contexts is said by the exception table. Where values are at polls is [read](crate::emitted::poll_exits) from the code.

use std::collections::BTreeMap;
use std::ops::Range;

use cranelift_codegen::ir;
use cranelift_codegen::{
    CompiledCode, ExceptionContextLoc, Final, FinalizedMachExceptionHandler as Handler,
    MachBufferFrameLayout, MachSrcLoc,
};
use osr_ir::inlining::FrameIndex;
use osr_ir::{Point, Register, Type};

use super::pad::{Immovable, read_pads};
use super::source::Source;
use crate::emitted::frame_words::FrameWords;
use crate::emitted::tightening::Tight;
use crate::frame_map::{FrameMapBuilder, FrameMapEntry, FrameMaps, Location, MachineRegister};
use crate::pad_sites::PadSites;

/// Where the compiler put a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Recorded {
    /// Stored into a stack slot.
    Slot(ir::StackSlot),
    /// Known when compiling.
    Constant(u64),
    /// Returned by the callee: where the lowest word is, and the highest.
    Result(Location, Location),
    /// Where the allocator keeps the call's context of that number.
    Allocated(usize),
    /// Stored by the call's pad.
    Pad,
    /// In a machine register.
    Register(MachineRegister),
    /// In the frame, that many bytes from the frame base.
    Frame(i32),
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
    pub(super) exits_apart: bool,
    /// The number of the guard that leaves by this call.
    pub(super) guard: Option<u32>,
    /// Where its call returns to, if that is not Cranelift's.
    pub(super) returns_to: Option<u32>,
}

impl Safepoint {
    /// A safepoint that resumes at `point`, where nothing is live.
    pub(super) fn new(point: Point) -> Safepoint {
        let state = State::new();
        Safepoint {
            point,
            state,
            stored: None,
            has_pad: false,
            exits_apart: false,
            guard: None,
            returns_to: None,
        }
    }
}

/// What is known of the frame states of a compiled body.
pub(super) struct CompiledMaps {
    pub(super) frame_maps: FrameMaps,
    /// Frame maps by slots, if they are there beside others.
    pub(super) slots: Option<FrameMaps>,
    /// Pads, if there are any.
    pub(super) pads: Option<PadSites>,
    /// By site, if the frame leaves by another call, where that ends.
    pub(super) exits: Vec<Option<u32>>,
    /// By site, the innermost virtual frame.
    pub(super) innermost: Vec<FrameIndex>,
    /// By site, the guard that leaves there.
    pub(super) guards: Vec<Option<u32>>,
    /// The sites of polls whose maps hold there, and not at another call.
    pub(super) in_place: Box<[u32]>,
}

/// A call in machine code.
struct Call<'c> {
    safepoint: &'c Safepoint,
    return_offset: u32,
    /// The contexts of a call that may throw.
    contexts: &'c [Handler],
    /// Where its pad begins.
    pad: Option<u32>,
    /// Where the call ends by which the frame is left, if that is another.
    exit: Option<u32>,
}

/// The frame maps of a compiled body, whose code was tightened, and whose frames have these words left.
pub(super) fn maps(
    source: Source<'_>,
    safepoints: &[Safepoint],
    compiled: &CompiledCode,
    (tight, frame): (&Tight, &FrameWords),
) -> Result<CompiledMaps, Immovable> {
    let layout = layout(compiled);
    let calls = calls(safepoints, compiled, tight);
    let build = |state: fn(&Safepoint) -> &[(Register, Recorded)]| {
        let mut maps = Maps { source, layout, frame, builder: FrameMapBuilder::default() };
        calls.iter().for_each(|call| maps.site(call, state(call.safepoint)));
        maps.builder.finish()
    };
    let frame_maps = build(|safepoint| &safepoint.state);
    let is_twofold = safepoints.iter().any(|safepoint| safepoint.stored.is_some());
    let slots = is_twofold.then(|| build(|safepoint| safepoint.stored.as_ref().unwrap_or(&safepoint.state)));
    let starts: Vec<Option<u32>> = calls.iter().map(|call| call.pad).collect();
    let has_pads = starts.iter().any(Option::is_some);
    let pads = has_pads.then(|| read_pads(&tight.code, &starts)).transpose()?;
    let exits = calls.iter().map(|call| call.exit).collect();
    let innermost = calls.iter().map(|call| source.place(call.safepoint.point).0).collect();
    let guards = calls.iter().map(|call| call.safepoint.guard).collect();
    let is_in_place = |call: &Call<'_>| call.safepoint.returns_to.is_some() && !call.safepoint.exits_apart;
    let numbers = (0..).zip(&calls).filter(|(_, call)| is_in_place(call));
    let in_place = numbers.map(|(number, _)| number).collect();
    Ok(CompiledMaps { frame_maps, slots, pads, exits, innermost, guards, in_place })
}

/// The layout of a compiled body's frames.
pub(super) fn layout(compiled: &CompiledCode) -> &MachBufferFrameLayout {
    compiled.buffer.frame_layout().expect("every function of ours has a frame")
}

/// Where `slot` is in frames with that layout, in bytes from the frame base.
pub(super) fn in_frame(layout: &MachBufferFrameLayout, slot: ir::StackSlot) -> i32 {
    layout.stackslots[slot].offset as i32 - layout.frame_to_fp_offset as i32
}

/// The calls of a compiled body, by ascending return offset.
fn calls<'c>(safepoints: &'c [Safepoint], compiled: &'c CompiledCode, tight: &Tight) -> Vec<Call<'c>> {
    let origins = Origins::of(compiled);
    let mut calls = BTreeMap::new();
    let mut leaves = BTreeMap::new();
    let mut of_pads = 0;
    for call in compiled.buffer.call_sites() {
        let (contexts, pad) = match call.exception_handlers.split_last() {
            Some((Handler::Default(pad), contexts)) => (contexts, Some(tight.offset(*pad))),
            _ => (call.exception_handlers, None),
        };
        // The call itself ends where it returns.
        match origins.at(call.ret_addr - 1) {
            Some(Origin::Safepoint(number)) => {
                let safepoint = &safepoints[number];
                let return_offset = safepoint.returns_to.unwrap_or_else(|| tight.offset(call.ret_addr));
                calls.insert(number, Call { safepoint, return_offset, contexts, pad, exit: None });
            }
            Some(Origin::Leave(number)) => _ = leaves.insert(number, (tight.offset(call.ret_addr), contexts)),
            _ => of_pads += 1,
        }
    }
    for (number, (exit, contexts)) in leaves {
        let safepoint = &safepoints[number];
        let call = calls.entry(number).or_insert_with(|| {
            let return_offset = safepoint.returns_to.expect("one-way polls were given their calls");
            Call { safepoint, return_offset, contexts: &[], pad: None, exit: None }
        });
        if safepoint.exits_apart {
            (call.exit, call.contexts) = (Some(exit), contexts);
        }
    }
    let mut calls: Vec<_> = calls.into_values().collect();
    for call in &calls {
        assert_eq!(call.pad.is_some(), call.safepoint.has_pad, "what was asked for is there");
    }
    let pads = calls.iter().filter(|call| call.pad.is_some()).count();
    assert_eq!(of_pads, pads, "a frame map for every call that can return");
    calls.sort_by_key(|call| call.return_offset);
    calls
}

/// What machine code was made for: its location in Cranelift's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// What belongs to a point.
    Point(Point),
    /// The call that is the safepoint of that number.
    Safepoint(usize),
    /// The call by which that safepoint, a poll, leaves the frame.
    Leave(usize),
    /// The comparison and the branches of the poll of the loop whose header is at that point.
    Poll(Point),
    /// A return, with what ends the frame.
    Return,
}

impl Origin {
    const SAFEPOINT: u32 = 1 << 31;
    const LEAVE: u32 = 1 << 30;
    const POLL: u32 = Origin::SAFEPOINT | Origin::LEAVE;
    /// The number of no point. (The next one is Cranelift's default.)
    const RETURN: u32 = u32::MAX - 1;

    /// Cranelift's location for it.
    pub(super) fn location(self) -> ir::SourceLoc {
        ir::SourceLoc::new(match self {
            Origin::Point(point) => point.as_u32(),
            Origin::Safepoint(number) => Origin::SAFEPOINT | number as u32,
            Origin::Leave(number) => Origin::LEAVE | number as u32,
            Origin::Poll(point) => Origin::POLL | point.as_u32(),
            Origin::Return => Origin::RETURN,
        })
    }

    /// What has that location, if anything.
    pub(super) fn of(location: ir::SourceLoc) -> Option<Origin> {
        let bits = location.bits();
        let number = (bits & !Origin::POLL) as usize;
        match bits & Origin::POLL {
            _ if location.is_default() => None,
            _ if bits == Origin::RETURN => Some(Origin::Return),
            0 => Some(Origin::Point(Point::new(number))),
            Origin::LEAVE => Some(Origin::Leave(number)),
            Origin::SAFEPOINT => Some(Origin::Safepoint(number)),
            _ => Some(Origin::Poll(Point::new(number))),
        }
    }
}

/// The origins of a compiled body's code.
pub(super) struct Origins<'c>(&'c [MachSrcLoc<Final>]);

impl Origins<'_> {
    pub(super) fn of(compiled: &CompiledCode) -> Origins<'_> {
        Origins(compiled.buffer.get_srclocs_sorted())
    }

    /// That of the instruction at `offset`; none if Cranelift does not know it.
    pub(super) fn at(&self, offset: u32) -> Option<Origin> {
        let after = self.0.partition_point(|location| location.start <= offset);
        Origin::of(self.0[after.checked_sub(1)?].loc)
    }

    /// The machine code of the returns: ranges of offsets.
    pub(super) fn returns(&self) -> impl Iterator<Item = Range<u32>> {
        let returns = self.0.iter().filter(|location| Origin::of(location.loc) == Some(Origin::Return));
        returns.map(|location| location.start..location.end)
    }

    /// The machine code of the polls of loops that are to be overwritten: by loop header, ranges of offsets. What emits
    /// nothing has an empty one.
    pub(super) fn polls(&self) -> BTreeMap<Point, Vec<Range<u32>>> {
        let mut polls = BTreeMap::<Point, Vec<Range<u32>>>::new();
        for MachSrcLoc { start, end, loc } in self.0 {
            let Some(Origin::Poll(point)) = Origin::of(*loc) else { continue };
            polls.entry(point).or_default().push(*start..*end);
        }
        polls
    }
}

/// Makes frame maps.
struct Maps<'c> {
    source: Source<'c>,
    layout: &'c MachBufferFrameLayout,
    frame: &'c FrameWords,
    builder: FrameMapBuilder,
}

impl Maps<'_> {
    /// Adds the frame map of `call`, which has that state.
    fn site(&mut self, call: &Call<'_>, state: &[(Register, Recorded)]) {
        let mut entries = Vec::with_capacity(state.len());
        for &(register, recorded) in state {
            let ty = self.source.body.ty(register);
            let wide = !matches!(ty, Type::I32 | Type::F32);
            for word in 0..ty.words() {
                let location = self.location(call, recorded, word);
                let register = Register::new(self.source.word(register) + word);
                entries.push(FrameMapEntry { register, location, wide });
            }
        }
        let point = call.safepoint.point;
        let kind = self.source.analysis.points.kind(point);
        self.builder.site(call.return_offset, (self.source.place(point).1, kind), entries);
    }

    /// Where word number `word` is of what is recorded for `call`.
    fn location(&mut self, call: &Call<'_>, recorded: Recorded, word: usize) -> Location {
        let location = match recorded {
            Recorded::Slot(slot) => Location::FrameSlot(in_frame(self.layout, slot)),
            Recorded::Constant(bits) => self.builder.constant(bits),
            Recorded::Result(low, high) => return if word == 0 { low } else { high },
            Recorded::Allocated(number) => self.allocated(call.contexts[number]),
            Recorded::Pad => Location::Pad,
            Recorded::Register(register) => Location::Register(register),
            Recorded::Frame(offset) => Location::FrameSlot(offset),
        };
        match location {
            Location::FrameSlot(offset) => {
                Location::FrameSlot(self.frame.base_offset(offset + 8 * word as i32))
            }
            location => location,
        }
    }

    /// The place of a context.
    fn allocated(&self, context: Handler) -> Location {
        match context {
            Handler::Context(ExceptionContextLoc::SPOffset(offset)) => {
                Location::FrameSlot(offset as i32 - self.layout.frame_to_fp_offset as i32)
            }
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
