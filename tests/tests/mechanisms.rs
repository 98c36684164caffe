//! Every valid mechanism, whatever its combination of axis values, computes what the interpreter computes.

use osr_engine::{Imports, Instance, Land, Mechanism, PRESETS, Settings, Stress, Thread, Tiers};
use osr_ir::Value;
use osr_tests::guest::{parse, start};

/// Recursion, loops with and without calls, calls through a table, integers and floats that live across calls, memory,
/// a global, and traps at the bottom of many frames.
const PROGRAM: &str = r#"(module
    (memory (export "memory") 1)
    (global $calls (export "calls") (mut i64) (i64.const 0))
    (table funcref (elem $twice $fib))
    (type $unary (func (param i32) (result i32)))
    (func $twice (param $n i32) (result i32) (i32.shl (local.get $n) (i32.const 1)))
    (func $fib (param $n i32) (result i32)
      (global.set $calls (i64.add (global.get $calls) (i64.const 1)))
      (if (result i32) (i32.lt_s (local.get $n) (i32.const 2))
        (then (local.get $n))
        (else (i32.add
          (call $fib (i32.sub (local.get $n) (i32.const 1)))
          (call $fib (i32.sub (local.get $n) (i32.const 2)))))))
    (func $norm (param $n i32) (param $x f64) (result f64) (local $sum f64)
      (loop $again
        (local.set $sum (f64.add (local.get $sum) (f64.mul (local.get $x) (f64.convert_i32_s (local.get $n)))))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br_if $again (i32.gt_s (local.get $n) (i32.const 0))))
      (local.get $sum))
    (func (export "sums") (param $n i32) (result i32 f64) (local $i i32) (local $sum i32) (local $norm f64)
      (loop $again
        (local.set $sum (i32.add (local.get $sum)
          (call_indirect (type $unary)
            (i32.and (local.get $i) (i32.const 7)) (i32.and (local.get $i) (i32.const 1)))))
        (local.set $norm (f64.add (local.get $norm) (call $norm (local.get $i) (f64.const 0.5))))
        (i32.store (i32.shl (local.get $i) (i32.const 2)) (local.get $sum))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $again (i32.lt_s (local.get $i) (local.get $n))))
      (local.get $sum) (local.get $norm))
    (func $descend (export "descend") (param $depth i32) (param $address i32) (result i32)
      (if (result i32) (i32.eqz (local.get $depth))
        (then (i32.add (call $fib (i32.const 3)) (i32.load (local.get $address))))
        (else (i32.add (local.get $depth)
          (call $descend (i32.sub (local.get $depth) (i32.const 1)) (local.get $address)))))))"#;

/// What the program computes, call by call, and leaves behind.
#[derive(Debug, PartialEq)]
struct Observed {
    outcomes: Vec<Result<Vec<u64>, String>>,
    memory: Vec<u8>,
    calls: Option<u64>,
}

fn observe(settings: &Settings) -> Observed {
    let (instance, thread) = start(PROGRAM, settings, &Imports::default());
    let outcomes = outcomes(&thread);
    let memory = instance.memory().expect("there is one").read(0, 4096).expect("in bounds");
    Observed { outcomes, memory, calls: instance.exported_global("calls") }
}

fn outcomes(thread: &Thread) -> Vec<Result<Vec<u64>, String>> {
    let calls: [(&str, Vec<Value>); 5] = [
        ("sums", vec![Value::I32(24)]),
        ("descend", vec![Value::I32(40), Value::I32(8)]),
        ("descend", vec![Value::I32(30), Value::I32(-4)]),
        ("sums", vec![Value::I32(9)]),
        ("descend", vec![Value::I32(20), Value::I32(4)]),
    ];
    let invoke = |(name, arguments): (&str, Vec<Value>)| {
        thread.invoke(name, &arguments).map_err(|error| error.to_string())
    };
    calls.into_iter().map(invoke).collect()
}

/// `mechanism` in all tiers that it can have, under a stress that depends on `number`.
fn settings(mechanism: Mechanism, number: usize) -> Settings {
    let is_final = mechanism.is_final();
    let lands = [Land::In(osr_engine::Tier::Interpreter), Land::Random(number as u64)];
    let every = [1, 2, 5][number % 3];
    let stress = match (is_final, mechanism.replaces_frames(), number % 4) {
        (true, ..) => Stress::None,
        (_, true, 3) if mechanism.hijacks() => Stress::hijack(every).landing(lands[number / 4 % 2]),
        (_, true, _) => Stress::invalidate(every).landing(lands[number / 4 % 2]),
        (_, false, _) => Stress::invalidate(every),
    };
    let tiers = match number % 3 {
        _ if is_final => Tiers::Optimized,
        0 => Tiers::Optimized,
        1 => Tiers::Baseline,
        _ => Tiers::Auto,
    };
    Settings {
        mechanism,
        stress,
        tiers,
        threshold: Some(5),
        optimize_threshold: Some(10),
        ..Settings::default()
    }
}

fn expected() -> Observed {
    observe(&Settings { tiers: Tiers::Interpreter, ..Settings::default() })
}

fn valid() -> Vec<Mechanism> {
    Mechanism::all().filter(|mechanism| mechanism.check().is_ok()).collect()
}

/// Runs the `chosen` ones of all valid mechanisms.
fn run(chosen: impl Fn(usize) -> bool) {
    let expected = expected();
    let traps: Vec<bool> = expected.outcomes.iter().map(Result::is_err).collect();
    assert_eq!(traps, [false, false, true, false, false], "the load at the bottom is out of bounds");
    for (number, mechanism) in valid().into_iter().enumerate().filter(|&(number, _)| chosen(number)) {
        let settings = settings(mechanism, number);
        assert_eq!(observe(&settings), expected, "--mechanism {mechanism}, {settings:?}");
    }
}

/// A prime number of them apart, so that all values of all axes meet.
#[test]
fn mechanisms_compute_what_the_interpreter_computes() {
    run(|number| number % 73 == 0);
}

#[test]
#[ignore = "takes minutes"]
fn all_valid_mechanisms_compute_what_the_interpreter_computes() {
    run(|_| true);
}

#[test]
fn presets_compute_what_the_interpreter_computes() {
    let expected = expected();
    for preset in PRESETS.iter().filter(|preset| preset.mechanism.check().is_ok()) {
        for number in 0..12 {
            let settings = settings(preset.mechanism, number);
            assert_eq!(observe(&settings), expected, "{}, {settings:?}", preset.name);
        }
    }
}

/// An invalid mechanism is refused when an instance is made, with the rule's own words.
#[test]
fn invalid_mechanisms_are_refused_by_name() {
    for (number, mechanism) in Mechanism::all().enumerate().filter(|(number, _)| number % 9_973 == 0) {
        let Err(refusal) = mechanism.check() else { continue };
        let settings = Settings { mechanism, ..Settings::default() };
        let error =
            Instance::new(settings, parse("(module)"), &Imports::default()).expect_err("it is invalid");
        assert!(error.to_string().contains(&refusal.to_string()), "{number}: {error}");
    }
}
