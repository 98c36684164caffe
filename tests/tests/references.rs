//! Function references that come from outside: those of the store are taken, all others are refused. And what
//! native threads that do not execute the guest can do.

use std::sync::Mutex;

use osr_engine::{HostError, Imports, Instance, InvokeError, Store, Thread};
use osr_ir::{Signature, TrapKind, Type};
use osr_tests::guest::{eager, interpreted, parse};

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
    let signature = Signature { parameters: vec![], results: vec![Type::Funcref] };
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
