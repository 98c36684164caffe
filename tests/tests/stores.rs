//! Instances that import from one another.

use std::sync::Arc;

use osr_engine::{Imports, Instance, InvokeError, Land, Settings, Store, Stress, Thread, Tier, Tiers};
use osr_ir::{TrapKind, Value};
use osr_tests::guest::{acting, eager, interpreted, parse};

fn settings() -> [Settings; 4] {
    let hijacked = |land| Settings { stress: Stress::hijack(1).landing(land), ..eager() };
    [
        interpreted(),
        Settings { tiers: Tiers::Baseline, ..eager() },
        hijacked(Land::In(Tier::Interpreter)),
        hijacked(Land::Random(1)),
    ]
}

fn instantiate(store: &Store, text: &str, settings: &Settings, imports: &Imports) -> Arc<Instance> {
    store.instantiate(settings.clone(), parse(text), imports).expect("an instance")
}

fn from(module: &str, instance: &Arc<Instance>) -> Imports {
    let mut imports = Imports::new();
    imports.instance(module, instance);
    imports
}

fn trap(outcome: Result<Vec<u64>, InvokeError>) -> (TrapKind, String) {
    match outcome {
        Err(InvokeError::Trap(trap)) => (trap.kind, trap.function_name),
        other => panic!("{other:?}"),
    }
}

const STATE: &str = r#"(module
    (memory (export "memory") 1 3)
    (global $count (export "count") (mut i64) (i64.const 5))
    (table (export "table") 2 8 funcref)
    (func (export "grow") (result i32) (memory.grow (i32.const 1)))
    (func (export "grow_table") (result i32) (table.grow (ref.null func) (i32.const 2)))
    (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
    (func (export "increment") (global.set $count (i64.add (global.get $count) (i64.const 1))))
    (type $binary (func (param i32 f64) (result f64)))
    (func (export "apply") (param i32 i32 f64) (result f64)
        (call_indirect (type $binary) (local.get 1) (local.get 2) (local.get 0))))"#;

const USER: &str = r#"(module
    (import "state" "memory" (memory 1 3))
    (import "state" "count" (global $count (mut i64)))
    (import "state" "table" (table 2 funcref))
    (func (export "pages") (result i32) (memory.size))
    (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
    (func (export "double") (result i64)
        (global.set $count (i64.mul (global.get $count) (i64.const 2)))
        (global.get $count))
    (func (export "length") (result i32) (table.size))
    (global $bias (mut f64) (f64.const 0.5))
    (func $add (param i32 f64) (result f64)
        (f64.add (global.get $bias) (f64.add (f64.convert_i32_s (local.get 0)) (local.get 1))))
    (func $divide (param i32 f64) (result f64)
        (f64.convert_i32_s (i32.div_s (i32.const 1) (local.get 0))))
    (elem (i32.const 0) func $add $divide))"#;

#[test]
fn memories_globals_and_tables_are_shared() {
    for settings in settings() {
        let store = Store::new();
        let state = instantiate(&store, STATE, &settings, &Imports::new());
        let user = instantiate(&store, USER, &settings, &from("state", &state));
        let (state_thread, user_thread) = (Thread::new(&state).unwrap(), Thread::new(&user).unwrap());
        user_thread.invoke("store", &[Value::I32(8), Value::I32(77)]).unwrap();
        assert_eq!(state_thread.invoke("load", &[Value::I32(8)]).unwrap(), [77]);
        state_thread.invoke("increment", &[]).unwrap();
        assert_eq!(user_thread.invoke("double", &[]).unwrap(), [12]);
        assert_eq!(state.exported_global("count"), Some(12));
        assert_eq!(state_thread.invoke("grow", &[]).unwrap(), [1]);
        assert_eq!(user_thread.invoke("pages", &[]).unwrap(), [2]);
        user_thread.invoke("store", &[Value::I32(70_000), Value::I32(1)]).unwrap();
        assert_eq!(state_thread.invoke("grow_table", &[]).unwrap(), [2]);
        assert_eq!(user_thread.invoke("length", &[]).unwrap(), [4]);
    }
}

#[test]
fn a_table_calls_functions_of_another_instance() {
    for settings in settings() {
        let store = Store::new();
        let state = instantiate(&store, STATE, &settings, &Imports::new());
        let thread = Thread::new(&state).unwrap();
        let user = instantiate(&store, USER, &settings, &from("state", &state));
        let apply = |index, a, b: f64| {
            thread.invoke("apply", &[Value::I32(index), Value::I32(a), Value::F64(b.to_bits())])
        };
        for _ in 0..3 {
            assert_eq!(apply(0, 3, 0.25).unwrap(), [3.75f64.to_bits()]);
            assert_eq!(apply(1, 1, 0.0).unwrap(), [1f64.to_bits()]);
            let divided = trap(apply(1, 0, 0.0));
            assert_eq!(divided.0, TrapKind::IntegerDivideByZero);
            assert!(!divided.1.is_empty());
        }
        assert_eq!(trap(apply(2, 0, 0.0)).0, TrapKind::UndefinedElement);
        assert_eq!(thread.hijacked_slots(), 0);
        let table = osr_ir::TableIndex::new(0);
        assert_eq!(state.table_function(table, 0), Ok(None), "it is not a function of this instance");
        let (instance, _) = state.table_entry(table, 0).unwrap().expect("a function");
        assert!(Arc::ptr_eq(&instance, &user));
    }
}

/// `outer` calls `inner.through`, which calls back into `outer`, which invalidates all its frames: also those
/// beyond the frames of `inner`.
const OUTER: &str = r#"(module
    (import "env" "act" (func $act))
    (import "inner" "through" (func $through (param i32) (result i32)))
    (import "inner" "table" (table 1 funcref))
    (func $back (result i32) (call $act) (i32.const 1000))
    (elem (i32.const 0) func $back)
    (func (export "run") (param i32) (result i32) (local i32)
        (local.set 1 (i32.mul (local.get 0) (i32.const 3)))
        (i32.add (call $through (local.get 0)) (local.get 1)))
    (func (export "trap") (param i32) (result i32) (local i32)
        (local.set 1 (call $through (local.get 0)))
        (i32.div_s (local.get 1) (i32.const 0))))"#;

const INNER: &str = r#"(module
    (table (export "table") 1 funcref)
    (type $f (func (result i32)))
    (func (export "through") (param i32) (result i32)
        (i32.add (local.get 0) (call_indirect (type $f) (i32.const 0)))))"#;

#[test]
fn frames_beyond_another_instance_are_invalidated() {
    for settings in [eager(), Settings { tiers: Tiers::Baseline, ..eager() }] {
        let store = Store::new();
        let inner = instantiate(&store, INNER, &settings, &Imports::new());
        let mut imports = acting(|call| {
            let invalidated = call.thread().invalidate_active().expect("a walk");
            assert_eq!(invalidated.frames, 2, "the frames of `$back` and of its caller's caller");
        });
        imports.instance("inner", &inner);
        let outer = instantiate(&store, OUTER, &settings, &imports);
        let thread = Thread::new(&outer).unwrap();
        for argument in [2, 5] {
            let result = thread.invoke("run", &[Value::I32(argument)]).unwrap();
            assert_eq!(result, [(1000 + argument * 4) as u64]);
            assert_eq!(thread.hijacked_slots(), 0);
            let (kind, function) = trap(thread.invoke("trap", &[Value::I32(argument)]));
            assert_eq!((kind, function.as_str()), (TrapKind::IntegerDivideByZero, "trap"));
            assert_eq!(thread.hijacked_slots(), 0);
        }
        assert!(thread.transitions().landings >= 8);
    }
}
