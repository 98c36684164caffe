//! Indirect calls whose targets are known: whatever they call, and wherever frames land, programs compute what the
//! interpreter does.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use osr_engine::{
    CompiledTier, Delegates, DeoptReason, Event, Inlining, Land, Observation, Observer, Settings,
    SpeculationKind, Stress, Tier, Tiers,
};
use osr_ir::{ExportItem, Module, Value};
use osr_tests::Configuration;
use osr_tests::configuration::describe;
use osr_tests::guest::{acting, interpreted, parse, start, start_with};
use osr_tests::program::folder_of_programs;
use osr_tests::run::{Call, run};

use SpeculationKind::{Branch, CallTarget, OnlyTargets};

/// Compiles at once, in all tiers, and believes any profile.
fn hasty(kinds: &[SpeculationKind], inlining: Option<Inlining>, stress: Stress) -> Settings {
    let low = Configuration::new("", Tiers::Auto, stress).with_thresholds((3, 30)).settings;
    let speculate = kinds.iter().copied().collect();
    Settings { speculate, speculation_threshold: 1, inlining, checked: true, ..low }
}

/// `sum` calls entries `first` to `first + count - 1` of a table in turn, `n` times in all. Entries 0 to 5 return, in ways of
/// their own; 6 has another type, 7 is null, 8 is beyond the end, 9 traps by itself when it is called.
const SHAPES: &str = r#"(module
  (import "env" "act" (func $act))
  (type $area (func (param i32 i64) (result i64 i32)))
  (table 10 funcref)
  (elem (i32.const 0) $square $twice $deep $looping $acting $passing $other)
  (elem (i32.const 9) $fails)
  (func $square (type $area)
    (i64.mul (local.get 1) (i64.extend_i32_u (local.get 0))) (local.get 0))
  (func $twice (type $area)
    (i64.add (local.get 1) (local.get 1)) (i32.const 2))
  (func $leaf (param $x i32) (result i32)
    (if (result i32) (i32.and (local.get $x) (i32.const 3))
      (then (i32.mul (local.get $x) (i32.const 17)))
      (else (i32.xor (local.get $x) (i32.const 5)))))
  (func $deep (type $area) (local $mine i32)
    (local.set $mine (call $leaf (i32.add (local.get 0) (i32.const 1))))
    (i64.xor (local.get 1) (i64.extend_i32_u (call $leaf (local.get $mine)))) (local.get $mine))
  (func $looping (type $area) (local $i i32)
    (loop $next
      (local.set 1 (i64.add (local.get 1) (i64.const 3)))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 5))))
    (local.get 1) (local.get $i))
  (func $acting (type $area)
    (call $act)
    (i64.rotl (local.get 1) (i64.const 7)) (i32.const 9))
  (func $passing (type $area) (call_indirect (type $area) (local.get 0) (local.get 1) (i32.const 0)))
  (func $other (result i32) (i32.const 1))
  (func $fails (type $area) (i64.div_u (local.get 1) (i64.const 0)) (i32.const 1))
  (func (export "sum") (param $n i32) (param $first i32) (param $count i32) (result i64)
    (local $sum i64) (local $got i32) (local $at i32)
    (loop $again
      (local.set $at (i32.add (local.get $first) (i32.rem_u (local.get $n) (local.get $count))))
      (call_indirect (type $area) (local.get $n) (local.get $sum) (local.get $at))
      (local.set $got) (local.set $sum)
      (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (i32.xor (local.get $got) (local.get $n)))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))"#;

/// What is called one after the other: one target, two, three, five, then others than before, then what traps.
const CALLS: [(i32, i32, i32); 14] = [
    (60, 0, 1),
    (60, 0, 1),
    (60, 1, 2),
    (60, 2, 3),
    (60, 0, 5),
    (60, 4, 1),
    (60, 5, 1),
    (30, 0, 6),
    (5, 6, 1),
    (5, 7, 1),
    (5, 8, 1),
    (5, 100, 1),
    (5, 9, 1),
    (60, 0, 3),
];

fn outcomes(settings: &Settings, calls: &[(i32, i32, i32)], invalidates: bool) -> Vec<String> {
    let imports = acting(move |call| {
        if invalidates {
            call.thread().invalidate_active().expect("a walk");
        }
    });
    let (_, thread) = start(SHAPES, settings, &imports);
    let outcome = |&(n, first, count): &(i32, i32, i32)| match thread
        .invoke("sum", &[n, first, count].map(Value::I32))
    {
        Ok(results) => format!("{results:?}"),
        Err(error) => describe(&error),
    };
    calls.iter().map(outcome).collect()
}

fn inlinings() -> [Option<Inlining>; 3] {
    [None, Some(Inlining { callee: 12, growth: 30, depth: 1, recursion: 0 }), Some(Configuration::MUCH)]
}

#[test]
fn whatever_is_called_is_called() {
    let expected = outcomes(&interpreted(), &CALLS, false);
    let lands =
        [Land::In(Tier::Interpreter), Land::In(Tier::Baseline), Land::In(Tier::Optimized), Land::Random(3)];
    for kinds in [&[CallTarget][..], &[OnlyTargets], &[CallTarget, OnlyTargets, Branch]] {
        for inlining in inlinings() {
            for (number, land) in lands.into_iter().enumerate() {
                let stresses = [
                    Stress::None,
                    Stress::guard(1),
                    Stress::guard(2 + number as u64),
                    Stress::invalidate(13),
                ];
                for (stress, guard_failures) in stresses.into_iter().zip([1, u32::MAX, u32::MAX, 2]) {
                    let stress = stress.landing(land);
                    let settings = Settings { guard_failures, ..hasty(kinds, inlining, stress) };
                    let found = outcomes(&settings, &CALLS, number % 2 == 1);
                    assert_eq!(found, expected, "{kinds:?} {inlining:?} {land:?} {:?}", settings.stress);
                }
            }
        }
    }
}

