//! Other native threads end calls of the guest, in every tier, and wherever control is.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use osr_engine::{
    Imports, Instance, InterruptHandle, InvokeError, Mechanism, Poll, Settings, Stress, Thread, Tiers,
    TransitionError, Trap,
};
use osr_ir::{TrapKind, Value};
use osr_tests::guest::{eager, parse};

/// `forever` loops, `down` calls itself without an end, `sleep` sleeps for an hour again and again, each after telling the host
/// that it has begun; `host` waits for the host. `add` ends.
const GUEST: &str = r#"(module
  (import "host" "begun" (func $begun))
  (import "host" "wait" (func $wait))
  (func $loop (export "forever") (local i32) (call $begun)
    (loop (local.set 0 (i32.add (local.get 0) (i32.const 1))) (br 0)))
  (func $spin (param i32) (if (local.get 0) (then
    (call $spin (i32.sub (local.get 0) (i32.const 1))) (call $spin (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "down") (call $begun) (call $spin (i32.const 1000)))
  (memory 1 1 shared)
  (func (export "sleep") (call $begun) (loop
    (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 3600000000000))) (br 0)))
  (func (export "host") (call $wait))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"#;

#[derive(Debug, PartialEq, Eq)]
struct Wanted(u32);

impl fmt::Display for Wanted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "wanted {}", self.0)
    }
}

impl std::error::Error for Wanted {}

fn trap(result: Result<Vec<u64>, InvokeError>) -> Trap {
    match result {
        Err(InvokeError::Trap(trap)) => trap,
        other => panic!("a trap was expected, not {other:?}"),
    }
}

/// Calls `function`, which a native thread interrupts that has been told that it has begun.
fn interrupted(settings: &Settings, function: &str) -> Trap {
    let (begun, waits) = mpsc::channel();
    let mut imports = Imports::new();
    imports.typed("host", "begun", move |_, ()| {
        begun.send(()).expect("it is waited for");
        Ok(())
    });
    imports.typed("host", "wait", |_, ()| Ok(()));
    let instance = Instance::new(settings.clone(), parse(GUEST), &imports).expect("an instance");
    let thread = Thread::new(&instance).expect("a thread");
    let handle = thread.interrupt_handle().expect("it can be interrupted");
    let interrupts = thread::spawn(move || {
        waits.recv().expect("it begins");
        handle.interrupt(Wanted(7));
    });
    let trap = trap(thread.invoke(function, &[]));
    interrupts.join().expect("it has interrupted");
    thread.withdraw_interrupt();
    assert_eq!(thread.hijacked_slots(), 0);
    let add = thread.typed::<(i32, i32), i32>("add").expect("its type");
    assert_eq!(add.call((2, 3)).expect("it is not interrupted"), 5);
    trap
}

#[test]
fn an_endless_call_ends_in_every_tier() {
    let flag = Mechanism { poll: Poll::Flag, ..Mechanism::default() };
    for tiers in [Tiers::Interpreter, Tiers::Baseline, Tiers::Optimized, Tiers::Auto] {
        let plain = Settings { tiers, ..eager() };
        let mut ways = vec![plain.clone(), Settings { mechanism: flag, ..plain.clone() }];
        if tiers != Tiers::Interpreter {
            ways.push(Settings { stress: Stress::invalidate(1_000), ..plain });
        }
        for settings in ways {
            for function in ["forever", "down", "sleep"] {
                let trap = interrupted(&settings, function);
                assert_eq!(trap.kind, TrapKind::HostError, "{trap}");
                assert_eq!(trap.cause::<Wanted>(), Some(&Wanted(7)));
                assert_eq!(trap.message.as_deref(), Some("wanted 7"));
            }
        }
    }
}

/// An instance whose `wait` runs `during`.
fn waiting(during: impl Fn() + Send + Sync + 'static) -> std::pin::Pin<Box<Thread>> {
    let mut imports = Imports::new();
    imports.typed("host", "begun", |_, ()| Ok(()));
    imports.typed("host", "wait", move |_, ()| {
        during();
        Ok(())
    });
    let instance = Instance::new(eager(), parse(GUEST), &imports).expect("an instance");
    Thread::new(&instance).expect("a thread")
}

#[test]
fn a_call_ends_when_its_host_function_returns() {
    static RETURNED: AtomicBool = AtomicBool::new(false);
    let (send, receive) = mpsc::channel::<InterruptHandle>();
    let receive = std::sync::Mutex::new(receive);
    let thread = waiting(move || {
        receive.lock().unwrap().recv().expect("there is a handle").interrupt(Wanted(1));
        RETURNED.store(true, Ordering::Relaxed);
    });
    send.send(thread.interrupt_handle().expect("it can be interrupted")).expect("it is received");
    assert_eq!(trap(thread.invoke("host", &[])).cause::<Wanted>(), Some(&Wanted(1)));
    assert!(RETURNED.load(Ordering::Relaxed));
}

#[test]
fn an_interrupt_without_a_call_ends_the_next_one_unless_it_is_withdrawn() {
    let thread = waiting(|| {});
    let handle = thread.interrupt_handle().expect("it can be interrupted");
    let arguments = [Value::I32(1), Value::I32(2)];
    handle.interrupt(Wanted(1));
    handle.interrupt(Wanted(2));
    assert!(handle.is_pending());
    assert_eq!(
        trap(thread.invoke("add", &arguments)).cause::<Wanted>(),
        Some(&Wanted(1)),
        "the first counts"
    );
    assert!(!handle.is_pending());
    assert_eq!(thread.invoke("add", &arguments).expect("nothing is pending"), [3]);
    handle.interrupt(Wanted(2));
    assert!(thread.withdraw_interrupt());
    assert!(!thread.withdraw_interrupt());
    assert_eq!(thread.invoke("add", &arguments).expect("it was withdrawn"), [3]);
    drop(thread);
    handle.interrupt(Wanted(3));
    assert!(!handle.is_pending(), "the thread is gone");
}

#[test]
fn where_no_word_requests_polls_handles_are_refused() {
    for poll in [Poll::GuardPage, Poll::PatchedNop] {
        let settings = Settings { mechanism: Mechanism { poll, ..Mechanism::default() }, ..eager() };
        let mut imports = Imports::new();
        imports.typed("host", "begun", |_, ()| Ok(()));
        imports.typed("host", "wait", |_, ()| Ok(()));
        let instance = Instance::new(settings, parse(GUEST), &imports).expect("an instance");
        let thread = Thread::new(&instance).expect("a thread");
        let refused = thread.interrupt_handle();
        assert!(matches!(refused, Err(TransitionError::NotInterruptible)), "{refused:?}");
    }
}
