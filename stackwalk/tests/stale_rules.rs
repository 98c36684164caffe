//! framehop counts module changes in 16 bits, process-wide. Alone in its process, so that the count can be
//! driven around: a rule cached 65,536 changes ago must not come back for a reused address.
#![allow(missing_docs)]

mod support;

use gimli::write::CallFrameInstruction as Cfi;
use osr_stackwalk::{DwarfWalker, ExitRecord, NativeModules, NoHijacks, ReturnSlot, WalkEnd};
use support::cfi::{eh_frame, fde};
use support::{BASE, BOUNDARY, Layout, POISON, frame};

const ARENA: u64 = 0x6000_0000_0000;
const PC: u64 = ARENA + 8;

#[test]
fn rules_of_released_code_do_not_come_back_when_the_count_wraps() {
    // CFA = rsp + 32 leads from word 0 to word 4; CFA = rsp + 64 to word 8.
    let [old, new] = [32, 64].map(|cfa| eh_frame([fde(ARENA, 64, &[(0, Cfi::CfaOffset(cfa))])]));
    let mut layout = Layout { words: vec![POISON; 12] };
    for (word, value) in [(0, PC), (4, BOUNDARY.address()), (8, BOUNDARY.address())] {
        layout.set(BASE + 8 * word, value);
    }
    let mut walker = DwarfWalker::new(NativeModules::default(), ARENA..ARENA + 4096);
    let refresh = |walker: &mut DwarfWalker, epoch: u64, bytes: &[u8]| {
        assert_eq!(walker.refresh_arena(epoch, || Ok(bytes.to_vec())), Ok(true));
    };
    let boundary = |walker: &mut DwarfWalker| {
        let start = ExitRecord { return_slot: ReturnSlot::new(BASE), frame_base: 0 };
        let mut walk = walker.walk(layout.stack(), NoHijacks { boundary: Some(BOUNDARY) }, start);
        assert_eq!(walk.next_frame(), Ok(Some(frame(PC, BASE, 0))));
        assert_eq!(walk.next_frame(), Ok(None));
        walk.end()
    };
    let at = |word: u64| Some(WalkEnd::Boundary { slot: ReturnSlot::new(BASE + 8 * word) });
    refresh(&mut walker, 0, &old);
    assert_eq!(boundary(&mut walker), at(4));
    // Two changes each, one module out and one in; no walk between, which would cache another rule.
    for epoch in 1..=32_768 {
        refresh(&mut walker, epoch, &new);
    }
    assert_eq!(boundary(&mut walker), at(8));
}
