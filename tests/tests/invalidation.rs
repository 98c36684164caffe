//! Invalidation from everywhere, with every kind of stack below.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use osr_engine::{EntryPoint, HostCall, Invalidated, Settings, Stress};
use osr_ir::Value;
use osr_tests::guest::{acting, eager, interpreted, start};

fn invalidate(call: &HostCall<'_>) -> Invalidated {
    call.thread().invalidate_active().expect("a walk")
}

#[test]
fn without_frames_code_is_released_and_compiled_again() {
    let guest = r#"(module
      (func $g (param $n i32) (result i32) (i32.mul (local.get $n) (i32.const 3)))
      (func (export "f") (param $n i32) (result i32) (i32.add (call $g (local.get $n)) (i32.const 1))))"#;
    let (instance, thread) = start(guest, &eager(), &acting(|_| ()));
    assert_eq!(thread.invalidate_all().expect("a walk"), Invalidated::default());
    for round in 1..=10 {
        assert_eq!(thread.invoke("f", &[Value::I32(5)]).expect("it returns"), [16]);
        assert_eq!(instance.versions().len(), 2);
        assert_eq!(thread.invalidate_active().expect("a walk"), Invalidated::default(), "nothing is active");
        let code_bytes = instance.versions().iter().map(|version| u64::from(version.code_bytes)).sum();
        let invalidated = thread.invalidate_all().expect("a walk");
        assert_eq!(invalidated, Invalidated { versions: 2, frames: 0, code_bytes });
        let code = instance.code_statistics();
        assert_eq!((code.versions_released, code.frame_map_bytes), (2 * round, 0));
    }
    assert_eq!(thread.transitions().landings, 0);
}

/// `f` goes down through the host: every second step is a call back.
const THROUGH_THE_HOST: &str = r#"(module
  (import "env" "act" (func $act))
  (import "env" "call_back" (func $call_back (param i32) (result i32)))
  (table (export "table") 1 funcref)
  (elem (i32.const 0) func $beyond)
  (global $left (mut i32) (i32.const 0))
  (func $f (export "f") (param $n i32) (result i32)
    (if (i32.eqz (local.get $n)) (then (call $act) (return (i32.const 1))))
    (global.set $left (local.get $n))
    (i32.add (i32.mul (call $call_back (i32.const 0)) (i32.const 3)) (local.get $n)))
  (func $beyond (result i32)
    (i32.xor (call $f (i32.sub (global.get $left) (i32.const 1))) (i32.const 5))))"#;

#[test]
fn a_nested_host_call_invalidates_frames_of_all_segments() {
    const DEPTH: i32 = 50;
    let (_, reference) = start(THROUGH_THE_HOST, &interpreted(), &acting(|_| ()));
    let expected = reference.invoke("f", &[Value::I32(DEPTH)]).expect("it returns");
    for settings in [eager(), Settings { checked: false, ..eager() }] {
        let imports = acting(|call| {
            let invalidated = invalidate(call);
            assert_eq!((invalidated.versions, invalidated.frames), (2, 2 * DEPTH as u64 + 1));
            assert_eq!(call.thread().instance().versions().len(), 0);
        });
        let (_, thread) = start(THROUGH_THE_HOST, &settings, &imports);
        assert_eq!(thread.invoke("f", &[Value::I32(DEPTH)]).expect("it returns"), expected);
        assert_eq!(thread.transitions().landings, 2 * DEPTH as u64 + 1);
    }
}

/// `down` waits for `step`, which invalidates both, lands, and calls `down` again.
const GENERATIONS: &str = r#"(module
  (import "env" "act" (func $act))
  (func $down (export "down") (param $n i32) (result i64) (local $mine i64)
    (local.set $mine (i64.mul (i64.extend_i32_u (local.get $n)) (i64.const 0x123456789abcdef)))
    (i64.xor (call $step (local.get $n)) (local.get $mine)))
  (func $step (param $n i32) (result i64)
    (call $act)
    (if (i32.eqz (local.get $n)) (then (return (i64.const 99))))
    (i64.add (call $down (i32.sub (local.get $n) (i32.const 1))) (i64.const 7))))"#;

