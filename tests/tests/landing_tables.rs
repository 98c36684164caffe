//! Hijacked slots without records: what they hold says which frame they are of (`bookkeeping=frame-slot`, `pcs-in-map`).

use std::sync::{Arc, Mutex};

use osr_engine::{
    Bookkeeping, CodeRelease, CompiledFrame, Hijacked, HostCall, Imports, Land, Mechanism, Settings, Stress,
    Tier, Tiers, VersionState,
};
use osr_ir::Value;
use osr_stackwalk::ReturnPc;
use osr_tests::guest::{acting, add_act, eager, hijack_some, start};

/// `f0` calls `f1` calls `f0`, and so on; the innermost calls the host. `f0` has two calls of `f1`.
const GUEST: &str = r#"(module
  (import "env" "act" (func $act))
  (memory 1)
  (func $f0 (export "f0") (param $n i32) (result i32)
    (if (i32.eqz (local.get $n)) (then (call $act) (return (i32.const 1))))
    (if (result i32) (i32.and (local.get $n) (i32.const 2))
      (then (i32.add (call $f1 (i32.sub (local.get $n) (i32.const 1))) (local.get $n)))
      (else (i32.mul (call $f1 (i32.sub (local.get $n) (i32.const 1))) (i32.const 3)))))
  (func $f1 (export "f1") (param $n i32) (result i32)
    (i32.xor (call $f0 (local.get $n)) (local.get $n))))"#;

/// Both bookkeepings with each release that they have.
fn settings() -> impl Iterator<Item = Settings> {
    let books = [Bookkeeping::FrameSlot, Bookkeeping::PcsInMap];
    let releases = [CodeRelease::StackScan, CodeRelease::FrameCount, CodeRelease::Epoch];
    books.into_iter().flat_map(move |bookkeeping| {
        releases.map(|release| {
            let mechanism = Mechanism { bookkeeping, release, ..Mechanism::DEFAULT };
            Settings { mechanism, ..eager() }
        })
    })
}

fn frames(call: &HostCall<'_>) -> Vec<CompiledFrame> {
    call.thread().compiled_frames().expect("a walk")
}

/// What lies in the return slots of frames.
fn slots(frames: &[CompiledFrame]) -> Vec<ReturnPc> {
    // SAFETY: the frames are active.
    frames.iter().map(|frame| unsafe { frame.frame.return_slot.load() }).collect()
}

/// What `f0(8)` returns.
fn result() -> Vec<u64> {
    let (_, thread) = start(GUEST, &eager(), &acting(|_| ()));
    thread.invoke("f0", &[Value::I32(8)]).expect("it returns")
}

#[test]
fn a_swapped_slot_says_which_frame_it_is_of() {
    for settings in settings() {
        let bookkeeping = settings.mechanism.bookkeeping;
        let imports = acting(move |call| {
            let before = frames(call);
            let pcs = slots(&before);
            assert_eq!(pcs, before.iter().map(|frame| frame.frame.pc).collect::<Vec<_>>());
            let hijacked = before.iter().filter(|frame| frame.function == before[0].function).count();
            assert_eq!(hijack_some(call, 0b01), Hijacked { frames: hijacked as u64, again: 0 });
            assert_eq!(hijack_some(call, 0b01), Hijacked { frames: 0, again: hijacked as u64 });
            assert_eq!(call.thread().hijacked_slots(), hijacked);
            let after = frames(call);
            for ((before, after), (pc, swapped)) in
                before.iter().zip(&after).zip(pcs.iter().zip(slots(&after)))
            {
                assert_eq!(before.frame, after.frame, "walkers see the original PCs");
                assert_eq!(after.hijacked, *pc != swapped);
                assert_eq!(
                    after.hijacked,
                    after.function == before.function && before.function == frames(call)[0].function
                );
            }
            // One entry for each site, or one for the version.
            let mut entries: Vec<_> = slots(&after)
                .into_iter()
                .zip(&after)
                .filter(|(_, f)| f.hijacked)
                .map(|(slot, _)| slot)
                .collect();
            entries.sort();
            entries.dedup();
            assert_eq!(entries.len(), if bookkeeping == Bookkeeping::FrameSlot { 1 } else { 3 });
            let native = call.thread().native_frames().expect("a walk");
            assert!(native.len() > after.len());
            assert_eq!(call.thread().unhijack().expect("it can"), hijacked as u64);
            assert_eq!((frames(call), slots(&before)), (before, pcs));
            assert_eq!(call.thread().hijacked_slots(), 0);
            hijack_some(call, 0b11);
        });
        let (_, thread) = start(GUEST, &settings, &imports);
        assert_eq!(thread.invoke("f0", &[Value::I32(8)]).expect("it returns"), result());
        assert_eq!(
            (thread.transitions().landings, thread.hijacked_slots()),
            (17, 0),
            "{}",
            settings.mechanism
        );
    }
}

