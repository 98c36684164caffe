//! What cannot be run is refused with an error that says what and where, and never with a panic.

use std::sync::Arc;

use osr_engine::{
    Imports, Instance, InstantiationError, InvokeError, Land, Settings, Stress, Thread, Tier, Tiers,
};
use osr_ir::{Module, TrapKind, Value};
use osr_tests::host::imports;
use proptest::prelude::*;

fn wat(source: &str) -> Module {
    osr_ir::wasm::import_text(source).unwrap_or_else(|error| panic!("{error}\n{source}"))
}

fn ir(source: &str) -> Module {
    osr_ir::text::parse(source).unwrap_or_else(|error| panic!("{error}"))
}

fn instantiate(module: Module, imports: &Imports) -> Result<Arc<Instance>, InstantiationError> {
    Instance::new(Settings::default(), module, imports)
}

#[track_caller]
fn refused(module: Module, imports: &Imports, message: &str) {
    let error = instantiate(module, imports).expect_err(message).to_string();
    assert!(error.contains(message), "{error}");
}

#[test]
fn imports_that_are_not_provided() {
    let missing = r#"(module (import "env" "absent" (func (param i32))))"#;
    refused(wat(missing), &imports(), "import env.absent is not provided as a function (i32) -> ()");
    let other_type = r#"(module (import "env" "print_i32" (func (param i64))))"#;
    let message =
        "import env.print_i32 must be a function (i64) -> (), and a function (i32) -> () is provided";
    refused(wat(other_type), &imports(), message);
    let global = r#"(module (import "env" "x" (global i32)))"#;
    refused(wat(global), &imports(), "import env.x is not provided as an immutable global of type i32");
    let mut provided = Imports::new();
    provided.global("env", "x", Value::I64(1));
    let message = "import env.x must be an immutable global of type i32, and an immutable global of type i64 is provided";
    refused(wat(global), &provided, message);
    provided.global("env", "x", Value::I32(1));
    assert!(instantiate(wat(global), &provided).is_ok());
}

