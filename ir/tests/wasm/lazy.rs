//! Bodies are translated on first use, whatever asks for them, and verified unless nothing has changed.

use std::fs;
use std::thread;

use osr_ir::verifier::{verify, verify_lazily};
use osr_ir::{Body, FunctionKind, LazyBody, Module, Type, wasm};

/// Two functions, one global; `$second` refers to everything.
const MODULE: &str = r#"(module
    (global $g (mut i32) (i32.const 1)) (memory 1) (table 1 funcref)
    (func $first (result i32) i32.const 1)
    (func $second (param i64) (result i32) (local f32)
        call $first global.set $g i32.const 0 i32.load table.size i32.add
        local.get 0 i32.wrap_i64 i32.add))"#;

fn module() -> Module {
    wasm::import_text(MODULE).expect("a valid module")
}

fn lazy(module: &Module, function: usize) -> &LazyBody {
    match &module.functions[function].kind {
        FunctionKind::Defined(body) => body,
        FunctionKind::Import(_) => panic!("it is defined"),
    }
}

fn made(module: &Module) -> Vec<bool> {
    (0..module.functions.len()).map(|function| lazy(module, function).is_made()).collect()
}

#[test]
fn import_and_lazy_verification_make_no_body() {
    let module = module();
    verify_lazily(&module).expect("well formed");
    assert_eq!(made(&module), [false, false]);
    assert!(module.functions[1].is_defined());
    assert!(module.functions[1].register_bound() >= 2);
    assert_eq!(made(&module), [false, false]);
}

#[test]
fn asking_makes_one_body_and_verification_all() {
    let module = module();
    let registers = module.functions[1].body().expect("defined").registers.len();
    assert_eq!(made(&module), [false, true]);
    assert_eq!(module.functions[1].register_bound(), registers);
    verify(&module).expect("well formed");
    assert_eq!(made(&module), [true, true]);
}

#[test]
fn copies_are_as_lazy_and_equal() {
    let module = module();
    let copy = module.clone();
    assert_eq!(made(&copy), [false, false]);
    let first: *const Body = module.functions[0].body().expect("defined");
    assert_eq!(made(&copy), [false, false], "copies share no body");
    assert_eq!(made(&module.clone()), [true, false]);
    assert_eq!(copy, module);
    assert!(std::ptr::eq(first, module.functions[0].body().expect("defined")), "made once");
}

#[test]
fn threads_get_the_same_body_and_copies_of_it() {
    let module = module();
    thread::scope(|scope| {
        let ask = || scope.spawn(|| module.functions[1].body().expect("defined").clone());
        let copy = || scope.spawn(|| module.clone().functions[1].body().expect("defined").clone());
        let threads = [ask(), copy(), ask(), copy()];
        let bodies = threads.map(|thread| thread.join().expect("no panic"));
        assert!(bodies.iter().all(|body| *body == bodies[0] && !body.blocks.is_empty()));
    });
}

#[test]
fn changed_bodies_are_verified() {
    let mut module = module();
    let FunctionKind::Defined(body) = &mut module.functions[0].kind else { panic!("it is defined") };
    body.registers.clear();
    let error = verify_lazily(&module).expect_err("it lacks registers");
    assert!(error.to_string().contains("first"), "{error}");
}

/// The parts of a module are public. What a body refers to may be gone when it is made.
#[test]
fn bodies_whose_declarations_changed_are_verified() {
    let changes: [fn(&mut Module); 6] = [
        |module| module.globals[0].ty = Type::F64,
        |module| module.globals.clear(),
        |module| module.globals[0].mutable = false,
        |module| module.memories.clear(),
        |module| module.tables.clear(),
        |module| module.functions[0].signature = module.functions[1].signature,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut module = module();
        change(&mut module);
        assert!(verify_lazily(&module).is_err(), "change {number}");
        assert_eq!(verify_lazily(&module), verify(&module), "change {number}");
    }
}

#[test]
fn bodies_in_the_place_of_others_are_verified() {
    let mut module = module();
    module.functions[0].kind = module.functions[1].kind.clone();
    assert!(verify_lazily(&module).is_err());
    let other = wasm::import_text("(module (func (result i32) (global.get 0)) (global i32 (i32.const 1)))");
    let mut module = self::module();
    module.functions[0].kind = other.expect("a valid module").functions[0].kind.clone();
    verify_lazily(&module).expect("it happens to fit, and was looked at");
    assert_eq!(made(&module), [true, false]);
}

#[test]
fn no_body_has_more_registers_than_its_bound() {
    let wide = "i32.const 0 ".repeat(50) + &"drop ".repeat(50);
    let all_types = "(block (result i32 i64 f32 f64) (call $many) ) drop drop drop drop ".repeat(9);
    let texts = [
        format!("(module (func {wide}))"),
        format!(
            "(module (func $many (result i32 i64 f32 f64) unreachable) (func {all_types}) (func (param i32)
            (local i32 i64 i64) call $many call $many drop drop drop drop drop drop drop drop))"
        ),
    ];
    let texts = texts.iter().map(|text| wasm::import_text(text).expect("a valid module"));
    let programs = ["wasm", "wasm-ssa"]
        .into_iter()
        .flat_map(|folder| super::execution::programs(&format!("programs/{folder}"), "wasm"));
    let programs = programs.map(|path| wasm::import(&fs::read(path).expect("a program")).expect("valid"));
    for module in texts.chain(programs) {
        for function in module.functions.iter().filter(|function| function.is_defined()) {
            let bound = function.register_bound();
            let registers = function.body().expect("defined").registers.len();
            assert!(registers <= bound, "{}: {registers} registers, {bound} at most", function.name);
        }
    }
}
