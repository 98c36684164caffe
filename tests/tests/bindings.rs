//! Call binding: under each, every program computes the same, and calls reach the current version.

use std::pin::Pin;
use std::sync::Arc;

use osr_engine::{
    CallBinding, CodeMemory, CompileError, CompiledTier, EntryPoint, Imports, Instance, Land, Mechanism,
    Placement, Settings, Store, Stress, Thread, Tier, Tiers,
};
use osr_ir::{Module, Value};
use osr_tests::guest::{acting, eager, interpreted, parse, start};
use osr_tests::host::imports;
use osr_tests::{Configuration, observe, programs};

/// The bindings under which code can be replaced, but the default.
fn bindings() -> impl Iterator<Item = CallBinding> {
    let is_other = |binding: &CallBinding| !matches!(binding, CallBinding::Cell | CallBinding::Direct);
    let is_built = |binding: &CallBinding| mechanism(*binding).check().is_ok();
    CallBinding::ALL.iter().copied().filter(is_other).filter(is_built)
}

fn mechanism(binding: CallBinding) -> Mechanism {
    Mechanism { binding, ..Mechanism::DEFAULT }
}

/// Both code memories, with calls bound in each way.
fn all(base: &Settings) -> Vec<Settings> {
    let with = |binding, code_memory| Settings { mechanism: mechanism(binding), code_memory, ..base.clone() };
    bindings().flat_map(|binding| CodeMemory::ALL.map(|memory| with(binding, memory))).collect()
}

fn call(thread: &Thread, name: &str, argument: i32) -> u64 {
    thread.invoke(name, &[Value::I32(argument)]).expect("it returns")[0]
}

#[test]
fn every_program_computes_the_same_in_every_tier_while_versions_come_and_go() {
    use Tiers::{Auto, Baseline, Optimized};
    let land = |every, tier| Stress::invalidate(every).landing(Land::In(tier));
    let random = Stress::invalidate(1_000).landing(Land::Random(3));
    let configurations = [
        Configuration::new("optimized", Optimized, Stress::None),
        Configuration::new("auto, random landings", Auto, random).with_thresholds((20, 60)),
        Configuration::new("baseline, landing in it", Baseline, land(2_000, Tier::Baseline)),
        Configuration::new("optimized, landing in it", Optimized, land(2_000, Tier::Optimized)),
        Configuration::new("auto, landing in the interpreter", Auto, Stress::invalidate(7)),
    ];
    for (number, program) in programs().iter().enumerate() {
        let module = program.module(true);
        let run =
            |settings: &Settings| observe(&module, &program.invoke, &program.small_arguments(), settings);
        let expected = run(&Configuration::interpreter().settings);
        for binding in bindings() {
            // Some for each program, all for every binding.
            let some = configurations.iter().enumerate().filter(|(position, _)| (number + position) % 2 == 0);
            for (position, Configuration { name, settings }) in some {
                let code_memory = CodeMemory::ALL[usize::from((number + position) % 8 == 0)];
                let mechanism = mechanism(binding);
                let observed = run(&Settings { mechanism, code_memory, ..settings.clone() });
                assert_eq!(observed, expected, "{}, {binding:?}, {code_memory:?}, {name}", program.name);
            }
        }
    }
}

/// Calls in a row of a function that the host may replace; what they return is added up.
fn row(calls: usize) -> String {
    let call = "(local.set $sum (i32.add (local.get $sum) (call $g (local.get $n))))\n";
    format!(
        r#"(module
          (import "env" "act" (func $act))
          (func $g (export "g") (param $n i32) (result i32)
            (if (i32.eqz (local.get $n)) (then (call $act)))
            (i32.add (local.get $n) (i32.const 1)))
          (func $f (export "f") (param $n i32) (result i32) (local $sum i32)
            {} (local.get $sum)))"#,
        call.repeat(calls)
    )
}

const SITES: usize = 1_000;

#[test]
fn a_function_is_replaced_while_a_thousand_calls_lead_to_it() {
    let text = row(SITES);
    for settings in all(&eager()) {
        let binding = settings.mechanism.binding;
        let (instance, thread) = start(&text, &settings, &acting(|_| ()));
        let g = instance.exported_function("g").expect("exported");
        for round in 0..4 {
            // The code of `f` stays, that of `g` is replaced by another version.
            assert_eq!(call(&thread, "f", 1), 2 * SITES as u64, "{binding:?}, round {round}");
            let before = instance.binding_statistics();
            let current = instance.versions();
            thread.invalidate_chosen(|version| version.function == g).expect("an invalidation");
            assert!(instance.versions().len() < current.len(), "{binding:?}");
            let patches = instance.binding_statistics().patches - before.patches;
            let expected = if binding == CallBinding::Patchpoint { SITES as u64 } else { 1 };
            assert_eq!(patches, expected, "{binding:?}: one place, or all calls");
        }
    }
}

