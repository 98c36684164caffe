//! When the memory of retired code comes back, under every mechanism that has something to wait for.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use osr_engine::{HostCall, Instance, Mechanism, Settings, Stress, Thread, Tiers, VersionState};
use osr_ir::Value;
use osr_tests::configuration::describe;
use osr_tests::guest::{acting, eager, interpreted, start};
use osr_tests::{Configuration, observe, programs};

/// Frames run out, or land, and their code waits.
const MECHANISMS: [&str; 13] = [
    "frames=run-out,release=residence-count",
    "frames=run-out,release=residence-count,recording=none,poll=stack-check",
    "frames=run-out,release=never",
    "frames=run-out,release=stack-scan",
    "frames=run-out,release=epoch",
    "frames=return-barrier,release=frame-count",
    "frames=run-out,release=stack-scan,recording=none",
    "frames=run-out,release=stack-scan,poll=stack-check,recording=none",
    "frames=return-barrier,release=frame-count,recording=none",
    "release=stack-scan",
    "release=epoch",
    "binding=patchpoint,frames=run-out,release=epoch",
    "binding=trampoline-cell,frames=return-barrier,release=frame-count",
];

fn under(mechanism: &str, settings: Settings) -> Settings {
    let mechanism: Mechanism = mechanism.parse().expect("a mechanism");
    mechanism.check().unwrap_or_else(|refusal| panic!("{mechanism}: {refusal}"));
    Settings { mechanism, ..settings }
}

fn released(instance: &Instance) -> u64 {
    instance.code_statistics().versions_released
}

/// Nothing waits when no guest code executes, unless it is kept for good.
fn check_all_is_released(mechanism: &str, instance: &Instance, what: &str) {
    if !mechanism.contains("never") {
        let waiting = instance.versions().into_iter().filter(|v| v.state() != VersionState::Current).count();
        assert_eq!(waiting, 0, "{mechanism}, {what}");
    }
}

#[test]
fn programs_agree_while_their_code_is_retired() {
    for (number, program) in programs().into_iter().enumerate() {
        let module = program.module(false);
        let run =
            |settings: &Settings| observe(&module, &program.invoke, &program.small_arguments(), settings);
        let expected = run(&Configuration::interpreter().settings);
        // Programs take turns: each mechanism meets all tiers.
        let turns = [(Tiers::Auto, 500), (Tiers::Optimized, 2_000), (Tiers::Baseline, 2_000)];
        for (turn, mechanism) in MECHANISMS.iter().enumerate() {
            let (tiers, every) = turns[(number + turn) % 3];
            let configuration =
                Configuration::new("", tiers, Stress::invalidate(every)).with_thresholds((20, 60));
            let observed = run(&under(mechanism, configuration.settings));
            assert_eq!(observed, expected, "{}, {mechanism}, {tiers:?}", program.name);
        }
    }
}

/// `f` calls `g`, which calls the host: `n` times in a loop of `f`.
const GUEST: &str = r#"(module
  (import "env" "act" (func $act))
  (func $g (param $n i32) (result i32) (call $act) (i32.add (local.get $n) (i32.const 1)))
  (func (export "f") (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 3)) (call $g (local.get $n))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))"#;

/// What has been released after each of the host's calls. The first of them invalidates `f` and `g`.
fn releases_by_call(mechanism: &str) -> (Vec<u64>, u64) {
    let (calls, seen) = (AtomicU64::new(0), Arc::new(Mutex::new(Vec::new())));
    let host = Arc::clone(&seen);
    let imports = acting(move |call: &HostCall<'_>| {
        if calls.fetch_add(1, Relaxed) == 0 {
            let invalidated = call.thread().invalidate_active().expect("a walk");
            assert_eq!(invalidated.versions, 2);
            assert_eq!(call.thread().invalidate_active().expect("a walk").versions, 0, "they are retired");
        }
        host.lock().unwrap().push(released(call.thread().instance()));
    });
    let (_, reference) = start(GUEST, &interpreted(), &acting(|_| ()));
    let (instance, thread) = start(GUEST, &under(mechanism, eager()), &imports);
    let expected = reference.invoke("f", &[Value::I32(4)]).expect("it returns");
    assert_eq!(thread.invoke("f", &[Value::I32(4)]).expect("it returns"), expected);
    check_all_is_released(mechanism, &instance, "after the call");
    let seen = seen.lock().unwrap().clone();
    (seen, released(&instance))
}

