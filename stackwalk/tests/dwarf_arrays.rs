//! DWARF walks over arrays, through an arena whose code keeps no frame pointers, so that a
//! walker that follows the frame pointer goes astray.
#![allow(missing_docs)]

mod support;

use gimli::X86_64;
use gimli::write::{CallFrameInstruction as Cfi, FrameDescriptionEntry};
use osr_stackwalk::{
    ArrayStack, DwarfWalker, Error, ExitRecord, Frame, NativeModules, NoHijacks, ReturnPc, ReturnPcs,
    ReturnSlot, StubPcs, UnwindSection, WalkEnd,
};
use support::cfi::{cie, eh_frame, fde};
use support::{BASE, BOUNDARY, LANDING, Layout, POISON, frame};

const ARENA: u64 = 0x6000_0000_0000;
const SIZE: u64 = 0x10_0000;
/// `sub rsp, 24; call`: CFA = rsp + 32, rbp untouched.
const PLAIN: u64 = ARENA + 0x1000;
/// `push rbp; sub rsp, 16; call`: CFA = rsp + 32, rbp at CFA - 16; the call is its last instruction.
const SAVING: u64 = ARENA + 0x1040;
/// A frame pointer: CFA = rbp + 16, rbp at CFA - 16.
const FRAMED: u64 = ARENA + 0x2000;
/// No caller.
const OUTERMOST: u64 = ARENA + 0x3000;
const LENGTH: u32 = 0x40;

fn descriptions() -> Vec<FrameDescriptionEntry> {
    vec![
        fde(PLAIN, LENGTH, &[(4, Cfi::CfaOffset(32))]),
        fde(SAVING, LENGTH, &[(1, Cfi::Offset(X86_64::RBP, -16)), (5, Cfi::CfaOffset(32))]),
        fde(FRAMED, LENGTH, &[(1, Cfi::Offset(X86_64::RBP, -16)), (4, Cfi::Cfa(X86_64::RBP, 16))]),
        fde(OUTERMOST, LENGTH, &[(0, Cfi::Undefined(X86_64::RA))]),
    ]
}

fn walker() -> DwarfWalker {
    let mut walker = DwarfWalker::new(NativeModules::default(), ARENA..ARENA + SIZE);
    assert_eq!(walker.refresh_arena(1, || Ok(eh_frame(descriptions()))), Ok(true));
    walker
}

const PCS: NoHijacks = NoHijacks { boundary: Some(BOUNDARY) };

type Outcome = (Vec<Frame>, Result<Option<WalkEnd>, Error>);

fn walk(walker: &mut DwarfWalker, stack: ArrayStack<'_>, pcs: impl ReturnPcs, start: ExitRecord) -> Outcome {
    let mut walk = walker.walk(stack, pcs, start);
    let mut frames = Vec::new();
    let outcome = loop {
        match walk.next_frame() {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => break Ok(walk.end()),
            Err(error) => break Err(error),
        }
        assert!(frames.len() < 100, "the walk does not end");
    };
    assert_eq!(walk.next_frame(), Ok(None), "a walk that ended has no more frames");
    (frames, outcome)
}

/// Walks cold, then warm: what is cached must not change what is found.
fn walk_twice(layout: &Layout, pcs: impl ReturnPcs + Copy, start: ExitRecord) -> Outcome {
    let mut walker = walker();
    let (sound, _) = mixed();
    let warm_up = walk(&mut walker, sound.stack(), PCS, START);
    assert_eq!(warm_up.1, Ok(Some(WalkEnd::Boundary { slot: BOUNDARY_SLOT })));
    let warm = walk(&mut walker, layout.stack(), pcs, start);
    let cold = walk(&mut self::walker(), layout.stack(), pcs, start);
    assert_eq!(warm, cold);
    cold
}

/// rbp in the innermost frame: no frame pointer.
const RBP: u64 = 0x1bad_b002;
const START: ExitRecord = ExitRecord { return_slot: ReturnSlot::new(BASE), frame_base: RBP };

