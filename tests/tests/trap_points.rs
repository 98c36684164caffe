//! Every trap of every case is at the same point in every configuration, stack exhaustion excepted.

use osr_engine::{Instance, InvokeError, Settings, Thread};
use osr_ir::{TrapKind, Value};
use osr_tests::case::parse_value;
use osr_tests::configuration::on_large_stack;
use osr_tests::host::imports;
use osr_tests::{Case, Configuration, cases};

/// The traps of the calls of `case`, as text.
fn traps(case: &Case, settings: &Settings) -> Vec<String> {
    let instance = Instance::new(settings.clone(), case.module.clone(), &imports()).expect("an instance");
    let thread = Thread::new(&instance).expect("a thread");
    thread.start().expect("the start function returns");
    let mut traps = Vec::new();
    for call in &case.calls {
        let function = instance.exported_function(&call.function).expect("an exported function");
        let types = &instance.module().signature_of(function).parameters;
        let arguments: Vec<Value> =
            types.iter().zip(&call.arguments).map(|(&ty, text)| parse_value(ty, text)).collect();
        match thread.invoke(&call.function, &arguments) {
            Err(InvokeError::Trap(trap)) if trap.kind != TrapKind::StackExhausted => {
                traps.push(format!("{} {:?}: {trap}", call.function, call.arguments));
            }
            _ => {}
        }
    }
    traps
}

#[test]
fn traps_are_at_the_same_points() {
    let eager = [5, 7].map(|every| Configuration::stress("auto, threshold 1, stress", 1, every));
    let mut all = 0;
    // Where the stack is exhausted is exempt, and getting there takes long under stress.
    for case in cases().into_iter().filter(|case| case.name != "stack-exhaustion.wat") {
        let expected = traps(&case, &Configuration::interpreter().settings);
        if expected.is_empty() {
            continue;
        }
        for configuration in Configuration::all(100).iter().chain(&eager) {
            let found = on_large_stack(64 << 20, || traps(&case, &configuration.settings));
            assert_eq!(found, expected, "{}, {}", case.name, configuration.name);
        }
        all += expected.len();
    }
    assert!(all >= 50, "only {all} traps");
}
