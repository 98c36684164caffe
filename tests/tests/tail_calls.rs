//! Tail calls take the place of their caller's frame, whatever code it is in, and whatever its return slot leads to.
//! (`cases/tail-calls.wat` is run in every configuration, too.)

use osr_engine::{Imports, Land, Mechanism, PRESETS, Settings, Store, Stress, Thread, Tiers};
use osr_ir::{TrapKind, Value};
use osr_tests::configuration::on_large_stack;
use osr_tests::guest::{acting, eager, in_each_tier, interpreted, parse, start};
use osr_tests::{cases, observe};

/// `even` and `odd` call one another through a table and by name; `held` waits for them with a value of its own.
const PARITY: &str = r#"(module
  (import "env" "act" (func $act))
  (type $f (func (param i32 i64) (result i32)))
  (table funcref (elem $odd))
  (func $even (type $f)
    (if (i32.eqz (local.get 0)) (then (call $act) (return (i32.wrap_i64 (local.get 1)))))
    (return_call_indirect (type $f)
      (i32.sub (local.get 0) (i32.const 1)) (i64.add (local.get 1) (i64.const 3)) (i32.const 0)))
  (func $odd (type $f)
    (if (i32.eqz (local.get 0)) (then (call $act) (return (i32.const -1))))
    (return_call $even (i32.sub (local.get 0) (i32.const 1)) (i64.sub (local.get 1) (i64.const 1))))
  (func $held (export "held") (param i32 i32) (result i32) (local $mine i32)
    (local.set $mine (i32.mul (local.get 1) (i32.const 1000000)))
    (if (local.get 1)
      (then
        (return
          (i32.add
            (local.get $mine)
            (call $held (local.get 0) (i32.sub (local.get 1) (i32.const 1)))))))
    (return_call $even (local.get 0) (i64.const 7))))"#;

/// The stack takes a few thousand frames, not a hundred thousand.
#[test]
fn stacks_do_not_grow() {
    const CALLS: i32 = 100_000;
    for settings in in_each_tier(101) {
        let settings = Settings { value_stack_bytes: 64 << 10, ..settings };
        let outcome = on_large_stack(1 << 20, || {
            let (_, thread) = start(PARITY, &settings, &acting(|_| ()));
            let results = thread.invoke("held", &[Value::I32(CALLS), Value::I32(3)]).expect("it returns");
            let landings = thread.transitions().landings;
            let lands = settings.tiers != Tiers::Interpreter;
            assert!(!lands || landings > CALLS as u64 / 2, "compiled code leaves for them: {landings}");
            results
        });
        assert_eq!(outcome, [6_000_007 + CALLS as u64], "{settings:?}");
    }
}

/// The host replaces everything where the chain of tail calls ends, and where its frames wait.
#[test]
fn hijacked_frames_make_tail_calls() {
    for settings in in_each_tier(101).into_iter().skip(1) {
        let act = |call: &osr_engine::HostCall<'_>| {
            call.thread().invalidate_active().expect("a walk");
        };
        let stress = Stress::invalidate(1).landing(Land::Random(9));
        for settings in [settings.clone(), Settings { stress, ..settings }] {
            let (_, thread) = start(PARITY, &settings, &acting(act));
            for calls in [0, 1, 2, 7, 50] {
                let expected = match calls % 2 {
                    0 => 15_000_007 + calls,
                    _ => 14_999_999,
                };
                let found = thread.invoke("held", &[Value::I32(calls), Value::I32(5)]).expect("it returns");
                assert_eq!(found, [expected as u64], "{calls} calls, {settings:?}");
                assert_eq!(thread.hijacked_slots(), 0);
            }
        }
    }
}

/// Under all presets and a sample of the other mechanisms.
#[test]
fn tail_calls_agree_under_mechanisms() {
    let cases = cases();
    let case = cases.iter().find(|case| case.name.contains("tail-calls")).expect("it is there");
    let call = |settings: &Settings| observe(&case.module, "run", &[Value::I32(12)], settings);
    let expected = call(&interpreted());
    assert!(expected.outcome.is_ok(), "{expected:?}");
    let presets = PRESETS.iter().map(|preset| preset.mechanism);
    let valid = |mechanism: &Mechanism| mechanism.check().is_ok();
    for mechanism in presets.filter(valid).chain(Mechanism::all().filter(valid).step_by(1_501)) {
        let stress = if mechanism.is_final() { Stress::None } else { Stress::invalidate(3) };
        let settings = Settings { mechanism, stress, ..eager() };
        assert_eq!(call(&settings), expected, "{mechanism:?}");
    }
}

/// A function of another instance is called in the place of a frame, too; there the stack grows.
#[test]
fn tail_calls_reach_other_instances() {
    const CALLED: &str = r#"(module
      (func (export "f") (param i32) (result i32 i64)
        (if (i32.eqz (local.get 0)) (then (unreachable)))
        (i32.mul (local.get 0) (i32.const 2)) (i64.const 9)))"#;
    const CALLS: &str = r#"(module
      (import "a" "f" (func $f (param i32) (result i32 i64)))
      (type $t (func (param i32) (result i32 i64)))
      (table funcref (elem $f))
      (func $named (param i32) (result i32 i64) (return_call $f (local.get 0)))
      (func $indirect (param i32) (result i32 i64)
        (return_call_indirect (type $t) (local.get 0) (i32.const 0)))
      (func (export "g") (param i32) (result i64) (local $a i32) (local $n i64)
        (call $named (local.get 0)) (local.set $n) (local.set $a)
        (call $indirect (local.get 0)) (local.set $n (i64.add (local.get $n))) (local.set $a (i32.add (local.get $a)))
        (i64.add (local.get $n) (i64.extend_i32_u (local.get $a)))))"#;
    for settings in in_each_tier(101) {
        let (store, mut imports) = (Store::new(), Imports::new());
        let called =
            store.instantiate(settings.clone(), parse(CALLED), &Imports::new()).expect("an instance");
        imports.instance("a", &called);
        let _thread = Thread::new(&called).expect("a thread");
        let calls = store.instantiate(settings.clone(), parse(CALLS), &imports).expect("an instance");
        let thread = Thread::new(&calls).expect("a thread");
        for x in 1..6 {
            assert_eq!(thread.invoke("g", &[Value::I32(x)]).expect("it returns"), [18 + 4 * x as u64]);
        }
        match thread.invoke("g", &[Value::I32(0)]) {
            Err(osr_engine::InvokeError::Trap(trap)) => assert_eq!(trap.kind, TrapKind::Unreachable),
            other => panic!("{other:?}"),
        }
    }
}
