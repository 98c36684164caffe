//! A recorded schedule reproduces its run: the same transitions, the same events in the same order, the
//! same results. And recording changes nothing, nor does observing.

use std::sync::Arc;

use osr_engine::{CodeStatistics, Land, Moves, Schedule, Settings, Stress, Tiers, Transitions};
use osr_ir::{Module, Value};
use osr_tests::case::parse_value;
use osr_tests::configuration::{describe, on_large_stack, start};
use osr_tests::event_log::EventLog;
use osr_tests::{Configuration, cases, programs};

/// All that a run may be compared by.
#[derive(Debug, PartialEq)]
struct Run {
    outcomes: Vec<Result<Vec<u64>, String>>,
    memory_hash: Option<u64>,
    transitions: Transitions,
    moves: Vec<Moves>,
    code: CodeStatistics,
    schedule: Schedule,
}

type Calls = Vec<(String, Vec<Value>)>;

fn run(module: &Module, calls: &Calls, settings: &Settings) -> Run {
    let (instance, thread) = start(module, settings);
    let call = |(name, arguments): &(String, Vec<Value>)| {
        thread.invoke(name, arguments).map_err(|error| describe(&error))
    };
    Run {
        outcomes: calls.iter().map(call).collect(),
        memory_hash: instance.memory().map(|memory| memory.hash()),
        transitions: thread.transitions(),
        moves: thread.moves(),
        code: instance.code_statistics(),
        schedule: thread.schedule(),
    }
}

/// The same with a log.
fn logged(module: &Module, calls: &Calls, settings: &Settings) -> (Run, Vec<String>) {
    let log = Arc::new(EventLog::default());
    let settings = Settings { observer: Some(log.clone()), ..settings.clone() };
    (run(module, calls, &settings), log.lines())
}

#[track_caller]
fn assert_same(context: &str, (a, a_log): &(Run, Vec<String>), (b, b_log): &(Run, Vec<String>)) {
    let differing = a_log.iter().zip(b_log).position(|(a, b)| a != b);
    if let Some(at) = differing {
        panic!("{context}: event {at} was {}\nand then it was {}", a_log[at], b_log[at]);
    }
    assert_eq!(a_log.len(), b_log.len(), "{context}: events");
    assert_eq!(a, b, "{context}");
}

/// Records a run, replays it, and replays what that has recorded. Gives the transitions.
fn check(context: &str, module: &Module, calls: &Calls, settings: &Settings) -> Transitions {
    let unrecorded = logged(module, calls, settings);
    let settings = Settings { record: true, ..settings.clone() };
    let recorded = logged(module, calls, &settings);
    assert_eq!(unrecorded.0.outcomes, recorded.0.outcomes, "{context}: recording changes nothing");
    if settings.stress.wants_safepoints() {
        let recorded = Run { schedule: Schedule::default(), ..run(module, calls, &settings) };
        assert_eq!(unrecorded.0, recorded, "{context}: recording and observing change nothing");
    }
    let schedule = Arc::new(recorded.0.schedule.clone());
    let settings = Settings { stress: Stress::Replay(schedule), ..settings };
    assert_same(context, &recorded, &logged(module, calls, &settings));
    assert_same(context, &recorded, &logged(module, calls, &settings));
    recorded.0.transitions
}

/// Stress of every kind, with tier-ups of every kind in between.
fn configurations() -> Vec<Configuration> {
    use Tiers::{Auto, Baseline, Optimized};
    let low = |name, stress| Configuration::new(name, Auto, stress).with_thresholds((20, 60));
    vec![
        low("low thresholds", Stress::None),
        low("hijack, the policy lands", Stress::hijack(900)),
        low("hijack, land=random", Stress::hijack(700).landing(Land::Random(5))),
        low("redirect, land=random", Stress::redirect(31).landing(Land::Random(6))),
        low("random", Stress::Random(2)),
        Configuration::new("baseline, random", Baseline, Stress::hijack(800).landing(Land::Random(7))),
        Configuration::new("optimized, random", Optimized, Stress::hijack(800).landing(Land::Random(8))),
    ]
}

#[test]
fn programs_replay() {
    for program in programs() {
        let module = program.module(true);
        let calls = vec![(program.invoke.clone(), program.small_arguments())];
        let mut landings = 0;
        for configuration in configurations() {
            let context = format!("{}, {}", program.name, configuration.name);
            landings += check(&context, &module, &calls, &configuration.settings).landings;
        }
        assert!(landings > 0, "{}", program.name);
    }
}

/// The cases have traps, host calls that invalidate, calls back, and several calls in one instance.
#[test]
fn cases_replay() {
    for case in cases() {
        let signature = |name: &str| match case.module.export(name) {
            Some(osr_ir::ExportItem::Function(function)) => case.module.signature_of(function),
            _ => panic!("{}: {name}", case.name),
        };
        let value = |(ty, text): (&osr_ir::Type, &String)| parse_value(*ty, text);
        let calls = case.calls.iter().map(|call| {
            let types = &signature(&call.function).parameters;
            (call.function.clone(), types.iter().zip(&call.arguments).map(value).collect())
        });
        let calls: Calls = calls.collect();
        let eager = |stress| Configuration::new("eager", Tiers::Auto, stress).with_thresholds((3, 5));
        for stress in [Stress::hijack(2).landing(Land::Random(1)), Stress::Random(9)] {
            let settings = eager(stress).settings;
            on_large_stack(4 << 20, || check(&case.name, &case.module, &calls, &settings));
        }
    }
}

#[test]
fn a_schedule_that_is_changed_makes_another_run() {
    let program = programs().into_iter().find(|program| program.name == "fib").expect("fib");
    let module = program.module(true);
    let calls = vec![(program.invoke.clone(), program.small_arguments())];
    let stress = Stress::hijack(100).landing(Land::Random(1));
    let settings = Settings { record: true, ..Configuration::new("", Tiers::Auto, stress).settings };
    let recorded = run(&module, &calls, &settings);
    let replay = |schedule| {
        let settings = Settings { stress: Stress::Replay(Arc::new(schedule)), ..settings.clone() };
        run(&module, &calls, &settings)
    };
    let mut schedule = recorded.schedule.clone();
    schedule.safepoints.remove(1);
    let changed = replay(schedule.clone());
    assert_eq!(changed.outcomes, recorded.outcomes);
    assert_eq!(changed.schedule.safepoints, schedule.safepoints);
    assert_ne!(changed.transitions, recorded.transitions);
    let nothing = replay(Schedule::default());
    assert_eq!((nothing.transitions.landings, nothing.schedule), (0, Schedule::default()));
}
