//! Every way to poll stops loops where the stack limit does, and costs an idle loop no comparison of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use osr_engine::{
    Cause, CodeMemory, CompiledTier, Delegates, Destination, Event, Instance, InvokeError, Land, Mechanism,
    Observation, Observer, Poll, Request, Settings, StateRecording, Stress, Thread, Tier, Tiers,
};
use osr_ir::{ExportItem, Module, TrapKind, Value};
use osr_tests::guest::{acting, eager, interpreted, parse, start, start_with};
use osr_tests::host::imports;
use osr_tests::run::{Call, run};
use osr_tests::{observe, programs};

fn polling() -> impl Iterator<Item = Poll> {
    Poll::ALL.iter().copied().filter(|poll| poll.stops_loops())
}

fn with(poll: Poll, settings: Settings) -> Settings {
    Settings { mechanism: Mechanism { poll, ..settings.mechanism }, ..settings }
}

fn recorded(recording: StateRecording, settings: Settings) -> Settings {
    Settings { mechanism: Mechanism { recording, ..settings.mechanism }, ..settings }
}

/// What a run of `name` observes, and how many safepoints and landings there were.
fn counted(
    module: &Module,
    name: &str,
    arguments: &[Value],
    settings: &Settings,
) -> (Vec<u64>, Option<u64>, u64, u64) {
    let instance = Instance::new(settings.clone(), module.clone(), &imports()).expect("an instance");
    let thread = Thread::new(&instance).expect("a thread");
    thread.start().expect("the start function returns");
    let results = thread.invoke(name, arguments).expect("it returns");
    assert_eq!(thread.hijacked_slots(), 0);
    let transitions = thread.transitions();
    (results, instance.memory_hash(), transitions.safepoints, transitions.landings)
}

#[test]
fn programs_are_stopped_as_often_as_by_the_stack_limit() {
    let recordings =
        StateRecording::ALL.iter().copied().filter(|&recording| recording != StateRecording::None);
    let recordings: Vec<_> = recordings.collect();
    for (number, program) in programs().iter().enumerate() {
        let (module, arguments) = (program.module(number % 2 == 0), program.small_arguments());
        let land =
            [Land::In(Tier::Optimized), Land::In(Tier::Interpreter), Land::Random(number as u64)][number % 3];
        let code_memory = CodeMemory::ALL[number / 2 % 2];
        let stress = Stress::invalidate(499).landing(land);
        let settings = Settings { code_memory, stress, ..eager() };
        let settings = recorded(recordings[number % recordings.len()], settings);
        let expected =
            observe(&module, &program.invoke, &arguments, &interpreted()).outcome.expect("results");
        let by_limit = counted(&module, &program.invoke, &arguments, &settings);
        assert_eq!(by_limit.0, expected, "{}", program.name);
        for poll in polling() {
            let found = counted(&module, &program.invoke, &arguments, &with(poll, settings.clone()));
            assert_eq!(found, by_limit, "{}, {poll:?}", program.name);
        }
    }
}

