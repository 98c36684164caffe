//! Traps, host errors and panics pass through hijacked frames: their records go with them, nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use osr_engine::{HostCall, HostError, Imports, InvokeError, Settings};
use osr_ir::{Signature, TrapKind, Type, Value};
use osr_tests::Configuration;
use osr_tests::configuration::{describe, on_large_stack};
use osr_tests::guest::{acting, add_act, eager, hijack_some, interpreted, start};

const GUEST: &str = r#"(module
  (import "env" "act" (func $act))
  (import "env" "fail" (func $fail))
  (import "env" "panic" (func $panic))
  (import "env" "call_back" (func $call_back (param i32) (result i32)))
  (import "env" "attempt" (func $attempt (param i32) (result i32)))
  (memory 1 1)
  (global $zero (mut i32) (i32.const 0))
  (table (export "table") 2 funcref)
  (elem (i32.const 0) func $trap_beyond_the_host $act_and_trap_beyond_the_host)
  (type $to_i32 (func (result i32)))

  (func (export "f0") (param $kind i32) (result i32) (local $mine i32)
    (local.set $mine (i32.mul (local.get $kind) (i32.const 1000)))
    (i32.add (call $f1 (local.get $kind)) (local.get $mine)))
  (func $f1 (export "f1") (param $kind i32) (result i32)
    (i32.add (call $f2 (local.get $kind)) (local.get $kind)))
  (func $f2 (export "f2") (param $kind i32) (result i32)
    (call $act)
    (if (i32.eq (local.get $kind) (i32.const 1)) (then unreachable))
    (if (i32.eq (local.get $kind) (i32.const 2)) (then (return (i32.div_s (i32.const 1) (global.get $zero)))))
    (if (i32.eq (local.get $kind) (i32.const 3)) (then (return (i32.load (i32.const 0x7fffffff)))))
    (if (i32.eq (local.get $kind) (i32.const 4)) (then (memory.fill (i32.const 65535) (i32.const 0) (i32.const 2))))
    (if (i32.eq (local.get $kind) (i32.const 5)) (then (call $fail)))
    (if (i32.eq (local.get $kind) (i32.const 6)) (then (call $panic)))
    (if (i32.eq (local.get $kind) (i32.const 7)) (then (return (call $for_ever (i32.const 0)))))
    (if (i32.eq (local.get $kind) (i32.const 8)) (then (return (call $call_back (i32.const 0)))))
    (if (i32.eq (local.get $kind) (i32.const 9)) (then (return (call $call_back (i32.const 1)))))
    (if (i32.eq (local.get $kind) (i32.const 10)) (then (return (call_indirect (type $to_i32) (i32.const 5)))))
    (if (i32.eq (local.get $kind) (i32.const 11)) (then (return (i32.trunc_f64_s (f64.const nan)))))
    (if (i32.eq (local.get $kind) (i32.const 12)) (then (return (call $for_ever_acting (i32.const 200)))))
    (i32.const 7))
  (func $trap_beyond_the_host (result i32) unreachable)
  (func $act_and_trap_beyond_the_host (result i32) (call $act) unreachable)
  (func $for_ever (param $n i32) (result i32)
    (i32.add (call $for_ever (i32.add (local.get $n) (i32.const 1))) (local.get $n)))
  ;; Hijacks on the way to the end of the stack.
  (func $for_ever_acting (param $n i32) (result i32)
    (if (i32.and (i32.eqz (i32.and (local.get $n) (i32.const 63))) (i32.gt_s (local.get $n) (i32.const 0)))
      (then (call $act)))
    (i32.add (call $for_ever_acting (i32.sub (local.get $n) (i32.const 1))) (local.get $n)))

  ;; A host function stands between the trap and these, and makes 1000 of it.
  (func (export "f3") (param $kind i32) (result i32)
    (i32.add (call $f4 (local.get $kind)) (i32.const 1)))
  (func $f4 (export "f4") (param $kind i32) (result i32)
    (i32.add (call $attempt (local.get $kind)) (local.get $kind))))"#;

const KINDS: std::ops::RangeInclusive<i32> = 1..=12;

