//! Every program computes the same in every configuration. (`cases.rs` does this for the case files.)

use osr_tests::case::print_word;
use osr_tests::{Configuration, observe, programs};

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
