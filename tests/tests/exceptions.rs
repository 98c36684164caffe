//! Exceptions across everything that a throw can meet: frames that are hijacked or inlined, interpreted frames, the host,
//! another instance. (`cases/exceptions.wat` and `cases/legacy-exceptions.wat` are run in every configuration, too.)

use std::sync::Arc;

use osr_engine::{
    Exception, HostError, Imports, Instance, InstantiationError, InvokeError, Mechanism, PRESETS, Settings,
    Store, Stress, Tag, Thread, Tiers, Trap,
};
use osr_ir::{Signature, TrapKind, Type, Value};
use osr_tests::guest::{acting, eager, in_each_tier, interpreted, parse, start};
use osr_tests::{cases, observe};

/// The trap that `outcome` is.
fn trap(outcome: Result<Vec<u64>, InvokeError>) -> Trap {
    match outcome {
        Err(InvokeError::Trap(trap)) => trap,
        other => panic!("{other:?} instead of a trap"),
    }
}

/// `dive` throws at the bottom of the stack, when the host has done something to it; `run` catches.
const DEEP: &str = r#"(module
  (import "env" "act" (func $act))
  (tag $bottom (param i32 f64))
  (func $dive (param $depth i32) (param $kept f64) (result f64)
    (if (i32.eqz (local.get $depth))
      (then (call $act) (throw $bottom (i32.const 7) (local.get $kept))))
    (f64.add
      (call $dive (i32.sub (local.get $depth) (i32.const 1)) (f64.add (local.get $kept) (f64.const 1)))
      (local.get $kept)))
  (func (export "run") (param $depth i32) (result i32 f64) (local $mine i64)
    (local.set $mine (i64.const 5))
    (block $caught (result i32 f64)
      (try_table (catch $bottom $caught)
        (drop (call $dive (local.get $depth) (f64.const 0))))
      (unreachable))
    (f64.add (f64.convert_i64_s (local.get $mine)))))"#;

#[test]
fn an_exception_passes_hijacked_frames() {
    const DEPTH: i32 = 500;
    for settings in in_each_tier(1) {
        for hijacks in [false, true] {
            let act = move |call: &osr_engine::HostCall<'_>| {
                if hijacks && call.thread().instance().settings().tiers != Tiers::Interpreter {
                    call.thread().invalidate_active().expect("a walk");
                }
            };
            let (_, thread) = start(DEEP, &settings, &acting(act));
            for _ in 0..3 {
                let results = thread.invoke("run", &[Value::I32(DEPTH)]).expect("it is caught");
                assert_eq!(results, [7, (f64::from(DEPTH) + 5.0).to_bits()], "{settings:?}");
                assert_eq!(thread.hijacked_slots(), 0);
            }
        }
    }
}

/// Under all presets and a sample of the other mechanisms.
#[test]
fn exceptions_pass_under_mechanisms() {
    for case in cases().iter().filter(|case| case.name.contains("exceptions")) {
        let call = |settings: &Settings| observe(&case.module, "run", &[Value::I32(24)], settings);
        let expected = call(&interpreted());
        assert!(expected.outcome.is_ok(), "{expected:?}");
        let presets = PRESETS.iter().map(|preset| preset.mechanism);
        let valid = |mechanism: &Mechanism| mechanism.check().is_ok();
        for mechanism in presets.filter(valid).chain(Mechanism::all().filter(valid).step_by(1_499)) {
            for every in [1, 3] {
                let stress = if mechanism.is_final() { Stress::None } else { Stress::invalidate(every) };
                let settings = Settings { mechanism, stress, ..eager() };
                assert_eq!(call(&settings), expected, "{}, {mechanism:?}, every {every}", case.name);
            }
        }
    }
}

/// The host throws, calls back what throws, and lets that pass.
#[test]
fn the_host_throws_and_sees_exceptions() {
    const GUEST: &str = r#"(module
      (import "host" "failure" (tag $failure (param i32 v128)))
      (import "host" "fail" (func $fail (param i32)))
      (import "host" "through" (func $through (param i32)))
      (func (export "inner") (param $x i32)
        (throw $failure (i32.mul (local.get $x) (i32.const 2)) (v128.const i32x4 1 2 3 4)))
      (func $code (param $x i32) (param $inner i32) (result i32)
        (block $caught (result i32 v128)
          (try_table (catch $failure $caught)
            (if (local.get $inner)
              (then (call $through (local.get $x)))
              (else (call $fail (local.get $x)))))
          (return (i32.const -1)))
        (i32x4.extract_lane 3)
        (i32.add))
      (func (export "code") (param i32 i32) (result i32) (call $code (local.get 0) (local.get 1)))
      (func (export "uncaught") (param i32) (call $fail (local.get 0))))"#;
    let failure = Tag::new("failure", &[Type::I32, Type::V128]);
    let mut imports = Imports::new();
    imports.tag("host", "failure", &failure);
    let signature = Signature::new(vec![Type::I32], vec![]);
    let tag = failure.clone();
    imports.function("host", "fail", signature.clone(), move |_, arguments, _| {
        let words = Value::V128([0, 40 << 32]);
        Err(HostError::throw(Exception::of(&tag, &[Value::I32(arguments[0] as i32), words])))
    });
    let tag = failure.clone();
    imports.function("host", "through", signature, move |call, arguments, _| {
        let instance = call.thread().instance();
        let inner = instance.exported_function("inner").expect("it is there");
        let thrown = trap(call.call(inner, arguments));
        let exception = thrown.exception.as_ref().expect("an exception");
        assert_eq!((exception.tag(), exception.words()[0]), (&tag, 2 * arguments[0]));
        Err(HostError::Trap(thrown))
    });
    for settings in in_each_tier(1) {
        let instance = Instance::new(settings.clone(), parse(GUEST), &imports).expect("an instance");
        let thread = Thread::new(&instance).expect("a thread");
        for x in 1..6 {
            let code =
                |inner| thread.invoke("code", &[Value::I32(x), Value::I32(inner)]).expect("it is caught");
            assert_eq!(code(0), [40 + x as u64], "{settings:?}");
            assert_eq!(code(1), [4 + 2 * x as u64], "{settings:?}");
        }
        let uncaught = trap(thread.invoke("uncaught", &[Value::I32(3)]));
        assert_eq!(uncaught.kind, TrapKind::UncaughtException);
        let message = uncaught.message.expect("a message");
        assert!(message.starts_with("exception failure (3, 0x"), "{message}");
    }
}