#[test]
fn a_function_is_replaced_by_what_it_calls() {
    const CALLS: usize = 20;
    let text = row(CALLS);
    for settings in all(&eager()) {
        let act = acting(|call| assert!(call.thread().invalidate_all().is_ok()));
        let (_, thread) = start(&text, &settings, &act);
        for _ in 0..2 {
            assert_eq!(call(&thread, "f", 0), CALLS as u64, "{:?}", settings.mechanism.binding);
        }
        assert!(thread.transitions().landings > 0);
    }
}

#[test]
fn calls_of_versions_that_are_gone_are_forgotten() {
    let text = row(SITES);
    let mechanism = mechanism(CallBinding::Patchpoint);
    let (instance, thread) = start(&text, &Settings { mechanism, ..eager() }, &acting(|_| ()));
    let sites = || instance.binding_statistics().call_sites;
    for _ in 0..3 {
        assert_eq!(sites(), 0);
        assert_eq!(call(&thread, "f", 1), 2 * SITES as u64);
        assert_eq!(sites(), SITES as u64);
        thread.invalidate_all().expect("an invalidation");
    }
    assert_eq!(sites(), 0);
}

/// The entry of a version stays for as long as calls in memory lead to it, and no longer.
#[test]
fn an_entry_outlives_its_code_until_its_callers_are_gone() {
    let text = row(3);
    for code_memory in CodeMemory::ALL {
        for checked in [false, true] {
            let mechanism = mechanism(CallBinding::EntryCheck);
            let settings = Settings { mechanism, code_memory, checked, ..eager() };
            let (instance, thread) = start(&text, &settings, &acting(|_| ()));
            let [f, g] = ["f", "g"].map(|name| instance.exported_function(name).expect("exported"));
            let invalidate = |function| {
                let chosen = thread.invalidate_chosen(|version| version.function == function);
                assert_eq!(chosen.expect("an invalidation").versions, 1);
            };
            let kept = || {
                let statistics = instance.binding_statistics();
                assert_eq!(statistics.kept_entries > 0, statistics.kept_entry_bytes > 0);
                statistics.kept_entries
            };
            let before = instance.code_statistics().live_bytes;
            assert_eq!(call(&thread, "g", 1), 2, "its code is there before its caller's");
            assert_eq!((call(&thread, "f", 1), kept()), (6, 0));
            invalidate(g);
            assert_eq!(kept(), 1);
            // Through the old entry to new code, whose entry no call leads to.
            assert_eq!((call(&thread, "f", 1), kept()), (6, 1));
            assert_eq!(instance.versions().len(), 2);
            invalidate(g);
            assert_eq!((call(&thread, "f", 1), kept()), (6, 1));
            invalidate(f);
            assert_eq!(kept(), 0);
            assert_eq!((call(&thread, "f", 1), kept()), (6, 0));
            invalidate(f);
            invalidate(g);
            assert_eq!((instance.code_statistics().live_bytes, kept()), (before, 0));
        }
    }
}

#[test]
fn a_function_that_calls_itself_is_bound_to_itself() {
    let text = r#"(module
      (import "env" "act" (func $act))
      (func $sum (export "sum") (param i32) (result i32)
        (if (i32.eqz (local.get 0)) (then (call $act) (return (i32.const 0))))
        (i32.add (call $sum (i32.sub (local.get 0) (i32.const 1))) (local.get 0))))"#;
    for settings in all(&eager()) {
        let act = acting(|call| assert!(call.thread().invalidate_active().is_ok()));
        let (instance, thread) = start(text, &settings, &act);
        for _ in 0..3 {
            assert_eq!(call(&thread, "sum", 100), 5050, "{:?}", settings.mechanism.binding);
            assert_eq!(instance.binding_statistics().kept_entries, 0, "what called it is gone with it");
        }
    }
}

