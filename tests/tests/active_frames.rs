//! What becomes of active frames is a choice: under each, programs compute what the interpreter does, and old code goes
//! when it should.

use std::time::Instant;

use osr_engine::{
    ActiveFrames, CodeRelease, HijackDensity, Land, Mechanism, Poll, Settings, StateRecording, Stress, Tier,
    Tiers, VersionState,
};
use osr_ir::Value;
use osr_tests::configuration::on_large_stack;
use osr_tests::guest::{acting, eager, start};
use osr_tests::{Configuration, cases, observe, programs};

/// The mechanisms that replace active frames otherwise than the default does, each with the recordings that it has.
fn mechanisms() -> Vec<Mechanism> {
    let base = Mechanism { release: CodeRelease::FrameCount, ..Mechanism::DEFAULT };
    let recordings = StateRecording::ALL.iter();
    let sparse = Mechanism { density: HijackDensity::Sparse, ..Mechanism::DEFAULT };
    let sparse = [StateRecording::Locations, StateRecording::Pads, StateRecording::Slots]
        .map(|recording| Mechanism { recording, ..sparse });
    let counted = recordings
        .flat_map(|&recording| {
            ActiveFrames::ALL.iter().map(move |&frames| Mechanism { frames, recording, ..base })
        })
        .filter(|mechanism| mechanism.replaces_frames() && mechanism.check().is_ok());
    sparse.into_iter().chain(counted).collect()
}

fn settings(mechanism: Mechanism, tiers: Tiers, stress: Stress) -> Settings {
    let base = Configuration::new("", tiers, stress).with_thresholds((20, 60)).settings;
    Settings { mechanism, ..base }
}

#[test]
fn programs_agree_under_every_mechanism() {
    const EACH: usize = 5;
    let mechanisms = mechanisms();
    for (first, program) in programs().into_iter().enumerate() {
        let module = program.module(false);
        let run =
            |settings: &Settings| observe(&module, &program.invoke, &program.small_arguments(), settings);
        let expected = run(&Configuration::interpreter().settings);
        for number in EACH * first..EACH * (first + 1) {
            let mechanism = mechanisms[number % mechanisms.len()];
            let lands = [Land::In(Tier::Interpreter), Land::In(Tier::Optimized), Land::Random(7)];
            let stress = Stress::invalidate(1_000).landing(lands[number % 3]);
            let tiers = [Tiers::Auto, Tiers::Optimized, Tiers::Baseline][number / 3 % 3];
            let observed = run(&settings(mechanism, tiers, stress));
            assert_eq!(observed, expected, "{}, {mechanism}, {tiers:?}", program.name);
        }
    }
}

/// Every call of every case, with traps, exhausted stacks and recursion: all frames replaced at every safepoint, under a
/// few mechanisms each.
#[test]
fn cases_agree_under_every_mechanism() {
    const EACH: usize = 3;
    let lands = [Tier::Interpreter, Tier::Baseline, Tier::Optimized].map(Land::In);
    let mechanisms = mechanisms();
    let configuration = |number: usize| {
        let mechanism = mechanisms[number % mechanisms.len()];
        let stress = Stress::invalidate([5, 97, 97][number % 3]).landing(lands[number % 3]);
        let tiers = [Tiers::Optimized, Tiers::Auto, Tiers::Optimized, Tiers::Baseline][number % 4];
        let settings = settings(mechanism, tiers, stress);
        Configuration { name: Box::leak(format!("{mechanism}, {tiers:?}").into_boxed_str()), settings }
    };
    for (number, case) in cases().iter().enumerate() {
        let configurations: Vec<_> = (EACH * number..EACH * (number + 1)).map(configuration).collect();
        assert_eq!(case.disagreements_among(&configurations), "");
    }
}

/// `down` recurses, acts at the bottom, and returns or, as `down_to_a_trap`, traps.
const DOWN: &str = r#"(module
  (import "env" "act" (func $act))
  (global $traps (mut i32) (i32.const 0))
  (func $down (export "down") (param $n i32) (result i32)
    (if (i32.eqz (local.get $n))
      (then (call $act) (if (global.get $traps) (then (unreachable))) (return (i32.const 7))))
    (i32.add (i32.mul (call $down (i32.sub (local.get $n) (i32.const 1))) (i32.const 31)) (local.get $n)))
  (func (export "down_to_a_trap") (param $n i32) (result i32)
    (global.set $traps (i32.const 1))
    (call $down (local.get $n))))"#;

