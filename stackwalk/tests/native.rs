//! Walks over the real stack of this process, against a shadow stack that the program keeps itself.
//!
//! Before it calls, every function that is shadowed notes the word that will return into it: `(slot, return PC, rbp)`. Nothing of that comes from unwind information or frame pointers, and
//! neither walker is compared with the other. The chains pass through frames of the standard library and
//! of libc, which have no frame pointers, and rbp holds rubbish at every crossing, so that a walk which
//! guesses does not arrive.
#![allow(missing_docs)]

mod support;

#[path = "native/asm.rs"]
mod asm;
#[path = "native/chain.rs"]
mod chain;

use asm::{pc_of, test_compiled, test_compiled_return, test_entry_return, test_exit_return};
use chain::{Chain, Code, Link};
use osr_stackwalk::{
    DwarfWalker, Error, ExitRecord, Frame, LiveStack, NativeModules, NoHijacks, ReturnPc, SegmentedWalk,
    StackBounds, StubPcs, WalkEnd,
};
use support::LANDING;

fn memory(exit: ExitRecord) -> LiveStack {
    let bounds = StackBounds::current().unwrap().from(exit.return_slot.address());
    // SAFETY: it is this thread's own stack, from a frame that is live to its end.
    unsafe { LiveStack::new(bounds) }
}

fn walker(code: &Code) -> DwarfWalker {
    // SAFETY: the tests unload no library.
    let native = unsafe { NativeModules::discover() };
    assert!(!native.is_empty());
    let mut walker = DwarfWalker::new(native, code.range());
    assert_eq!(walker.refresh_arena(1, || Ok(code.eh_frame())), Ok(true));
    walker
}

/// A DWARF walk of everything, from `exit` to the thread's first frame.
fn walk_all(walker: &mut DwarfWalker, exit: ExitRecord) -> Vec<Frame> {
    let mut walk = walker.walk(memory(exit), NoHijacks::default(), exit);
    let frames: Vec<_> = walk.by_ref().map(Result::unwrap).collect();
    assert_eq!(walk.end(), Some(WalkEnd::Outermost));
    frames
}

/// Every shadowed frame is among the walked ones, with the same pc, slot and rbp, and compiled frames and
/// stubs follow each other in the walk as they do in the program.
fn assert_walked(frames: &[Frame], chain: &Chain) {
    for pair in frames.windows(2) {
        assert!(pair[0].return_slot < pair[1].return_slot);
    }
    for expected in chain.shadow() {
        let at = frames.binary_search_by_key(&expected.return_slot, |frame| frame.return_slot);
        let at = at.unwrap_or_else(|_| panic!("not walked: {expected:x?}"));
        assert_eq!(frames[at], expected);
    }
    let of_compiled = |pc| frames.iter().filter(|frame| frame.pc == pc).count();
    assert_eq!(of_compiled(pc_of(&raw const test_compiled_return)), chain.compiled().count());
    assert_eq!(of_compiled(pc_of(&raw const test_entry_return)), chain.exits().len());
    for segment in chain.segments() {
        let inner = frames.iter().position(|frame| *frame == segment[0]).unwrap();
        assert_eq!(frames[inner..inner + segment.len()], *segment);
        assert_eq!(frames[inner + segment.len()].pc, pc_of(&raw const test_entry_return));
    }
}

fn through_everything() -> Vec<Link> {
    vec![
        Link::Compiled(3),
        Link::Rust(2),
        Link::Once,
        Link::Jit,
        Link::Compiled(1),
        Link::Qsort,
        Link::Jit,
        Link::CatchUnwind,
        Link::Rust(5),
        Link::Compiled(17),
    ]
}

#[test]
fn frame_pointers_lead_through_the_compiled_frames_of_every_segment() {
    Chain::run(&through_everything(), |chain| {
        let exits = chain.exits();
        let pcs = NoHijacks { boundary: Some(pc_of(&raw const test_entry_return)) };
        let walk = SegmentedWalk::new(memory(exits[0]), pcs, exits.iter().copied());
        let frames: Vec<_> = walk.map(Result::unwrap).collect();
        assert_eq!(frames.len(), 3 + 1 + 17);
        assert_eq!(frames, chain.compiled().collect::<Vec<_>>());
    });
}