/// Under each binding the next version of a key is where the last one was.
#[test]
fn a_version_takes_the_place_of_the_one_that_it_replaces() {
    let text = row(50);
    let same = all(&eager()).into_iter().chain([eager()]).map(|mut settings| {
        settings.mechanism.placement = Placement::SameAddress;
        settings
    });
    for settings in same {
        let binding = settings.mechanism.binding;
        let (instance, thread) = start(&text, &settings, &acting(|_| ()));
        let starts = || {
            let versions = instance.versions();
            let mut starts: Vec<_> =
                versions.iter().map(|version| (version.function, version.start)).collect();
            starts.sort();
            starts
        };
        assert_eq!((call(&thread, "g", 1), call(&thread, "f", 1)), (2, 100));
        let (before, bytes) = (starts(), instance.code_statistics().live_bytes);
        for _ in 0..3 {
            thread.invalidate_all().expect("an invalidation");
            assert_eq!((call(&thread, "f", 1), starts()), (100, before.clone()), "{binding:?}");
            assert_eq!(instance.code_statistics().live_bytes, bytes, "{binding:?}");
        }
        let g = instance.exported_function("g").expect("exported");
        let again = instance.compile(g, CompiledTier::Optimized, EntryPoint::Function);
        assert!(matches!(again, Err(CompileError::PlaceOccupied)), "{again:?}");
    }
}

#[test]
fn programs_compute_the_same_in_places_that_are_used_again() {
    for (number, program) in programs().iter().enumerate() {
        let module = program.module(true);
        let run =
            |settings: &Settings| observe(&module, &program.invoke, &program.small_arguments(), settings);
        let expected = run(&Configuration::interpreter().settings);
        let stress = Stress::invalidate(2_000).landing(Land::Random(5));
        let mut configuration = Configuration::new("in place", Tiers::Auto, stress).with_thresholds((20, 60));
        configuration.settings.mechanism.placement = Placement::SameAddress;
        let bindings: Vec<_> = bindings().chain([CallBinding::Cell]).collect();
        configuration.settings.mechanism.binding = bindings[number % bindings.len()];
        assert_eq!(run(&configuration.settings), expected, "{}", program.name);
    }
}

#[test]
fn a_function_that_traps_or_recurses_without_end_does_so_under_every_binding() {
    let text = r#"(module
      (import "env" "act" (func $act))
      (func $down (export "down") (param i32) (result i32)
        (i32.add (call $down (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
      (func $divide (param i32) (result i32) (call $act) (i32.div_u (i32.const 9) (local.get 0)))
      (func (export "third") (param i32) (result i32) (i32.add (call $divide (local.get 0)) (i32.const 1))))"#;
    let outcomes = |settings: &Settings| {
        let act = acting(|call| drop(call.thread().invalidate_active()));
        let (_, thread) = start(text, settings, &act);
        let outcome = |name, argument| {
            let outcome = thread.invoke(name, &[Value::I32(argument)]);
            outcome.map_err(|error| osr_tests::configuration::describe(&error))
        };
        [("third", 3), ("third", 0), ("down", 0), ("third", 1)]
            .map(|(name, argument)| outcome(name, argument))
    };
    let expected = outcomes(&interpreted());
    assert!(expected[1].as_ref().is_err_and(|error| error.contains("zero")), "{expected:?}");
    for settings in all(&eager()) {
        assert_eq!(outcomes(&settings), expected, "{:?}", settings.mechanism.binding);
    }
}

/// `even` of one instance and `odd` of another, each of which imports the other's through a table.
#[test]
fn instances_of_a_store_call_one_another() {
    let provider = r#"(module
      (table (export "table") 2 funcref)
      (elem (i32.const 0) $even)
      (type $predicate (func (param i32) (result i32)))
      (func $step (param i32) (result i32)
        (call_indirect (type $predicate) (local.get 0) (i32.const 1)))
      (func $even (export "even") (param i32) (result i32)
        (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1))
          (else (call $step (i32.sub (local.get 0) (i32.const 1)))))))"#;
    let user = r#"(module
      (import "provider" "table" (table 2 funcref))
      (import "provider" "even" (func $even (param i32) (result i32)))
      (elem (i32.const 1) $odd)
      (func $step (param i32) (result i32) (call $even (local.get 0)))
      (func $odd (export "odd") (param i32) (result i32)
        (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
          (else (call $step (i32.sub (local.get 0) (i32.const 1)))))))"#;
    for settings in all(&Settings { stress: Stress::invalidate(3), ..eager() }) {
        let store = Store::new();
        let make = |module: Module, imports: &Imports| -> (Arc<Instance>, Pin<Box<Thread>>) {
            let instance = store.instantiate(settings.clone(), module, imports).expect("an instance");
            let thread = Thread::new(&instance).expect("a thread");
            (instance, thread)
        };
        let (provider, _provider_thread) = make(parse(provider), &imports());
        let mut linked = imports();
        linked.instance("provider", &provider);
        let (user, thread) = make(parse(user), &linked);
        for n in [0, 1, 30, 31] {
            assert_eq!(call(&thread, "odd", n), n as u64 % 2, "{:?}", settings.mechanism.binding);
        }
        assert!(thread.transitions().landings > 0);
        assert!(user.code_statistics().versions_released > 0);
    }
}