#[test]
fn a_shadow_follows_through_comparisons() {
    let module: Module = parse(&SHAPES.replace(r#"(import "env" "act" (func $act))"#, "(func $act)"));
    let Some(ExportItem::Function(function)) = module.export("sum") else { panic!("it is exported") };
    let calls: Vec<Call> = CALLS[..8]
        .iter()
        .map(|&(n, first, count)| {
            let arguments = [n, first, count].map(|argument| argument as u64).to_vec();
            Call { name: "sum".to_owned(), function, arguments }
        })
        .collect();
    for inlining in inlinings() {
        for (stress, land) in [
            (Stress::None, Tier::Optimized),
            (Stress::guard(1), Tier::Interpreter),
            (Stress::guard(2), Tier::Baseline),
            (Stress::guard(3), Tier::Optimized),
        ] {
            let kinds = [CallTarget, OnlyTargets, Branch];
            let settings = hasty(&kinds, inlining, stress.landing(Land::In(land)));
            let run = run(&module, &calls, &settings, true).expect("it returns");
            let difference = run.difference.map(|difference| difference.to_string());
            assert_eq!(difference, None, "{inlining:?}, {land:?}");
            assert!(run.transitions.failed_guards > 0, "{inlining:?}, {land:?}");
        }
    }
}

/// The reasons of guards that failed, and what was inlined into optimized code of `sum`.
#[derive(Debug, Default)]
struct Log(Mutex<(Vec<DeoptReason>, BTreeSet<String>)>);

impl Observer for Log {
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>) {
        let mut log = self.0.lock().expect("no observer has panicked");
        match event {
            Event::GuardFailed { guard, .. } => log.0.push(guard.reason),
            Event::Compiled { version, .. } if version.tier == CompiledTier::Optimized => {
                let name = |function| at.instance().module().function(function).name.clone();
                if name(version.function) == "sum" {
                    log.1 = version.inlined().map(name).collect();
                }
            }
            _ => {}
        }
    }
}

/// Calls with so many targets in turn, 40 times. Then once with others.
fn watch(kinds: &[SpeculationKind], (first, count): (i32, i32)) -> (Vec<DeoptReason>, BTreeSet<String>) {
    let log = Arc::new(Log::default());
    // Loops whose frames continue in code for their own values would leave none to the code of the function.
    let settings = Settings { contexts: 0, ..hasty(kinds, Some(Configuration::MUCH), Stress::None) };
    let delegates = Delegates::observer(log.clone());
    let (_instance, thread) = start_with(SHAPES, &settings, delegates, &acting(|_| ()));
    let call = |first: i32, count: i32| {
        let calls = [(60, first, count)];
        let found = thread.invoke("sum", &[60, first, count].map(Value::I32)).expect("it returns");
        assert_eq!([format!("{found:?}")], *outcomes(&interpreted(), &calls, false));
    };
    (0..40).for_each(|_| call(first, count));
    log.0.lock().expect("no observer has panicked").0.clear();
    let inlined = log.0.lock().expect("no observer has panicked").1.clone();
    (0..40).for_each(|_| call(5, 1));
    let failed = log.0.lock().expect("no observer has panicked").0.clone();
    (failed, inlined)
}

#[test]
fn the_targets_that_were_seen_are_inlined() {
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(watch(&[CallTarget], (0, 1)), (vec![], named(&["square"])));
    assert_eq!(watch(&[CallTarget], (0, 2)), (vec![], named(&["square", "twice"])));
    assert_eq!(watch(&[CallTarget], (1, 3)), (vec![], named(&["twice", "deep", "leaf", "looping"])));
    assert_eq!(watch(&[Branch], (0, 1)).1, named(&[]));
}

#[test]
fn what_was_not_seen_leaves_and_heals() {
    let (failed, inlined) = watch(&[OnlyTargets], (0, 3));
    assert_eq!(inlined.len(), 4, "{inlined:?}");
    let limit = Settings::DEFAULT_GUARD_FAILURES as usize;
    assert_eq!(failed, vec![DeoptReason::OtherTarget; limit]);
}

/// Engines that read no text are given the same program.
#[test]
fn the_binary_of_the_measured_program_is_its_text() {
    let path =
        |extension| folder_of_programs().join("speculation").join("indirect-calls").with_extension(extension);
    let text = std::fs::read_to_string(path("wat")).expect("it is there");
    let text = osr_ir::wasm::import_text(&text).expect("it is valid");
    let binary =
        osr_ir::wasm::import(&std::fs::read(path("wasm")).expect("it is there")).expect("it is valid");
    let bodies = |module: &Module| {
        module.functions.iter().map(|function| function.body().cloned()).collect::<Vec<_>>()
    };
    assert_eq!(bodies(&text), bodies(&binary));
    assert_eq!((&text.tables, &text.elements), (&binary.tables, &binary.elements));
}