/// Counts the drops of what host functions hold while guest code runs.
struct Held(Arc<AtomicU64>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// The host: `act` hijacks `mask`; `attempt` calls `f0` and returns 1000 if that trapped.
fn host(mask: u64, drops: &Arc<AtomicU64>) -> Imports {
    let mut imports = acting(move |call| {
        hijack_some(call, mask);
    });
    let signature = Signature::new(vec![], vec![]);
    imports.function("env", "fail", signature, move |call, _, _| {
        hijack_some(call, mask);
        Err(HostError::Failed("the host fails".into()))
    });
    add_act(&mut imports, "panic", move |call| {
        hijack_some(call, mask);
        std::panic::resume_unwind(Box::new("a bug"));
    });
    let signature = Signature::new(vec![Type::I32], vec![Type::I32]);
    let drops = Arc::clone(drops);
    imports.function("env", "attempt", signature, move |call, arguments, results| {
        let held = Held(Arc::clone(&drops));
        let outer = outer_frames(call);
        let function = call.thread().instance().exported_function("f0").expect("exported");
        results[0] = call.call(function, arguments).map_or(1000, |results| results[0]);
        // What was hijacked beyond the host is hijacked still.
        assert_eq!(call.thread().hijacked_slots(), outer.iter().filter(|&&n| mask >> n & 1 == 1).count());
        drop(held);
        Ok(())
    });
    imports
}

/// The numbers of the functions that have compiled frames.
fn outer_frames(call: &HostCall<'_>) -> Vec<usize> {
    let instance = call.thread().instance();
    let number = |function| (0..5).find(|n| instance.exported_function(&format!("f{n}")) == Some(function));
    let frames = call.thread().compiled_frames().expect("a walk");
    frames.iter().map(|frame| number(frame.function).expect("f3 or f4")).collect()
}

fn on_small_stack<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    on_large_stack(2 << 20, work)
}

/// What each kind of trap says in the interpreter, where nothing is hijacked. One megabyte of value
/// stack is enough to run out of.
fn expected() -> Vec<String> {
    let settings = Settings { value_stack_bytes: 1 << 20, ..interpreted() };
    let (_, thread) = start(GUEST, &settings, &host(0, &Arc::default()));
    let outcome = |kind| thread.invoke("f0", &[Value::I32(kind)]).expect_err("a trap");
    KINDS.map(|kind| describe(&outcome(kind))).collect()
}

#[test]
fn every_trap_passes_every_choice_of_hijacked_frames() {
    let expected = on_small_stack(expected);
    on_small_stack(|| {
        for (mask, inlining) in (0..8).flat_map(|mask| [(mask, None), (mask, Some(Configuration::MUCH))]) {
            let settings = Settings { inlining, ..eager() };
            let (_, thread) = start(GUEST, &settings, &host(mask, &Arc::default()));
            for (kind, expected) in KINDS.zip(&expected) {
                let context = format!("trap {kind}, hijacked: {mask:#b}, {inlining:?}");
                let error = thread.invoke("f0", &[Value::I32(kind)]).expect_err(&context);
                assert_eq!(describe(&error), *expected, "{context}");
                assert_eq!(thread.hijacked_slots(), 0, "{context}");
                assert_eq!(
                    thread.invoke("f0", &[Value::I32(0)]).expect("it returns"),
                    [7],
                    "after {context}"
                );
            }
        }
    });
}

#[test]
fn a_host_function_catches_traps_while_frames_beyond_it_are_hijacked() {
    on_small_stack(|| {
        for mask in 0..32 {
            let drops = Arc::default();
            let (_, thread) = start(GUEST, &eager(), &host(mask, &drops));
            for kind in KINDS {
                let results = thread.invoke("f3", &[Value::I32(kind)]).expect("it returns");
                assert_eq!(results, [1001 + kind as u64], "trap {kind}, hijacked: {mask:#b}");
                assert_eq!(thread.hijacked_slots(), 0);
            }
            assert_eq!(thread.invoke("f3", &[Value::I32(0)]).expect("it returns"), [8]);
            assert_eq!(drops.load(Relaxed), 13, "host functions are left by returning");
        }
    });
}

#[test]
fn a_trap_through_released_code_lets_its_frame_maps_go() {
    for kind in [1, 2, 5, 6, 8] {
        let imports = {
            let mut imports = host(0, &Arc::default());
            add_act(&mut imports, "act", |call| {
                call.thread().invalidate_active().expect("a walk");
            });
            imports
        };
        let (instance, thread) = start(GUEST, &eager(), &imports);
        for _ in 0..100 {
            thread.invoke("f0", &[Value::I32(kind)]).expect_err("a trap");
        }
        thread.invalidate_all().expect("a walk");
        let code = instance.code_statistics();
        assert_eq!(code.frame_map_bytes, 0, "trap {kind}: {code:?}");
        assert_eq!(code.versions_compiled, code.versions_released);
        assert!(code.versions_compiled >= 300);
    }
}

#[test]
fn a_host_that_panics_says_so() {
    let (_, thread) = start(GUEST, &eager(), &host(0b111, &Arc::default()));
    let Err(InvokeError::Trap(trap)) = thread.invoke("f0", &[Value::I32(6)]) else { panic!("a trap") };
    assert_eq!(trap.message.as_deref(), Some("the host function panicked: a bug"));
}

/// Its frames have no words but the header, which is below the window.
#[test]
fn recursion_without_registers_exhausts_the_stack() {
    for settings in [interpreted(), eager()] {
        let text = r#"(module (func $f (export "f") (call $f)))"#;
        let (_instance, thread) = start(text, &settings, &Imports::new());
        match thread.invoke("f", &[]) {
            Err(InvokeError::Trap(trap)) => assert_eq!(trap.kind, TrapKind::StackExhausted),
            other => panic!("{other:?}"),
        }
    }
}