/// A loop that calls nothing.
const SPIN: &str = r#"(module
  (func (export "spin") (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 3)) (local.get $n)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))"#;

/// A valid mechanism with these frames, and how its code is freed while a host function that invalidates it is called by it:
/// at once, or not yet.
fn with_frames(frames: ActiveFrames) -> (Mechanism, bool) {
    let text = match frames {
        ActiveFrames::LandingPad => "release=frame-count,recording=pads",
        ActiveFrames::InvalidationPoint | ActiveFrames::ReturnCheck | ActiveFrames::ReturnBarrier => {
            "release=frame-count"
        }
        ActiveFrames::RunOut => "release=stack-scan",
        ActiveFrames::Hijack | ActiveFrames::HijackToInterpreter | ActiveFrames::HijackToVersion => {
            "release=on-hijack"
        }
    };
    let mechanism = Mechanism { frames, ..text.parse().expect("a mechanism") };
    mechanism.check().expect("it is valid");
    (mechanism, mechanism.release == CodeRelease::OnHijack)
}

/// What the documentation of each value says of them.
#[test]
fn frames_under_the_host_wait_for_it_and_land_if_they_are_replaced() {
    const DEPTH: u64 = 5;
    for &frames in ActiveFrames::ALL {
        let (mechanism, is_freed) = with_frames(frames);
        let imports = acting(move |call| {
            let thread = call.thread();
            thread.invalidate_all().expect("a walk");
            let swaps = mechanism.hijacks();
            assert_eq!(thread.hijacked_slots() as u64, if swaps { DEPTH + 1 } else { 0 }, "{frames:?}");
            assert_eq!(thread.transitions().landings, 0, "{frames:?}: the host has not returned");
            let states: Vec<_> = thread.instance().versions().iter().map(|version| version.state()).collect();
            let expected = if is_freed { vec![] } else { vec![VersionState::Retired] };
            assert_eq!(states, expected, "{frames:?}");
        });
        let (instance, thread) = start(DOWN, &Settings { mechanism, ..eager() }, &imports);
        let expected = (1..=DEPTH).fold(7, |sum, n| sum * 31 + n);
        let results = thread.invoke("down", &[Value::I32(DEPTH as i32)]).expect("it returns");
        assert_eq!(results, [expected], "{frames:?}");
        let landings = if mechanism.replaces_frames() { DEPTH + 1 } else { 0 };
        assert_eq!(thread.transitions().landings, landings, "{frames:?}");
        thread.release_drained().expect("a walk");
        let is_retired = |version: &VersionState| *version == VersionState::Retired;
        let states: Vec<_> = instance.versions().iter().map(|version| version.state()).collect();
        assert!(!states.iter().any(is_retired), "{frames:?}: old code is gone after the call: {states:?}");
        let moves: Vec<Tier> =
            thread.moves().iter().filter(|moves| moves.from == Tier::Optimized).map(|m| m.to).collect();
        match frames {
            ActiveFrames::HijackToInterpreter => assert_eq!(moves, [Tier::Interpreter]),
            ActiveFrames::HijackToVersion => assert!(!moves.contains(&Tier::Interpreter), "{moves:?}"),
            ActiveFrames::ReturnBarrier | ActiveFrames::RunOut => assert_eq!(moves, []),
            _ => assert!(!moves.is_empty(), "{frames:?}"),
        }
    }
}

/// The same of the frame that polls, with all polls there are: it leaves its loop, or stays in it.
#[test]
fn the_innermost_frame_leaves_at_its_poll_if_it_is_replaced() {
    const TURNS: i32 = 1_000;
    let polls = Poll::ALL.iter().filter(|poll| poll.stops_loops());
    for (&frames, &poll) in
        ActiveFrames::ALL.iter().flat_map(|frames| polls.clone().map(move |poll| (frames, poll)))
    {
        let (mechanism, _) = with_frames(frames);
        for tiers in [Tiers::Optimized, Tiers::Baseline] {
            let mechanism = Mechanism { poll, ..mechanism };
            let stress = Stress::invalidate(100);
            let (_, thread) = start(SPIN, &Settings { mechanism, tiers, stress, ..eager() }, &acting(|_| ()));
            let expected = (1..=TURNS).rev().fold(0i32, |sum, n| sum.wrapping_mul(3).wrapping_add(n));
            let results = thread.invoke("spin", &[Value::I32(TURNS)]).expect("it returns");
            assert_eq!(results, [u64::from(expected as u32)], "{mechanism}, {tiers:?}");
            let landings = thread.transitions().landings;
            assert_eq!(
                landings > 0,
                mechanism.replaces_frames(),
                "{mechanism}, {tiers:?}: {landings} landings"
            );
        }
    }
}

