//! Frame-pointer walks over arrays that play the stack: sound ones, and each way one can be broken.
#![allow(missing_docs)]

mod support;

use std::cell::RefCell;

use osr_stackwalk::{
    Error, ExitRecord, Frame, FramePointerWalk, NoHijacks, ReturnPc, ReturnSlot, SegmentedWalk, StubPcs,
    WalkEnd,
};
use support::{BASE, BOUNDARY, LANDING, Layout, POISON, Segment};

const PCS: NoHijacks = NoHijacks { boundary: Some(BOUNDARY) };

fn three_frames() -> (Layout, Segment) {
    let mut layout = Layout::default();
    layout.poison(3);
    let segment = layout.segment(&[(0x5001, 2), (0x5002, 0), (0x5003, 7)]);
    layout.poison(3);
    (layout, segment)
}

/// All frames up to the end or the first error.
fn walk(layout: &Layout, exit: ExitRecord) -> (Vec<Frame>, Result<Option<WalkEnd>, Error>) {
    let mut walk = FramePointerWalk::new(layout.stack(), PCS, exit);
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

/// The same, where each visit takes all frames that it can get.
fn walk_in_runs(layout: &Layout, exit: ExitRecord) -> (Vec<Frame>, Result<Option<WalkEnd>, Error>) {
    let mut frames = Vec::new();
    let outcome = FramePointerWalk::new(layout.stack(), PCS, exit).visit_runs(|frame, others| {
        frames.push(frame);
        while let Some(frame) = others.next_frame_if(|pc| pc != BOUNDARY && !pc.is_null()) {
            frames.push(frame);
        }
    });
    (frames, outcome)
}

#[test]
fn runs_end_where_walks_end_on_sound_and_broken_stacks() {
    let (layout, segment) = three_frames();
    assert_eq!(walk_in_runs(&layout, segment.exit), walk(&layout, segment.exit));
    let mut broken = vec![layout.clone()];
    broken.extend((0..layout.words.len()).map(|length| Layout { words: layout.words[..length].to_vec() }));
    for frame in &segment.frames {
        let wild = [0, 8, POISON, u64::MAX, u64::MAX - 7, frame.frame_base, frame.frame_base + 4];
        for wild in wild.into_iter().chain(segment.frames.iter().map(|other| other.return_slot.address())) {
            let mut one = layout.clone();
            one.set(frame.frame_base, wild);
            broken.push(one);
        }
        let mut one = layout.clone();
        one.set_slot(frame.return_slot, ReturnPc::new(0));
        broken.push(one);
    }
    for layout in broken {
        assert_eq!(walk_in_runs(&layout, segment.exit), walk(&layout, segment.exit), "{:x?}", layout.words);
    }
}

#[test]
fn a_run_ends_before_a_pc_that_is_not_known() {
    let (layout, segment) = three_frames();
    let mut runs = Vec::new();
    let outcome = FramePointerWalk::new(layout.stack(), PCS, segment.exit).visit_runs(|frame, others| {
        let mut run = vec![frame];
        run.extend(others.next_frame_if(|pc| pc == segment.frames[1].pc));
        runs.push(run);
    });
    assert!(outcome.is_ok());
    assert_eq!(runs, [segment.frames[..2].to_vec(), segment.frames[2..].to_vec()]);
}

#[test]
fn every_frame_is_found_and_the_boundary_is_not_one() {
    let (layout, segment) = three_frames();
    let (frames, outcome) = walk(&layout, segment.exit);
    assert_eq!(frames, segment.frames);
    assert_eq!(outcome, Ok(Some(WalkEnd::Boundary { slot: segment.boundary_slot })));
    assert_eq!(frames[1].pc.lookup_address(), 0x5001);
}

#[test]
fn an_exit_right_at_the_boundary_has_no_frames() {
    let mut layout = Layout::default();
    let segment = layout.segment(&[]);
    let end = WalkEnd::Boundary { slot: segment.boundary_slot };
    assert_eq!(walk(&layout, segment.exit), (vec![], Ok(Some(end))));
}

#[test]
fn a_truncated_stack_names_the_word_that_is_missing() {
    let (layout, segment) = three_frames();
    for length in 0..layout.words.len() - 4 {
        let truncated = Layout { words: layout.words[..length].to_vec() };
        let (frames, outcome) = walk(&truncated, segment.exit);
        let within = |address: u64| address < truncated.next_address();
        // A frame is known once its slot and the word its base points to are there.
        let known =
            segment.frames.iter().take_while(|f| within(f.return_slot.address()) && within(f.frame_base));
        let known: Vec<_> = known.copied().collect();
        assert_eq!(frames, known, "{length} words");
        let missing = match segment.frames.get(known.len()) {
            Some(frame) if within(frame.return_slot.address()) => frame.frame_base,
            Some(frame) => frame.return_slot.address(),
            None => segment.boundary_slot.address(),
        };
        assert_eq!(outcome, Err(Error::Unreadable { address: missing }), "{length} words");
    }
}

#[test]
fn cycles_and_inward_frame_pointers_end_in_an_error() {
    let (layout, segment) = three_frames();
    let [first, second, third] = segment.frames[..] else { unreachable!() };
    // The second frame's saved rbp leads back to itself, to the first frame, or right below its slot.
    for inward in
        [second.frame_base, first.frame_base, first.return_slot.address(), third.return_slot.address() - 8]
    {
        let mut broken = layout.clone();
        broken.set(second.frame_base, inward);
        let (frames, outcome) = walk(&broken, segment.exit);
        assert_eq!(frames, [first, second]);
        assert_eq!(outcome, Err(Error::DidNotAdvance { slot: third.return_slot }), "{inward:#x}");
    }
}

#[test]
fn wild_frame_pointers_and_null_pcs_are_named() {
    let (layout, segment) = three_frames();
    let [first, second, third] = segment.frames[..] else { unreachable!() };
    for wild in [POISON, third.frame_base + 4, u64::MAX, u64::MAX - 7] {
        let mut broken = layout.clone();
        broken.set(second.frame_base, wild);
        let (frames, outcome) = walk(&broken, segment.exit);
        assert_eq!((frames, outcome), (vec![first, second], Err(Error::Unreadable { address: wild })));
    }
    let mut broken = layout.clone();
    broken.set_slot(second.return_slot, ReturnPc::new(0));
    let outcome = Err(Error::NullReturnPc { slot: second.return_slot });
    assert_eq!(walk(&broken, segment.exit), (vec![first], outcome));
}

#[test]
fn hijacked_slots_show_the_original_and_only_they_are_asked_for() {
    let (mut layout, segment) = three_frames();
    for frame in [&segment.frames[0], &segment.frames[2]] {
        layout.set_slot(frame.return_slot, LANDING);
    }
    let asked = RefCell::new(Vec::new());
    let original = |slot, pc| {
        asked.borrow_mut().push((slot, pc));
        segment.frames.iter().find(|frame| frame.return_slot == slot).map(|frame| frame.pc)
    };
    let pcs = StubPcs { boundary: BOUNDARY, landing: LANDING, original };
    let frames: Result<Vec<_>, _> = FramePointerWalk::new(layout.stack(), &pcs, segment.exit).collect();
    assert_eq!(frames.unwrap(), segment.frames);
    let hijacked = [0, 2].map(|index: usize| (segment.frames[index].return_slot, LANDING));
    assert_eq!(*asked.borrow(), hijacked);
}

#[test]
fn a_hijacked_slot_without_a_record_is_an_error_and_a_hijacked_boundary_still_ends_the_walk() {
    let (mut layout, segment) = three_frames();
    layout.set_slot(segment.frames[1].return_slot, LANDING);
    let pcs = StubPcs { boundary: BOUNDARY, landing: LANDING, original: |_, _| None };
    let mut walk = FramePointerWalk::new(layout.stack(), pcs, segment.exit);
    assert_eq!(walk.next(), Some(Ok(segment.frames[0])));
    let slot = segment.frames[1].return_slot;
    assert_eq!(walk.next(), Some(Err(Error::UnrecordedHijack { slot })));
    assert_eq!((walk.next(), walk.end()), (None, None));

    let (mut layout, segment) = three_frames();
    layout.set_slot(segment.boundary_slot, LANDING);
    let pcs = StubPcs { boundary: BOUNDARY, landing: LANDING, original: |_, _| Some(BOUNDARY) };
    let mut walk = FramePointerWalk::new(layout.stack(), pcs, segment.exit);
    assert_eq!(walk.by_ref().count(), 3);
    assert_eq!(walk.end(), Some(WalkEnd::Boundary { slot: segment.boundary_slot }));
}

/// Three segments with junk (Rust frames) between them; the middle one has no compiled frame.
fn three_segments() -> (Layout, [Segment; 3]) {
    let mut layout = Layout::default();
    let mut add = |frames: &[(u64, usize)]| {
        layout.poison(5);
        layout.segment(frames)
    };
    let segments = [add(&[(0x5001, 1), (0x5002, 4)]), add(&[]), add(&[(0x5003, 0)])];
    (layout, segments)
}

#[test]
fn segments_are_walked_innermost_to_outermost() {
    let (layout, segments) = three_segments();
    let exits = segments.iter().map(|segment| segment.exit);
    let mut walk = SegmentedWalk::new(layout.stack(), PCS, exits);
    let mut found = Vec::new();
    while let Some(frame) = walk.next_frame().unwrap() {
        found.push((walk.segment(), frame));
    }
    let number = |index: usize| segments[index].frames.iter().map(move |frame| (index, *frame));
    let expected: Vec<_> = number(0).chain(number(2)).collect();
    assert_eq!(found, expected);
    assert_eq!(SegmentedWalk::new(layout.stack(), PCS, []).next(), None);
}

#[test]
fn segments_out_of_order_or_broken_stop_the_walk() {
    let (layout, segments) = three_segments();
    let [inner, _, outer] = &segments;
    let at_the_boundary = ExitRecord { return_slot: outer.boundary_slot, frame_base: POISON };
    for second in [inner.exit, outer.exit, at_the_boundary] {
        // The third is further out again: the walk must not go on with it.
        let further = ExitRecord {
            return_slot: ReturnSlot::new(outer.boundary_slot.stack_pointer()),
            frame_base: POISON,
        };
        let exits = [outer.exit, second, further];
        let mut walk = SegmentedWalk::new(layout.stack(), PCS, exits);
        assert_eq!(walk.next(), Some(Ok(outer.frames[0])));
        let order = Error::SegmentOrder { slot: second.return_slot, after: outer.boundary_slot };
        assert_eq!((walk.next(), walk.next()), (Some(Err(order)), None));
    }
    // An error inside a segment must not be skipped by going on at the next one.
    let mut broken = layout.clone();
    broken.set_slot(inner.frames[1].return_slot, ReturnPc::new(0));
    let mut walk = SegmentedWalk::new(broken.stack(), PCS, [inner.exit, outer.exit]);
    assert_eq!(walk.next(), Some(Ok(inner.frames[0])));
    let null = Error::NullReturnPc { slot: inner.frames[1].return_slot };
    assert_eq!((walk.next(), walk.next()), (Some(Err(null)), None));
    assert!(inner.exit.return_slot.address() > BASE);
}