#[test]
fn unwind_tables_lead_through_every_frame_to_the_first() {
    Chain::run(&through_everything(), |chain| {
        let mut walker = walker(chain.code());
        let frames = walk_all(&mut walker, chain.innermost());
        assert!(chain.shadow().count() > 3 + 1 + 17 + 2 * (2 + 5), "a chain that shadows too little");
        assert_walked(&frames, chain);
        // Warm: the same again, now that every PC is known.
        assert_eq!(walk_all(&mut walker, chain.innermost()), frames);
    });
}

#[test]
fn a_dwarf_walk_stops_at_a_boundary() {
    Chain::run(&through_everything(), |chain| {
        let mut walker = walker(chain.code());
        let exits = chain.exits();
        let pcs = NoHijacks { boundary: Some(pc_of(&raw const test_entry_return)) };
        let mut walk = walker.walk(memory(exits[0]), pcs, exits[1]);
        let frames: Vec<_> = walk.by_ref().map(Result::unwrap).collect();
        assert_eq!(frames, chain.segments().nth(1).unwrap());
        assert!(matches!(walk.end(), Some(WalkEnd::Boundary { slot }) if slot < exits[2].return_slot));
    });
}

#[test]
fn hijacked_live_slots_are_looked_through_by_both_walkers() {
    Chain::run(&through_everything(), |chain| {
        let exits = chain.exits();
        let mut walker = walker(chain.code());
        let compiled: Vec<_> = chain.compiled().collect();
        let boundary = pc_of(&raw const test_entry_return);
        let original = |slot, _| compiled.iter().find(|f| f.return_slot == slot).map(|f| f.pc);
        let pcs = StubPcs { boundary, landing: LANDING, original };
        let through = StubPcs { boundary: ReturnPc::default(), ..pcs };
        let sound = walk_all(&mut walker, exits[0]);

        compiled.iter().for_each(|frame| chain::write_slot(frame.return_slot, LANDING));
        let by_frame_pointer: Result<Vec<_>, Error> =
            SegmentedWalk::new(memory(exits[0]), pcs, exits.iter().copied()).collect();
        let by_tables: Result<Vec<_>, Error> = walker.walk(memory(exits[0]), through, exits[0]).collect();
        let blind: Vec<_> = walker.walk(memory(exits[0]), NoHijacks::default(), exits[0]).take(9).collect();
        // Undone before anything is asserted: a panic must not unwind through a hijacked slot.
        compiled.iter().for_each(|frame| chain::write_slot(frame.return_slot, frame.pc));

        assert_eq!(by_frame_pointer.unwrap(), compiled);
        assert_eq!(by_tables.unwrap(), sound);
        let [Ok(first), Err(error)] = blind[..] else { panic!("blind to the hijack: {blind:x?}") };
        assert_eq!((first.pc, error), (LANDING, Error::NoUnwindInfo { pc: LANDING }));
    });
}

#[test]
fn jit_code_without_a_description_ends_the_walk_there() {
    Chain::run(&[Link::Rust(1), Link::Jit, Link::Compiled(2)], |chain| {
        // SAFETY: the tests unload no library.
        let native = unsafe { NativeModules::discover() };
        let mut walker = DwarfWalker::new(native, chain.code().range());
        let exit = chain.exits()[0];
        let walked: Vec<_> = walker.walk(memory(exit), NoHijacks::default(), exit).collect();
        let last = walked.iter().rev().find_map(|frame| frame.ok()).unwrap();
        assert_eq!(walked.last(), Some(&Err(Error::NoUnwindInfo { pc: last.pc })));
        assert!(chain.code().range().contains(&last.pc.address()));
        assert!(chain.shadow().any(|frame| frame == last));
    });
}

#[test]
fn rows_of_native_code_are_found_by_return_pc() {
    let code = Code::new();
    let walker = walker(&code);
    let row = walker.row_at_return(pc_of(&raw const test_compiled_return)).unwrap();
    assert_eq!((row.cfa_register(), row.cfa_offset()), (Some(osr_stackwalk::CalleeSaved::Rbp), 16));
    let row = walker.row_at_return(pc_of(&raw const test_exit_return)).unwrap();
    assert_eq!(row.save(osr_stackwalk::CalleeSaved::Rbp), osr_stackwalk::Save::At(-16));
    assert!(
        walker
            .row_at_return(ReturnPc::new(test_compiled as *const () as u64 + 1))
            .unwrap()
            .cfa_register()
            .is_none()
    );
}
