//! A recorded schedule reproduces its run: the same transitions, the same events in the same order, the
//! same results. And neither recording nor observing changes anything.

use std::sync::Arc;

use osr_engine::explain::{Explain, Gone};
use osr_engine::trace::Trace;
use osr_engine::{Compilation, Delegates, Land, Observers, Schedule, Settings, Stress, Tiers, Transitions};
use osr_ir::Module;
use osr_tests::configuration::on_large_stack;
use osr_tests::event_log::EventLog;
use osr_tests::reproduction::{Calls, Run, calls_of_program, leaves_for_interpreter};
use osr_tests::{Configuration, cases, programs};

/// A run with every observer that there is, and what was observed.
fn observed(module: &Module, calls: &Calls, settings: &Settings) -> (Run, Vec<String>) {
    let (log, explain) = (Arc::new(EventLog::default()), Arc::new(Explain::default()));
    let trace = Arc::new(Trace::new(std::io::sink()).expect("sinks take everything"));
    let observer = Observers::join(vec![log.clone(), explain.clone(), trace.clone()]);
    let run = Run::with_delegates(module, calls, settings, Delegates { observer, policy: None });
    check_explanation(module, &run, &explain);
    trace.finish().expect("sinks take everything");
    (run, log.lines())
}

/// Explanations leave out nothing that was counted.
fn check_explanation(module: &Module, run: &Run, explain: &Explain) {
    let explanation = explain.explanation();
    let versions: Vec<_> = explanation.functions.iter().flat_map(|function| &function.versions).collect();
    let count = |is: fn(&Gone) -> bool| -> u64 {
        let gone = versions.iter().flat_map(|version| &version.frames);
        gone.filter(|gone| is(&gone.to)).map(|gone| gone.count).sum()
    };
    let landed = count(|to| matches!(to, Gone::Landed(_)));
    let hijacked: u64 = versions.iter().map(|version| version.hijacked).sum();
    let released = versions.iter().filter(|version| version.released.is_some()).count();
    assert_eq!((landed, hijacked), (run.transitions.landings, run.transitions.hijacked_frames));
    let (left, gone) = (hijacked + run.transitions.failed_guards, landed + count(|to| *to == Gone::Dropped));
    assert!(
        gone == left || leaves_for_interpreter(module) && gone > left,
        "every frame that leaves its code goes somewhere: {gone} of {left}"
    );
    assert_eq!(versions.len() as u64, run.code.versions_compiled);
    assert_eq!(released as u64, run.code.versions_released);
}

#[track_caller]
fn assert_same(context: &str, (a, a_log): &(Run, Vec<String>), (b, b_log): &(Run, Vec<String>)) {
    if let Some(at) = a_log.iter().zip(b_log).position(|(a, b)| a != b) {
        panic!("{context}: event {at} was {}\nand then it was {}", a_log[at], b_log[at]);
    }
    assert_eq!(a_log.len(), b_log.len(), "{context}: events");
    assert!(a == b, "{context}: {:?}, and then {:?}", a.transitions, b.transitions);
}

/// Runs, records, and replays. Returns the transitions.
fn check(context: &str, module: &Module, calls: &Calls, settings: &Settings) -> Transitions {
    let mut plain = Run::of(module, calls, settings);
    let settings = Settings { record: true, ..settings.clone() };
    let recorded = observed(module, calls, &settings);
    let schedule = recorded.0.schedule.clone();
    plain.schedule = schedule.clone();
    if !settings.stress.wants_safepoints() {
        plain.transitions.safepoints = recorded.0.transitions.safepoints;
    }
    let (a, b) = (&plain, &recorded.0);
    assert!(a == b, "{context}: recording and observing make {:?} of {:?}", b.transitions, a.transitions);
    let settings = Settings { stress: Stress::Replay(Arc::new(schedule)), ..settings };
    assert_same(context, &recorded, &observed(module, calls, &settings));
    recorded.0.transitions
}

/// Stress of every kind, with tier-ups of every kind in between.
fn configurations() -> Vec<Configuration> {
    use Tiers::{Auto, Baseline, Optimized};
    let low = |name, stress| Configuration::new(name, Auto, stress).with_thresholds((20, 60));
    vec![
        low("invalidate, land=random", Stress::invalidate(7_000).landing(Land::Random(5))),
        low("hijack, land=random", Stress::hijack(3_001).landing(Land::Random(6))),
        low("low thresholds", Stress::None),
        low("invalidate, the policy lands", Stress::invalidate(9_000)),
        simulated(low(
            "simulated, invalidate, land=random",
            Stress::invalidate(7_001).landing(Land::Random(9)),
        )),
        simulated(low("simulated", Stress::None)),
        Configuration::new("baseline, random", Baseline, Stress::invalidate(8_000).landing(Land::Random(7))),
        Configuration::new(
            "optimized, random",
            Optimized,
            Stress::invalidate(8_000).landing(Land::Random(8)),
        ),
    ]
}

/// The same with code that arrives late.
fn simulated(mut configuration: Configuration) -> Configuration {
    configuration.settings.compilation = Compilation::Simulated(4);
    configuration
}

/// Each program in two of the configurations.
#[test]
fn programs_replay() {
    let configurations = configurations();
    let mut landings = 0;
    for (number, program) in programs().iter().enumerate() {
        let module = program.module(true);
        for n in [number, number + 3] {
            let configuration = &configurations[n % configurations.len()];
            let context = format!("{}, {}", program.name, configuration.name);
            let calls = calls_of_program(program);
            landings += check(&context, &module, &calls, &configuration.settings).landings;
        }
    }
    assert!(landings > 100, "{landings}");
}

/// The cases have traps, host calls that invalidate, calls back, and several calls in one instance. Where the
/// stack is exhausted is exempt: it depends on what the test itself has on it.
#[test]
fn cases_replay() {
    let stresses = [Stress::invalidate(13).landing(Land::Random(1)), Stress::Random(5), Stress::hijack(3)];
    for (number, case) in cases().iter().filter(|case| !case.exhausts_stack()).enumerate() {
        let stress = stresses[number % stresses.len()].clone();
        let settings = Configuration::new("", Tiers::Auto, stress).with_thresholds((3, 5)).settings;
        on_large_stack(4 << 20, || check(&case.name, &case.module, &case.calls(), &settings));
    }
}

#[test]
fn a_schedule_that_is_changed_makes_another_run() {
    let program = programs().into_iter().find(|program| program.name == "fib").expect("fib");
    let (module, calls) = (program.module(true), calls_of_program(&program));
    let stress = Stress::invalidate(100).landing(Land::Random(1));
    let settings = Settings { record: true, ..Configuration::new("", Tiers::Auto, stress).settings };
    let recorded = Run::of(&module, &calls, &settings);
    let replay = |schedule| {
        let settings = Settings { stress: Stress::Replay(Arc::new(schedule)), ..settings.clone() };
        Run::of(&module, &calls, &settings)
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