/// Four frames and the boundary:
///
/// ```text
/// word: 0    1..3      4     5 6   7    8     9 10   11   12   13..15     16
///       pc | PLAIN's | pc | SAVING's  | pc | FRAMED's   | pc | PLAIN's | boundary
///                                 rbp               rbp
/// ```
fn mixed() -> (Layout, [Frame; 4]) {
    let mut layout = Layout { words: vec![POISON; 20] };
    let at = |word: u64| BASE + 8 * word;
    let framed_base = at(11);
    let after_call = SAVING + u64::from(LENGTH);
    let words = [(0, PLAIN + 8), (4, after_call), (7, framed_base), (8, FRAMED + 9), (11, 0x7777)];
    for (word, value) in words.into_iter().chain([(12, PLAIN + 8), (16, BOUNDARY.address())]) {
        layout.set(at(word), value);
    }
    let frames = [
        frame(PLAIN + 8, at(0), RBP),
        frame(after_call, at(4), RBP),
        frame(FRAMED + 9, at(8), framed_base),
        frame(PLAIN + 8, at(12), 0x7777),
    ];
    (layout, frames)
}

const BOUNDARY_SLOT: ReturnSlot = ReturnSlot::new(BASE + 8 * 16);
const AT_BOUNDARY: Result<Option<WalkEnd>, Error> = Ok(Some(WalkEnd::Boundary { slot: BOUNDARY_SLOT }));

#[test]
fn frames_without_frame_pointers_are_found() {
    let (layout, frames) = mixed();
    assert_eq!(walk_twice(&layout, PCS, START), (frames.to_vec(), AT_BOUNDARY));
}

#[test]
fn the_outermost_frame_is_the_last() {
    let (mut layout, frames) = mixed();
    layout.set(BASE + 8 * 12, OUTERMOST + 1);
    let (found, outcome) = walk_twice(&layout, PCS, START);
    assert_eq!(found[..3], frames[..3]);
    assert_eq!((found.len(), found[3].pc.address()), (4, OUTERMOST + 1));
    assert_eq!(outcome, Ok(Some(WalkEnd::Outermost)));
}

#[test]
fn code_that_nothing_describes_is_an_error_although_its_frame_pointers_are_sound() {
    let mut layout = Layout::default();
    // Beside the arena, before and after each description, and one that begins where the call before it ends.
    let outside = [ARENA - 8, ARENA + SIZE + 8, ARENA + SIZE + 1, 0x5001, u64::MAX];
    let gaps = [PLAIN, FRAMED, FRAMED + u64::from(LENGTH) + 1, SAVING + u64::from(LENGTH) + 1, ARENA + 5];
    let unknown = [outside, gaps].concat();
    for &pc in &unknown {
        layout.words.clear();
        let segment = layout.segment(&[(FRAMED + 9, 2), (pc, 1), (FRAMED + 9, 4)]);
        let outcome = walk_twice(&layout, PCS, segment.exit);
        assert_eq!(
            outcome,
            (segment.frames[..2].to_vec(), Err(Error::NoUnwindInfo { pc: ReturnPc::new(pc) })),
            "{pc:#x}"
        );
    }
    let segment = Layout::default().segment(&[(FRAMED + 9, 2)]);
    layout.words.clear();
    layout.segment(&[(FRAMED + 9, 2)]);
    let mut fresh = DwarfWalker::new(NativeModules::default(), ARENA..ARENA + SIZE);
    let (found, outcome) = walk(&mut fresh, layout.stack(), PCS, segment.exit);
    assert_eq!(
        (found, outcome),
        (segment.frames, Err(Error::NoUnwindInfo { pc: ReturnPc::new(FRAMED + 9) }))
    );
}

