//! Walks see exactly the frames that are there, whatever was done to them.

use std::sync::{Arc, Mutex};

use osr_engine::{HostCall, Imports, Settings};
use osr_ir::{FunctionIndex, Signature, Type, Value};
use osr_stackwalk::Frame;
use osr_tests::configuration::on_large_stack;
use osr_tests::guest::{acting, eager, hijack_some, interpreted, start};

/// `f0` to `f5` call each other in this order, `f2` through the host. The innermost calls the host, and
/// on the way back all do.
const CHAIN: &str = r#"(module
  (import "env" "at" (func $at (param i32)))
  (import "env" "call_back" (func $call_back (param i32) (result i32)))
  (table (export "table") 1 funcref)
  (elem (i32.const 0) func $f3)
  (func $f0 (export "f0") (param $n i64) (result i64) (local $x i64)
    (local.set $x (call $f1 (i64.mul (local.get $n) (i64.const 3)) (f64.const 1.5)))
    (call $at (i32.const 0)) (i64.add (local.get $x) (local.get $n)))
  (func $f1 (export "f1") (param $n i64) (param $f f64) (result i64) (local $x i32)
    (local.set $x (call $f2 (local.get $f) (i32.wrap_i64 (local.get $n))))
    (call $at (i32.const 1)) (i64.xor (i64.extend_i32_u (local.get $x)) (local.get $n)))
  (func $f2 (export "f2") (param $f f64) (param $n i32) (result i32) (local $x i32)
    (local.set $x (call $call_back (i32.const 0)))
    (call $at (i32.const 2)) (i32.sub (local.get $x) (i32.trunc_f64_s (f64.mul (local.get $f) (f64.const 10)))))
  (func $f3 (export "f3") (result i32) (local $x i32)
    (local.set $x (call $f4 (i32.const 11)))
    (call $at (i32.const 3)) (i32.mul (local.get $x) (i32.const 7)))
  (func $f4 (export "f4") (param $n i32) (result i32) (local $x i32)
    (local.set $x (call $f5 (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i32.const 6) (i32.const 7)))
    (call $at (i32.const 4)) (i32.add (local.get $x) (local.get $n)))
  (func $f5 (export "f5") (param i32 i32 i32 i32 i32 i32 i32) (result i32)
    (call $at (i32.const 6)) (call $at (i32.const 5)) (i32.add (local.get 6) (local.get 0))))"#;

const FUNCTIONS: u32 = 6;
/// What the host is told at the bottom, before anything was hijacked.
const BOTTOM: u64 = 6;