/// Loops in loops, one of which calls, one of which is unrolled, and one in which more is live than there are registers.
const LOOPS: &str = r#"(module (memory 1)
  (func $callee (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func (export "f") (param $n i32) (result i32) (local $i i32) (local $j i32) (local $sum i32)
      (local $a i32) (local $b i32) (local $c i32) (local $d i32) (local $e i32) (local $g i32) (local $h i32)
      (local $k i32) (local $l i32) (local $m i32) (local $o i32) (local $x f64)
    (loop $outer
      (local.set $j (i32.const 0))
      (loop $inner
        (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 31)) (local.get $j)))
        (br_if $inner (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const 9))))
      (local.set $j (i32.const 0))
      (loop $calling
        (local.set $sum (i32.xor (local.get $sum) (call $callee (local.get $j))))
        (br_if $calling (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const 3))))
      (loop $many
        (local.set $a (i32.add (local.get $a) (local.get $i))) (local.set $b (i32.add (local.get $b) (local.get $a)))
        (local.set $c (i32.add (local.get $c) (local.get $b))) (local.set $d (i32.add (local.get $d) (local.get $c)))
        (local.set $e (i32.add (local.get $e) (local.get $d))) (local.set $g (i32.add (local.get $g) (local.get $e)))
        (local.set $h (i32.add (local.get $h) (local.get $g))) (local.set $k (i32.add (local.get $k) (local.get $h)))
        (local.set $l (i32.add (local.get $l) (local.get $k))) (local.set $m (i32.add (local.get $m) (local.get $l)))
        (local.set $o (i32.add (local.get $o) (local.get $m)))
        (local.set $x (f64.add (local.get $x) (f64.convert_i32_u (local.get $o))))
        (i32.store (i32.mul (local.get $j) (i32.const 4)) (local.get $o))
        (br_if $many (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const 20))))
      (local.set $sum (i32.add (local.get $sum) (i32.add (local.get $o) (i32.trunc_sat_f64_u (local.get $x)))))
      (br_if $outer (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum))
  (func (export "past_the_end") (param $n i32) (result i32) (local $i i32) (local $sum i32)
    (loop $l
      (local.set $sum (i32.add (local.get $sum) (i32.load (i32.mul (local.get $i) (local.get $n)))))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100))))
    (local.get $sum)))"#;

#[test]
fn loops_are_stopped_with_every_recording_and_in_every_code_memory() {
    let module = parse(LOOPS);
    let arguments = [Value::I32(7)];
    let expected = observe(&module, "f", &arguments, &interpreted());
    for (number, recording) in StateRecording::ALL.iter().copied().skip(1).enumerate() {
        for code_memory in CodeMemory::ALL {
            let land = [Land::In(Tier::Optimized), Land::Random(1), Land::In(Tier::Interpreter)][number % 3];
            for stress in [Stress::invalidate(1).landing(land), Stress::hijack(2).landing(land)] {
                let settings = recorded(recording, Settings { stress, code_memory, ..eager() });
                let by_limit = counted(&module, "f", &arguments, &settings);
                assert!(by_limit.2 >= 40 && by_limit.3 >= 20, "{by_limit:?}");
                assert_eq!(Ok(by_limit.0.clone()), expected.outcome);
                for poll in polling() {
                    let found = counted(&module, "f", &arguments, &with(poll, settings.clone()));
                    assert_eq!(found, by_limit, "{poll:?}, {recording:?}, {code_memory:?}");
                }
            }
        }
    }
}

/// Without frame states nothing is replaced, but loops poll all the same.
#[test]
fn loops_that_are_not_replaced_are_stopped() {
    let module = parse(LOOPS);
    for tiers in [Tiers::Optimized, Tiers::Auto, Tiers::Baseline] {
        let mechanism = Mechanism::recorded_by(StateRecording::None);
        let settings = Settings { tiers, record: true, mechanism, ..eager() };
        let by_limit = counted(&module, "f", &[Value::I32(30)], &settings);
        assert!(by_limit.2 > 100, "{by_limit:?}");
        for poll in polling() {
            assert_eq!(
                counted(&module, "f", &[Value::I32(30)], &with(poll, settings.clone())),
                by_limit,
                "{poll:?}"
            );
        }
    }
}

#[test]
fn a_shadow_interpreter_agrees_at_every_point() {
    for program in programs().iter().step_by(11) {
        let module = program.module(true);
        let Some(ExportItem::Function(function)) = module.export(&program.invoke) else {
            panic!("{} exports {}", program.name, program.invoke)
        };
        let arguments = program.small_arguments().iter().map(|value| value.to_bits()).collect();
        let calls = [Call { name: program.name.clone(), function, arguments }];
        let stress = Stress::invalidate(101).landing(Land::Random(3));
        let points = |poll| {
            let run = run(&module, &calls, &with(poll, Settings { stress: stress.clone(), ..eager() }), true);
            let run = run.expect("the stack suffices");
            assert_eq!(
                run.difference.map(|difference| difference.to_string()),
                None,
                "{}, {poll:?}",
                program.name
            );
            (run.behavior, run.transitions.safepoints)
        };
        let by_limit = points(Poll::StackLimit);
        for poll in polling() {
            assert_eq!(points(poll), by_limit, "{}, {poll:?}", program.name);
        }
    }
}

