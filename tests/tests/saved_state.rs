//! State that is saved and put back: the next call computes what the first one did, in the code that is there.

use std::sync::Arc;

use osr_engine::{
    CodeVersion, CompiledTier, Imports, Instance, Settings, SpeculationKind, StateError, Thread, Tiers,
};
use osr_ir::Value;
use osr_tests::guest::{acting, in_each_tier, parse, start};

/// Changes everything that it can, and returns what tells whether it had been changed.
const CHANGES: &str = r#"(module
  (memory (export "memory") 1 3)
  (table $functions 2 5 funcref)
  (global $calls (mut i64) (i64.const 0))
  (global $vector (mut v128) (v128.const i64x2 1 2))
  (data (i32.const 8) "start")
  (data $later "later")
  (elem $others func $seven)
  (elem (table $functions) (i32.const 0) func $five)
  (type $number (func (result i32)))
  (func $five (result i32) (i32.const 5))
  (func $seven (result i32) (i32.const 7))
  (func (export "call") (param $n i32) (result i32 i32 i32 i64 i64 i32)
    (i32.load (i32.const 8))
    (i32.add (memory.grow (i32.const 1)) (table.grow $functions (ref.func $seven) (i32.const 1)))
    (call_indirect $functions (type $number) (i32.const 0))
    (global.get $calls)
    (i64x2.extract_lane 1 (global.get $vector))
    (i32.load (i32.const 65536))
    (loop $again
      (global.set $calls (i64.add (global.get $calls) (i64.const 1)))
      (i32.store (i32.const 65536) (i32.add (i32.const 1) (i32.load (i32.const 65536))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (global.set $vector (i64x2.splat (global.get $calls)))
    (memory.init $later (i32.const 8) (i32.const 0) (i32.const 5))
    (data.drop $later)
    (table.init $functions $others (i32.const 0) (i32.const 0) (i32.const 1))
    (elem.drop $others)))"#;

#[test]
fn a_call_finds_what_the_first_one_found() {
    for settings in in_each_tier(7) {
        let (instance, thread) = start(CHANGES, &settings, &Imports::new());
        let call = || thread.invoke("call", &[Value::I32(40)]);
        let saved = thread.save_state().expect("nothing executes");
        let first = call().expect("it returns");
        let memory = instance.memory_hash();
        assert!(call().is_err(), "the segments are dropped");
        for round in 0..5 {
            thread.restore_state(&saved).expect("nothing executes");
            assert_eq!(instance.memory().map(|memory| memory.pages()), Some(1));
            let found = call().unwrap_or_else(|error| panic!("{:?}, round {round}: {error}", settings.tiers));
            assert_eq!((found, instance.memory_hash()), (first.clone(), memory), "{:?}", settings.tiers);
        }
    }
}

#[test]
fn code_that_takes_a_global_for_a_constant_does_not_outlive_another_value() {
    let text = r#"(module
      (global $mode (mut i32) (i32.const 3))
      (func (export "set") (param i32) (global.set $mode (local.get 0)))
      (func $step (param i32) (result i32) (i32.mul (local.get 0) (global.get $mode)))
      (func (export "sum") (param i32) (result i32) (local $sum i32)
        (loop $next
          (local.set $sum (i32.add (local.get $sum) (call $step (local.get 0))))
          (br_if $next (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (local.get $sum)))"#;
    let settings = Settings {
        tiers: Tiers::Auto,
        speculate: [SpeculationKind::Global].into_iter().collect(),
        speculation_threshold: 1,
        threshold: Some(3),
        optimize_threshold: Some(30),
        checked: true,
        ..Settings::default()
    };
    let (instance, thread) = start(text, &settings, &Imports::new());
    let sum = || thread.invoke("sum", &[Value::I32(200)]).expect("it returns")[0];
    let set = |mode| thread.invoke("set", &[Value::I32(mode)]).expect("it returns");
    set(5);
    let saved = thread.save_state().expect("nothing executes");
    set(3);
    assert_eq!([sum(), sum()], [3 * 20_100; 2]);
    let takes_it = |version: &Arc<CodeVersion>| version.tier == CompiledTier::Optimized;
    assert!(instance.versions().iter().any(takes_it), "something is optimized");
    thread.restore_state(&saved).expect("nothing executes");
    assert_eq!([sum(), sum()], [5 * 20_100; 2]);
}

#[test]
fn state_is_refused_while_guest_code_waits_and_to_other_instances() {
    let text = r#"(module (import "env" "act" (func $act)) (memory 1) (func (export "run") (call $act)))"#;
    let imports = acting(|call| {
        assert!(matches!(call.thread().save_state(), Err(StateError::Executing)));
    });
    let (instance, thread) = start(text, &Settings::default(), &imports);
    thread.invoke("run", &[]).expect("the host returns");
    let saved = thread.save_state().expect("nothing executes");
    let other: Arc<Instance> =
        Instance::new(Settings::default(), parse(text), &imports).expect("another instance");
    let other_thread = Thread::new(&other).expect("a thread");
    assert!(matches!(other_thread.restore_state(&saved), Err(StateError::OtherInstance)));
    drop((other_thread, other));
    thread.restore_state(&saved).expect("it is its own");
    drop(instance);
}
