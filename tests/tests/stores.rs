//! Instances that import from one another.

use std::sync::Arc;

use osr_engine::{
    Imports, Instance, InstantiationError, InvokeError, Land, Settings, Store, Stress, Thread, ThreadError,
    Tier, Tiers,
};
use osr_ir::{TrapKind, Value};
use osr_tests::configuration::on_large_stack;
use osr_tests::guest::{acting, eager, interpreted, parse};

fn settings() -> [Settings; 6] {
    let return_checks = "frames=return-check,release=frame-count".parse().expect("a mechanism");
    let hijacked = |land| Settings { stress: Stress::invalidate(1).landing(land), ..eager() };
    [
        interpreted(),
        Settings { tiers: Tiers::Baseline, ..eager() },
        hijacked(Land::In(Tier::Interpreter)),
        hijacked(Land::Random(1)),
        Settings { mechanism: "jsc".parse().expect("a preset"), ..hijacked(Land::Random(2)) },
        Settings { mechanism: return_checks, ..hijacked(Land::Random(3)) },
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

/// `run` calls itself through the other instance, until the stack is exhausted or the argument is 0.
const PING: &str = r#"(module
    (table (export "table") 1 funcref)
    (type $f (func (param i32) (result i32)))
    (func (export "run") (param i32) (result i32)
        (if (result i32) (i32.eqz (local.get 0))
            (then (i32.const 0))
            (else (i32.add (i32.const 1)
                (call_indirect (type $f) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))))))"#;

const PONG: &str = r#"(module
    (import "ping" "table" (table 1 funcref))
    (import "ping" "run" (func $run (param i32) (result i32)))
    (func $pong (param i32) (result i32) (i32.add (i32.const 100) (call $run (local.get 0))))
    (elem (i32.const 0) func $pong))"#;

#[test]
fn instances_call_one_another_until_the_stack_is_exhausted() {
    for settings in settings() {
        let settings = Settings { value_stack_bytes: 1 << 20, ..settings };
        on_large_stack(1 << 20, || {
            let store = Store::new();
            let ping = instantiate(&store, PING, &settings, &Imports::new());
            let _pong = instantiate(&store, PONG, &settings, &from("ping", &ping));
            let thread = Thread::new(&ping).unwrap();
            assert_eq!(thread.invoke("run", &[Value::I32(20)]).unwrap(), [20 * 101]);
            assert_eq!(trap(thread.invoke("run", &[Value::I32(-1)])).0, TrapKind::StackExhausted);
            assert_eq!(thread.hijacked_slots(), 0);
            assert_eq!(thread.invoke("run", &[Value::I32(3)]).unwrap(), [3 * 101]);
        });
    }
}

/// Values of all kinds, more than fit into registers.
#[test]
fn arguments_and_results_cross_unchanged() {
    const MANY: &str = r#"(module
        (import "here" "table" (table 1 funcref))
        (type $many (func (param i32 i64 f32 f64 i64 i64 i64 i64 i32) (result i32 f32 i64 f64 i64)))
        (func $many (type $many)
            (i32.add (local.get 0) (local.get 8))
            (f32.neg (local.get 2))
            (i64.add (local.get 4) (i64.add (local.get 5) (i64.add (local.get 6) (local.get 7))))
            (f64.neg (local.get 3))
            (i64.xor (local.get 1) (i64.const -1)))
        (export "many" (func $many))
        (elem (i32.const 0) func $many))"#;
    let caller = |call: &str, import: &str| {
        format!(
            r#"(module {import}
            (type $many (func (param i32 i64 f32 f64 i64 i64 i64 i64 i32) (result i32 f32 i64 f64 i64)))
            (func (export "run") (param i32) (result i32 f32 i64 f64 i64)
                (i32.const 7) (i64.const -2) (f32.const 1.5) (f64.const 2.5) (i64.const 1) (i64.const 10)
                (i64.const 100) (i64.const 0x100000000) (local.get 0) {call}))"#
        )
    };
    let expected =
        [u64::from(-3i32 as u32), u64::from((-1.5f32).to_bits()), 0x1_0000_006f, (-2.5f64).to_bits(), 1];
    for settings in settings() {
        let store = Store::new();
        let table = r#"(table (export "table") 1 funcref)"#;
        let indirect = caller("(call_indirect (type $many) (i32.const 0))", table);
        let indirect = instantiate(&store, &indirect, &settings, &Imports::new());
        let many = instantiate(&store, MANY, &settings, &from("here", &indirect));
        let import = r#"(import "there" "many" (func $many (param i32 i64 f32 f64 i64 i64 i64 i64 i32)
            (result i32 f32 i64 f64 i64)))"#;
        let direct = instantiate(&store, &caller("(call $many)", import), &settings, &from("there", &many));
        for instance in [&indirect, &direct] {
            let thread = Thread::new(instance).unwrap();
            for _ in 0..3 {
                assert_eq!(thread.invoke("run", &[Value::I32(-10)]).unwrap(), expected);
            }
        }
    }
}

