//! References that come from outside: function references of the store are taken, all others are refused, and those
//! of the host are words that stay what they are. And what
//! native threads that do not execute the guest can do.

use std::sync::{Arc, Mutex};

use osr_engine::{HostError, Imports, Instance, InvokeError, Store, Thread};
use osr_ir::{Signature, TrapKind, Type, Value};
use osr_tests::guest::{acting, eager, hijack_some, interpreted, parse};

/// `of` returns a reference, `call` and `called` call one: an argument, and a result of the host.
const GUEST: &str = r#"(module
    (import "env" "refer" (func $refer (result funcref)))
    (type $t (func (result i32)))
    (table $t 1 funcref)
    (func $seven (result i32) (i32.const 7))
    (elem declare func $seven)
    (func (export "of") (result funcref) (ref.func $seven))
    (func $call (export "call") (param funcref) (result i32)
        (table.set $t (i32.const 0) (local.get 0))
        (call_indirect $t (type $t) (i32.const 0)))
    (func (export "called") (result i32) (call $call (call $refer))))"#;

/// References that are none: of no function, of no signature, of another signature, out of the cells.
fn forged(reference: u64) -> Vec<u64> {
    let (signature, number) = (reference >> 32, reference & 0xffff_ffff);
    let word = |signature: u64, number: u64| signature << 32 | number;
    vec![
        number,
        word(signature, number + 1),
        word(signature + 1, number),
        word(signature, 0x0030_0000),
        word(signature, u64::from(u32::MAX)),
        u64::MAX,
    ]
}

/// The host refers to what was put here last.
static REFERRED: Mutex<u64> = Mutex::new(0);

fn referring() -> Imports {
    let mut imports = Imports::new();
    let signature = Signature::new(vec![], vec![Type::Funcref]);
    imports.function("env", "refer", signature, |_, _, results| {
        results[0] = *REFERRED.lock().expect("it is not poisoned");
        Ok::<(), HostError>(())
    });
    imports
}

#[test]
fn only_references_of_the_store_are_taken() {
    for settings in [interpreted(), eager()] {
        let store = Store::new();
        let instantiate =
            || store.instantiate(settings.clone(), parse(GUEST), &referring()).expect("an instance");
        let [instance, other] = [instantiate(), instantiate()];
        let thread = Thread::new(&instance).expect("a thread");
        let call = instance.exported_function("call").expect("an export");
        let called = |word: u64| {
            *REFERRED.lock().expect("it is not poisoned") = word;
            thread.invoke("called", &[])
        };
        let own = thread.invoke("of", &[]).expect("it returns")[0];
        let others = Thread::new(&other).expect("a thread").invoke("of", &[]).expect("it returns")[0];
        for reference in [own, others] {
            assert_eq!(thread.call(call, &[reference]).expect("it returns"), [7]);
            assert_eq!(called(reference).expect("it returns"), [7]);
        }
        for word in forged(others) {
            let refused = thread.call(call, &[word]);
            assert!(
                matches!(refused, Err(InvokeError::ForgedReference { position: 1, .. })),
                "{word:x}: {refused:?}"
            );
            let trapped = called(word);
            let Err(InvokeError::Trap(trap)) = trapped else { panic!("{word:x}: {trapped:?}") };
            assert_eq!(trap.kind, TrapKind::HostError);
            assert!(
                trap.message.as_ref().is_some_and(|message| message.contains("no reference")),
                "{trap:?}"
            );
        }
        let Err(InvokeError::Trap(trap)) = thread.call(call, &[0]) else { panic!("null cannot be called") };
        assert_ne!(trap.kind, TrapKind::HostError, "null is a reference");
        assert!(matches!(
            thread.call(call, &[]),
            Err(InvokeError::ArgumentCount { expected: 1, given: 0, .. })
        ));
    }
}

