//! Unwinders that know nothing of us pass through hijacked frames: the landing stub has unwind rows, and
//! they describe the frame that it stands for. (Frames that are not hijacked are of code that is not
//! registered with anyone; there they stop.)

use std::backtrace::Backtrace;
use std::sync::{Arc, Mutex};

use osr_engine::HostCall;
use osr_ir::Value;
use osr_tests::debugger;
use osr_tests::guest::{acting, eager, start};

/// Four compiled frames, two on each side of a host function.
const GUEST: &str = r#"(module
  (import "env" "act" (func $act))
  (import "env" "call_back" (func $call_back (param i32) (result i32)))
  (table (export "table") 1 funcref)
  (elem (i32.const 0) func $f2)
  (func $f0 (export "f0") (param $n i32) (result i32) (i32.add (call $f1 (local.get $n)) (local.get $n)))
  (func $f1 (param $n i32) (result i32) (i32.mul (call $call_back (i32.const 0)) (local.get $n)))
  (func $f2 (result i32) (i32.add (call $f3) (i32.const 1)))
  (func $f3 (result i32) (call $act) (i32.const 2)))"#;
const FRAMES: usize = 4;

#[inline(never)]
fn outermost_function_of_the_test(act: impl Fn(&HostCall<'_>) + Send + Sync + 'static) {
    let (_, thread) = start(GUEST, &eager(), &acting(act));
    assert_eq!(thread.invoke("f0", &[Value::I32(5)]).expect("it returns"), [20]);
}

/// How many lines of `trace` name the landing stub, and whether it continues to the test's own function.
fn look_at(trace: &str) -> (usize, bool) {
    let landings = trace.lines().filter(|line| line.contains("landing::landing")).count();
    (landings, trace.contains("outermost_function_of_the_test"))
}

fn hijack_all(call: &HostCall<'_>) {
    assert_eq!(call.thread().hijack(|_| true).expect("a walk").frames, FRAMES as u64);
}

#[test]
fn the_systems_unwinder_passes_hijacked_frames() {
    let trace = Arc::new(Mutex::new(String::new()));
    let host = Arc::clone(&trace);
    outermost_function_of_the_test(move |call| {
        hijack_all(call);
        *host.lock().unwrap() = Backtrace::force_capture().to_string();
    });
    let trace = trace.lock().unwrap();
    assert_eq!(look_at(&trace), (FRAMES, true), "{trace}");
}

/// The same where the code of the frames is gone, which an unwinder cannot know.
#[test]
fn the_systems_unwinder_passes_frames_of_released_code() {
    let trace = Arc::new(Mutex::new(String::new()));
    let host = Arc::clone(&trace);
    outermost_function_of_the_test(move |call| {
        assert_eq!(call.thread().invalidate_active().expect("a walk").frames, FRAMES as u64);
        *host.lock().unwrap() = Backtrace::force_capture().to_string();
    });
    let trace = trace.lock().unwrap();
    assert_eq!(look_at(&trace), (FRAMES, true), "{trace}");
}

#[test]
fn a_debugger_passes_hijacked_frames() {
    if debugger::is_watching() {
        return outermost_function_of_the_test(|call| {
            hijack_all(call);
            debugger::stop();
        });
    }
    if let Some(trace) = debugger::backtrace("a_debugger_passes_hijacked_frames", &[]) {
        assert_eq!(look_at(&trace), (FRAMES, true), "{trace}");
    }
}
