//! Programs and every case, followed by a shadow interpreter: it finds nothing, and it looked.

use std::sync::Arc;

use osr_engine::{
    Compared, Instance, Land, Moves, Observer, Settings, Shadow, StateRecording, Stress, Thread, Tier, Tiers,
    Transitions,
};
use osr_ir::{Module, Value};
use osr_tests::case::parse_value;
use osr_tests::configuration::{on_large_stack, start};
use osr_tests::host::imports;
use osr_tests::{Program, cases, programs};

/// Makes `calls` of exported functions; gives what the shadow compared.
fn follow(name: &str, module: &Module, settings: Settings, calls: &[(&str, Vec<Value>)]) -> Compared {
    let shadow = Arc::new(Shadow::new(module, &imports()).expect("a shadow"));
    let value_stack_bytes = 256 << 10;
    let settings = Settings { checked: true, value_stack_bytes, observer: Some(shadow.clone()), ..settings };
    let stress = settings.stress.clone();
    let instance = Instance::new(settings, module.clone(), &imports()).expect("an instance");
    let thread = Thread::new(&instance).expect("a thread");
    thread.start().expect("the start function returns");
    for (function, arguments) in calls {
        // Traps are results, too.
        let _ = thread.invoke(function, arguments);
    }
    if let Some(difference) = shadow.difference() {
        panic!("{name}, {stress:?}: {difference}");
    }
    shadow.compared()
}

fn auto(stress: Stress, state_recording: StateRecording) -> Settings {
    Settings { threshold: 5, optimize_threshold: 20, stress, state_recording, ..Settings::default() }
}

#[test]
fn programs_are_followed() {
    for (number, program) in programs().into_iter().enumerate().filter(|(number, _)| number % 3 != 1) {
        let recording = [StateRecording::Slots, StateRecording::Locations][number % 2];
        let settings = auto(Stress::hijack(211).landing(Land::Random(number as u64)), recording);
        let calls = [(&*program.invoke, program.small_arguments())];
        let compared = follow(&program.name, &program.module(number % 4 < 2), settings, &calls);
        assert!(compared.transitions > 0 && compared.registers > 0, "{}: {compared:?}", program.name);
    }
}

#[test]
fn cases_are_followed() {
    // Little stack, for cases that exhaust it: each hijack walks all of it.
    let (optimized, baseline) = (Land::In(Tier::Optimized), Land::In(Tier::Baseline));
    let mut transitions = 0;
    for case in cases() {
        let calls: Vec<(&str, Vec<Value>)> = case
            .calls
            .iter()
            .map(|call| {
                let function = match case.module.export(&call.function) {
                    Some(osr_ir::ExportItem::Function(function)) => function,
                    _ => panic!("{} exports {}", case.name, call.function),
                };
                let types = case.module.signature_of(function).parameters.iter().zip(&call.arguments);
                (&*call.function, types.map(|(&ty, text)| parse_value(ty, text)).collect())
            })
            .collect();
        let eager = |tiers, stress| Settings { tiers, stress, ..Settings::default() };
        for settings in [
            auto(Stress::invalidate(100).landing(Land::Random(5)), StateRecording::Slots),
            auto(Stress::hijack(1).landing(Land::Random(6)), StateRecording::Locations),
            eager(Tiers::Optimized, Stress::invalidate(50)),
            eager(Tiers::Optimized, Stress::hijack(1).landing(optimized)),
            eager(Tiers::Baseline, Stress::hijack(1).landing(baseline)),
        ] {
            let follow = || follow(&case.name, &case.module, settings, &calls);
            transitions += on_large_stack(512 << 10, follow).transitions;
        }
    }
    assert!(transitions > 1_000, "{transitions}");
}

/// What a program's activations go through, in the tiers by themselves.
fn moves(program: &Program, observer: Option<Arc<dyn Observer>>) -> (Transitions, Vec<Moves>) {
    let settings = Settings { observer, ..auto(Stress::None, StateRecording::default()) };
    let (_instance, thread) = start(&program.module(false), &settings);
    thread.invoke(&program.invoke, &program.small_arguments()).expect("the program returns");
    (thread.transitions(), thread.moves())
}

/// Whoever sees every arrival makes the counts of none come sooner.
#[test]
fn a_shadow_changes_no_transition() {
    for program in programs().into_iter().step_by(6) {
        let shadow = Arc::new(Shadow::new(&program.module(false), &imports()).expect("a shadow"));
        let observed = moves(&program, Some(shadow.clone()));
        assert!(shadow.difference().is_none(), "{}", program.name);
        assert_eq!(observed, moves(&program, None), "{}", program.name);
    }
}