#[test]
fn every_pending_frame_is_of_a_version_of_its_own() {
    const DEPTH: i32 = 100;
    let (_, reference) = start(GENERATIONS, &interpreted(), &acting(|_| ()));
    let expected = reference.invoke("down", &[Value::I32(DEPTH)]).expect("it returns");
    for settings in [eager(), Settings { checked: false, ..eager() }] {
        let last = Arc::new(Mutex::new(Vec::new()));
        let host = Arc::clone(&last);
        let imports = acting(move |call| {
            let invalidated = invalidate(call);
            assert_eq!((invalidated.versions, invalidated.frames), (2, 2));
            *host.lock().unwrap() = call.thread().compiled_frames().expect("a walk");
        });
        let (instance, thread) = start(GENERATIONS, &settings, &imports);
        assert_eq!(thread.invoke("down", &[Value::I32(DEPTH)]).expect("it returns"), expected);
        let frames = last.lock().unwrap();
        assert_eq!(frames.len(), DEPTH as usize + 2, "one `down` for each level, and the innermost `step`");
        assert!(frames.iter().all(|frame| frame.hijacked));
        let versions: BTreeSet<_> = frames.iter().map(|frame| frame.version).collect();
        assert_eq!(versions.len(), frames.len());
        let pcs: BTreeSet<_> = frames.iter().map(|frame| frame.frame.pc).collect();
        assert!(settings.checked || pcs.len() < frames.len() / 2, "addresses are used again: {}", pcs.len());
        drop(thread);
        let left: u64 = instance.versions().iter().map(|version| version.frame_map_bytes()).sum();
        assert_eq!(instance.code_statistics().frame_map_bytes, left, "only maps of code that is there");
    }
}

/// `f` enters itself from a loop: frames of its function version and of its continuation, mixed.
#[test]
fn function_and_continuation_versions_of_one_function_are_invalidated_together() {
    let guest = r#"(module
      (import "env" "act" (func $act))
      (func $f (export "f") (param $n i32) (result i64) (local $i i32) (local $sum i64)
        (if (i32.eqz (local.get $n)) (then (call $act) (return (i64.const 1))))
        (loop $again
          (local.set $sum (i64.add (i64.mul (local.get $sum) (i64.const 5)) (call $f (i32.sub (local.get $n) (i32.const 1)))))
          (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3))))
        (i64.add (local.get $sum) (i64.extend_i32_u (local.get $n)))))"#;
    let (_, reference) = start(guest, &interpreted(), &acting(|_| ()));
    let expected = reference.invoke("f", &[Value::I32(5)]).expect("it returns");
    // Hijack all or invalidate, by turns that differ from the loop's.
    let most = Arc::new(AtomicU64::new(0));
    for every in [1, 2, 4, 5, 7, 11] {
        let (count, host) = (AtomicU64::new(0), Arc::clone(&most));
        let imports = acting(move |call| {
            if count.fetch_add(1, Relaxed) % every == 0 {
                host.fetch_max(invalidate(call).versions, Relaxed);
            } else {
                call.thread().hijack(|version| version.entry == EntryPoint::Function).expect("a walk");
            }
        });
        let (_, thread) = start(guest, &eager(), &imports);
        assert_eq!(thread.invoke("f", &[Value::I32(5)]).expect("it returns"), expected, "every {every}");
        assert_eq!(thread.hijacked_slots(), 0);
    }
    assert_eq!(most.load(Relaxed), 2, "both kinds were on one stack");
}

/// Runs `f(n)` of `guest`, where every `every`th safepoint invalidates; returns landings and safepoints.
fn run_stressed(guest: &str, n: i32, every: u64) -> (u64, u64) {
    run_unrolled(guest, n, every, 1)
}

/// The same, with loops unrolled so often.
fn run_unrolled(guest: &str, n: i32, every: u64, unrolling: u8) -> (u64, u64) {
    let (_, reference) = start(guest, &interpreted(), &acting(|_| ()));
    let expected = reference.invoke("f", &[Value::I32(n)]).expect("it returns");
    let settings = Settings { stress: Stress::invalidate(every), unrolling, ..eager() };
    let (_, thread) = start(guest, &settings, &acting(|_| ()));
    assert_eq!(thread.invoke("f", &[Value::I32(n)]).expect("it returns"), expected, "every {every}");
    assert_eq!(thread.hijacked_slots(), 0);
    (thread.transitions().landings, thread.transitions().safepoints)
}

