//! Code without readiness: what it computes, how it calls, and what is refused.

use std::sync::Arc;

use iced_x86::{Decoder, DecoderOptions, Mnemonic, OpKind};
use osr_engine::{
    CallBinding, Checks, CodeVersion, Delegates, Event, Instance, InstantiationError, InvokeError, Observer,
    Readiness, Settings, StateRecording, Stress, Thread, Tiers, TransitionError,
};
use osr_ir::{Module, TrapKind, Value};
use osr_tests::guest::{acting, parse, start};
use osr_tests::host::imports;
use osr_tests::program::programs;

/// Everything between bare and ready, placed by `seed`.
fn all(seed: u64) -> Vec<Settings> {
    let mut all = Vec::new();
    for binding in [CallBinding::Direct, CallBinding::Cell] {
        for checks in [Checks::None, Checks::Stack, Checks::Polls] {
            for state_recording in StateRecording::ALL {
                let readiness = Readiness { binding, checks };
                all.push(made(readiness, state_recording, seed + all.len() as u64));
            }
        }
    }
    all
}

fn made(readiness: Readiness, state_recording: StateRecording, seed: u64) -> Settings {
    let (tiers, placement) = (Tiers::Optimized, Some(seed));
    Settings { tiers, readiness, state_recording, placement, ..Settings::default() }
}

fn bare() -> Settings {
    made(Readiness::BARE, StateRecording::None, 1)
}

fn run(settings: &Settings, module: &Module, name: &str, arguments: &[Value]) -> (Vec<u64>, Option<u64>) {
    let instance = Instance::new(settings.clone(), module.clone(), &imports()).expect("an instance");
    let thread = Thread::new(&instance).expect("a thread");
    thread.start().expect("the start function returns");
    let results = thread.invoke(name, arguments).expect("it returns");
    (results, instance.memory().map(|memory| memory.hash()))
}

#[test]
fn every_program_computes_the_same_in_all_codes() {
    for (number, program) in programs().iter().enumerate() {
        let module = program.module(true);
        let arguments = program.small_arguments();
        let interpreted = Settings { tiers: Tiers::Interpreter, ..Settings::default() };
        let expected = run(&interpreted, &module, &program.invoke, &arguments);
        // All codes for some program each, the extremes for every one.
        let all = all(number as u64 * 100);
        let some = all.iter().skip(number % 7).step_by(7);
        for settings in [bare()].iter().chain(some) {
            let found = run(settings, &module, &program.invoke, &arguments);
            assert_eq!(found, expected, "{}: {:?}", program.name, settings.readiness);
        }
    }
}