/// Whether bytes of `code` compare a register with what requests polls, as polls of loops do.
fn compares(code: &[u8]) -> bool {
    let is_comparison = |bytes: &[u8]| {
        bytes[0] & 0xfe == 0x48 && bytes[1] == 0x83 && bytes[2] & 0xf8 == 0xf8 && bytes[3] == 0xff
    };
    code.windows(4).any(is_comparison)
}

#[test]
fn an_idle_loop_does_not_compare_the_limit() {
    let (mut polls, mut kept) = (0, 0);
    for program in programs() {
        for poll in polling() {
            let settings = with(poll, Settings { placement: Some(1), ..eager() });
            let instance = Instance::new(settings, program.module(true), &imports()).expect("an instance");
            let _thread = Thread::new(&instance).expect("a thread");
            for version in instance.versions() {
                let code = version.code().expect("it is in memory");
                match version.overwritten_polls() {
                    Some((overwritten, others)) => {
                        assert!(others > 0 || !compares(&code), "{}, {poll:?}", program.name);
                        polls += overwritten;
                        kept += others;
                    }
                    None => assert!(!poll.is_overwritten()),
                }
            }
        }
    }
    // Where cold code follows a comparison at once, a load and a far jump are too long to be over it.
    assert!(polls > 100 && kept * 20 < polls, "{polls} are overwritten, {kept} are not");
    let (instance, thread) = start(LOOPS, &eager(), &imports());
    thread.invoke("f", &[Value::I32(3)]).expect("it returns");
    let code = instance.versions().iter().filter_map(|version| version.code()).any(|code| compares(&code));
    assert!(code, "what is looked for is what the stack limit is compared by");
}

/// Requests that frames are hijacked when code is compiled, or a frame has landed, for the `n`th time.
#[derive(Debug)]
struct Stop {
    at: AtomicU64,
    landed: bool,
}

impl Observer for Stop {
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>) {
        let is_it = match event {
            Event::Compiled { cause, .. } => !self.landed && *cause != Cause::Landing,
            Event::Landed { .. } => self.landed,
            _ => false,
        };
        if is_it && self.at.fetch_sub(1, Ordering::Relaxed) == 1 {
            at.request(Request::Hijack).expect("frames can be replaced");
        }
    }
}

/// `f` loops without a call, once it has called the host.
const AFTER_A_CALL: &str = r#"(module
  (import "env" "act" (func $act))
  (func (export "f") (param $n i32) (result i32) (local $i i32)
    (call $act)
    (loop $l
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $i)))"#;

#[test]
fn a_request_stops_a_loop_without_calls_once() {
    for code_memory in CodeMemory::ALL {
        for poll in polling() {
            let observer = Arc::new(Stop { at: AtomicU64::new(1), landed: false });
            let landing = Destination::Compiled(CompiledTier::Optimized);
            let settings = with(poll, Settings { code_memory, landing, ..eager() });
            let module = r#"(module (func (export "f") (param $n i32) (result i32) (local $i i32)
                (loop $l
                  (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
                (local.get $i)))"#;
            let (instance, thread) = start_with(module, &settings, Delegates::observer(observer), &imports());
            assert_eq!(thread.invoke("f", &[Value::I32(1000)]).expect("it returns"), [1000]);
            assert_eq!(thread.transitions().landings, 1, "{poll:?}");
            let before: Vec<_> = instance.versions().iter().map(|version| version.code()).collect();
            assert_eq!(thread.invoke("f", &[Value::I32(1000)]).expect("it returns"), [1000]);
            assert_eq!(thread.transitions().landings, 1, "{poll:?}: the request is withdrawn");
            let after: Vec<_> = instance.versions().iter().map(|version| version.code()).collect();
            assert_eq!(before, after);
        }
    }
}

