//! Debuggers and profilers see guest functions by name.

use std::backtrace::Backtrace;
use std::sync::{Arc, Mutex};

use osr_engine::{Delegates, HostCall, Imports, Instance, Settings, Thread};
use osr_ir::Value;
use osr_symbols::{Gdb, JitDump, PerfMap};
use osr_tests::debugger;
use osr_tests::guest::{acting, eager, start_with};

/// Four compiled frames, two on each side of a host function.
const GUEST: &str = r#"(module
  (import "env" "act" (func $act))
  (import "env" "call_back" (func $call_back (param i32) (result i32)))
  (table (export "table") 1 funcref)
  (elem (i32.const 0) func $inner)
  (func $outermost (export "outermost") (param $n i32) (result i32) (i32.add (call $outer (local.get $n)) (local.get $n)))
  (func $outer (param $n i32) (result i32) (i32.mul (call $call_back (i32.const 0)) (local.get $n)))
  (func $inner (result i32) (i32.add (call $innermost) (i32.const 1)))
  (func $innermost (result i32) (call $act) (i32.const 2)))"#;

/// Innermost first.
const NAMES: [&str; 4] = ["innermost", "inner", "outer", "outermost"];

#[inline(never)]
fn function_of_the_test(delegates: Delegates, imports: &Imports) {
    let (_, thread) = start_with(GUEST, &eager(), delegates, imports);
    assert_eq!(thread.invoke("outermost", &[Value::I32(5)]).expect("it returns"), [20]);
}

/// The names of `names` in the order in which frames of `trace` have them.
fn frames_of<'n>(trace: &str, names: &[&'n str]) -> Vec<&'n str> {
    let frames = trace.lines().filter(|line| line.starts_with('#'));
    frames.flat_map(|line| names.iter().copied().find(|name| line.contains(&format!(" {name}[")))).collect()
}

#[test]
fn a_debugger_shows_guest_functions() {
    if debugger::is_watching() {
        return function_of_the_test(
            Delegates::observer(Arc::new(Gdb::new())),
            &acting(|_| debugger::stop()),
        );
    }
    if let Some(trace) = debugger::backtrace("a_debugger_shows_guest_functions", &[]) {
        assert_eq!(frames_of(&trace, &NAMES), NAMES, "{trace}");
        assert!(trace.contains("function_of_the_test"), "{trace}");
    }
}

/// With the code in place, hijacked, and released.
#[test]
fn backtraces_of_the_host_pass_compiled_frames() {
    let actions: [fn(&HostCall<'_>); 3] = [
        |_| {},
        |call| assert_eq!(call.thread().hijack(|_| true).expect("a walk").frames, 4),
        |call| assert_eq!(call.thread().invalidate_all().expect("a walk").frames, 4),
    ];
    for action in actions {
        let trace = Arc::new(Mutex::new(String::new()));
        let seen = Arc::clone(&trace);
        let act = move |call: &HostCall<'_>| {
            action(call);
            *seen.lock().expect("not poisoned") = Backtrace::force_capture().to_string();
        };
        function_of_the_test(Delegates::observer(Arc::new(Gdb::new())), &acting(act));
        let trace = trace.lock().expect("not poisoned");
        assert!(trace.contains("function_of_the_test"), "{trace}");
    }
}

#[test]
fn a_perf_map_has_a_line_for_each_version() {
    let map = PerfMap::create().expect("/tmp can be written");
    function_of_the_test(Delegates::observer(Arc::new(map)), &acting(|_| {}));
    let text = std::fs::read_to_string(PerfMap::path()).expect("it was written");
    std::fs::remove_file(PerfMap::path()).expect("it is there");
    for name in NAMES {
        let lines = text.lines().filter(|line| line.ends_with(&format!(" {name}[optimized]")));
        let [line] = lines.collect::<Vec<_>>()[..] else { panic!("one line for {name}: {text}") };
        let numbers: Vec<_> = line.split(' ').take(2).map(|word| u64::from_str_radix(word, 16)).collect();
        assert!(numbers.iter().all(|number| matches!(number, Ok(1..))), "{line}");
    }
}