#[test]
fn memory_comes_back_when_it_should() {
    // With the first call the code of both is retired; `g` returns from it before the second, `f` at the end.
    assert_eq!(releases_by_call("frames=run-out,release=never"), (vec![0, 0, 0, 0], 0));
    assert_eq!(releases_by_call("frames=run-out,release=stack-scan"), (vec![0, 1, 1, 1], 2));
    assert_eq!(releases_by_call("frames=run-out,release=residence-count"), (vec![0, 1, 1, 1], 2));
    assert_eq!(releases_by_call("frames=run-out,release=epoch"), (vec![0, 0, 0, 0], 2));
    assert_eq!(releases_by_call("frames=return-barrier,release=frame-count"), (vec![0, 1, 1, 1], 2));
    // Hijacked, `f` lands when `g` has.
    assert_eq!(releases_by_call("release=stack-scan"), (vec![0, 2, 2, 2], 2));
    assert_eq!(releases_by_call("release=epoch"), (vec![0, 0, 0, 0], 2));
    assert_eq!(releases_by_call("release=on-hijack"), (vec![2, 2, 2, 2], 2));
}

/// The loop is entered once, and left when the host says: as good as endless. Nothing of it is released.
#[test]
fn a_callee_in_a_loop_keeps_its_code() {
    let guest = r#"(module
      (import "env" "act" (func $act))
      (func $callee (param $n i32) (result i32)
        (loop $again (call $act)
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (i32.const 5))
      (func (export "f") (result i32) (call $callee (i32.const 2000))))"#;
    for mechanism in &MECHANISMS[..9] {
        let calls = AtomicU64::new(0);
        let kept = Arc::new(Mutex::new(Vec::new()));
        let host = Arc::clone(&kept);
        let imports = acting(move |call: &HostCall<'_>| {
            if calls.fetch_add(1, Relaxed) == 0 {
                assert_eq!(call.thread().invalidate_active().expect("a walk").versions, 2);
                *host.lock().unwrap() = call.thread().instance().versions();
            }
            assert_eq!(call.thread().release_drained().expect("a walk"), 0);
            assert_eq!(released(call.thread().instance()), 0);
        });
        let (instance, thread) = start(guest, &under(mechanism, eager()), &imports);
        assert_eq!(thread.invoke("f", &[]).expect("it returns"), [5]);
        check_all_is_released(mechanism, &instance, "after the call");
        for version in kept.lock().unwrap().iter() {
            let is_drained = !mechanism.contains("never");
            assert_eq!(version.wait_until_drained(Duration::ZERO), is_drained, "{mechanism}");
            assert_eq!(version.drained().is_some(), is_drained, "{mechanism}");
        }
    }
}

/// Down through the host and back, retiring at each step; at the bottom something goes wrong.
const DEEP: &str = r#"(module
  (import "env" "act" (func $act))
  (import "env" "call_back" (func $call_back (param i32) (result i32)))
  (import "env" "panic" (func $panic))
  (table (export "table") 1 funcref)
  (elem (i32.const 0) func $beyond)
  (memory 1 1)
  (global $left (mut i32) (i32.const 0))
  (global $kind (mut i32) (i32.const 0))
  (func (export "f") (param $kind i32) (param $n i32) (result i32)
    (global.set $kind (local.get $kind))
    (call $down (local.get $n)))
  (func $down (param $n i32) (result i32)
    (if (i32.eqz (i32.rem_u (local.get $n) (i32.const 7))) (then (call $act)))
    (if (i32.eqz (local.get $n)) (then (return (call $end))))
    (if (i32.rem_u (local.get $n) (i32.const 5))
      (then (return (i32.add (call $down (i32.sub (local.get $n) (i32.const 1))) (local.get $n)))))
    (global.set $left (local.get $n))
    (i32.add (i32.mul (call $call_back (i32.const 0)) (i32.const 3)) (local.get $n)))
  (func $beyond (result i32)
    (i32.xor (call $down (i32.sub (global.get $left) (i32.const 1))) (i32.const 5)))
  (func $end (result i32)
    (if (i32.eq (global.get $kind) (i32.const 1)) (then unreachable))
    (if (i32.eq (global.get $kind) (i32.const 2)) (then (return (i32.div_s (i32.const 1) (i32.const 0)))))
    (if (i32.eq (global.get $kind) (i32.const 3)) (then (return (i32.load (i32.const 0x7fffffff)))))
    (if (i32.eq (global.get $kind) (i32.const 4)) (then (call $panic)))
    (if (i32.eq (global.get $kind) (i32.const 5)) (then (return (call $for_ever (i32.const 0)))))
    (i32.const 9))
  (func $for_ever (param $n i32) (result i32)
    (if (i32.eq (local.get $n) (i32.const 100)) (then (call $act)))
    (i32.add (call $for_ever (i32.add (local.get $n) (i32.const 1))) (local.get $n))))"#;

