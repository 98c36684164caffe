//! Inlined bodies: a frame stands for several activations, and is taken apart into them wherever it can be replaced.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use osr_engine::{
    ActiveFrames, Bookkeeping, Destination, HostCall, Mechanism, PRESETS, Settings, StateRecording, Stress,
    Tiers,
};
use osr_ir::{FunctionIndex, Value};
use osr_tests::configuration::describe;
use osr_tests::guest::{acting, eager, interpreted, start};
use osr_tests::{Configuration, observe, programs};

fn inlined(settings: Settings) -> Settings {
    Settings { inlining: Some(Configuration::MUCH), ..settings }
}

/// `f` calls `middle` in a loop and once more, that calls `leaf` twice; all wait for the host at the bottom.
const CHAIN: &str = r#"(module
  (import "env" "act" (func $act))
  (func $leaf (param $x i32) (param $y i64) (result i64 i32) (local $mine i32)
    (local.set $mine (i32.mul (local.get $x) (i32.const 17)))
    (call $act)
    (i64.add (local.get $y) (i64.extend_i32_u (local.get $mine)))
    (i32.xor (local.get $x) (local.get $mine)))
  (func $middle (param $x i32) (result f64) (local $a i64) (local $b i32)
    (call $leaf (local.get $x) (i64.const 1000000007))
    (local.set $b) (local.set $a)
    (call $leaf (local.get $b) (local.get $a))
    (local.set $b) (local.set $a)
    (f64.add (f64.convert_i64_u (local.get $a)) (f64.convert_i32_u (local.get $b))))
  (func (export "f") (param $n i32) (result f64) (local $sum f64)
    (loop $again
      (local.set $sum (f64.add (f64.mul (local.get $sum) (f64.const 0.5)) (call $middle (local.get $n))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (f64.add (local.get $sum) (call $middle (i32.const 77)))))"#;

fn result(settings: &Settings, act: impl Fn(&HostCall<'_>) + Send + Sync + 'static) -> Vec<u64> {
    let (_, thread) = start(CHAIN, settings, &acting(act));
    thread.invoke("f", &[Value::I32(6)]).expect("it returns")
}

#[test]
fn a_frame_lands_as_the_activations_that_it_stands_for() {
    use osr_engine::CompiledTier::{Baseline, Optimized};
    let expected = result(&interpreted(), |_| ());
    let destinations =
        [Destination::Interpreter, Destination::Compiled(Baseline), Destination::Compiled(Optimized)];
    for recording in [StateRecording::Slots, StateRecording::Locations, StateRecording::Pads] {
        for landing in destinations {
            for (every, checked) in [(1, true), (1, false), (2, false), (3, true), (5, false)] {
                let mechanism = Mechanism::recorded_by(recording);
                // What is checked is watched, and lands one activation after the other.
                let settings = inlined(Settings { landing, mechanism, checked, ..eager() });
                let count = AtomicU64::new(0);
                let (_, thread) = start(
                    CHAIN,
                    &settings,
                    &acting(move |call| {
                        if count.fetch_add(1, Relaxed).is_multiple_of(every) {
                            call.thread().invalidate_active().expect("a walk");
                        }
                    }),
                );
                let found = thread.invoke("f", &[Value::I32(6)]).expect("it returns");
                assert_eq!(found, expected, "{recording:?}, {landing:?}, every {every}");
                let transitions = thread.transitions();
                assert!(transitions.virtual_frames >= 2, "{transitions:?}");
            }
        }
    }
}

#[test]
fn a_backtrace_has_the_inlined_activations() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let host = Arc::clone(&seen);
    result(&inlined(eager()), move |call| {
        let activations = call.thread().compiled_activations().expect("a walk");
        let frames = call.thread().compiled_frames().expect("a walk");
        assert_eq!(frames.len(), 1, "all of it is one frame");
        assert_eq!(frames[0].function, activations[0].function, "the innermost");
        let name =
            |function: FunctionIndex| call.thread().instance().module().function(function).name.clone();
        let line =
            activations.iter().map(|a| format!("{} {}", name(a.function), a.is_inlined)).collect::<Vec<_>>();
        host.lock().unwrap().push(line.join(" < "));
    });
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 14);
    assert!(seen.iter().all(|line| line == "leaf true < middle true < f false"), "{seen:?}");
}

#[test]
fn who_has_inlined_a_function_depends_on_it() {
    let expected = result(&interpreted(), |_| ());
    for name in ["leaf", "middle"] {
        let retired = Arc::new(AtomicU64::new(0));
        let host = Arc::clone(&retired);
        let found = result(&inlined(eager()), move |call| {
            let module = call.thread().instance().module();
            let function =
                module.functions.iter().position(|function| function.name == name).expect("it is there");
            let function = FunctionIndex::new(function);
            let invalidated = call.thread().invalidate_chosen(|version| version.depends_on(function));
            let invalidated = invalidated.expect("a walk");
            host.fetch_add(invalidated.versions, Relaxed);
            let versions = call.thread().instance().versions();
            assert!(!versions.iter().any(|version| version.depends_on(function)), "{name} is still inlined");
        });
        assert_eq!(found, expected, "{name}");
        assert!(retired.load(Relaxed) > 0, "{name}");
    }
}

/// A method that is inlined several times into a recursive function, which is itself inlined into itself, and active
/// many times: Hoelzle, Chambers and Ungar's case (PLDI'92).
#[test]
fn a_method_inlined_n_times_and_active_m_times_is_invalidated() {
    const GUEST: &str = r#"(module
      (import "env" "act" (func $act))
      (func $method (param $n i32) (result i32)
        (if (i32.eqz (local.get $n)) (then (call $act) (return (i32.const 3))))
        (i32.add (call $recurse (i32.sub (local.get $n) (i32.const 1))) (local.get $n)))
      (func $recurse (export "recurse") (param $n i32) (result i32) (local $mine i32)
        (local.set $mine (i32.mul (local.get $n) (i32.const 1001)))
        (if (i32.and (local.get $n) (i32.const 1))
          (then (return (i32.sub (call $method (local.get $n)) (local.get $mine)))))
        (if (i32.and (local.get $n) (i32.const 2))
          (then (return (i32.mul (call $method (local.get $n)) (i32.const 3)))))
        (i32.xor (call $method (local.get $n)) (local.get $mine))))"#;
    const DEPTH: i32 = 200;
    let (_, reference) = start(GUEST, &interpreted(), &acting(|_| ()));
    let expected = reference.invoke("recurse", &[Value::I32(DEPTH)]).expect("it returns");
    let (frames, activations) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let counts = (Arc::clone(&frames), Arc::clone(&activations));
    let (_, thread) = start(
        GUEST,
        &inlined(eager()),
        &acting(move |call| {
            let method = FunctionIndex::new(1);
            let active = call.thread().compiled_activations().expect("a walk");
            counts.1.store(active.iter().filter(|active| active.function == method).count() as u64, Relaxed);
            let invalidated = call.thread().invalidate_chosen(|version| version.depends_on(method));
            counts.0.store(invalidated.expect("a walk").frames, Relaxed);
        }),
    );
    assert_eq!(thread.invoke("recurse", &[Value::I32(DEPTH)]).expect("it returns"), expected);
    let (frames, activations) = (frames.load(Relaxed), activations.load(Relaxed));
    assert_eq!(activations, DEPTH as u64 + 1, "each activation of the method, inlined or not");
    assert!(frames < activations, "{frames} frames");
    let transitions = thread.transitions();
    assert_eq!(transitions.landings, frames);
    assert_eq!(
        transitions.landings + transitions.virtual_frames,
        2 * activations,
        "method and caller by turns"
    );
}