fn chain_imports(at: impl Fn(&HostCall<'_>, u64) + Send + Sync + 'static) -> Imports {
    let mut imports = acting(|_| ());
    let signature = Signature::new(vec![Type::I32], vec![]);
    imports.function("env", "at", signature, move |call, arguments, _| {
        at(call, arguments[0]);
        Ok(())
    });
    imports
}

/// The compiled frames that there must be when `f{number}` calls the host after its callee has returned,
/// where the functions of `mask` were hijacked at the bottom: innermost first, with their hijacks.
fn expected_frames(call: &HostCall<'_>, number: u64, mask: u64) -> Vec<(FunctionIndex, bool)> {
    let function = |n: u64| call.thread().instance().exported_function(&format!("f{n}")).expect("exported");
    let hijacked = |n: u64| mask >> n & 1 == 1;
    // Its own frame has landed if it was hijacked: then it is the interpreter's.
    let own = (!hijacked(number)).then(|| (function(number), false));
    own.into_iter().chain((0..number).rev().map(|n| (function(n), hijacked(n)))).collect()
}

fn compiled_frames(call: &HostCall<'_>) -> (Vec<(FunctionIndex, bool)>, Vec<Frame>) {
    let frames = call.thread().compiled_frames().expect("a walk");
    assert_eq!(call.thread().count_compiled_frames().expect("a walk"), frames.len());
    (
        frames.iter().map(|frame| (frame.function, frame.hijacked)).collect(),
        frames.iter().map(|f| f.frame).collect(),
    )
}

/// The walk through everything finds these compiled frames among the others, and continues to `outer`.
fn check_native(call: &HostCall<'_>, compiled: &[Frame], outer: &[Frame]) {
    let native = call.thread().native_frames().expect("every frame has unwind rows");
    assert!(native.is_sorted_by_key(|frame| frame.return_slot));
    let found: Vec<Frame> = native.iter().copied().filter(|frame| compiled.contains(frame)).collect();
    assert_eq!(found, compiled, "the compiled frames are among {native:#x?}");
    assert!(native.ends_with(outer), "{native:#x?} ends with {outer:#x?}");
    let versions = call.thread().instance().versions();
    for frame in native.iter().filter(|frame| !compiled.contains(frame)) {
        let inside = versions.iter().find(|version| version.contains(frame.pc.lookup_address()));
        assert!(inside.is_none(), "{frame:#x?} is not a frame of compiled code");
    }
}

/// What happens at the bottom of the chain.
#[derive(Clone, Copy)]
enum Deed {
    Hijack(u64),
    Invalidate,
}

fn check(deed: Deed, settings: &Settings) {
    let (_, reference) = start(CHAIN, &interpreted(), &chain_imports(|_, _| ()));
    let expected = reference.invoke("f0", &[Value::I64(12345)]).expect("it returns");
    let mask = match deed {
        Deed::Hijack(mask) => mask,
        Deed::Invalidate => 0b111111,
    };
    let outer = Arc::new(Mutex::new(Vec::new()));
    let host_outer = Arc::clone(&outer);
    let imports = chain_imports(move |call, number| {
        let outer = host_outer.lock().unwrap();
        let check = |number, mask| {
            let (functions, frames) = compiled_frames(call);
            assert_eq!(functions, expected_frames(call, number, mask), "in f{number}, hijacked: {mask:#b}");
            check_native(call, &frames, &outer);
        };
        if number < BOTTOM {
            return check(number, mask);
        }
        check(5, 0);
        let (_, before) = compiled_frames(call);
        match deed {
            Deed::Hijack(mask) => {
                hijack_some(call, mask);
            }
            Deed::Invalidate => {
                call.thread().invalidate_active().expect("a walk");
            }
        }
        let (functions, after) = compiled_frames(call);
        assert!(functions.iter().all(|&(function, hijacked)| {
            let n = (0..FUNCTIONS)
                .find(|n| call.thread().instance().exported_function(&format!("f{n}")) == Some(function));
            hijacked == (mask >> n.expect("one of them") & 1 == 1)
        }));
        assert_eq!(after, before, "walkers see the original PCs");
        check_native(call, &after, &outer);
    });
    let (_, thread) = start(CHAIN, settings, &imports);
    // Beyond the frames of `native_frames` and of this function nothing changes.
    *outer.lock().unwrap() = thread.native_frames().expect("every frame has unwind rows")[2..].to_vec();
    assert_eq!(thread.invoke("f0", &[Value::I64(12345)]).expect("it returns"), expected);
}

#[test]
fn walks_find_every_frame_under_every_choice_of_hijacks() {
    for mask in 0..1 << FUNCTIONS {
        check(Deed::Hijack(mask), &eager());
    }
}

#[test]
fn walks_pass_frames_whose_code_is_released() {
    check(Deed::Invalidate, &eager());
    check(Deed::Invalidate, &Settings { checked: false, ..eager() });
}

#[test]
fn walks_pass_frames_of_code_that_comes_and_goes() {
    // `wait` waits for `step`, which invalidates, lands, and continues to `wait`: code of many versions
    // has been at each address.
    let guest = r#"(module
      (import "env" "act" (func $act))
      (func $wait (export "f0") (param $n i32) (result i32)
        (i32.add (call $step (local.get $n)) (i32.const 1)))
      (func $step (param $n i32) (result i32)
        (call $act)
        (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
        (call $wait (i32.sub (local.get $n) (i32.const 1)))))"#;
    for settings in [eager(), Settings { checked: false, ..eager() }] {
        let imports = acting(|call| {
            check_native(call, &compiled_frames(call).1, &[]);
            call.thread().invalidate_active().expect("a walk");
            check_native(call, &compiled_frames(call).1, &[]);
        });
        on_large_stack(8 << 20, || {
            let (instance, thread) = start(guest, &settings, &imports);
            assert_eq!(thread.invoke("f0", &[Value::I32(100)]).expect("it returns"), [101]);
            assert!(instance.code_statistics().versions_released >= 200);
        });
    }
}

/// The guest pushes the number of each function onto a stack of its own, in its memory, and pops it
/// afterwards: which function is called next depends on a random number.
const SHADOW: &str = r#"(module
  (import "env" "act" (func $act))
  (memory (export "memory") 1)
  (table 3 funcref)
  (elem (i32.const 0) func $f0 $f1 $f2)
  (type $step (func (param i32 i32) (result i32)))
  (global $top (mut i32) (i32.const 4))
  (func $push (param $n i32)
    (i32.store (global.get $top) (local.get $n))
    (global.set $top (i32.add (global.get $top) (i32.const 4)))
    (i32.store (i32.const 0) (global.get $top)))
  (func $pop
    (global.set $top (i32.sub (global.get $top) (i32.const 4)))
    (i32.store (i32.const 0) (global.get $top)))
  (func $next (param $depth i32) (param $seed i32) (result i32)
    (if (result i32) (i32.eqz (local.get $depth))
      (then (call $act) (local.get $seed))
      (else (call_indirect (type $step)
        (i32.sub (local.get $depth) (i32.const 1))
        (i32.add (i32.mul (local.get $seed) (i32.const 1103515245)) (i32.const 12345))
        (i32.rem_u (i32.shr_u (local.get $seed) (i32.const 16)) (i32.const 3))))))
  (func $f0 (export "f0") (param $depth i32) (param $seed i32) (result i32) (local $x i32)
    (call $push (i32.const 0))
    (local.set $x (call $next (local.get $depth) (local.get $seed)))
    (call $pop) (i32.add (local.get $x) (local.get $seed)))
  (func $f1 (export "f1") (param $depth i32) (param $seed i32) (result i32) (local $x i32) (local $i i32)
    (call $push (i32.const 1))
    (loop $twice
      (local.set $x (i32.add (local.get $x) (call $next (local.get $depth) (i32.xor (local.get $seed) (local.get $i)))))
      (br_if $twice (i32.eqz (local.tee $i (i32.add (local.get $i) (i32.const 1)))))
      (br_if $twice (i32.eq (local.get $i) (i32.const 1))))
    (call $pop) (local.get $x))
  (func $f2 (export "f2") (param $depth i32) (param $seed i32) (result i32) (local $x i32)
    (call $push (i32.const 2))
    (call $act)
    (local.set $x (call $next (local.get $depth) (local.get $seed)))
    (call $pop) (i32.mul (local.get $x) (i32.const 17))))"#;

