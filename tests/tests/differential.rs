//! Every program computes the same in every configuration.

use osr_tests::case::{parse_value, print_word};
use osr_tests::configuration::{describe, on_large_stack};
use osr_tests::host::imports;
use osr_tests::{Case, Configuration, Expected, cases, observe, programs};

use osr_engine::{Instance, Stress, Thread, Tiers};
use osr_ir::Value;

fn check_programs(ssa: bool) {
    for program in programs() {
        let module = program.module(ssa);
        let signature = module.signature_of(match module.export(&program.invoke) {
            Some(osr_ir::ExportItem::Function(function)) => function,
            _ => panic!("{} exports {}", program.name, program.invoke),
        });
        let ty = signature.results[0];
        let run = |settings: &osr_engine::Settings| {
            observe(&module, &program.invoke, &program.small_arguments(), settings)
        };
        let expected = run(&Configuration::interpreter().settings);
        let results = expected.outcome.as_ref().unwrap_or_else(|error| panic!("{}: {error}", program.name));
        assert_eq!(print_word(ty, results[0]), program.expect, "{} in the interpreter", program.name);
        for configuration in Configuration::all(2_000) {
            let observed = run(&configuration.settings);
            assert_eq!(observed, expected, "{} (ssa: {ssa}), {}", program.name, configuration.name);
        }
    }
}

#[test]
fn optimized_wasm_programs_agree() {
    check_programs(false);
}

#[test]
fn unoptimized_wasm_programs_agree() {
    check_programs(true);
}

/// Runs the calls of a case one after the other in one instance.
fn check_case(case: &Case, configuration: &Configuration) {
    let instance =
        Instance::new(configuration.settings.clone(), case.module.clone(), &imports()).expect("an instance");
    let thread = Thread::new(&instance).expect("a thread");
    thread.start().expect("the start function returns");
    for call in &case.calls {
        let context =
            format!("{}: {} {:?} ({})", case.name, call.function, call.arguments, configuration.name);
        let function = instance.exported_function(&call.function).expect(&context);
        let signature = instance.module().signature_of(function);
        let types = signature.parameters.iter().zip(&call.arguments);
        let arguments: Vec<Value> = types.map(|(&ty, text)| parse_value(ty, text)).collect();
        let observed = match thread.invoke(&call.function, &arguments) {
            Ok(words) => {
                let texts = signature.results.iter().zip(&words).map(|(&ty, &word)| print_word(ty, word));
                Expected::Results(texts.collect::<Vec<_>>().join(" "))
            }
            Err(osr_engine::InvokeError::Trap(trap)) => Expected::Trap(trap.kind.to_string()),
            Err(error) => panic!("{context}: {}", describe(&error)),
        };
        assert_eq!(observed, call.expected, "{context}");
        assert_eq!(thread.hijacked_slots(), 0, "{context}");
    }
}

#[test]
fn cases_agree() {
    let cases = cases();
    assert!(cases.len() >= 20, "the case files are there");
    for case in &cases {
        let eager = Configuration::stress("auto, threshold 16, invalidate=1", 16, 1);
        let random =
            Configuration::new("auto, random", Tiers::Auto, Stress::Random(3)).with_thresholds((4, 9));
        for configuration in Configuration::all(100).iter().chain([&eager, &random]) {
            on_large_stack(4 << 20, || check_case(case, configuration));
        }
    }
}