fn deep_imports(act: impl Fn(&HostCall<'_>) + Send + Sync + 'static) -> osr_engine::Imports {
    let mut imports = acting(act);
    osr_tests::guest::add_act(&mut imports, "panic", |_| panic!("the host's"));
    imports
}

fn outcomes(thread: &Thread) -> Vec<Result<Vec<u64>, String>> {
    let call = |kind| thread.invoke("f", &[Value::I32(kind), Value::I32(60)]);
    [0, 1, 2, 0, 3, 4, 5, 0].into_iter().map(|kind| call(kind).map_err(|error| describe(&error))).collect()
}

#[test]
fn traps_panics_and_exhausted_stacks_end_frames_too() {
    let (_, reference) = start(DEEP, &interpreted(), &deep_imports(|_| ()));
    let expected = outcomes(&reference);
    for mechanism in MECHANISMS {
        for settings in [
            eager(),
            Settings { tiers: Tiers::Auto, threshold: Some(3), optimize_threshold: Some(9), ..eager() },
        ] {
            let imports = deep_imports(|call| {
                call.thread().invalidate_active().expect("a walk");
                assert!(call.thread().compiled_frames().expect("a walk").len() > 1);
                call.thread().native_frames().expect("rows for all");
                assert_eq!(
                    call.thread().count_compiled_frames().expect("a walk"),
                    call.thread().compiled_frames().expect("a walk").len()
                );
            });
            let (instance, thread) = start(DEEP, &under(mechanism, settings), &imports);
            assert_eq!(outcomes(&thread), expected, "{mechanism}");
            check_all_is_released(mechanism, &instance, "after traps");
            thread.invalidate_all().expect("a walk");
            check_all_is_released(mechanism, &instance, "at last");
        }
    }
}

/// Each of two instances retires the other's callers, which wait under its frames.
#[test]
fn instances_release_each_their_own() {
    for mechanism in MECHANISMS {
        let settings = under(mechanism, eager());
        let inner = Arc::new(Mutex::new(None));
        let host = Arc::clone(&inner);
        let settings_of_inner = settings.clone();
        let imports = acting(move |call: &HostCall<'_>| {
            call.thread().invalidate_active().expect("a walk");
            let imports = acting(|call| assert!(call.thread().invalidate_active().is_ok()));
            let (instance, thread) = start(GUEST, &settings_of_inner, &imports);
            assert!(thread.invoke("f", &[Value::I32(3)]).is_ok());
            *host.lock().unwrap() = Some(instance);
        });
        // One store of its own for each: a native thread executes several.
        let (instance, thread) = start(GUEST, &settings, &imports);
        assert_eq!(thread.invoke("f", &[Value::I32(3)]).expect("it returns").len(), 1);
        check_all_is_released(mechanism, &instance, "outer");
        check_all_is_released(mechanism, inner.lock().unwrap().as_ref().expect("it ran"), "inner");
    }
}

fn churn(rounds: i32) {
    for mechanism in MECHANISMS.iter().filter(|name| !name.contains("never")) {
        let settings = Settings { checked: false, ..under(mechanism, eager()) };
        let (instance, thread) =
            start(GUEST, &settings, &acting(|call| assert!(call.thread().invalidate_active().is_ok())));
        let mut warm = None;
        for round in 0..rounds {
            thread.invoke("f", &[Value::I32(2)]).expect("it returns");
            let code = instance.code_statistics();
            let kept = (code.live_bytes, code.frame_map_bytes, code.unwind_bytes);
            if round == rounds / 5 {
                warm = Some(kept);
            }
            assert!(warm.is_none_or(|warm| kept == warm), "{mechanism}: {kept:?}, not {warm:?}");
        }
        let code = instance.code_statistics();
        assert!(code.versions_released >= 2 * rounds as u64, "{mechanism}: {code:?}");
        assert!(code.peak_bytes <= 8 * 4096, "{mechanism}: code memory is used again: {code:?}");
    }
}

#[test]
fn rounds_of_updates_keep_memory_constant() {
    churn(300);
}

#[test]
#[ignore = "minutes in a debug build"]
fn a_hundred_thousand_rounds_of_updates_keep_memory_constant() {
    churn(100_000);
}