/// Traps and host errors at the bottom of a chain are those of the innermost activation.
#[test]
fn what_traps_in_an_inlined_body_is_named() {
    const GUEST: &str = r#"(module
      (import "env" "act" (func $act))
      (import "env" "call_back" (func $call_back (param i32) (result i32)))
      (memory 1 1)
      (table (export "table") 2 funcref)
      (type $to_i32 (func (result i32)))
      (global $zero (mut i32) (i32.const 0))
      (func $bottom (param $kind i32) (result i32) (local $mine i32)
        (local.set $mine (i32.mul (local.get $kind) (i32.const 1000)))
        (if (i32.eq (local.get $kind) (i32.const 1)) (then unreachable))
        (if (i32.eq (local.get $kind) (i32.const 2)) (then (return (i32.rem_s (i32.const 1) (global.get $zero)))))
        (if (i32.eq (local.get $kind) (i32.const 3)) (then (return (i32.load (i32.const 0x7fffffff)))))
        (if (i32.eq (local.get $kind) (i32.const 4)) (then (i32.store8 (i32.const 65536) (local.get $mine))))
        (if (i32.eq (local.get $kind) (i32.const 5)) (then (memory.fill (i32.const 65535) (i32.const 0) (i32.const 2))))
        (if (i32.eq (local.get $kind) (i32.const 6)) (then (return (call_indirect (type $to_i32) (i32.const 5)))))
        (if (i32.eq (local.get $kind) (i32.const 7)) (then (return (call_indirect (type $to_i32) (i32.const 0)))))
        (if (i32.eq (local.get $kind) (i32.const 8)) (then (return (i32.trunc_f64_s (f64.const nan)))))
        (if (i32.eq (local.get $kind) (i32.const 9)) (then (return (call $call_back (i32.const 0)))))
        (i32.add (local.get $mine) (i32.const 7)))
      (func $between (param $kind i32) (param $acts i32) (result i32) (local $i i32)
        (if (local.get $acts) (then (call $act)))
        (loop $again
          (local.set $kind (i32.add (local.get $kind) (i32.const 1)))
          (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3))))
        (call $bottom (i32.sub (local.get $kind) (i32.const 3))))
      (func (export "f") (param $kind i32) (param $acts i32) (result i32)
        (i32.add (call $between (local.get $kind) (local.get $acts)) (i32.const 1))))"#;
    let outcomes = |settings: &Settings, acts: i32| -> Vec<String> {
        let imports = acting(|call| drop(call.thread().invalidate_active()));
        let (_, thread) = start(GUEST, settings, &imports);
        let outcome = |kind| match thread.invoke("f", &[Value::I32(kind), Value::I32(acts)]) {
            Ok(results) => format!("{results:?}"),
            Err(error) => describe(&error),
        };
        (0..10).map(outcome).collect()
    };
    let expected = outcomes(&interpreted(), 0);
    assert_eq!(expected.iter().collect::<BTreeSet<_>>().len(), 10, "{expected:#?}");
    let optimized = Destination::Compiled(osr_engine::CompiledTier::Optimized);
    for landing in [Destination::Interpreter, optimized] {
        for (acts, checked) in [(0, true), (1, true), (1, false)] {
            let settings = inlined(Settings { landing, checked, ..eager() });
            assert_eq!(outcomes(&settings, acts), expected, "{landing:?}, acts: {acts}, checked: {checked}");
        }
    }
}

