use super::*;
use crate::ActiveFrame;

const OLD: CodeRange = CodeRange::new(0x1000, 0x100);
const OTHER: CodeRange = CodeRange::new(0x2000, 0x100);

fn frame(pc: u64, end: u64) -> ActiveFrame {
    ActiveFrame { pc: ReturnPc::new(pc), end: ReturnSlot::new(end) }
}

fn drained<C>(reclaimer: &mut Reclaimer<C>) -> Vec<C> {
    reclaimer.take_drained().map(|drained| drained.code).collect()
}

#[test]
fn what_has_no_frame_is_drained_at_once() {
    for strategy in [Strategy::Scan, Strategy::Count, Strategy::Epoch] {
        let mut reclaimer = Reclaimer::new(strategy);
        let census = Census::of(&[OLD], [frame(0x3000, 0x10)]);
        reclaimer.retire([(OLD, 1)], &census);
        assert_eq!(drained(&mut reclaimer), [1], "{strategy:?}");
        assert!(!reclaimer.has_waiting());
    }
}

#[test]
fn a_count_goes_down_with_each_frame() {
    let mut reclaimer = Reclaimer::new(Strategy::Count);
    let census = Census::of(&[OLD, OTHER], [frame(0x1010, 0x10), frame(0x2010, 0x20), frame(0x1020, 0x30)]);
    reclaimer.retire([(OLD, 'o'), (OTHER, 't')], &census);
    assert_eq!(drained(&mut reclaimer), []);
    reclaimer.frame_ended(ReturnPc::new(0x1010));
    reclaimer.frame_ended(ReturnPc::new(0x3010));
    assert_eq!(drained(&mut reclaimer), []);
    reclaimer.frame_ended(ReturnPc::new(0x2010));
    assert_eq!(drained(&mut reclaimer), ['t']);
    reclaimer.frame_ended(ReturnPc::new(0x1010));
    assert_eq!(drained(&mut reclaimer), ['o']);
}

#[test]
fn calls_that_were_under_way_are_waited_for() {
    let mut reclaimer = Reclaimer::new(Strategy::Epoch);
    let call = reclaimer.call_began();
    reclaimer.retire([(OLD, ())], &Census::default());
    let later = reclaimer.call_began();
    reclaimer.call_ended(later);
    assert_eq!(drained(&mut reclaimer).len(), 0);
    reclaimer.call_ended(call);
    assert_eq!(drained(&mut reclaimer).len(), 1);
}

/// A stack of words, whose addresses are real.
struct Words([u64; 8]);

impl Words {
    fn slot(&mut self, number: usize) -> ReturnSlot {
        ReturnSlot::new((&raw mut self.0[number]).expose_provenance() as u64)
    }
}

const STUB: u64 = 0xbad;

fn with_barriers<C>() -> Reclaimer<C> {
    // SAFETY: nothing returns through the words of these tests.
    unsafe { Reclaimer::with_stub(ReturnPc::new(STUB)) }
}

fn census(ranges: &[CodeRange], frames: &[ActiveFrame]) -> Census {
    let mut census = Census::begin(ranges).keeping_frames();
    frames.iter().for_each(|&frame| census.add(frame));
    census
}

#[test]
fn barriers_come_innermost_first_and_say_what_they_replaced() {
    let mut words = Words([10, 11, 12, 13, 14, 15, 16, 17]);
    let ends: Vec<ReturnSlot> = (0..8).map(|number| words.slot(number)).collect();
    let at = |pc, number: usize| ActiveFrame { pc: ReturnPc::new(pc), end: ends[number] };
    let mut reclaimer = with_barriers();
    reclaimer.retire([(OLD, 'o')], &census(&[OLD], &[at(0x1010, 2), at(0x2010, 4), at(0x1010, 6)]));
    // Another retirement, of a frame between the two and of one further in.
    reclaimer.retire([(OTHER, 't')], &census(&[OTHER], &[at(0x2010, 1), at(0x2010, 4)]));
    assert_eq!(words.0, [10, STUB, STUB, 13, STUB, 15, STUB, 17]);
    assert_eq!(reclaimer.original(ends[4]), Some(ReturnPc::new(14)));
    assert_eq!(reclaimer.original(ends[3]), None);
    assert_eq!(reclaimer.returned(ends[2]), None, "not the innermost");
    for (number, freed) in [(1, vec![]), (2, vec![]), (4, vec!['t']), (6, vec!['o'])] {
        assert_eq!(reclaimer.returned(ends[number]), Some(ReturnPc::new(10 + number as u64)));
        assert_eq!(drained(&mut reclaimer), freed);
    }
    assert!(!reclaimer.has_barriers());
}

#[test]
fn frames_that_are_jumped_over_or_replaced_have_ended() {
    let mut words = Words([10; 8]);
    let ends: Vec<ReturnSlot> = (0..8).map(|number| words.slot(number)).collect();
    let at = |pc, number: usize| ActiveFrame { pc: ReturnPc::new(pc), end: ends[number] };
    let mut reclaimer = with_barriers();
    reclaimer.retire([(OLD, 'o')], &census(&[OLD], &[at(0x1010, 2), at(0x1010, 5)]));
    reclaimer.jumped_over(ends[4].address());
    assert!(!reclaimer.has_drained());
    reclaimer.replaced(ends[5]);
    assert_eq!(drained(&mut reclaimer), ['o']);
    // What continues in its place is retired in turn: the same barrier counts for it.
    reclaimer.retire([(OTHER, 't')], &census(&[OTHER], &[at(0x2010, 5)]));
    assert_eq!(reclaimer.returned(ends[5]), Some(ReturnPc::new(10)));
    assert_eq!(drained(&mut reclaimer), ['t']);
}

#[test]
fn code_that_counts_itself_is_drained_at_zero() {
    let residents = std::cell::Cell::new(2);
    let mut reclaimer = Reclaimer::new(Strategy::Residence);
    reclaimer.retire([(OLD, &residents)], &Census::default());
    for left in [2, 1] {
        residents.set(left);
        reclaimer.look(|count| count.get() == 0);
        assert!(!reclaimer.has_drained());
    }
    residents.set(0);
    assert!(!reclaimer.has_drained(), "nobody has looked");
    reclaimer.look(|count| count.get() == 0);
    assert_eq!(drained(&mut reclaimer).len(), 1);
}
