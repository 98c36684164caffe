//! What imported programs compute, against results recorded from another engine.
//!
//! The case files say what calls return (`;;! call NAME ARGUMENTS => RESULTS`, or `=> trap KIND in FUNCTION at
//! POINT`); the C programs have one result each.

use std::fs;
use std::path::{Path, PathBuf};

use osr_ir::{ExportItem, Module, TrapKind, Type, wasm};

use crate::evaluator::Instance;

pub(crate) fn programs(folder: &str, extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests").join(folder);
    let entries = fs::read_dir(folder).expect("the folder of programs");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

/// Calls the export `name` and shows the results, or the trap, as case files do.
fn invoke(instance: &mut Instance<'_>, module: &Module, name: &str, arguments: &[&str]) -> String {
    let Some(ExportItem::Function(function)) = module.export(name) else { panic!("no export {name}") };
    let signature = module.signature_of(function);
    let words = signature.parameters.iter().zip(arguments).map(|(&ty, text)| word(ty, text)).collect();
    match instance.call(function, words) {
        Ok(values) => {
            let shown = signature.results.iter().zip(values).map(|(&ty, value)| show(ty, value));
            shown.collect::<Vec<_>>().join(" ")
        }
        Err(trap) => format!("trap {trap}"),
    }
}

fn word(ty: Type, text: &str) -> u64 {
    let float = |text: &str| text.parse::<f64>().expect("a number");
    match ty {
        Type::I32 => u64::from(text.parse::<i64>().expect("an integer") as u32),
        Type::I64 => text.parse::<i128>().expect("an integer") as u64,
        Type::F32 => u64::from((float(text) as f32).to_bits()),
        Type::F64 => float(text).to_bits(),
        Type::V128 | Type::Funcref | Type::Externref | Type::Exnref => panic!("numbers only"),
    }
}

fn show(ty: Type, value: u64) -> String {
    match ty {
        Type::I32 => (value as i32).to_string(),
        Type::I64 => (value as i64).to_string(),
        Type::F32 => f32::from_bits(value as u32).to_string(),
        Type::F64 => f64::from_bits(value).to_string(),
        Type::V128 | Type::Funcref | Type::Externref | Type::Exnref => value.to_string(),
    }
}

/// Equal as text, or as numbers where the notation differs.
fn agree(got: &str, expected: &str) -> bool {
    let numbers = |text: &str| {
        let words = text.split_whitespace().map(|word| word.parse::<f64>().ok());
        words.map(|number| number.map(f64::to_bits)).collect::<Option<Vec<_>>>()
    };
    got == expected || numbers(got).is_some_and(|got| Some(got) == numbers(expected))
}

/// Deep guest recursion is deep recursion of the evaluator.
fn with_large_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(1 << 30).spawn(test).expect("a thread");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn wat_cases_compute_what_they_state() {
    with_large_stack(|| {
        for file in programs("cases", "wat") {
            let source = fs::read_to_string(&file).expect("a program");
            // The evaluator has no vectors, exceptions and tail calls.
            if ["v128", "(tag ", "return_call"].iter().any(|absent| source.contains(absent)) {
                continue;
            }
            let module = crate::import(&source);
            let mut shared = Instance::new(&module).expect("instantiation");
            for line in source.lines().filter_map(|line| line.strip_prefix(";;! call ")) {
                let (call, expected) = line.split_once("=>").expect("an expectation");
                // The place of a trap is not what is compared here.
                let expected = expected.split(" in ").next().unwrap_or(expected).trim();
                let mut words = call.split_whitespace();
                let name = words.next().expect("a name");
                let arguments: Vec<_> = words.collect();
                let got = invoke(&mut shared, &module, name, &arguments);
                assert!(agree(&got, expected), "{}: {call}: got {got}, expected {expected}", file.display());
            }
        }
    });
}

#[test]
fn c_programs_compute_their_recorded_results() {
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/programs/programs.json");
    let recorded = fs::read_to_string(recorded).expect("the recorded results");
    with_large_stack(move || {
        for line in recorded.lines().filter(|line| line.contains("\"name\"")) {
            let name = between(line, "\"name\": \"", "\"");
            let arguments: Vec<_> = between(line, "\"small\": [", "]").split(", ").collect();
            let (export, expected) =
                (between(line, "\"invoke\": \"", "\""), between(line, "\"expect\": \"", "\""));
            for build in ["wasm", "wasm-ssa"] {
                let file = format!("{}/../tests/programs/{build}/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
                let module = wasm::import(&fs::read(&file).expect("a program")).expect("import");
                let mut instance = Instance::new(&module).expect("instantiation");
                let got = invoke(&mut instance, &module, export, &arguments);
                assert!(agree(&got, expected), "{build}/{name}: got {got}, expected {expected}");
            }
        }
    });
}

fn between<'a>(line: &'a str, start: &str, end: &str) -> &'a str {
    let from = line.find(start).unwrap_or_else(|| panic!("{start} in {line}")) + start.len();
    let length = line[from..].find(end).expect("an end");
    &line[from..from + length]
}

#[test]
fn every_program_imports_and_verifies() {
    for folder in ["wasm", "wasm-ssa"] {
        for file in programs(&format!("programs/{folder}"), "wasm") {
            let module = wasm::import(&fs::read(&file).expect("a program"));
            let module = module.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            osr_ir::verifier::verify(&module).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
    }
}

#[test]
fn traps_have_their_kinds() {
    let module = crate::import(
        r#"(module (func (export "f") (param i32 i32) (result i32)
            local.get 0 local.get 1 i32.div_s))"#,
    );
    let mut instance = Instance::new(&module).expect("instantiation");
    let Some(ExportItem::Function(function)) = module.export("f") else { panic!() };
    let mut call = |a: i32, b: i32| instance.call(function, vec![u64::from(a as u32), u64::from(b as u32)]);
    assert_eq!(call(7, -2), Ok(vec![u64::from(-3_i32 as u32)]));
    assert_eq!(call(7, 0), Err(TrapKind::IntegerDivideByZero));
    assert_eq!(call(i32::MIN, -1), Err(TrapKind::IntegerOverflow));
}

#[test]
fn a_reference_to_no_exception_is_the_null_of_those_to_exceptions() {
    let module = crate::import(
        r#"(module (func (export "f") (result i32) (local nullexnref)
            (local.set 0 (ref.null noexn))
            (ref.is_null (local.get 0))))"#,
    );
    let Some(ExportItem::Function(function)) = module.export("f") else { panic!() };
    let mut instance = Instance::new(&module).expect("instantiation");
    assert_eq!(instance.call(function, vec![]), Ok(vec![1]));
}