/// A tag is the store's: another instance that imports it catches. One that does not have it catches it with all others.
#[test]
fn exceptions_pass_from_instance_to_instance() {
    const THROWS: &str = r#"(module
      (tag $own (export "tag") (param i64))
      (func (export "throw") (param i64) (throw $own (local.get 0))))"#;
    const CATCHES: &str = r#"(module
      (import "a" "throw" (func $throw (param i64)))
      (tag $other (param i64))
      (import "a" "tag" (tag $tag (param i64)))
      (func (export "caught") (param i64) (result i64)
        (block $number (result i64)
          (block $wrong (result i64)
            (try_table (catch $other $wrong) (catch $tag $number) (call $throw (local.get 0)))
            (unreachable))
          (unreachable))))"#;
    const KNOWS_NONE: &str = r#"(module
      (import "a" "throw" (func $throw (param i64)))
      (func (export "caught") (param i64) (result i64) (local $e exnref)
        (block $all (result exnref)
          (try_table (catch_all_ref $all) (call $throw (local.get 0)))
          (unreachable))
        (local.set $e)
        (block $again (try_table (catch_all $again) (throw_ref (local.get $e))))
        (i64.mul (local.get 0) (i64.const 3))))"#;
    // In the text imports come first.
    let catches = CATCHES
        .replace("      (tag $other (param i64))\n", "")
        .replace("      (func (export", "      (tag $other (param i64))\n      (func (export");
    for settings in in_each_tier(1) {
        let (store, mut imports) = (Store::new(), Imports::new());
        let instance = |text, imports: &Imports| {
            store.instantiate(settings.clone(), parse(text), imports).expect("an instance")
        };
        let throws = instance(THROWS, &Imports::new());
        let _thread = Thread::new(&throws).expect("a thread");
        imports.instance("a", &throws);
        for (text, factor) in [(&*catches, 1), (KNOWS_NONE, 3)] {
            let catching = instance(text, &imports);
            let thread = Thread::new(&catching).expect("a thread");
            for x in 1..6 {
                assert_eq!(
                    thread.invoke("caught", &[Value::I64(x)]).expect("it is caught"),
                    [factor * x as u64]
                );
            }
        }
    }
}

#[test]
fn tags_are_linked_by_type_and_once() {
    let tag = Tag::new("tag", &[Type::I32]);
    let mut imports = Imports::new();
    imports.tag("m", "a", &tag).tag("m", "b", &tag);
    let link = |text: &str| Instance::new(Settings::default(), parse(text), &imports).map(drop).unwrap_err();
    assert_eq!(
        link(r#"(module (import "m" "a" (tag (param i64))))"#).to_string(),
        "import m.a must be a tag (i64), and a tag (i32) is provided"
    );
    assert!(matches!(
        link(r#"(module (import "m" "a" (tag (param i32))) (import "m" "b" (tag (param i32))))"#),
        InstantiationError::TagImportedTwice { .. }
    ));
}

/// Code that catches nothing is what it is without exceptions.
#[test]
fn only_a_try_has_branches() {
    let module = parse(DEEP);
    let text = osr_ir::text::print(&module);
    let at = |function: &str| text.find(function).expect("it is there");
    let dive = &text[at("\nfunction dive")..at("\nfunction run")];
    assert!(!dive.contains("global.get") && dive.contains("throw x0"), "{dive}");
    assert_eq!(module, osr_ir::text::parse(&text).expect("it reads back"));
}

#[test]
fn instances_are_usable_after_uncaught_exceptions() {
    const GUEST: &str = r#"(module
      (tag $t (param i32))
      (func $throw (param i32) (if (local.get 0) (then (throw $t (local.get 0)))))
      (func (export "f") (param i32 i32) (result i32)
        (block $caught (result i32)
          (try_table (catch $t $caught) (call $throw (local.get 0)))
          (call $throw (local.get 1))
          (i32.const 0))))"#;
    for settings in in_each_tier(1) {
        let (instance, thread) = start(GUEST, &settings, &Imports::new());
        for _ in 0..4 {
            let call = |a, b| thread.invoke("f", &[Value::I32(a), Value::I32(b)]);
            assert_eq!(call(3, 0).expect("it is caught"), [3]);
            assert_eq!(trap(call(0, 4)).exception.expect("it is not").words(), [4]);
            assert_eq!(call(0, 0).expect("nothing is thrown"), [0]);
        }
        drop(thread);
        assert_eq!(Arc::strong_count(&instance), 1);
    }
}