const CALLS: &str = r#"(module
  (import "env" "act" (func $act))
  (func $even (param i32) (result i32)
    (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1))
      (else (call $odd (i32.sub (local.get 0) (i32.const 1))))))
  (func $odd (export "odd") (param i32) (result i32)
    (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
      (else (call $even (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "acts") (call $act))
  (func (export "leaf") (param i32) (result i32) (i32.mul (local.get 0) (local.get 0))))"#;

/// How often the code of `instance` calls near, and through memory or a register.
fn calls(instance: &Instance) -> (usize, usize) {
    let (mut near, mut far) = (0, 0);
    for version in instance.versions() {
        let code = version.code().expect("it is there");
        for instruction in &mut Decoder::with_ip(64, &code, version.start, DecoderOptions::NONE) {
            if instruction.mnemonic() == Mnemonic::Call {
                let is_near = instruction.op0_kind() == OpKind::NearBranch64;
                let target = instruction.near_branch_target();
                if is_near {
                    let entered = instance.versions().iter().any(|version| version.start == target);
                    assert!(entered, "{target:#x} is no entry");
                }
                *(if is_near { &mut near } else { &mut far }) += 1;
            }
        }
    }
    (near, far)
}

#[test]
fn direct_calls_are_direct_and_functions_of_the_host_are_not() {
    let (instance, thread) = start(CALLS, &bare(), &acting(|_| ()));
    assert_eq!(thread.invoke("odd", &[Value::I32(101)]).expect("it returns"), [1]);
    thread.invoke("acts", &[]).expect("it returns");
    assert_eq!(calls(&instance), (2, 1));
    let readiness = Readiness { binding: CallBinding::Cell, ..Readiness::BARE };
    let cells = made(readiness, StateRecording::None, 1);
    let (instance, _) = start(CALLS, &cells, &acting(|_| ()));
    assert_eq!(calls(&instance), (0, 3));
}

#[test]
fn code_without_polls_still_traps_where_the_stack_ends() {
    let text = r#"(module
      (func $down (export "down") (param i32) (result i32)
        (i32.add (call $down (i32.add (local.get 0) (i32.const 1))) (i32.const 1))))"#;
    for binding in [CallBinding::Cell, CallBinding::Direct] {
        let readiness = Readiness { binding, checks: Checks::Stack };
        let (_, thread) = start(text, &made(readiness, StateRecording::None, 3), &imports());
        for _ in 0..2 {
            let error = thread.invoke("down", &[Value::I32(0)]).expect_err("it never returns");
            let InvokeError::Trap(trap) = error else { panic!("{error}") };
            assert_eq!((trap.kind, trap.function_name.as_str()), (TrapKind::StackExhausted, "down"));
        }
    }
}

#[test]
fn a_seed_decides_where_code_is() {
    let offsets = |seed| {
        let settings = Settings { placement: seed, tiers: Tiers::Optimized, ..Settings::default() };
        let (instance, _) = start(CALLS, &settings, &acting(|_| ()));
        let first = instance.versions().iter().map(|version| version.start).min();
        let offset = |version: &Arc<CodeVersion>| (version.function, version.start - first.unwrap_or(0));
        let mut offsets: Vec<_> = instance.versions().iter().map(offset).collect();
        offsets.sort();
        offsets
    };
    assert_eq!(offsets(Some(7)), offsets(Some(7)));
    let seeds: std::collections::BTreeSet<_> = (0..8).map(|seed| offsets(Some(seed))).collect();
    assert!(seeds.len() > 4, "{seeds:?}");
    assert!(offsets(None).is_empty(), "nothing is compiled before it is called");
}

#[test]
fn placed_code_that_is_ready_can_be_replaced() {
    let settings = Settings { placement: Some(9), stress: Stress::invalidate(1), ..bare_but_ready() };
    let (_, thread) = start(CALLS, &settings, &acting(|_| ()));
    assert_eq!(thread.invoke("odd", &[Value::I32(50)]).expect("it returns"), [0]);
    assert!(thread.transitions().landings > 0);
}

fn bare_but_ready() -> Settings {
    Settings { tiers: Tiers::Optimized, checked: true, ..Settings::default() }
}

/// Wants to see every point.
#[derive(Debug)]
struct Curious;

impl Observer for Curious {
    fn observe(&self, _: &Thread, _: &Event<'_>) {}

    fn wants_points(&self) -> bool {
        true
    }
}

#[test]
fn an_observer_of_points_that_are_no_safepoints_is_refused() {
    let with = |settings| {
        let module = parse("(module (func (export \"f\")))");
        Instance::with_delegates(settings, Delegates::observer(Arc::new(Curious)), module, &imports())
    };
    let refused = with(Settings::default());
    assert!(matches!(refused, Err(InstantiationError::PointsNotObservable)), "{refused:?}");
    assert!(with(Settings { points: true, ..Settings::default() }).is_ok());
}

#[test]
fn what_code_without_readiness_cannot_do_is_refused_when_the_instance_is_made() {
    let refused = |settings: Settings| {
        let module = parse("(module (func (export \"f\")))");
        Instance::new(settings, module, &imports()).expect_err("it is refused").to_string()
    };
    let lacking = |readiness| Settings { readiness, ..bare_but_ready() };
    let full = Readiness::FULL;
    for (readiness, missing) in [
        (Readiness { binding: CallBinding::Direct, ..full }, "bound for good"),
        (Readiness { checks: Checks::Stack, ..full }, "does not poll"),
        (Readiness { checks: Checks::None, ..full }, "does not poll"),
    ] {
        let forced = refused(Settings { stress: Stress::invalidate(1), ..lacking(readiness) });
        assert!(forced.contains("forced") && forced.contains(missing), "{forced}");
        let visible = refused(Settings { points: true, ..lacking(readiness) });
        assert!(visible.contains("points") && visible.contains(missing), "{visible}");
        for tiers in [Tiers::Interpreter, Tiers::Baseline, Tiers::Auto] {
            let mixed = refused(Settings { tiers, ..lacking(readiness) });
            assert!(mixed.contains("needs the tiers `optimized`"), "{mixed}");
        }
    }
    let mixed = refused(Settings { tiers: Tiers::Auto, placement: Some(1), ..Settings::default() });
    assert!(mixed.contains("needs the tiers `optimized`"), "{mixed}");
    let stateless = Settings { state_recording: StateRecording::None, ..bare_but_ready() };
    let module = parse("(module (func (export \"f\")))");
    let error = Instance::new(Settings { stress: Stress::invalidate(1), ..stateless }, module, &imports());
    assert!(matches!(error, Err(InstantiationError::NoStateRecorded)));
}

#[test]
fn transitions_of_code_without_readiness_are_refused_and_nothing_happens() {
    let imports = acting(|call| {
        let thread = call.thread();
        let all = [
            thread.hijack(|_| true).map(drop),
            thread.invalidate_active().map(drop),
            thread.invalidate_all().map(drop),
        ];
        assert!(all.iter().all(|result| matches!(result, Err(TransitionError::NotReady { .. }))), "{all:?}");
    });
    let (instance, thread) = start(CALLS, &bare(), &imports);
    thread.invoke("acts", &[]).expect("it returns");
    assert_eq!(instance.versions().len(), 4, "nothing was retired");
    assert_eq!(thread.transitions().hijacked_frames, 0);
}