#[test]
fn a_jit_dump_has_the_code_of_each_version() {
    let directory = std::env::temp_dir();
    let dump = JitDump::create(&directory).expect("the directory can be written");
    let (instance, thread) =
        start_with(GUEST, &eager(), Delegates::observer(Arc::new(dump)), &acting(|_| {}));
    thread.invoke("outermost", &[Value::I32(5)]).expect("it returns");
    let dump = std::fs::read(JitDump::path(&directory)).expect("it was written");
    std::fs::remove_file(JitDump::path(&directory)).expect("it is there");
    let word = |at: usize| u64::from_le_bytes(dump[at..at + 8].try_into().expect("eight bytes"));
    let half = |at: usize| u32::from_le_bytes(dump[at..at + 4].try_into().expect("four bytes")) as usize;
    assert_eq!(&dump[..4], b"DTiJ");
    let mut at = half(8);
    for version in instance.versions() {
        let (bytes, code) = (half(at + 4), version.code().expect("it is in memory"));
        let name = format!("{}[optimized]\0", instance.module().function(version.function).name);
        assert_eq!((half(at), word(at + 24)), (0, version.start), "{name}");
        assert_eq!(dump[at + 56..at + bytes], [name.as_bytes(), &code].concat(), "{name}");
        at += bytes;
    }
    assert_eq!(at, dump.len(), "a record for each version");
}

#[test]
fn a_debugger_shows_hijacked_frames() {
    let hijack = |call: &HostCall<'_>| {
        call.thread().hijack(|_| true).expect("a walk");
        debugger::stop();
    };
    if debugger::is_watching() {
        return function_of_the_test(Delegates::observer(Arc::new(Gdb::new())), &acting(hijack));
    }
    if let Some(trace) = debugger::backtrace("a_debugger_shows_hijacked_frames", &[]) {
        assert_eq!(frames_of(&trace, &NAMES), NAMES, "{trace}");
        assert_eq!(trace.matches("[optimized,hijacked]").count(), NAMES.len(), "{trace}");
        assert!(trace.contains("function_of_the_test"), "{trace}");
    }
}

/// Their slots lead into the code's landing table.
#[test]
fn a_debugger_shows_frames_that_a_landing_table_is_for() {
    let test = "a_debugger_shows_frames_that_a_landing_table_is_for";
    if debugger::is_watching() {
        let hijack = |call: &HostCall<'_>| {
            assert_eq!(call.thread().hijack(|_| true).expect("a walk").frames, 4);
            debugger::stop();
        };
        let settings = Settings { mechanism: "v8".parse().expect("a preset"), ..eager() };
        let delegates = Delegates::observer(Arc::new(Gdb::new()));
        let (_, thread) = start_with(GUEST, &settings, delegates, &acting(hijack));
        assert_eq!(thread.invoke("outermost", &[Value::I32(5)]).expect("it returns"), [20]);
        return;
    }
    if let Some(trace) = debugger::backtrace(test, &[]) {
        assert_eq!(frames_of(&trace, &NAMES), NAMES, "{trace}");
        assert!(trace.contains(test), "{trace}");
    }
}

/// The innermost frame is being rebuilt: what its slot held is no longer there to be seen, all others are.
#[test]
fn a_debugger_shows_frames_in_the_middle_of_a_landing() {
    let hijack = |call: &HostCall<'_>| {
        call.thread().hijack(|_| true).expect("a walk");
        debugger::stop();
    };
    if debugger::is_watching() {
        return function_of_the_test(Delegates::observer(Arc::new(Gdb::new())), &acting(hijack));
    }
    let commands = ["break osr_engine::transition::landing::land", "continue"];
    let test = "a_debugger_shows_frames_in_the_middle_of_a_landing";
    if let Some(trace) = debugger::backtrace(test, &commands) {
        assert_eq!(frames_of(&trace, &NAMES), NAMES[1..], "{trace}");
        assert!(trace.contains("function_of_the_test"), "{trace}");
    }
}

