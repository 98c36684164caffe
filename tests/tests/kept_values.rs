//! Arguments and globals that have kept their values, and then do not: programs compute what the interpreter does.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use osr_engine::{
    ActiveFrames, Imports, Inlining, Instance, InstantiationError, Land, Mechanism, Settings,
    SpeculationKind, StateRecording, Store, Stress, Thread, Tier, Tiers,
};
use osr_ir::{ExportItem, GlobalIndex, Module, Value};
use osr_tests::Configuration;
use osr_tests::configuration::describe;
use osr_tests::guest::{acting, interpreted, parse, start};
use osr_tests::run::{Call, run};

use SpeculationKind::{Argument, Global};

/// Compiles at once, in all tiers, and believes any profile.
fn hasty(kinds: &[SpeculationKind], inlining: Option<Inlining>, stress: Stress) -> Settings {
    let low = Configuration::new("", Tiers::Auto, stress).with_thresholds((3, 30)).settings;
    let speculate = kinds.iter().copied().collect();
    Settings { speculate, speculation_threshold: 1, inlining, checked: true, ..low }
}

fn lands() -> [Land; 4] {
    [Land::In(Tier::Interpreter), Land::In(Tier::Baseline), Land::In(Tier::Optimized), Land::Random(3)]
}

/// `sum` calls `scaled` N times with the same three last arguments, of which the last is not used.
const ARGUMENTS: &str = r#"(module
  (import "env" "act" (func $act))
  (func $scaled (param $x i32) (param $factor i32) (param $offset i64) (param $unused i32) (result i64) (local $i i32)
    (if (i32.eqz (i32.rem_u (local.get $x) (i32.const 13))) (then (call $act)))
    (loop $next
      (local.set $offset (i64.add (local.get $offset) (i64.extend_i32_u (i32.mul (local.get $x) (local.get $factor)))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $factor))))
    (if (i32.eq (local.get $factor) (i32.const 9)) (then (unreachable)))
    (local.get $offset))
  (func (export "sum") (param $n i32) (param $factor i32) (param $offset i64) (result i64) (local $sum i64)
    (loop $again
      (local.set $sum (i64.rotl
        (i64.xor (local.get $sum)
          (call $scaled (local.get $n) (local.get $factor) (local.get $offset) (local.get $n)))
        (i64.const 1)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))"#;

const CALLS: [(i32, i32, i64); 9] = [
    (50, 3, 7),
    (50, 3, 7),
    (50, 4, 7),
    (50, 4, -1),
    (50, 3, 7),
    (3, 9, 7),
    (50, 2, 1 << 40),
    (50, 3, 7),
    (50, 3, 7),
];

fn sums(settings: &Settings, invalidates: bool) -> Vec<String> {
    let imports = acting(move |call| {
        if invalidates {
            call.thread().invalidate_active().expect("a walk");
        }
    });
    let (_, thread) = start(ARGUMENTS, settings, &imports);
    let outcome = |&(n, factor, offset): &(i32, i32, i64)| match thread
        .invoke("sum", &[Value::I32(n), Value::I32(factor), Value::I64(offset)])
    {
        Ok(results) => format!("{results:?}"),
        Err(error) => describe(&error),
    };
    CALLS.iter().map(outcome).collect()
}

#[test]
fn arguments_that_change_are_passed() {
    let expected = sums(&interpreted(), false);
    for inlining in [None, Some(Configuration::MUCH)] {
        for (number, land) in lands().into_iter().enumerate() {
            for stress in
                [Stress::None, Stress::guard(1), Stress::guard(2 + number as u64), Stress::invalidate(13)]
            {
                for guard_failures in [1, u32::MAX] {
                    let stress = stress.clone().landing(land);
                    let settings = Settings { guard_failures, ..hasty(&[Argument], inlining, stress) };
                    for invalidates in [false, true] {
                        assert_eq!(sums(&settings, invalidates), expected, "{land:?} {:?}", settings.stress);
                    }
                }
            }
        }
    }
}

#[test]
fn a_shadow_follows_through_guards_of_arguments() {
    let module: Module = parse(&ARGUMENTS.replace(r#"(import "env" "act" (func $act))"#, "(func $act)"));
    let Some(ExportItem::Function(function)) = module.export("sum") else { panic!("it is exported") };
    let call = |&(n, factor, offset): &(i32, i32, i64)| {
        let arguments = vec![n as u64, factor as u64, offset as u64];
        Call { name: "sum".to_owned(), function, arguments }
    };
    let calls: Vec<Call> = CALLS[..5].iter().map(call).collect();
    for recording in [StateRecording::Slots, StateRecording::Locations, StateRecording::Pads] {
        for (every, land) in [1, 2, 3, 5].into_iter().zip(lands()) {
            let mechanism = Mechanism::recorded_by(recording);
            let settings =
                Settings { mechanism, ..hasty(&[Argument], None, Stress::guard(every).landing(land)) };
            let run = run(&module, &calls, &settings, true).expect("it returns");
            let difference = run.difference.map(|difference| difference.to_string());
            assert_eq!(difference, None, "{recording:?}, {land:?}");
            assert!(run.transitions.failed_guards > 0, "{recording:?}, {land:?}");
        }
    }
}

/// `sum` reads globals in a loop, and in a function that it calls; `set` stores to one, and is called by the host in between,
/// too. `busy` stores to another one again and again.
const GLOBALS: &str = r#"(module
  (import "env" "act" (func $act))
  (global $mode (mut i32) (i32.const 3))
  (global $scale (mut f64) (f64.const 1.5))
  (global $count (mut i64) (i64.const 0))
  (global $shared (export "shared") (mut i32) (i32.const 1))
  (func (export "set") (param $mode i32)
    (global.set $mode (local.get $mode))
    (if (i32.eq (local.get $mode) (i32.const 5)) (then (global.set $scale (f64.const -2.25)))))
  (func $step (param $x f64) (result f64)
    (global.set $count (i64.add (global.get $count) (i64.const 1)))
    (if (i32.eqz (i32.rem_u (i32.wrap_i64 (global.get $count)) (i32.const 37))) (then (call $act)))
    (if (result f64) (i32.and (global.get $mode) (i32.const 1))
      (then (f64.mul (local.get $x) (global.get $scale)))
      (else (f64.sub (local.get $x) (f64.convert_i32_s (global.get $mode))))))
  (func (export "sum") (param $n i32) (result f64) (local $sum f64)
    (local.set $sum (f64.const 1))
    (loop $again
      (local.set $sum (f64.add
        (f64.div (call $step (local.get $sum)) (f64.convert_i32_s (i32.add (global.get $mode) (global.get $shared))))
        (f64.convert_i32_s (global.get $mode))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))"#;

/// Calls `sum`, where the host calls `set` at every `every`th call of its function; how often code was invalidated.
fn settings_kept(settings: &Settings, every: u64) -> (Vec<Vec<u64>>, u64) {
    let count = AtomicU64::new(0);
    let imports = acting(move |call| {
        let acted = count.fetch_add(1, Relaxed) + 1;
        if acted.is_multiple_of(every) {
            let mode = Value::I32([4, 7, 5, 7][(acted / every) as usize % 4]);
            call.thread().invoke("set", &[mode]).expect("it returns");
        }
    });
    let (_, thread) = start(GLOBALS, settings, &imports);
    let mut results = Vec::new();
    for round in 0..6 {
        results.push(thread.invoke("sum", &[Value::I32(200)]).expect("it returns"));
        if round % 3 == 2 {
            thread.invoke("set", &[Value::I32(round)]).expect("it returns");
        }
    }
    (results, thread.transitions().hijacked_frames)
}

#[test]
fn globals_that_change_are_read() {
    for every in [1, 2, 5] {
        let (expected, _) = settings_kept(&interpreted(), every);
        let mut hijacked = 0;
        for inlining in [None, Some(Configuration::MUCH)] {
            for land in lands() {
                for stress in [Stress::None, Stress::invalidate(13), Stress::hijack(7)] {
                    for guard_failures in [1, 3, u32::MAX] {
                        let stress = stress.clone().landing(land);
                        let is_calm = stress == Stress::None.landing(land);
                        let settings =
                            Settings { guard_failures, ..hasty(&[Global, Argument], inlining, stress) };
                        let (found, frames) = settings_kept(&settings, every);
                        assert_eq!(found, expected, "{land:?} {:?}", settings.stress);
                        hijacked += if is_calm { frames } else { 0 };
                    }
                }
            }
        }
        assert!(hijacked > 0, "active frames took the global for a constant");
    }
}

#[test]
fn globals_change_under_every_mechanism() {
    let (expected, _) = settings_kept(&interpreted(), 2);
    let frames = ActiveFrames::ALL.iter().map(|&frames| Mechanism { frames, ..Mechanism::DEFAULT });
    let presets = osr_engine::PRESETS.into_iter().map(|preset| preset.mechanism);
    let mut tried = 0;
    for mechanism in frames.chain(presets).filter(|mechanism| mechanism.check().is_ok()) {
        let settings = Settings { mechanism, ..hasty(&[Global], None, Stress::None) };
        match Instance::new(settings.clone(), parse(GLOBALS), &acting(|_| ())) {
            Ok(_) => {
                assert_eq!(settings_kept(&settings, 2).0, expected, "{mechanism}");
                tried += 1;
            }
            Err(error) => {
                assert!(matches!(error, InstantiationError::FramesRunOut { .. }), "{error}");
                assert!(!mechanism.replaces_frames() || !mechanism.can_leave(), "{mechanism}: {error}");
            }
        }
    }
    assert!(tried >= 8, "{tried} mechanisms");
}

/// The owner of `mode` reads it in a loop, and calls what another instance has put into its table.
const OWNER: &str = r#"(module
  (type $unit (func))
  (table (export "table") 1 funcref)
  (global $mode (export "mode") (mut i32) (i32.const 3))
  (global $count (mut i32) (i32.const 0))
  (func (export "set") (param i32) (global.set $mode (local.get 0)))
  (func $step (param $x i32) (result i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (if (i32.eqz (i32.rem_u (global.get $count) (i32.const 37))) (then (call_indirect (type $unit) (i32.const 0))))
    (i32.add (i32.mul (local.get $x) (i32.const 31)) (global.get $mode)))
  (func (export "sum") (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.xor (call $step (i32.add (local.get $sum) (local.get $n))) (global.get $mode)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))"#;

/// It stores to `mode` when the owner calls it, and reads it in a loop in which the owner stores to it.
const USER: &str = r#"(module
  (import "owner" "table" (table 1 funcref))
  (import "owner" "mode" (global $mode (mut i32)))
  (import "owner" "set" (func $set (param i32)))
  (global $next (mut i32) (i32.const 10))
  (func $store
    (global.set $next (i32.add (global.get $next) (i32.const 1)))
    (if (i32.eqz (i32.rem_u (global.get $next) (i32.const 3))) (then (global.set $mode (global.get $next)))))
  (elem (i32.const 0) $store)
  (func (export "sum") (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 7)) (global.get $mode)))
      (if (i32.eqz (i32.rem_u (local.get $n) (i32.const 50))) (then (call $set (local.get $n))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))"#;

/// What the owner's `sum` returns, by turns with the user's if that `calls_user`, how many versions took `mode` for a constant, and how many frames of such
/// were hijacked.
fn sums_of_two(owner: &Settings, user: &Settings, calls_user: bool) -> (Vec<u64>, usize, u64) {
    let store = Store::new();
    let owner = store.instantiate(owner.clone(), parse(OWNER), &Imports::new()).expect("the owner");
    let mut results = Vec::new();
    let of_owner = Thread::new(&owner).expect("a thread");
    let mut call =
        |thread: &Thread, n| results.extend(thread.invoke("sum", &[Value::I32(n)]).expect("it returns"));
    call(&of_owner, 30);
    let mut imports = Imports::new();
    imports.instance("owner", &owner);
    let user = store.instantiate(user.clone(), parse(USER), &imports).expect("the user");
    let of_user = Thread::new(&user).expect("a thread");
    let mut kept = 0;
    for round in 0..8 {
        call(&of_owner, 150 + round);
        if calls_user {
            call(&of_user, 150 + round);
        }
        let keeps = |instance: &Instance| {
            let versions = instance.versions();
            versions.iter().filter(|version| version.keeps(GlobalIndex::new(0))).count()
        };
        kept += keeps(&owner) + keeps(&user);
    }
    let hijacked = of_owner.transitions().hijacked_frames + of_user.transitions().hijacked_frames;
    (results, kept, hijacked)
}

#[test]
fn globals_that_instances_share_are_read() {
    let (expected, ..) = sums_of_two(&interpreted(), &interpreted(), true);
    let made_at_once = Settings { placement: Some(5), ..osr_tests::guest::eager() };
    for land in [Land::In(Tier::Interpreter), Land::Random(3)] {
        for guard_failures in [1, u32::MAX] {
            let stress = || Stress::None.landing(land);
            let speculates = Settings { guard_failures, ..hasty(&[Global], None, stress()) };
            let compiles = hasty(&[], None, stress());
            for user in [&speculates, &compiles, &made_at_once, &interpreted()] {
                let (found, ..) = sums_of_two(&speculates, user, true);
                assert_eq!(found, expected, "{land:?}, {user:?}");
            }
            // The owner's stores are not looked at: the user cannot rely on the value.
            let (found, kept, _) = sums_of_two(&compiles, &speculates, true);
            assert_eq!((&found, kept), (&expected, 0), "{land:?}");
        }
    }
    // No code that stores to it is compiled: the speculation does not end.
    let (expected, ..) = sums_of_two(&interpreted(), &interpreted(), false);
    let speculates = Settings { guard_failures: u32::MAX, ..hasty(&[Global], None, Stress::None) };
    let (found, kept, hijacked) = sums_of_two(&speculates, &interpreted(), false);
    assert_eq!(found, expected);
    assert!(
        kept > 0 && hijacked > 0,
        "{kept} versions took it for a constant, {hijacked} frames were hijacked"
    );
}

/// `sum` keeps what a global holds across calls, between which paths join.
const HELD: &str = r#"(module
  (global $g (mut i64) (i64.const 77))
  (func $nothing)
  (func (export "sum") (param $n i32) (result i64) (local $held i64) (local $sum i64)
    (loop $again
      (local.set $held (global.get $g))
      (call $nothing)
      (if (i32.and (local.get $n) (i32.const 1))
        (then (local.set $sum (i64.rotl (local.get $sum) (i64.const 1)))))
      (call $nothing)
      (local.set $sum (i64.add (local.get $sum) (local.get $held)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))"#;

#[test]
fn what_a_global_held_is_where_frame_maps_say() {
    let module: Module = parse(HELD);
    let Some(ExportItem::Function(function)) = module.export("sum") else { panic!("it is exported") };
    let calls = [Call { name: "sum".to_owned(), function, arguments: vec![60] }];
    let expected = run(&module, &calls, &interpreted(), false).expect("it returns").behavior;
    for recording in [StateRecording::Slots, StateRecording::Locations, StateRecording::Pads] {
        for land in lands() {
            for shadowed in [false, true] {
                let mechanism = Mechanism::recorded_by(recording);
                let settings =
                    Settings { mechanism, ..hasty(&[Global], None, Stress::hijack(2).landing(land)) };
                let run = run(&module, &calls, &settings, shadowed).expect("it returns");
                let difference = run.difference.map(|difference| difference.to_string());
                assert_eq!(difference, None, "{recording:?}, {land:?}");
                assert_eq!(run.behavior, expected, "{recording:?}, {land:?}");
            }
        }
    }
}