#[test]
fn numbers_of_an_instance_that_was_not_made_are_not_references() {
    let store = Store::new();
    let user = store.instantiate(eager(), parse(GUEST), &referring()).expect("an instance");
    let thread = Thread::new(&user).expect("a thread");
    let reference = thread.invoke("of", &[]).expect("it returns")[0];
    // It has got its numbers when a global is missed.
    let lacking = GUEST.replacen("(import", r#"(import "env" "missing" (global i32)) (import"#, 1);
    assert!(store.instantiate(eager(), parse(&lacking), &referring()).is_err());
    let call = user.exported_function("call").expect("an export");
    let functions = user.module().functions.len() as u64;
    let refused = thread.call(call, &[reference + functions]);
    assert!(matches!(refused, Err(InvokeError::ForgedReference { .. })), "{refused:?}");
}

#[test]
fn memory_and_tables_are_out_of_reach_while_another_native_thread_executes() {
    let guest = r#"(module (memory (export "memory") 1) (table $t 1 funcref)
        (func (export "f") (result i32) (i32.load (i32.const 8))))"#;
    let instance = Instance::new(eager(), parse(guest), &Imports::new()).expect("an instance");
    let memory = || instance.memory().expect("a memory");
    let elsewhere = |access: &(dyn Fn() + Sync)| {
        std::thread::scope(|scope| {
            scope.spawn(access).join().map_err(|panic| *panic.downcast::<&str>().expect("a text"))
        })
    };
    let table = osr_ir::TableIndex::new(0);
    let accesses: [&(dyn Fn() + Sync); 4] = [
        &|| assert!(memory().write(8, &[42])),
        &|| assert_eq!(memory().read(8, 1), Some(vec![42])),
        &|| assert_ne!(memory().hash(), 0),
        &|| assert_eq!(instance.table_function(table, 0), Ok(None)),
    ];
    for access in accesses {
        assert_eq!(elsewhere(access), Ok(()), "nothing executes");
    }
    let thread = Thread::new(&instance).expect("a thread");
    for access in accesses {
        assert_eq!(elsewhere(access), Err("another native thread executes instances of the store"));
    }
    accesses.iter().for_each(|access| access());
    assert_eq!(thread.invoke("f", &[]).expect("it returns"), [42]);
    drop(thread);
    for access in accesses {
        assert_eq!(elsewhere(access), Ok(()), "nothing executes any more");
    }
}

/// `keep` puts an argument into a table, a global and a local, across a call of the host that hijacks its frame;
/// returned is what they hold then, and whether it is null.
const KEEPER: &str = r#"(module
    (import "env" "act" (func $act))
    (import "env" "next" (func $next (param externref) (result externref)))
    (table $t 1 4 externref)
    (global $g (mut externref) (ref.null extern))
    (func (export "f0") (param $r externref) (result externref externref externref externref i32)
        (local $kept externref)
        (local.set $kept (local.get $r))
        (table.set $t (i32.const 0) (local.get $r))
        (global.set $g (local.get $r))
        (drop (table.grow $t (local.get $r) (i32.const 1)))
        (call $act)
        (local.get $kept) (table.get $t (i32.const 1)) (global.get $g) (call $next (local.get $r))
        (ref.is_null (local.get $r))))"#;

#[test]
fn references_of_the_host_keep_their_words_wherever_they_are() {
    for settings in [interpreted(), eager()] {
        let store = Store::new();
        let mut imports = acting(|call| _ = hijack_some(call, 1));
        let signature = Signature::new(vec![Type::Externref], vec![Type::Externref]);
        imports.function("env", "next", signature, |call, arguments, results| {
            let number = call.external(arguments[0]).and_then(|value| value.downcast::<u32>().ok());
            results[0] = number.map_or(0, |number| call.refer_to(Arc::new(*number + 1)));
            Ok::<(), HostError>(())
        });
        let guest = store.instantiate(settings, parse(KEEPER), &imports).expect("an instance");
        let thread = Thread::new(&guest).expect("a thread");
        let referred = store.refer_to(Arc::new(41_u32));
        let word = referred.to_bits();
        let returned = thread.invoke("f0", &[referred]).expect("it returns");
        assert_eq!([&returned[..3], &returned[4..]], [&[word; 3][..], &[0]]);
        let next = store.external(returned[3]).expect("the host refers to it").downcast::<u32>();
        assert_eq!(*next.expect("a number"), 42);
        assert!(store.take_external(word).is_some() && store.take_external(word).is_none());
        assert_eq!(thread.invoke("f0", &[referred]).expect("it returns")[..4], [word, word, word, 0]);
        let null = thread.invoke("f0", &[Value::Externref(0)]).expect("it returns");
        assert_eq!(null[4], 1, "the table is full, nothing else is different");
    }
}