#[test]
fn recursion_that_is_inlined_exhausts_the_stack_and_leaves_it_whole() {
    let guest = r#"(module
      (import "env" "act" (func $act))
      (func $down (export "down") (param $n i32) (result i32)
        (if (i32.eqz (i32.and (local.get $n) (i32.const 255))) (then (call $act)))
        (i32.add (call $down (i32.add (local.get $n) (i32.const 1))) (local.get $n)))
      (func (export "fine") (result i32) (i32.const 5)))"#;
    let baseline = Destination::Compiled(osr_engine::CompiledTier::Baseline);
    for (landing, checked) in
        [(Destination::Interpreter, true), (Destination::Interpreter, false), (baseline, true)]
    {
        let settings = inlined(Settings { landing, checked, value_stack_bytes: 1 << 20, ..eager() });
        let (_, thread) = start(
            guest,
            &settings,
            &acting(|call| {
                call.thread().hijack(|_| true).expect("a walk");
            }),
        );
        for _ in 0..2 {
            let error = thread.invoke("down", &[Value::I32(1)]).expect_err("the stack ends");
            assert!(describe(&error).contains("stack exhausted"), "{}", describe(&error));
            assert_eq!(thread.hijacked_slots(), 0);
            assert_eq!(thread.invoke("fine", &[]).expect("it returns"), [5]);
        }
    }
}

/// Every preset, and every way that frames can leave: with all that can be inlined the program computes the same.
#[test]
fn every_mechanism_lands_inlined_activations() {
    let program = programs().into_iter().find(|program| program.name == "richards").expect("it is there");
    let module = program.module(true);
    let run = |settings: &Settings| observe(&module, &program.invoke, &program.small_arguments(), settings);
    let expected = run(&Configuration::interpreter().settings);
    let ways = ActiveFrames::ALL.iter().map(|&frames| Mechanism { frames, ..Mechanism::DEFAULT });
    let books = Bookkeeping::ALL.iter().map(|&bookkeeping| Mechanism { bookkeeping, ..Mechanism::DEFAULT });
    let presets = PRESETS.into_iter().map(|preset| preset.mechanism);
    let valid = ways.chain(books).chain(presets).filter(|mechanism| mechanism.check().is_ok());
    let mut tried = 0;
    for mechanism in valid.filter(|mechanism| !mechanism.is_final() && mechanism.polls()) {
        let stress = Stress::invalidate(997);
        let (tiers, threshold, optimize_threshold) = (Tiers::Auto, Some(20), Some(60));
        let settings =
            Settings { tiers, threshold, optimize_threshold, mechanism, stress, ..Settings::default() };
        assert_eq!(run(&inlined(settings)), expected, "{mechanism}");
        tried += 1;
    }
    assert!(tried >= 10, "{tried} mechanisms");
}
