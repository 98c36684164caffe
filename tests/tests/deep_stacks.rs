//! A hundred thousand frames are hijacked at the bottom of a recursion, and land one after the other.

use std::sync::{Arc, Mutex};

use osr_engine::{Hijacked, HostCall, Settings, Stress, Transitions};
use osr_ir::Value;
use osr_tests::configuration::on_large_stack;
use osr_tests::guest::{acting, eager, interpreted, start};
use osr_tests::{Configuration, observe, programs};

const DEPTH: u32 = 100_000;

/// Two functions call each other in turn. At the bottom the host acts.
const GUEST: &str = r#"(module
  (import "env" "act" (func $act))
  (memory 1)
  (func $even (export "even") (param $n i32) (result i64) (local $mine i64) (local $x f64)
    (local.set $mine (i64.mul (i64.extend_i32_u (local.get $n)) (i64.const 6364136223846793005)))
    (local.set $x (f64.convert_i32_u (local.get $n)))
    (if (i32.eqz (local.get $n)) (then (call $act) (return (i64.const 1))))
    (i64.add
      (i64.xor (call $odd (i32.sub (local.get $n) (i32.const 1)) (local.get $x)) (local.get $mine))
      (i64.trunc_f64_s (local.get $x))))
  (func $odd (export "odd") (param $n i32) (param $x f64) (result i64)
    (if (i32.eqz (local.get $n)) (then (call $act) (return (i64.const 2))))
    (i64.sub
      (i64.rotl (call $even (i32.sub (local.get $n) (i32.const 1))) (i64.const 3))
      (i64.trunc_f64_s (f64.mul (local.get $x) (f64.const 0.5))))))"#;

/// Runs the recursion, with `act` at the bottom, which returns what the test wants to look at.
fn descend<T: Send + 'static>(
    settings: &Settings,
    act: impl Fn(&HostCall<'_>) -> T + Send + Sync + 'static,
) -> (T, Transitions) {
    on_large_stack(256 << 20, || {
        let seen = Arc::new(Mutex::new(None));
        let host = Arc::clone(&seen);
        let imports = acting(move |call| *host.lock().unwrap() = Some(act(call)));
        let (instance, thread) = start(GUEST, settings, &imports);
        let results = thread.invoke("even", &[Value::I32(DEPTH as i32)]).expect("the guest returns");
        let (_, reference) = start(GUEST, &interpreted(), &acting(|_| ()));
        let expected = reference.invoke("even", &[Value::I32(DEPTH as i32)]).expect("the guest returns");
        assert_eq!(results, expected);
        assert_eq!(thread.hijacked_slots(), 0);
        drop(instance);
        let seen = seen.lock().unwrap().take();
        (seen.expect("the host was called"), thread.transitions())
    })
}

/// With checks and without.
fn both() -> [Settings; 2] {
    [eager(), Settings { checked: false, ..eager() }]
}

#[test]
fn all_frames_are_hijacked_and_their_code_is_released_at_once() {
    for settings in both() {
        let ((invalidated, live), transitions) = descend(&settings, |call| {
            let invalidated = call.thread().invalidate_active().expect("a walk");
            (invalidated, call.thread().instance().versions().len())
        });
        assert_eq!((invalidated.versions, invalidated.frames), (2, u64::from(DEPTH) + 1));
        assert_eq!(live, 0);
        assert_eq!(transitions.landings, invalidated.frames);
    }
}

/// Hijacks the frames of the function `name`.
fn hijack_function(call: &HostCall<'_>, name: &str) -> Hijacked {
    let function = call.thread().instance().exported_function(name).expect("exported");
    call.thread().hijack(|version| version.function == function).expect("a walk")
}

#[test]
fn every_second_frame_is_hijacked_and_then_the_rest() {
    let half = u64::from(DEPTH) / 2;
    for first in ["even", "odd"] {
        let ((hijacked, rest, frames), transitions) = descend(&eager(), move |call| {
            let hijacked = hijack_function(call, first);
            let rest = call.thread().invalidate_all().expect("a walk");
            (hijacked, rest, call.thread().compiled_frames().expect("a walk"))
        });
        let (chosen, others) = if first == "even" { (half + 1, half) } else { (half, half + 1) };
        assert_eq!(hijacked, Hijacked { frames: chosen, again: 0 });
        assert_eq!((rest.versions, rest.frames), (2, others));
        assert_eq!(transitions.landings, chosen + others);
        assert_eq!(frames.len(), DEPTH as usize + 1);
        assert!(frames.iter().all(|frame| frame.hijacked));
        assert!(frames.is_sorted_by_key(|frame| frame.frame.return_slot));
    }
}

#[test]
fn every_second_frame_lands_and_the_rest_returns() {
    for chosen in ["even", "odd"] {
        let ((hijacked, frames), transitions) = descend(&eager(), move |call| {
            let hijacked = hijack_function(call, chosen);
            (hijacked, call.thread().compiled_frames().expect("a walk"))
        });
        assert_eq!(transitions.landings, hijacked.frames);
        assert_eq!(frames.len(), DEPTH as usize + 1);
        let alternate = frames.windows(2).all(|pair| pair[0].hijacked != pair[1].hijacked);
        assert!(alternate, "every second frame of two functions that call each other");
    }
}

#[test]
fn all_slots_are_given_back() {
    let ((back, frames), transitions) = descend(&eager(), |call| {
        hijack_function(call, "odd");
        hijack_function(call, "even");
        (call.thread().unhijack().expect("it can"), call.thread().compiled_frames().expect("a walk"))
    });
    assert_eq!((back, transitions.landings), (u64::from(DEPTH) + 1, 0));
    assert!(frames.iter().all(|frame| !frame.hijacked));
}

#[test]
fn deep_recursions_of_the_c_program_agree() {
    let program =
        programs().into_iter().find(|program| program.name == "deep-recursion").expect("it is there");
    for ssa in [false, true] {
        let module = program.module(ssa);
        for function in ["descend_int", "descend_mixed", "descend_memory"] {
            let run = |settings: &Settings| {
                let arguments = [Value::I32(DEPTH as i32)];
                on_large_stack(512 << 20, || observe(&module, function, &arguments, settings))
            };
            let expected = run(&Configuration::interpreter().settings);
            assert!(expected.outcome.is_ok(), "{function}: {expected:?}");
            // Each entry is a safepoint: invalidated at the bottom, in the middle, at every 997th.
            for every in [u64::from(DEPTH), u64::from(DEPTH) / 2, 997] {
                let settings = Settings { stress: Stress::invalidate(every), ..eager() };
                assert_eq!(run(&settings), expected, "{function} (ssa: {ssa}), invalidate={every}");
            }
        }
    }
}