#[test]
fn code_stays_until_its_last_frame_has_landed() {
    for settings in settings() {
        let versions = Arc::new(Mutex::new(Vec::new()));
        let host = Arc::clone(&versions);
        let imports = acting(move |call| {
            let before = call.thread().instance().versions();
            assert_eq!(call.thread().invalidate_active().expect("a walk").frames, 17);
            assert!(before.iter().all(|version| version.state() == VersionState::Retired));
            host.lock().unwrap().extend(before);
        });
        let (_, thread) = start(GUEST, &settings, &imports);
        assert_eq!(thread.invoke("f0", &[Value::I32(8)]).expect("it returns"), result());
        thread.release_drained().expect("a walk");
        let versions = versions.lock().unwrap();
        assert!(!versions.is_empty());
        assert!(versions.iter().all(|version| version.state() == VersionState::Released), "{versions:?}");
    }
}

/// Nobody tells of frames that a trap jumps over: those that are left are counted anew.
#[test]
fn a_trap_jumps_over_frames_that_have_no_records() {
    let guest = r#"(module
      (import "env" "act" (func $act))
      (func $down (export "down") (param $n i32) (result i32)
        (if (i32.eqz (local.get $n)) (then (call $act) (unreachable)))
        (i32.add (call $down (i32.sub (local.get $n) (i32.const 1))) (local.get $n)))
      (func (export "f0") (param $n i32) (result i32) (call $act) (local.get $n)))"#;
    for settings in settings() {
        let imports = acting(|call| {
            let hijacked = call.thread().invalidate_active().expect("a walk").frames;
            if call.thread().hijacked_slots() < 20 {
                // The frames of the inner call are dropped, those of the outer one are not.
                let outer = call.thread().hijacked_slots();
                assert_eq!(outer as u64, hijacked);
                call.thread().invoke("down", &[Value::I32(30)]).expect_err("it traps");
                assert_eq!(call.thread().hijacked_slots(), outer);
            }
        });
        let (instance, thread) = start(guest, &settings, &imports);
        thread.invoke("down", &[Value::I32(9)]).expect_err("it traps");
        assert_eq!(thread.invoke("f0", &[Value::I32(9)]).expect("it returns"), [9]);
        assert_eq!(thread.hijacked_slots(), 0);
        thread.invalidate_all().expect("a walk");
        thread.release_drained().expect("a walk");
        assert_eq!(instance.versions().len(), 0, "{}", settings.mechanism);
    }
}

/// The choice is the host's code: it may panic, and comes before the walk.
#[test]
fn a_choice_that_panics_hijacks_nothing() {
    for settings in settings() {
        let imports = acting(|call| {
            let before = slots(&frames(call));
            let panics = std::panic::AssertUnwindSafe(|| {
                call.thread().hijack(|_| std::panic::resume_unwind(Box::new(())))
            });
            std::panic::catch_unwind(panics).expect_err("it panics");
            assert_eq!(slots(&frames(call)), before);
            assert_eq!(call.thread().hijacked_slots(), 0);
        });
        let (_, thread) = start(GUEST, &settings, &imports);
        assert_eq!(thread.invoke("f0", &[Value::I32(8)]).expect("it returns"), result());
    }
}

/// Tiers change by the ledger while other frames wait in tables, at polls and at calls, wherever they land.
#[test]
fn tiers_change_while_frames_wait() {
    let guest = r#"(module
      (import "env" "act" (func $act))
      (func $loop (export "loop") (param $n i32) (result i32) (local $i i32) (local $sum i32)
        (loop $again
          (if (i32.eq (i32.rem_u (local.get $i) (i32.const 10)) (i32.const 3)) (then (call $act)))
          (if (i32.gt_s (local.get $n) (i32.const 0))
            (then (if (i32.eq (local.get $i) (i32.const 30))
              (then (local.set $sum (i32.add (local.get $sum) (call $loop (i32.sub (local.get $n) (i32.const 1)))))))))
          (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 5)) (local.get $i)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $again (i32.lt_s (local.get $i) (i32.const 60))))
        (local.get $sum)))"#;
    let run = |settings: &Settings| {
        let mut imports = Imports::default();
        add_act(&mut imports, "act", |call| {
            if call.thread().instance().settings().tiers != Tiers::Interpreter {
                call.thread().hijack(|_| true).expect("a walk");
            }
        });
        let (_, thread) = start(guest, settings, &imports);
        let results = thread.invoke("loop", &[Value::I32(12)]).expect("it returns");
        assert_eq!(thread.hijacked_slots(), 0);
        results
    };
    let expected = run(&Settings { tiers: Tiers::Interpreter, ..eager() });
    for settings in settings() {
        for (land, every) in [(Tier::Interpreter, 3), (Tier::Baseline, 2), (Tier::Optimized, 7)] {
            for stress in [Stress::hijack(every), Stress::invalidate(every)] {
                let stress = stress.landing(Land::In(land));
                let low = Settings {
                    tiers: Tiers::Auto,
                    threshold: Some(4),
                    optimize_threshold: Some(9),
                    ..settings.clone()
                };
                let settings = Settings { stress, ..low };
                assert_eq!(run(&settings), expected, "{settings:?}");
            }
        }
    }
}
