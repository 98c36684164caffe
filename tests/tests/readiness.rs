//! Code without readiness: what it computes, how it calls, and what is refused.

use std::sync::Arc;

use iced_x86::{Decoder, DecoderOptions, Mnemonic, OpKind};
use osr_engine::{
    CallBinding, CodeVersion, Delegates, Event, Instance, InstantiationError, InvokeError, Mechanism,
    Observation, Observer, Poll, Settings, StateRecording, Stress, Thread, Tiers, TransitionError,
};
use osr_ir::{Module, TrapKind, Value};
use osr_tests::guest::{acting, parse, start};
use osr_tests::host::imports;
use osr_tests::program::programs;

/// Everything between bare and ready, placed by `seed`.
fn all(seed: u64) -> Vec<Settings> {
    let mut all = Vec::new();
    for binding in [CallBinding::Direct, CallBinding::Cell] {
        for &poll in Poll::ALL {
            for &recording in StateRecording::ALL {
                let mechanism = Mechanism { binding, poll, recording, ..Mechanism::default() };
                all.push(made(mechanism.without_transitions(), seed + all.len() as u64));
            }
        }
    }
    all
}

fn made(mechanism: Mechanism, seed: u64) -> Settings {
    let (tiers, placement) = (Tiers::Optimized, Some(seed));
    Settings { tiers, mechanism, placement, ..Settings::default() }
}

fn bare() -> Settings {
    made(Mechanism::BARE, 1)
}

fn run(settings: &Settings, module: &Module, name: &str, arguments: &[Value]) -> (Vec<u64>, Option<u64>) {
    let instance = Instance::new(settings.clone(), module.clone(), &imports()).expect("an instance");
    let thread = Thread::new(&instance).expect("a thread");
    thread.start().expect("the start function returns");
    let results = thread.invoke(name, arguments).expect("it returns");
    (results, instance.memory_hash())
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
        let some = all.iter().skip(number % 17).step_by(17);
        for settings in [bare()].iter().chain(some) {
            let found = run(settings, &module, &program.invoke, &arguments);
            assert_eq!(found, expected, "{}: {:?}", program.name, settings.mechanism);
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
    let cells = made(Mechanism { binding: CallBinding::Cell, ..Mechanism::BARE }, 1);
    let (instance, _) = start(CALLS, &cells, &acting(|_| ()));
    assert_eq!(calls(&instance), (0, 3));
}

#[test]
fn code_without_polls_still_traps_where_the_stack_ends() {
    let text = r#"(module
      (func $down (export "down") (param i32) (result i32)
        (i32.add (call $down (i32.add (local.get 0) (i32.const 1))) (i32.const 1))))"#;
    for binding in [CallBinding::Cell, CallBinding::Direct] {
        let mechanism = Mechanism { binding, poll: Poll::StackCheck, ..Mechanism::BARE };
        let (_, thread) = start(text, &made(mechanism, 3), &imports());
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
    fn observe(&self, _: &Observation<'_>, _: &Event<'_>) {}

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
    let lacking = |mechanism| Settings { mechanism, ..bare_but_ready() };
    let full = Mechanism::default();
    for (mechanism, refusal, why) in [
        (Mechanism { binding: CallBinding::Direct, ..full }, "bound for good", "compiles all code once"),
        (Mechanism { poll: Poll::StackCheck, ..full }, "left at a poll", "does not poll in loops"),
        (Mechanism { poll: Poll::None, ..full }, "left at a poll", "does not poll in loops"),
    ] {
        let contradictory = refused(lacking(mechanism));
        assert!(contradictory.contains(refusal), "{contradictory}");
        let mechanism = mechanism.without_transitions();
        let forced = refused(Settings { stress: Stress::hijack(1), ..lacking(mechanism) });
        assert!(forced.contains("forced") && forced.contains("run out"), "{forced}");
        let visible = refused(Settings { points: true, ..lacking(mechanism) });
        assert!(visible.contains("points") && visible.contains(why), "{visible}");
        for tiers in [Tiers::Interpreter, Tiers::Baseline, Tiers::Auto] {
            if mechanism.poll == Poll::StackCheck {
                continue;
            }
            let mixed = refused(Settings { tiers, ..lacking(mechanism) });
            assert!(mixed.contains("needs the tiers `optimized`"), "{mixed}");
        }
    }
    let mixed = refused(Settings { tiers: Tiers::Auto, placement: Some(1), ..Settings::default() });
    assert!(mixed.contains("needs the tiers `optimized`"), "{mixed}");
    let stateless = Settings { mechanism: Mechanism::recorded_by(StateRecording::None), ..bare_but_ready() };
    let module = parse("(module (func (export \"f\")))");
    let error = Instance::new(Settings { stress: Stress::hijack(1), ..stateless }, module, &imports());
    assert!(matches!(error, Err(InstantiationError::FramesRunOut { .. })));
}

#[test]
fn transitions_of_code_without_readiness_are_refused_and_nothing_happens() {
    let imports = acting(|call| {
        let thread = call.thread();
        let hijacked = thread.hijack(|_| true);
        assert!(matches!(hijacked, Err(TransitionError::FramesRunOut)), "{hijacked:?}");
        for invalidated in [thread.invalidate_active(), thread.invalidate_all()] {
            assert!(matches!(invalidated, Err(TransitionError::CodeIsFinal)), "{invalidated:?}");
        }
    });
    let (instance, thread) = start(CALLS, &bare(), &imports);
    thread.invoke("acts", &[]).expect("it returns");
    assert_eq!(instance.versions().len(), 4, "nothing was retired");
    assert_eq!(thread.transitions().hijacked_frames, 0);
}
