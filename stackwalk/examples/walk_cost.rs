//! What a walk costs per frame: `cargo run --release -p osr-stackwalk --example walk_cost`.
//!
//! The stack is an array, 512 frames of 64 bytes with frame pointers, read through a `LiveStack`; the code is
//! an arena of 64 functions. Medians over many walks; the sum of the slots keeps the walks honest.

use std::hint::black_box;
use std::time::Instant;

use gimli::write::{Address, CallFrameInstruction as Cfi, CommonInformationEntry, FrameDescriptionEntry};
use gimli::{Encoding, Format, X86_64};
use osr_stackwalk::{
    DwarfWalker, Error, ExitRecord, Frame, FramePointerWalk, LiveStack, NativeModules, NoHijacks, ReturnPc,
    ReturnPcs, ReturnSlot, SegmentedWalk, StackBounds, StubPcs, UnwindSection,
};

const FRAMES: usize = 512;
const WORDS: usize = 8;
const ARENA: u64 = 0x6000_0000_0000;
const FUNCTIONS: u64 = 64;
const BOUNDARY: ReturnPc = ReturnPc::new(0x40_0010);
const LANDING: ReturnPc = ReturnPc::new(0x40_0020);
const ROUNDS: usize = 2001;

fn eh_frame() -> Result<Vec<u8>, Error> {
    let encoding = Encoding { address_size: 8, format: Format::Dwarf32, version: 1 };
    let mut cie = CommonInformationEntry::new(encoding, 1, -8, X86_64::RA);
    cie.add_instruction(Cfi::Cfa(X86_64::RSP, 8));
    cie.add_instruction(Cfi::Offset(X86_64::RA, -8));
    let mut section = UnwindSection::new();
    for function in 0..FUNCTIONS {
        let mut fde = FrameDescriptionEntry::new(Address::Constant(ARENA + 0x100 * function), 0x100);
        fde.add_instruction(1, Cfi::Offset(X86_64::RBP, -16));
        fde.add_instruction(4, Cfi::Cfa(X86_64::RBP, 16));
        section.add(&cie, fde);
    }
    section.to_bytes()
}

/// Words of a stack: `[pc, ... locals ..., saved rbp]` per frame, then the boundary.
fn build(words: &mut [u64]) -> ExitRecord {
    let base = words.as_ptr().expose_provenance() as u64;
    for frame in 0..FRAMES {
        words[frame * WORDS] = ARENA + 0x100 * (frame as u64 * 7 % FUNCTIONS) + 0x20;
        words[frame * WORDS + WORDS - 1] = base + 8 * ((frame + 2) * WORDS) as u64 - 8;
    }
    words[FRAMES * WORDS] = BOUNDARY.address();
    ExitRecord { return_slot: ReturnSlot::new(base), frame_base: base + 8 * (WORDS as u64 - 1) }
}

/// The median time per frame of `walk`, which returns the sum of the slots, in nanoseconds.
fn measure(name: &str, expected: u64, mut walk: impl FnMut() -> u64) {
    let mut times: Vec<u128> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            assert_eq!(black_box(walk()), expected);
            start.elapsed().as_nanos()
        })
        .collect();
    times.sort_unstable();
    println!("{name:44} {:7.2} ns/frame", times[ROUNDS / 2] as f64 / FRAMES as f64);
}

/// What a walk that visits `frame` adds to its sum.
fn mixed(frame: Frame) -> u64 {
    frame.return_slot.address() ^ frame.pc.address()
}

#[inline(never)]
fn by_frame_pointer(memory: LiveStack, pcs: impl ReturnPcs, exit: ExitRecord) -> u64 {
    let mut walk = FramePointerWalk::new(memory, pcs, exit);
    let mut sum = 0_u64;
    while let Some(frame) = walk.next_frame().expect("the stack is sound") {
        sum = sum.wrapping_add(mixed(frame));
    }
    sum
}

#[inline(never)]
fn by_visits(memory: LiveStack, pcs: impl ReturnPcs, exit: ExitRecord) -> u64 {
    let mut sum = 0_u64;
    let visited = SegmentedWalk::new(memory, pcs, [exit]).visit(|frame| sum = sum.wrapping_add(mixed(frame)));
    visited.expect("the stack is sound");
    sum
}

#[inline(never)]
fn by_segments(memory: LiveStack, pcs: impl ReturnPcs, exit: ExitRecord) -> u64 {
    SegmentedWalk::new(memory, pcs, [exit])
        .map(Result::unwrap)
        .fold(0, |sum, frame| sum.wrapping_add(mixed(frame)))
}

#[inline(never)]
fn by_tables(walker: &mut DwarfWalker, memory: LiveStack, pcs: impl ReturnPcs, exit: ExitRecord) -> u64 {
    let mut walk = walker.walk(memory, pcs, exit);
    let mut sum = 0_u64;
    while let Some(frame) = walk.next_frame().expect("the stack is sound") {
        sum = sum.wrapping_add(mixed(frame));
    }
    sum
}

fn main() {
    let mut words = vec![0_u64; (FRAMES + 1) * WORDS];
    let exit = build(&mut words);
    let base = exit.return_slot.address();
    let bounds = StackBounds { low: base, high: base + 8 * words.len() as u64 };
    // SAFETY: the words outlive the value and are not written to any more.
    let memory = unsafe { LiveStack::new(bounds) };
    let plain = NoHijacks { boundary: Some(BOUNDARY) };
    let stubs = StubPcs { boundary: BOUNDARY, landing: LANDING, original: |_, _| None };
    let expected = by_frame_pointer(memory, plain, exit);
    measure("frame pointers", expected, || by_frame_pointer(memory, plain, exit));
    measure("frame pointers, looking for hijacks", expected, || by_frame_pointer(memory, stubs, exit));
    measure("frame pointers, segmented", expected, || by_segments(memory, stubs, exit));
    measure("frame pointers, segmented, visited", expected, || by_visits(memory, stubs, exit));
    let mut walker = DwarfWalker::new(NativeModules::default(), ARENA..ARENA + 0x100 * FUNCTIONS);
    walker.refresh_arena(0, eh_frame).expect("the section is sound");
    measure("unwind tables, warm", expected, || by_tables(&mut walker, memory, stubs, exit));
    let mut epoch = 0;
    measure("unwind tables, arena described anew", expected, || {
        epoch += 1;
        walker.refresh_arena(epoch, eh_frame).expect("the section is sound");
        by_tables(&mut walker, memory, stubs, exit)
    });
}