#[test]
fn a_sparse_hijack_stays_ahead_of_the_landings() {
    const DEPTH: i32 = 5_000;
    let expected = (1..=DEPTH as u32).fold(7u32, |sum, n| sum.wrapping_mul(31).wrapping_add(n));
    let mechanism = Mechanism { density: HijackDensity::Sparse, ..Mechanism::DEFAULT };
    for checked in [true, false] {
        let settings = Settings { mechanism, checked, ..eager() };
        let imports = acting(|call| {
            let invalidated = call.thread().invalidate_all().expect("a walk");
            let frames = invalidated.frames as usize;
            assert!(frames < 100 && frames == call.thread().hijacked_slots(), "{invalidated:?}");
            assert_eq!(call.thread().compiled_frames().expect("a walk").len(), DEPTH as usize + 1);
            let versions = call.thread().instance().versions();
            assert!(versions.iter().all(|version| version.state() == VersionState::Retired));
        });
        on_large_stack(64 << 20, || {
            let (instance, thread) = start(DOWN, &settings, &imports);
            let results = thread.invoke("down", &[Value::I32(DEPTH)]).expect("it returns");
            assert_eq!(results, [u64::from(expected)]);
            let transitions = thread.transitions();
            assert_eq!(
                (transitions.landings, transitions.hijacked_frames),
                (DEPTH as u64 + 1, DEPTH as u64 + 1)
            );
            assert_eq!((thread.hijacked_slots(), instance.versions().len()), (0, 0));
        });
    }
}

#[test]
fn a_trap_that_jumps_over_the_front_moves_it() {
    let mechanism = Mechanism { density: HijackDensity::Sparse, ..Mechanism::DEFAULT };
    let imports = acting(|call| {
        call.thread().invalidate_all().expect("a walk");
    });
    let (instance, thread) = start(DOWN, &Settings { mechanism, ..eager() }, &imports);
    thread.invoke("down_to_a_trap", &[Value::I32(500)]).expect_err("it traps");
    assert_eq!((thread.hijacked_slots(), instance.versions().len()), (0, 0), "all is released");
}

/// What is put back is complete, although not all was hijacked.
#[test]
fn a_sparse_hijack_is_completed_before_slots_are_restored() {
    const DEPTH: i32 = 500;
    let mechanism = Mechanism { density: HijackDensity::Sparse, ..Mechanism::DEFAULT };
    let imports = acting(|call| {
        call.thread().invalidate_all().expect("a walk");
        assert_eq!(call.thread().unhijack().expect("slots"), 0, "the code is not current");
        assert_eq!(call.thread().hijacked_slots(), DEPTH as usize + 1);
        assert_eq!(call.thread().instance().versions().len(), 0, "it is released");
    });
    let (_, thread) = start(DOWN, &Settings { mechanism, ..eager() }, &imports);
    thread.invoke("down", &[Value::I32(DEPTH)]).expect("it returns");
    assert_eq!(thread.hijacked_slots(), 0);
}

/// `cargo test --release -p osr-tests --test active_frames -- --ignored --nocapture`
#[test]
#[ignore = "prints how long it takes"]
fn a_million_frames() {
    const DEPTH: i32 = 1_000_000;
    for density in [HijackDensity::EveryFrame, HijackDensity::Sparse].repeat(3) {
        let mechanism = Mechanism { density, ..Mechanism::DEFAULT };
        let imports = acting(move |call| {
            let began = Instant::now();
            let invalidated = call.thread().invalidate_all().expect("a walk");
            println!("{}: {:.1?}, {} frames hijacked", density.name(), began.elapsed(), invalidated.frames);
        });
        on_large_stack(512 << 20, || {
            let settings = Settings { mechanism, checked: false, ..eager() };
            let (_, thread) = start(DOWN, &settings, &imports);
            let began = Instant::now();
            thread.invoke("down", &[Value::I32(DEPTH)]).expect("it returns");
            println!("{}: the call took {:.1?}", density.name(), began.elapsed());
            assert_eq!(thread.transitions().landings, DEPTH as u64 + 1);
        });
    }
}