#[test]
fn an_instance_that_is_gone_traps() {
    for settings in settings() {
        let store = Store::new();
        let state = instantiate(&store, STATE, &settings, &Imports::new());
        drop(instantiate(&store, USER, &settings, &from("state", &state)));
        let thread = Thread::new(&state).unwrap();
        let three = thread.invoke("apply", &[Value::I32(0), Value::I32(3), Value::F64(0)]).unwrap();
        assert_eq!(three, [3.5f64.to_bits()], "the store keeps it");
        drop(store);
        // The thread has executed it, and keeps it.
        assert!(thread.invoke("apply", &[Value::I32(0), Value::I32(3), Value::F64(0)]).is_ok());
        drop(thread);
        let thread = Thread::new(&state).unwrap();
        let call = || thread.invoke("apply", &[Value::I32(0), Value::I32(3), Value::F64(0)]);
        match call() {
            Err(InvokeError::Trap(trap)) => {
                assert_eq!((trap.kind, trap.function_name.as_str()), (TrapKind::HostError, "apply"));
                assert!(trap.message.expect("a reason").contains("gone"));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn stores_do_not_mix_and_have_one_native_thread() {
    let settings = eager();
    let (one, other) = (Store::new(), Store::new());
    let state = instantiate(&one, STATE, &settings, &Imports::new());
    let error = other.instantiate(settings.clone(), parse(USER), &from("state", &state)).unwrap_err();
    assert!(error.to_string().contains("is of an instance that is in another store"), "{error}");
    let thread = Thread::new(&state).unwrap();
    let user = instantiate(&one, USER, &settings, &from("state", &state));
    assert!(matches!(Thread::new(&state), Err(ThreadError::InUse)));
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(matches!(Thread::new(&user), Err(ThreadError::StoreInUse))));
        scope.spawn(|| {
            let error = one.instantiate(settings.clone(), parse(STATE), &Imports::new()).unwrap_err();
            assert!(matches!(error, InstantiationError::StoreInUse), "{error}");
        });
    });
    drop(thread);
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(Thread::new(&user).is_ok()));
    });
}

/// A failed instantiation leaves what it has written, functions included.
#[test]
fn what_was_written_before_a_segment_that_does_not_fit_stays() {
    for settings in settings() {
        let store = Store::new();
        let state = instantiate(&store, STATE, &settings, &Imports::new());
        let user = USER.replace("(elem (i32.const 0)", "(data (i32.const 70000) \"x\") (elem (i32.const 0)");
        let error = store.instantiate(settings.clone(), parse(&user), &from("state", &state)).unwrap_err();
        assert!(matches!(error, InstantiationError::DataOutOfBounds { segment: 0 }), "{error}");
        let thread = Thread::new(&state).unwrap();
        let sum = thread.invoke("apply", &[Value::I32(0), Value::I32(3), Value::F64(0)]).unwrap();
        assert_eq!(sum, [3.5f64.to_bits()]);
    }
}

/// What baseline code counts are functions of its own instance.
#[test]
fn foreign_functions_have_no_number_in_profiles() {
    let settings = Settings { tiers: Tiers::Baseline, profile: true, ..eager() };
    let store = Store::new();
    let state = instantiate(&store, STATE, &settings, &Imports::new());
    let _user = instantiate(&store, USER, &settings, &from("state", &state));
    let thread = Thread::new(&state).unwrap();
    for _ in 0..2 {
        thread.invoke("apply", &[Value::I32(0), Value::I32(3), Value::F64(0)]).unwrap();
    }
    let apply = state.exported_function("apply").unwrap();
    let calls: Vec<_> = state.profiled(apply).indirect_calls.iter().map(|(_, calls)| calls.clone()).collect();
    assert_eq!(calls.len(), 1);
    assert_eq!((calls[0].calls, calls[0].repeated, calls[0].last), (2, 1, None));
}
