//! What a compilation makes.

use osr_ir::{FunctionIndex, GlobalIndex};
use osr_stackwalk::CompactRows;

use crate::emitted::near_access::NearAccess;
use crate::emitted::poll_sites::PollSites;
use crate::fallback::Fallback;
use crate::frame_map::{FrameMaps, VirtualFrames};
use crate::guard::Guard;
use crate::pad_sites::PadSites;
use crate::residence::ResidenceCount;
use crate::settings::StateRecording;
use crate::speculation::Speculations;
use crate::trap_site::TrapSite;

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
    /// The instructions that are to be given the distance of a word when it is in its place.
    pub near_accesses: Vec<NearAccess>,
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
