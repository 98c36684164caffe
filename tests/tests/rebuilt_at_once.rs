//! Frames that are rebuilt when they are hijacked, not when they land (`rebuild=at-once`).

use osr_engine::{
    CodeRelease, HostError, Imports, Land, Mechanism, RebuildTime, Settings, StateRecording, Stress, Tier,
};
use osr_ir::{Signature, Type, Value};
use osr_tests::guest::{acting, add_act, eager, start};

/// Many values live across calls, in registers that callees save, floats among them, and results of all kinds; frames of
/// different sizes; host functions call the guest, so that Rust frames are between.
const GUEST: &str = r#"(module
  (import "env" "act" (func $act))
  (import "env" "again" (func $again (param i32) (result i64)))
  (func $pair (param $n i32) (result i64 f64)
    (call $act) (i64.extend_i32_s (local.get $n)) (f64.convert_i32_s (local.get $n)))
  (func $many (param $n i32) (result i64 f32 i32 i64)
    (local $a i64) (local $b i64) (local $x f64)
    (local.set $a (i64.mul (i64.extend_i32_s (local.get $n)) (i64.const 1000003)))
    (local.set $x (f64.mul (f64.convert_i32_s (local.get $n)) (f64.const 1.25)))
    (call $pair (i32.add (local.get $n) (i32.const 7)))
    (local.set $x (f64.add (local.get $x)))
    (local.set $b)
    (i64.add (local.get $a) (local.get $b))
    (f32.demote_f64 (local.get $x))
    (local.get $n)
    (i64.xor (local.get $a) (local.get $b)))
  (func $work (export "work") (param $n i32) (result i64)
    (local $a i64) (local $b i64) (local $c i64) (local $d i64) (local $e i64) (local $f i64)
    (local $m0 i64) (local $m1 f32) (local $m2 i32) (local $m3 i64)
    (if (i32.eqz (local.get $n)) (then (call $act) (return (i64.const 3))))
    (local.set $a (i64.mul (i64.extend_i32_s (local.get $n)) (i64.const 3)))
    (local.set $b (i64.add (local.get $a) (i64.const 11)))
    (local.set $c (i64.mul (local.get $b) (local.get $b)))
    (local.set $d (i64.xor (local.get $c) (i64.const 0x1234567)))
    (local.set $e (i64.sub (local.get $d) (local.get $a)))
    (call $many (local.get $n))
    (local.set $m3) (local.set $m2) (local.set $m1) (local.set $m0)
    (local.set $f
      (if (result i64) (i32.eq (i32.and (local.get $n) (i32.const 3)) (i32.const 2))
        (then (call $again (i32.sub (local.get $n) (i32.const 1))))
        (else (call $work (i32.sub (local.get $n) (i32.const 1))))))
    (i64.add (local.get $f) (i64.add (i64.xor (local.get $a) (local.get $c)) (i64.add (i64.mul (local.get $b) (local.get $e))
      (i64.add (i64.xor (local.get $m0) (local.get $m3)) (i64.add (i64.extend_i32_s (local.get $m2))
        (i64.trunc_f32_s (local.get $m1))))))))
  (func (export "traps") (param $n i32) (result i64)
    (if (i32.eqz (local.get $n)) (then (call $act) (unreachable)))
    (i64.add (call $work (i32.const 3)) (call $again (i32.sub (local.get $n) (i32.const 4))))))"#;

/// Calls the guest, from the host.
fn again(imports: &mut Imports) {
    let signature = Signature::new(vec![Type::I32], vec![Type::I64]);
    imports.function("env", "again", signature, |call, arguments, results| {
        let argument = Value::I32(arguments[0] as i32);
        let name = if arguments[0] as i32 <= 0 { "traps" } else { "work" };
        let called = call.thread().invoke(name, &[argument]);
        results[0] = called.map_err(HostError::from)?[0];
        Ok(())
    });
}

fn run(settings: &Settings, imports: Imports, name: &str, n: i32) -> Result<Vec<u64>, String> {
    let mut imports = imports;
    again(&mut imports);
    let (_, thread) = start(GUEST, settings, &imports);
    let outcome = thread.invoke(name, &[Value::I32(n)]).map_err(|error| error.to_string());
    assert_eq!(thread.hijacked_slots(), 0);
    outcome
}

/// With each way to record what is live that it can be used with, and each release.
fn settings() -> impl Iterator<Item = Settings> {
    let recordings = [StateRecording::Locations, StateRecording::Slots];
    recordings.into_iter().flat_map(|recording| {
        [CodeRelease::OnHijack, CodeRelease::StackScan].map(|release| {
            let rebuild = RebuildTime::AtOnce;
            let mechanism = Mechanism { recording, release, rebuild, ..Mechanism::DEFAULT };
            Settings { mechanism, ..eager() }
        })
    })
}

#[test]
fn states_are_what_the_frames_would_have_had_at_their_landings() {
    let plain = run(&eager(), acting(|_| ()), "work", 22).expect("it returns");
    for settings in settings() {
        let invalidating = || {
            acting(|call| {
                call.thread().invalidate_active().expect("a walk");
            })
        };
        assert_eq!(run(&settings, invalidating(), "work", 22).as_ref(), Ok(&plain), "{}", settings.mechanism);
        for land in [Tier::Interpreter, Tier::Baseline, Tier::Optimized] {
            let stress = Stress::invalidate(3).landing(Land::In(land));
            let settings = Settings { stress, ..settings.clone() };
            assert_eq!(run(&settings, acting(|_| ()), "work", 22).as_ref(), Ok(&plain), "{settings:?}");
        }
    }
}

/// A frame that is hijacked, given back and hijacked anew has the state of the last time.
#[test]
fn states_of_slots_that_are_given_back_are_forgotten() {
    let plain = run(&eager(), acting(|_| ()), "work", 9).expect("it returns");
    for settings in settings() {
        let imports = acting(|call| {
            let thread = call.thread();
            let hijacked = thread.hijack(|version| version.id.0 % 2 == 0).expect("a walk").frames;
            assert_eq!(thread.unhijack().expect("it can"), hijacked);
            thread.hijack(|version| version.id.0 % 2 == 1).expect("a walk");
            thread.hijack(|version| version.id.0 % 3 == 0).expect("a walk");
        });
        assert_eq!(run(&settings, imports, "work", 9).as_ref(), Ok(&plain), "{}", settings.mechanism);
    }
}

#[test]
fn states_of_frames_that_a_trap_jumps_over_are_forgotten() {
    let imports = || {
        let mut imports = Imports::default();
        add_act(&mut imports, "act", |call| {
            call.thread().invalidate_active().expect("a walk");
        });
        imports
    };
    let plain = run(&eager(), acting(|_| ()), "traps", 4).expect_err("it traps");
    for settings in settings() {
        assert_eq!(run(&settings, imports(), "traps", 4), Err(plain.clone()), "{}", settings.mechanism);
    }
}