#[test]
fn a_debugger_shows_frames_of_released_code() {
    let invalidate = |call: &HostCall<'_>| {
        call.thread().invalidate_all().expect("a walk");
        assert!(call.thread().instance().versions().is_empty(), "the code is gone");
        debugger::stop();
    };
    if debugger::is_watching() {
        return function_of_the_test(Delegates::observer(Arc::new(Gdb::new())), &acting(invalidate));
    }
    if let Some(trace) = debugger::backtrace("a_debugger_shows_frames_of_released_code", &[]) {
        assert_eq!(frames_of(&trace, &NAMES), NAMES, "{trace}");
        assert!(trace.contains("function_of_the_test"), "{trace}");
    }
}

const LINES: &str = r#"import act () = "env" "act"
export "outer" function outer
function outer (r0: i32) -> (i32) {
b0:
  r0 = call inner (r0)            ; outer is here
  return r0
}
function inner (r0: i32) -> (i32) {
  r1: i32
b0:
  r1 = i32.const 2
  r0 = i32.mul r0, r1
  call act ()                     ; inner is here
  r1 = i32.div_s r1, r0           ; here inner would trap
  return r1
}
"#;

/// What is read of a file with lines is what gdb shows; here that it is there, before the code that it is of.
#[test]
fn a_jit_dump_has_lines() {
    let directory = std::env::temp_dir().join(format!("osr-lines-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("it can be made");
    let dump = JitDump::create(&directory).expect("the directory can be written");
    let module = osr_ir::text::parse_file("lines.ir", LINES).expect("it is well formed");
    let delegates = Delegates::observer(Arc::new(dump));
    let instance = Instance::with_delegates(eager(), delegates, module, &acting(|_| {}));
    let instance = instance.expect("it links");
    Thread::new(&instance)
        .expect("memory for a stack")
        .invoke("outer", &[Value::I32(1)])
        .expect("it returns");
    let dump = std::fs::read(JitDump::path(&directory)).expect("it was written");
    std::fs::remove_dir_all(&directory).expect("it is there");
    let half = |at: usize| u32::from_le_bytes(dump[at..at + 4].try_into().expect("four bytes")) as usize;
    let (mut kinds, mut at) = (Vec::new(), half(8));
    while at < dump.len() {
        kinds.push(half(at));
        if half(at) == 2 {
            let line = half(at + 16 + 16 + 8);
            assert!(LINES.lines().nth(line - 1).expect("it is there").contains("; "), "line {line}");
            assert!(dump[at..at + half(at + 4)].ends_with(b"lines.ir\0"));
        }
        at += half(at + 4);
    }
    assert_eq!(kinds, [2, 0].repeat(instance.versions().len()));
}

/// Lines of textual IR, of a frame that is where it was, and of one that is hijacked.
#[test]
fn a_debugger_shows_lines() {
    let test = "a_debugger_shows_lines";
    if debugger::is_watching() {
        let hijack = |call: &HostCall<'_>| {
            let thread = call.thread();
            let outer = thread.instance().exported_function("outer").expect("it is exported");
            thread.hijack(|version| version.function == outer).expect("a walk");
            debugger::stop();
        };
        let module = osr_ir::text::parse_file("lines.ir", LINES).expect("it is well formed");
        let delegates = Delegates::observer(Arc::new(Gdb::new()));
        let instance = Instance::with_delegates(eager(), delegates, module, &acting(hijack));
        let thread = Thread::new(&instance.expect("it links")).expect("memory for a stack");
        assert_eq!(thread.invoke("outer", &[Value::I32(1)]).expect("it returns"), [1]);
        return;
    }
    let place_of = |text: &str| {
        let line = LINES.lines().position(|line| line.ends_with(text)).expect("it is there") + 1;
        format!("lines.ir:{line}")
    };
    if let Some(trace) = debugger::backtrace(test, &[]) {
        let line_of = |name: &str| trace.lines().find(|line| line.contains(name)).expect("it has a frame");
        assert!(line_of("inner[optimized]").ends_with(&place_of("; inner is here")), "{trace}");
        assert!(line_of("outer[optimized,hijacked]").ends_with(&place_of("; outer is here")), "{trace}");
    }
}
