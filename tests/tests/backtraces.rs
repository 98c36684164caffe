//! Backtraces of traps: the same in every tier, through host functions, inlined bodies and frames that are hijacked.

use osr_engine::{Callers, InvokeError, Settings, Stress, Tiers, TransitionLog, Trap};
use osr_ir::{TrapKind, Value};
use osr_tests::configuration::on_large_stack;
use osr_tests::guest::{acting, eager, interpreted, start};
use osr_tests::{Configuration, guest};

/// `down` calls itself so often, and then what divides by zero; `over` does so by way of the host.
const GUEST: &str = r#"(module
  (import "env" "act" (func $act))
  (import "env" "call_back" (func $call_back (param i32) (result i32)))
  (table (export "table") 1 funcref)
  (elem (i32.const 0) func $seven)
  (global $zero (mut i32) (i32.const 0))
  (func $seven (result i32) (call $down (i32.const 2)))
  (func $divide (param $by i32) (result i32) (i32.div_u (i32.const 7) (local.get $by)))
  (func $down (export "down") (param $n i32) (result i32)
    (if (i32.eqz (local.get $n)) (then (call $act) (return (call $divide (global.get $zero)))))
    (i32.add (call $down (i32.sub (local.get $n) (i32.const 1))) (local.get $n)))
  (func (export "over") (result i32)
    (i32.add (call $call_back (i32.const 0)) (i32.const 1)))
  (func $pair (param $n i32) (result i32 i32) (local.get $n) (call $down (local.get $n)))
  (func (export "pairs") (result i32) (call $pair (i32.const 1)) (i32.add)))"#;

fn trap(settings: &Settings, name: &str, arguments: &[Value]) -> Trap {
    let (_, thread) = start(
        GUEST,
        settings,
        &acting(|call| {
            call.thread().invalidate_active().expect("a walk");
        }),
    );
    match thread.invoke(name, arguments) {
        Err(InvokeError::Trap(trap)) => trap,
        other => panic!("{other:?}"),
    }
}

fn inlined(settings: Settings) -> Settings {
    Settings { inlining: Some(Configuration::MUCH), ..settings }
}

fn ways() -> [(&'static str, Settings); 6] {
    let auto = Settings { tiers: Tiers::Auto, threshold: Some(2), ..eager() };
    [
        ("interpreter", interpreted()),
        ("baseline", Settings { tiers: Tiers::Baseline, ..eager() }),
        ("optimized", eager()),
        ("optimized, inlined", inlined(eager())),
        ("auto, hijacked", Settings { stress: Stress::hijack(2), ..auto.clone() }),
        ("auto, inlined, invalidated", inlined(Settings { stress: Stress::invalidate(1), ..auto })),
    ]
}

#[test]
fn every_tier_knows_who_called() {
    let down = ["divide", "down at p2", "down at p3", "down at p3"];
    let mut over = down.map(str::to_owned).to_vec();
    over.extend(["seven at p1", "call_back at p0", "over at p1"].map(str::to_owned));
    let mut pairs = down[..3].iter().map(|&line| line.to_owned()).collect::<Vec<_>>();
    pairs.extend(["pair at p1", "pairs at p1"].map(str::to_owned));
    for (way, settings) in ways() {
        let lines = |name: &str, arguments: &[Value]| {
            let trap = trap(&settings, name, arguments);
            assert_eq!((trap.kind, trap.callers.further()), (TrapKind::IntegerDivideByZero, 0), "{way}");
            let callers = trap.callers.frames().iter().map(ToString::to_string);
            std::iter::once(trap.function_name.clone()).chain(callers).collect::<Vec<_>>()
        };
        assert_eq!(lines("down", &[Value::I32(2)]), down, "{way}");
        assert_eq!(lines("over", &[]), over, "{way}");
        assert_eq!(lines("pairs", &[]), pairs, "{way}");
    }
}

#[test]
fn the_innermost_callers_are_kept_and_all_are_counted() {
    for (way, settings) in ways() {
        let trap = trap(&settings, "down", &[Value::I32(500)]);
        assert_eq!(trap.callers.frames().len(), Callers::KEPT, "{way}");
        assert_eq!(trap.callers.frames().len() + trap.callers.further(), 501, "{way}");
    }
}

#[test]
fn an_exhausted_stack_has_a_backtrace() {
    const ENDLESS: &str = r#"(module (func $f (export "f") (param i32) (result i32)
        (i32.add (call $f (local.get 0)) (i32.const 1))))"#;
    for (way, settings) in ways() {
        let settings = Settings { value_stack_bytes: 1 << 20, stress: Stress::None, ..settings };
        on_large_stack(2 << 20, || {
            let (_, thread) = start(ENDLESS, &settings, &guest::acting(|_| ()));
            let Err(InvokeError::Trap(trap)) = thread.invoke("f", &[Value::I32(1)]) else { panic!("{way}") };
            assert_eq!(trap.kind, TrapKind::StackExhausted, "{way}");
            assert!(trap.callers.further() > 100, "{way}: {}", trap.callers);
            assert!(trap.callers.frames().iter().all(|frame| frame.to_string() == "f at p1"), "{way}");
        });
    }
}

#[test]
fn a_log_of_transitions_is_the_same_in_equal_runs() {
    let log = || {
        let log = std::sync::Arc::new(TransitionLog::new(Vec::new()));
        let settings = Settings { stress: Stress::invalidate(2), ..eager() };
        let delegates = osr_engine::Delegates::observer(log.clone());
        let (instance, thread) = guest::start_with(GUEST, &settings, delegates, &acting(|_| ()));
        thread.invoke("down", &[Value::I32(3)]).expect_err("it divides by zero");
        drop((thread, instance));
        String::from_utf8(std::sync::Arc::try_unwrap(log).expect("it is free").into_inner()).expect("text")
    };
    let text = log();
    assert_eq!(text, log());
    for expected in [
        "compile v1 of down (optimized, entered at function): ",
        "@2 invalidate: stress: invalidate at safepoint 2\n",
        "\n@2   retire v1 of down (optimized)\n",
        "\n@2   hijack a frame of v1 of down at p0, 0x",
        "\n@2   release v1 of down\n",
        ": optimized to interpreter\n",
    ] {
        assert!(text.contains(expected), "no {expected:?} in:\n{text}");
    }
}