/// The numbers that the guest has pushed, innermost first.
fn shadow(call: &HostCall<'_>) -> Vec<u32> {
    let memory = call.memory().expect("a memory");
    let word = |address: u64| {
        memory.read(address, 4).map(|bytes| u32::from_le_bytes(bytes.try_into().expect("four")))
    };
    let top = word(0).expect("in bounds");
    (4..top).step_by(4).rev().map(|address| word(address.into()).expect("in bounds")).collect()
}

/// The numbers of the compiled frames of `f0` to `f2`, innermost first.
fn walked(call: &HostCall<'_>) -> Vec<u32> {
    let instance = call.thread().instance();
    let number = |function| (0..3).find(|n| instance.exported_function(&format!("f{n}")) == Some(function));
    let frames = call.thread().compiled_frames().expect("a walk");
    frames.iter().filter_map(|frame| number(frame.function)).collect()
}

/// Runs the guest; `act` gets the number of the call.
fn run_shadow(settings: &Settings, act: impl Fn(&HostCall<'_>, u64) + Send + Sync + 'static) -> Vec<u64> {
    let count = Mutex::new(0);
    let imports = acting(move |call| {
        let mut count = count.lock().unwrap();
        *count += 1;
        act(call, *count);
    });
    let (_, thread) = start(SHADOW, settings, &imports);
    thread.invoke("f1", &[Value::I32(12), Value::I32(0x2545_f491)]).expect("it returns")
}

#[test]
fn walks_agree_with_the_stack_that_the_guest_keeps() {
    let expected = run_shadow(&interpreted(), |call, _| assert!(walked(call).is_empty()));
    let observed = run_shadow(&eager(), |call, _| assert_eq!(walked(call), shadow(call)));
    assert_eq!(observed, expected);
    // Hijacked frames that are still pending are compiled frames.
    let observed = run_shadow(&eager(), |call, n| {
        if n % 3 == 0 {
            call.thread().hijack(|_| true).expect("a walk");
            assert_eq!(walked(call), shadow(call));
            call.thread().unhijack().expect("it can");
        }
        assert_eq!(walked(call), shadow(call));
    });
    assert_eq!(observed, expected);
}

#[test]
fn walks_see_a_part_of_that_stack_where_frames_have_landed() {
    let expected = run_shadow(&interpreted(), |_, _| ());
    let observed = run_shadow(&eager(), |call, n| {
        let (walked, shadow) = (walked(call), shadow(call));
        let mut rest = shadow.iter();
        assert!(walked.iter().all(|number| rest.any(|pushed| pushed == number)), "{walked:?} in {shadow:?}");
        match n % 4 {
            0 => {
                hijack_some(call, n / 4 % 8);
            }
            1 => {
                call.thread().invalidate_active().expect("a walk");
            }
            _ => {}
        }
    });
    assert_eq!(observed, expected);
}