/// A request while a frame lands, when the stack cannot be walked, in code that is entered next.
#[test]
fn a_request_at_a_landing_stops_the_loop_that_it_leads_to() {
    for poll in polling() {
        let observer = Arc::new(Stop { at: AtomicU64::new(1), landed: true });
        let delegates = Delegates::observer(Arc::clone(&observer) as Arc<dyn Observer>);
        let landing = Destination::Compiled(CompiledTier::Optimized);
        let act = acting(|call| assert_eq!(call.thread().hijack(|_| true).expect("a walk").frames, 1));
        let (_, thread) =
            start_with(AFTER_A_CALL, &with(poll, Settings { landing, ..eager() }), delegates, &act);
        for round in 1..4 {
            assert_eq!(thread.invoke("f", &[Value::I32(1000)]).expect("it returns"), [1000]);
            assert_eq!(thread.transitions().landings, 2 * round, "{poll:?}");
            observer.at.store(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn faults_of_the_guest_are_traps_whether_or_not_polls_are_requested() {
    for poll in polling() {
        for stress in [Stress::None, Stress::hijack(1).landing(Land::In(Tier::Optimized))] {
            for code_memory in CodeMemory::ALL {
                let settings = Settings { stress: stress.clone(), code_memory, ..eager() };
                let (_, thread) = start(LOOPS, &with(poll, settings), &imports());
                for _ in 0..2 {
                    assert_eq!(thread.invoke("past_the_end", &[Value::I32(4)]).expect("inside"), [0]);
                    let error = thread.invoke("past_the_end", &[Value::I32(1021)]).expect_err("beyond");
                    let InvokeError::Trap(trap) = error else { panic!("{error}") };
                    assert_eq!(trap.kind, TrapKind::MemoryOutOfBounds, "{poll:?}");
                    assert_eq!(thread.hijacked_slots(), 0);
                }
            }
        }
    }
}

#[test]
fn the_stack_ends_in_a_trap() {
    let text = r#"(module
      (func $down (export "down") (param i32) (result i32)
        (i32.add (call $down (i32.add (local.get 0) (i32.const 1))) (i32.const 1))))"#;
    for poll in polling() {
        for stress in [Stress::None, Stress::invalidate(100)] {
            let (_, thread) = start(text, &with(poll, Settings { stress, ..eager() }), &imports());
            for _ in 0..2 {
                let error = thread.invoke("down", &[Value::I32(0)]).expect_err("it never returns");
                let InvokeError::Trap(trap) = error else { panic!("{error}") };
                assert_eq!(trap.kind, TrapKind::StackExhausted, "{poll:?}");
            }
        }
    }
}

/// An observer that panics ends a loop.
#[test]
fn a_panic_of_an_observer_ends_a_loop() {
    #[derive(Debug)]
    struct Panics;
    impl Observer for Panics {
        fn observe(&self, _: &Observation<'_>, event: &Event<'_>) {
            assert!(!matches!(event, Event::Compiled { .. }), "as planned");
        }
    }
    let endless = r#"(module (func (export "f") (loop $l (br $l))))"#;
    for poll in polling() {
        let delegates = Delegates::observer(Arc::new(Panics));
        let (_, thread) = start_with(endless, &with(poll, eager()), delegates, &imports());
        let error = thread.invoke("f", &[]).expect_err("it is ended");
        let InvokeError::Trap(trap) = error else { panic!("{error}") };
        assert_eq!(trap.kind, TrapKind::HostError, "{poll:?}");
    }
}
