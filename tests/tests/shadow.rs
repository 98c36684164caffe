//! Programs and every case, followed by a shadow interpreter: it finds nothing, and it looked.

use std::sync::Arc;

use osr_engine::{
    Compared, Delegates, Instance, Land, Mechanism, Moves, Settings, Shadow, StateRecording, Stress, Thread,
    Tier, Tiers, Transitions,
};
use osr_ir::{Module, Value};
use osr_tests::configuration::{on_large_stack, start_with};
use osr_tests::host::imports;
use osr_tests::reproduction::{Calls, calls_of_program};
use osr_tests::{Configuration, Program, cases, programs};

/// Makes `calls` of exported functions; returns what the shadow compared.
fn follow(name: &str, module: &Module, settings: Settings, calls: &Calls) -> Compared {
    let shadow = Arc::new(Shadow::new(module, &imports()).expect("a shadow"));
    let value_stack_bytes = 256 << 10;
    let settings = Settings { checked: true, value_stack_bytes, points: true, ..settings };
    let stress = settings.stress.clone();
    let watched = Delegates::observer(shadow.clone());
    let instance = Instance::with_delegates(settings, watched, module.clone(), &imports());
    let instance = instance.expect("an instance");
    let thread = Thread::new(&instance).expect("a thread");
    thread.start().expect("the start function returns");
    for (function, arguments) in calls {
        // Traps are results, too.
        let _ = thread.invoke(function, arguments);
    }
    if let Some(difference) = shadow.difference() {
        panic!("{name}, {stress:?}: {difference}");
    }
    shadow.compared()
}

fn inlined(settings: Settings) -> Settings {
    Settings { inlining: Some(Configuration::MUCH), ..settings }
}

fn auto(stress: Stress, recording: StateRecording) -> Settings {
    let mechanism = Mechanism::recorded_by(recording);
    Settings { threshold: Some(5), optimize_threshold: Some(20), stress, mechanism, ..Settings::default() }
}

#[test]
fn programs_are_followed() {
    for (number, program) in programs().into_iter().enumerate().filter(|(number, _)| number % 3 != 1) {
        let recording = [StateRecording::Slots, StateRecording::Locations][number % 2];
        let inlining = (number % 2 == 0).then_some(Configuration::MUCH);
        let stress = Stress::hijack(211).landing(Land::Random(number as u64));
        let settings = Settings { inlining, ..auto(stress, recording) };
        let calls = calls_of_program(&program);
        let compared = follow(&program.name, &program.module(number % 4 < 2), settings, &calls);
        assert!(compared.transitions > 0 && compared.registers > 0, "{}: {compared:?}", program.name);
    }
}

#[test]
fn cases_are_followed() {
    // Little stack, for cases that exhaust it: each hijack walks all of it.
    let (optimized, baseline) = (Land::In(Tier::Optimized), Land::In(Tier::Baseline));
    let mut transitions = 0;
    for case in cases() {
        let calls = case.calls();
        let eager = |tiers, stress| Settings { tiers, stress, ..Settings::default() };
        for settings in [
            auto(Stress::invalidate(100).landing(Land::Random(5)), StateRecording::Slots),
            auto(Stress::hijack(1).landing(Land::Random(6)), StateRecording::Locations),
            eager(Tiers::Optimized, Stress::invalidate(50)),
            eager(Tiers::Optimized, Stress::hijack(1).landing(optimized)),
            eager(Tiers::Baseline, Stress::hijack(1).landing(baseline)),
            inlined(eager(Tiers::Optimized, Stress::hijack(1))),
            inlined(eager(Tiers::Optimized, Stress::invalidate(3).landing(Land::Random(7)))),
        ] {
            let follow = || follow(&case.name, &case.module, settings, &calls);
            transitions += on_large_stack(512 << 10, follow).transitions;
        }
    }
    assert!(transitions > 1_000, "{transitions}");
}

/// What a program's activations go through under `stress`, where points are safepoints.
fn moves(program: &Program, stress: Stress, delegates: Delegates) -> (Transitions, Vec<Moves>) {
    let settings = Settings { points: true, ..auto(stress, StateRecording::default()) };
    let (_instance, thread) = start_with(&program.module(false), &settings, delegates);
    thread.invoke(&program.invoke, &program.small_arguments()).expect("the program returns");
    (thread.transitions(), thread.moves())
}

/// Under equal settings the same transitions occur, by themselves or forced, with a shadow and without.
#[test]
fn a_shadow_changes_no_transition() {
    let forced = Stress::hijack(1_009).landing(Land::Random(1));
    for program in programs().into_iter().step_by(6) {
        for stress in [Stress::None, forced.clone()] {
            let shadow = Arc::new(Shadow::new(&program.module(false), &imports()).expect("a shadow"));
            let observed = moves(&program, stress.clone(), Delegates::observer(shadow.clone()));
            assert!(shadow.difference().is_none(), "{}", program.name);
            assert_eq!(observed, moves(&program, stress, Delegates::default()), "{}", program.name);
        }
    }
}

/// A function that calls itself in one loop, and after that leaves another after one iteration: optimized
/// code does not tell that it enters the second, baseline code and the interpreter do.
const TWO_LOOPS: &str = r#"(module
  (global $calls (mut i32) (i32.const 800))
  (func $f (export "run") (param $depth i32) (result i32) (local $left i32) (local $sum i32)
    (if (i32.eqz (i32.mul (local.get $depth) (global.get $calls))) (then (return (i32.const 1))))
    (global.set $calls (i32.sub (global.get $calls) (i32.const 1)))
    (local.set $left (i32.const 4))
    (loop $calling
      (local.set $sum (i32.add (local.get $sum) (call $f (i32.sub (local.get $depth) (i32.const 1)))))
      (br_if $calling (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (local.set $left (i32.const 1))
    (loop $once
      (local.set $sum (i32.rotl (local.get $sum) (local.get $depth)))
      (br_if $once (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (local.get $sum)))"#;

#[test]
fn activations_of_a_function_in_several_tiers_are_told_apart() {
    let module = osr_ir::wasm::import_text(TWO_LOOPS).expect("a valid module");
    let mut transitions = 0;
    for seed in 1..=12 {
        let stress = match seed % 4 {
            0 => Stress::None,
            1 => Stress::hijack(seed).landing(Land::Random(seed)),
            2 => Stress::invalidate(40 + seed).landing(Land::Random(seed)),
            _ => Stress::Random(seed),
        };
        for (threshold, optimize_threshold) in [(Some(20), Some(60)), (Some(3), Some(5))] {
            let settings =
                Settings { threshold, optimize_threshold, ..auto(stress.clone(), StateRecording::default()) };
            let calls = vec![("run".to_owned(), vec![Value::I32(5)])];
            transitions += follow("two loops", &module, settings, &calls).transitions;
        }
    }
    assert!(transitions > 100, "{transitions}");
}