#[test]
fn a_loop_is_invalidated_at_its_own_poll() {
    let guest = r#"(module
      (func (export "f") (param $n i32) (result f64) (local $x f64) (local $y f64) (local $i i64)
        (local.set $x (f64.const 1.5))
        (loop $again
          (local.set $x (f64.add (f64.mul (local.get $x) (f64.const 0.75)) (local.get $y)))
          (local.set $y (f64.sub (local.get $x) (f64.convert_i64_s (local.get $i))))
          (local.set $i (i64.add (local.get $i) (i64.const 3)))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (f64.add (local.get $x) (local.get $y))))"#;
    for every in [1, 2, 3, 7] {
        for copies in [0, 1, 2, 4, 5] {
            let (landings, _) = run_unrolled(guest, 1000, every, copies);
            let expected = 1000 / u64::from(copies.max(1)) / (every + 1);
            assert!(landings >= expected, "every {every}, unrolled {copies} times: {landings}");
        }
    }
}

/// Code of a frame that passes a poll unharmed is released like any other when a host invalidates it.
#[test]
fn a_poll_that_is_not_left_defers_no_release() {
    let guest = r#"(module
      (import "env" "act" (func $act))
      (func (export "f") (param $n i32) (result f64) (local $i i32)
        (loop $again
          (local.set $i (i32.add (local.get $i) (i32.const 3)))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (call $act)
        (f64.convert_i32_s (local.get $i))))"#;
    let released = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&released);
    let act = acting(move |call| {
        invalidate(call);
        seen.store(call.thread().instance().code_statistics().versions_released, Relaxed);
    });
    // Polls are requested, and nothing is done at them.
    let settings = Settings { record: true, ..eager() };
    let (_, thread) = start(guest, &settings, &act);
    assert_eq!(thread.invoke("f", &[Value::I32(100)]).expect("it returns"), [300.0_f64.to_bits()]);
    assert_eq!(released.load(Relaxed), 1, "at once");
}

#[test]
fn a_function_is_invalidated_at_its_entry() {
    // Arguments in registers and on the stack, read after the poll.
    let guest = r#"(module
      (func $leaf (param i64 i64 i64 i64 i64 i64 i64 f32 f64) (result f64)
        (f64.add (local.get 8) (f64.add (f64.promote_f32 (local.get 7)) (f64.convert_i64_s
          (i64.sub (i64.mul (local.get 0) (local.get 6)) (i64.xor (local.get 5) (local.get 4)))))))
      (func (export "f") (param $n i32) (result f64) (local $sum f64) (local $w i64)
        (loop $again
          (local.set $w (i64.extend_i32_s (local.get $n)))
          (local.set $sum (f64.add (local.get $sum) (call $leaf (local.get $w) (i64.const 1) (i64.const 2)
            (i64.const 3) (local.get $w) (i64.const 5) (i64.const 77) (f32.const 0.5) (local.get $sum))))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum)))"#;
    for every in [1, 2, 3, 5] {
        let (landings, safepoints) = run_stressed(guest, 300, every);
        assert!(landings >= 300 / every, "every {every}: {landings} of {safepoints}");
    }
}

/// A call of the runtime is a safepoint, too: results come through the landing.
#[test]
fn a_frame_is_invalidated_in_its_calls_of_the_runtime() {
    let guest = r#"(module
      (memory 1 200)
      (func (export "f") (param $n i32) (result i32) (local $hash i32)
        (loop $again
          (local.set $hash (i32.add (i32.mul (local.get $hash) (i32.const 31)) (memory.grow (i32.const 1))))
          (memory.fill (i32.mul (local.get $n) (i32.const 10)) (local.get $n) (i32.const 8))
          (memory.copy (i32.const 4) (i32.mul (local.get $n) (i32.const 10)) (i32.const 8))
          (local.set $hash (i32.xor (local.get $hash) (i32.load (i32.const 4))))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $hash)))"#;
    for every in [1, 2, 3, 4, 5] {
        let (landings, _) = run_stressed(guest, 150, every);
        assert!(landings >= 150 / every, "every {every}: {landings}");
    }
}