#[test]
fn broken_stacks_are_named_cold_and_warm() {
    let (layout, frames) = mixed();
    let broken = |word: u64, value: u64| {
        let mut broken = layout.clone();
        broken.set(BASE + 8 * word, value);
        walk_twice(&broken, PCS, START)
    };
    let found = |count: usize| frames[..count].to_vec();
    assert_eq!(broken(4, 0), (found(1), Err(Error::NullReturnPc { slot: ReturnSlot::new(BASE + 8 * 4) })));
    assert_eq!(broken(0, 0), (vec![], Err(Error::NullReturnPc { slot: ReturnSlot::new(BASE) })));
    // FRAMED's rbp leads inward, to itself, into nowhere, to zero.
    let third = |rbp| [&frames[..2], &[Frame { frame_base: rbp, ..frames[2] }]].concat();
    let slot = frames[2].return_slot;
    for inward in [BASE, slot.address() - 8, slot.address() - 16] {
        assert_eq!(broken(7, inward), (third(inward), Err(Error::DidNotAdvance { slot })), "{inward:#x}");
    }
    assert_eq!(broken(7, 0), (third(0), Err(Error::DidNotAdvance { slot })));
    for wild in [BASE + 0x1000, BASE + 8 * 11 + 4] {
        assert_eq!(broken(7, wild), (third(wild), Err(Error::Unreadable { address: wild })));
    }
    let truncated = Layout { words: layout.words[..16].to_vec() };
    let outcome = Err(Error::Unreadable { address: BOUNDARY_SLOT.address() });
    assert_eq!(walk_twice(&truncated, PCS, START), (found(4), outcome));
}

#[test]
fn hijacked_slots_show_the_original_and_a_saved_rbp_is_not_a_slot() {
    let (mut layout, mut frames) = mixed();
    // The word that FRAMED saved rbp in holds a value that looks like a landing PC.
    layout.set(BASE + 8 * 11, LANDING.address());
    frames[3].frame_base = LANDING.address();
    for frame in &frames[1..] {
        layout.set_slot(frame.return_slot, LANDING);
    }
    let original = |slot, pc| {
        assert_eq!(pc, LANDING);
        frames.iter().find(|frame| frame.return_slot == slot).map(|frame| frame.pc)
    };
    let pcs = StubPcs { boundary: BOUNDARY, landing: LANDING, original };
    assert_eq!(walk_twice(&layout, pcs, START), (frames.to_vec(), AT_BOUNDARY));
    let forgotten = StubPcs { boundary: BOUNDARY, landing: LANDING, original: |_, _| None };
    let slot = frames[1].return_slot;
    let outcome = (frames[..1].to_vec(), Err(Error::UnrecordedHijack { slot }));
    assert_eq!(walk_twice(&layout, forgotten, START), outcome);
}

#[test]
fn the_arena_is_described_anew_only_when_its_epoch_changes() {
    let (layout, frames) = mixed();
    let mut walker = walker();
    assert_eq!(walk(&mut walker, layout.stack(), PCS, START).1, AT_BOUNDARY);
    assert_eq!(walker.refresh_arena(1, || panic!("built for an epoch that it has")), Ok(false));
    // The same code address, reused by code with another frame: CFA = rsp + 64, so slot 0 leads to slot 8.
    let reused =
        || Ok(eh_frame([fde(PLAIN, LENGTH, &[(4, Cfi::CfaOffset(64))]), descriptions().swap_remove(2)]));
    assert_eq!(walker.refresh_arena(2, reused), Ok(true));
    let (found, outcome) = walk(&mut walker, layout.stack(), PCS, START);
    let second = Frame { frame_base: RBP, ..frames[2] };
    assert_eq!(found, [frames[0], second]);
    assert_eq!(outcome, Err(Error::DidNotAdvance { slot: second.return_slot }));
}

#[test]
fn code_that_was_described_once_is_unknown_when_it_is_no_more() {
    let mut layout = Layout::default();
    let segment = layout.segment(&[(FRAMED + 9, 2), (FRAMED + 9, 1)]);
    let mut walker = walker();
    assert_eq!(walk(&mut walker, layout.stack(), PCS, segment.exit).0, segment.frames);
    walker.refresh_arena(2, || Ok(eh_frame([fde(PLAIN, LENGTH, &[])]))).unwrap();
    let outcome = (segment.frames[..1].to_vec(), Err(Error::NoUnwindInfo { pc: ReturnPc::new(FRAMED + 9) }));
    assert_eq!(walk(&mut walker, layout.stack(), PCS, segment.exit), outcome);
}