#[test]
fn imports_that_only_instances_provide() {
    for (import, what) in [
        ("memory 1 2", "a memory of 1 to at most 2 pages"),
        ("table 1 funcref", "a table of at least 1 entries"),
        ("global (mut i32)", "a mutable global of type i32"),
    ] {
        let module = format!(r#"(module (import "env" "x" ({import})))"#);
        refused(wat(&module), &imports(), &format!("import env.x is not provided as {what}"));
        let mut constant = Imports::new();
        constant.global("env", "x", Value::I32(1));
        let message = format!("import env.x must be {what}, and an immutable global of type i32 is provided");
        refused(wat(&module), &constant, &message);
    }
}

#[test]
fn segments_that_do_not_fit() {
    let data = r#"(module (memory 1) (data (i32.const 0) "ok") (data (i32.const 65535) "no"))"#;
    refused(wat(data), &imports(), "data segment 1 is out of bounds of the memory");
    let negative = r#"(module (memory 1) (data (i32.const -1) "no"))"#;
    refused(wat(negative), &imports(), "data segment 0 is out of bounds of the memory");
    let elements = r#"(module (table 1 funcref) (func $f) (elem (i32.const 1) $f))"#;
    refused(wat(elements), &imports(), "element segment 0 is out of bounds of its table");
}

#[test]
fn sizes_that_are_too_large() {
    refused(wat("(module (table 10000001 funcref))"), &imports(), "a table of more than 10,000,000 entries");
    // All of a 32-bit address space is only reserved.
    let whole = instantiate(wat("(module (memory 65536))"), &imports()).expect("an instance");
    assert_eq!(whole.memory().expect("a memory").pages(), 65_536);
    let registers = "r0: i64, ".repeat(0) + &numbered(70_000, |i| format!("r{i}: i32"));
    let body = format!("function wide () {{\n{registers}\nb0:\n  return\n}}");
    refused(ir(&body), &imports(), "function `wide` has 70000 registers, and 63536 is the limit");
    let parameters = numbered(1_001, |i| format!("r{i}: i32"));
    let body = format!("function long ({parameters}) {{\nb0:\n  return\n}}");
    refused(ir(&body), &imports(), "function `long` has 1001 parameters, and 1000 is the limit");
    let types = numbered(1_001, |_| "i32".to_owned());
    let values = numbered(1_001, |_| "r0".to_owned());
    let body = format!("function many (r0: i32) -> ({types}) {{\nb0:\n  return {values}\n}}");
    refused(ir(&body), &imports(), "function `many` has 1001 results, and 1000 is the limit");
}

fn numbered(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(", ")
}

#[test]
fn ill_formed_modules() {
    let ill_typed = "function f (r0: i64) -> (i32) {\nb0:\n  r0 = i32.add r0, r0\n  return r0\n}";
    refused(ir(ill_typed), &imports(), "function `f`, b0:0: r0 has type i64, not i32");
    let unassigned = "function f () -> (i32) {\n  r0: i32\nb0:\n  return r0\n}";
    refused(ir(unassigned), &imports(), "r0 may be read before it is assigned");
}

fn invoke(module: &str, name: &str, arguments: &[Value]) -> Result<Vec<u64>, InvokeError> {
    let instance = instantiate(wat(module), &imports()).expect("an instance");
    Thread::new(&instance).expect("a thread").invoke(name, arguments)
}

#[test]
fn calls_that_do_not_fit() {
    let module = r#"(module (func (export "run") (param i32 f64)) (func (export "stop")) (global (export "g") i32 (i32.const 1)))"#;
    let message =
        |name, arguments: &[Value]| invoke(module, name, arguments).expect_err("refused").to_string();
    let available = "(exported: run, stop)";
    assert_eq!(message("no", &[]), format!("there is no exported function `no` {available}"));
    assert_eq!(message("g", &[]), format!("there is no exported function `g` {available}"));
    assert_eq!(message("run", &[]), "`run` takes 2 argument(s), 0 given");
    assert_eq!(message("stop", &[Value::I32(1)]), "`stop` takes 0 argument(s), 1 given");
    let arguments = [Value::I32(1), Value::F32(0)];
    assert_eq!(message("run", &arguments), "argument 2 of `run` must be f64, not f32");
}

#[test]
fn a_start_function_that_traps() {
    let module = wat("(module (func $start unreachable) (start $start))");
    for tiers in [Tiers::Interpreter, Tiers::Baseline, Tiers::Optimized, Tiers::Auto] {
        let settings = Settings { tiers, ..Settings::default() };
        let instance = Instance::new(settings, module.clone(), &imports()).expect("an instance");
        match Thread::new(&instance).expect("a thread").start() {
            Err(InvokeError::Trap(trap)) => assert_eq!(trap.kind, TrapKind::Unreachable),
            other => panic!("{other:?}"),
        }
    }
}

/// Sums what it calls for with many values live across the call: its frame is too large for a small stack
/// reserve.
fn wide_function(values: usize) -> Module {
    let declared = numbered(values, |i| format!("r{}: i64", i + 1));
    let loads: String = (1..=values).map(|i| format!("  r{i} = i64.add r0, r{}\n", i - 1)).collect();
    let sums: String = (1..=values).map(|i| format!("  r0 = i64.xor r0, r{i}\n")).collect();
    ir(&format!(
        "export \"run\" function wide\n\
         function wide (r0: i64) -> (i64) {{\n{declared}\nb0:\n{loads}  call nothing ()\n{sums}  return r0\n}}\n\
         function nothing () {{\nb0:\n  return\n}}"
    ))
}

#[test]
fn frames_that_are_too_large_stay_in_the_interpreter() {
    let module = wide_function(5_000);
    let mut results = Vec::new();
    for tiers in [Tiers::Interpreter, Tiers::Baseline, Tiers::Optimized] {
        let settings = Settings {
            tiers,
            stack_reserve_bytes: 64 << 10,
            stress: Stress::invalidate(1),
            ..Settings::default()
        };
        let instance = Instance::new(settings, module.clone(), &imports()).expect("an instance");
        let thread = Thread::new(&instance).expect("a thread");
        for _ in 0..3 {
            results.push(thread.invoke("run", &[Value::I64(3)]).expect("it returns"));
        }
    }
    assert!(results.iter().all(|result| *result == results[0]), "{results:?}");
}

#[test]
fn a_thousand_parameters_and_results_travel() {
    let declared = numbered(1_000, |i| format!("r{i}: {}", ["i32", "f64", "i64", "f32"][i % 4]));
    let types = numbered(1_000, |i| ["i32", "f64", "i64", "f32"][i % 4].to_owned());
    let all = numbered(1_000, |i| format!("r{i}"));
    let module = ir(&format!(
        "export \"run\" function outer\n\
         function outer ({declared}) -> ({types}) {{\nb0:\n  {all} = call inner ({all})\n  {all} = call inner ({all})\n  return {all}\n}}\n\
         function inner ({declared}) -> ({types}) {{\nb0:\n  return {all}\n}}"
    ));
    let value = |i: usize| match i % 4 {
        0 => Value::I32(i as i32),
        1 => Value::F64((i as f64).to_bits()),
        2 => Value::I64(i as i64),
        _ => Value::F32((i as f32).to_bits()),
    };
    let arguments: Vec<Value> = (0..1_000).map(value).collect();
    let expected: Vec<u64> = arguments.iter().map(|argument| argument.to_bits()).collect();
    for (tiers, stress) in [
        (Tiers::Interpreter, Stress::None),
        (Tiers::Baseline, Stress::None),
        (Tiers::Optimized, Stress::None),
        (Tiers::Baseline, Stress::invalidate(1)),
        (Tiers::Optimized, Stress::invalidate(1)),
        (Tiers::Optimized, Stress::invalidate(1).landing(Land::In(Tier::Baseline))),
        (Tiers::Auto, Stress::invalidate(2).landing(Land::Random(1))),
    ] {
        let name = format!("{tiers:?}, {stress:?}");
        let settings = Settings {
            tiers,
            threshold: Some(1),
            optimize_threshold: Some(1),
            stress,
            checked: true,
            ..Settings::default()
        };
        let instance = Instance::new(settings, module.clone(), &imports()).expect("an instance");
        let thread = Thread::new(&instance).expect("a thread");
        for _ in 0..3 {
            let results = thread.invoke("run", &arguments).expect("it returns");
            assert!(results == expected, "{name}");
        }
    }
}

/// Instantiates what the bytes are, if they are a module.
fn take(bytes: &[u8]) {
    let Ok(module) = osr_ir::wasm::import(bytes) else { return };
    let settings = Settings { code_bytes: 1 << 20, ..Settings::default() };
    let _ = Instance::new(settings, module, &imports());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_damaged_module_panics(
        program in 0usize..20,
        changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..6),
        end in any::<usize>(),
        is_cut in any::<bool>(),
    ) {
        let programs = osr_tests::programs();
        let name = &programs[program % programs.len()].name;
        let path = osr_tests::program::folder_of_programs().join(format!("wasm/{name}.wasm"));
        let mut bytes = std::fs::read(path).expect("a program");
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let end = if is_cut { end % bytes.len() } else { bytes.len() };
        take(&bytes[..end]);
    }
}
