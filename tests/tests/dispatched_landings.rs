//! Hijacked frames of code that speculates land in code that is specialized as theirs was, and programs compute what the
//! interpreter does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use osr_engine::{
    CodeVersion, CompiledTier, Destination, EntryPoint, FailingGuards, Mechanism, Settings, SpeculationKind,
    StateRecording, Stress, Tiers,
};
use osr_ir::{ExportItem, Module, Value};
use osr_tests::Configuration;
use osr_tests::guest::{acting, interpreted, parse, start};
use osr_tests::run::{Call, run};

/// `sum` calls `middle`, and that `leaf`, which are inlined; the host is called in the innermost one. Above 1000 `middle` is in
/// another phase.
const PHASES: &str = r#"(module
  (import "env" "invalidate" (func $act))
  (global $mode (mut i32) (i32.const 3))
  (func (export "set") (param i32) (global.set $mode (local.get 0)))
  (func $leaf (param $x i32) (result i32)
    (if (i32.eqz (i32.rem_u (local.get $x) (i32.const 13))) (then (call $act)))
    (i32.mul (local.get $x) (global.get $mode)))
  (func $middle (param $x i32) (result i32)
    (if (result i32) (i32.lt_s (local.get $x) (i32.const 1000))
      (then (i32.add (call $leaf (local.get $x)) (i32.const 1)))
      (else (i32.sub (call $leaf (local.get $x)) (i32.const 5)))))
  (func (export "sum") (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 31)) (call $middle (local.get $n))))
      (br_if $again (i32.rem_u (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 100))))
    (local.get $sum)))"#;

const CALLS: [i32; 10] = [50, 50, 99, 99, 1_050, 1_099, 99, 99, 1_020, 99];

fn settings(stress: Stress, landing: Destination) -> Settings {
    let low = Configuration::new("", Tiers::Auto, stress).with_thresholds((3, 30)).settings;
    Settings {
        speculate: SpeculationKind::ALL.iter().copied().collect(),
        speculation_threshold: 1,
        failing_guards: FailingGuards::Dispatch,
        inlining: Some(Configuration::MUCH),
        landing,
        ..low
    }
}

/// What a run does.
struct Done {
    results: Vec<u64>,
    dispatched_landings: u64,
    /// Versions that a frame that stands for several activations has landed in, or may land in.
    merged: usize,
}

/// Calls `sum`, where the host by turns invalidates all code and changes the global.
fn sums(settings: &Settings) -> Done {
    let acted = AtomicU64::new(0);
    let imports = acting(move |call| {
        let number = acted.fetch_add(1, Relaxed);
        match number % 3 {
            0 => drop(call.thread().invalidate_active().expect("a walk")),
            _ => drop(call.thread().invoke("set", &[Value::I32(number as i32 / 20)]).expect("it returns")),
        }
    });
    let (instance, thread) = start(&PHASES.replace("invalidate", "act"), settings, &imports);
    let mut results = Vec::new();
    for &n in CALLS.iter().cycle().take(40) {
        results.extend(thread.invoke("sum", &[Value::I32(n)]).expect("it returns"));
    }
    let is_merged = |version: &&Arc<CodeVersion>| {
        matches!(version.entry, EntryPoint::Specialized { .. }) && version.inlined().count() > 0
    };
    let merged = instance.versions().iter().filter(is_merged).count();
    Done { results, dispatched_landings: thread.transitions().dispatched_landings, merged }
}

#[test]
fn frames_land_in_what_is_specialized_for_them() {
    let expected = sums(&interpreted()).results;
    let optimized = CompiledTier::Optimized;
    for landing in [Destination::Compiled(optimized), Destination::Cached(optimized)] {
        for recording in [StateRecording::Slots, StateRecording::Locations, StateRecording::Pads] {
            let stresses = [Stress::None, Stress::hijack(3), Stress::invalidate(29), Stress::guard(5)];
            for (number, stress) in stresses.into_iter().enumerate() {
                let (mechanism, checked) = (Mechanism::recorded_by(recording), number % 2 == 0);
                let settings = Settings { mechanism, checked, ..settings(stress.clone(), landing) };
                let done = sums(&settings);
                let way = format!("{landing:?}, {recording:?}, {stress:?}");
                assert_eq!(done.results, expected, "{way}");
                assert!(done.dispatched_landings > 0 || landing != Destination::Compiled(optimized), "{way}");
            }
            let settings = Settings {
                mechanism: Mechanism::recorded_by(recording),
                ..settings(Stress::hijack(3), landing)
            };
            for other in [
                Settings { contexts: 0, ..settings.clone() },
                Settings { failing_guards: FailingGuards::Remake, ..settings },
            ] {
                let done = sums(&other);
                assert_eq!((done.results, done.dispatched_landings), (expected.clone(), 0), "{recording:?}");
            }
        }
    }
}

#[test]
fn a_frame_of_several_activations_lands_as_one() {
    let settings = settings(Stress::hijack(3), Destination::Compiled(CompiledTier::Optimized));
    assert!(sums(&settings).merged > 0);
}

#[test]
fn a_shadow_follows_through_dispatched_landings() {
    let module: Module = parse(PHASES);
    let Some(ExportItem::Function(function)) = module.export("sum") else { panic!("it is exported") };
    let call = |&n: &i32| Call { name: "sum".to_owned(), function, arguments: vec![n as u64] };
    let calls: Vec<Call> = CALLS.iter().map(call).collect();
    let mut dispatched = 0;
    for every in [2, 3, 7] {
        for stress in [Stress::hijack(every), Stress::invalidate(every * 11)] {
            let settings = settings(stress, Destination::Compiled(CompiledTier::Optimized));
            let run = run(&module, &calls, &settings, true).expect("it returns");
            assert_eq!(run.difference.map(|difference| difference.to_string()), None, "{every}");
            dispatched += run.transitions.dispatched_landings;
        }
    }
    assert!(dispatched > 0);
}