#[test]
fn a_broken_stack_leaves_no_guess_behind() {
    // CFA = rbp + 32, a row that framehop evaluates at each step, and where that fails guesses.
    let rules = [(0, Cfi::Offset(X86_64::RBP, -32)), (0, Cfi::Cfa(X86_64::RBP, 32))];
    let mut walker = DwarfWalker::new(NativeModules::default(), ARENA..ARENA + SIZE);
    walker.refresh_arena(1, || Ok(eh_frame([fde(PLAIN, LENGTH, &rules)]))).unwrap();
    let mut layout = Layout { words: vec![POISON; 10] };
    let at = |word: u64| BASE + 8 * word;
    for (word, value) in [(0, PLAIN + 8), (4, 0x7777), (5, PLAIN + 8), (7, BOUNDARY.address())] {
        layout.set(at(word), value);
    }
    let start = ExitRecord { return_slot: ReturnSlot::new(BASE), frame_base: at(4) };
    let sound =
        (vec![frame(PLAIN + 8, BASE, at(4))], Ok(Some(WalkEnd::Boundary { slot: ReturnSlot::new(at(7)) })));
    for _ in 0..2 {
        assert_eq!(walk(&mut walker, layout.stack(), PCS, start), sound);
        // The slot at CFA - 8 is missing; a frame pointer would lead to word 5.
        let truncated = ArrayStack { base: BASE, words: &layout.words[..6] };
        let missing = Err(Error::Unreadable { address: at(7) });
        assert_eq!(walk(&mut walker, truncated, PCS, start), (sound.0.clone(), missing));
    }
}

#[test]
fn descriptions_that_a_walk_cannot_follow_are_refused() {
    let mut signal = cie();
    signal.signal_trampoline = true;
    let mut section = UnwindSection::new();
    section.add(&signal, fde(PLAIN, LENGTH, &[]));
    section.add(&cie(), fde(FRAMED, LENGTH, &[(0, Cfi::Cfa(X86_64::RBX, 16))]));
    let mut walker = DwarfWalker::new(NativeModules::default(), ARENA..ARENA + SIZE);
    walker.refresh_arena(1, || section.to_bytes()).unwrap();
    let layout = |pc| Layout { words: vec![pc, 1, 2, BOUNDARY.address()] };
    let start = ExitRecord { return_slot: ReturnSlot::new(BASE), frame_base: BASE + 8 };
    let mut outcome = |pc| walk(&mut walker, layout(pc).stack(), PCS, start).1;
    let refused = |address, what| Err(Error::UnsupportedCfi { address, what });
    assert_eq!(outcome(PLAIN + 8), refused(PLAIN + 7, "a signal frame"));
    assert_eq!(outcome(FRAMED + 8), refused(FRAMED + 8, "a CFA that is not from rsp or rbp"));
}

#[test]
fn an_arena_that_cannot_be_described_is_left_without_description() {
    let (layout, frames) = mixed();
    let beyond = ARENA + SIZE - u64::from(LENGTH) + 1;
    let overlapping = || Ok(eh_frame([fde(PLAIN, LENGTH, &[]), fde(PLAIN + 8, 2, &[])]));
    let mut walker = walker();
    for address in [beyond, ARENA - 1] {
        let outside = walker.refresh_arena(2, || Ok(eh_frame([fde(address, LENGTH, &[])])));
        assert_eq!(outside, Err(Error::OutsideArena { address }));
    }
    assert_eq!(walker.refresh_arena(2, overlapping), Err(Error::OverlappingCfi { address: PLAIN + 8 }));
    let none = Err(Error::NoUnwindInfo { pc: ReturnPc::new(PLAIN + 8) });
    assert_eq!(walk(&mut walker, layout.stack(), PCS, START), (frames[..1].to_vec(), none));
}

#[test]
fn a_step_that_framehop_guesses_is_caught() {
    // framehop cannot index code more than 4 GiB from its module's start: it drops the module's unwind
    // information and goes by frame pointers. Here those are sound, and lead past a frame.
    let far = ARENA + (5 << 30);
    let mut walker = DwarfWalker::new(NativeModules::default(), ARENA..far + SIZE);
    walker.refresh_arena(1, || Ok(eh_frame([fde(far, LENGTH, &[(4, Cfi::CfaOffset(32))])]))).unwrap();
    let mut layout = Layout::default();
    let segment = layout.segment(&[(far + 8, 4), (far + 8, 9)]);
    layout.set(BASE + 8 * 4, far + 8);
    let (found, outcome) = walk(&mut walker, layout.stack(), PCS, segment.exit);
    assert_eq!((found.len(), outcome), (1, Err(Error::UnwinderDisagrees { pc: ReturnPc::new(far + 8) })));
}
