//! The interpreter and an independent engine have the same opinion of random modules and of the programs.
//!
//!     cargo test --release -p osr-tests --features oracle --test oracle
//!
//! For other seeds: `OSR_RANDOM_SEEDS=1000..20000` before it.

use osr_tests::oracle::{of_interpreter, of_wasmi};
use osr_tests::programs;
use osr_tests::random::{calls_of, random_module, random_wasm, seeds_asked_for};
use osr_tests::run::Call;

#[test]
fn random_modules_agree() {
    let (mut compared, mut left_out) = (0, 0);
    for seed in seeds_asked_for().unwrap_or(0..300) {
        let Some(module) = random_module(seed) else { continue };
        let bytes = random_wasm(seed).expect("the module's");
        let calls = calls_of(&module, seed);
        match (of_interpreter(&bytes, &calls), of_wasmi(&bytes, &calls)) {
            (Some(ours), Some(theirs)) => {
                for (number, (our, their)) in ours.calls.iter().zip(&theirs.calls).enumerate() {
                    assert_eq!(our, their, "seed {seed}, call {number}: ours, and wasmi's");
                }
                assert_eq!(ours.globals, theirs.globals, "seed {seed}: globals");
                assert!(ours.memory == theirs.memory, "seed {seed}: memory");
                compared += 1;
            }
            _ => left_out += 1,
        }
    }
    println!("{compared} modules compared, {left_out} left out");
    assert!(compared > left_out, "most modules can be compared");
}

#[test]
fn programs_agree() {
    for program in programs() {
        for ssa in [false, true] {
            let module = program.module(ssa);
            let osr_ir::ExportItem::Function(function) = module.export(&program.invoke).expect("an export")
            else {
                panic!("{} is a function", program.invoke)
            };
            let arguments = program.small_arguments().iter().map(|value| value.to_bits()).collect();
            let calls = [Call { name: program.invoke.clone(), function, arguments }];
            let bytes = program.bytes(ssa);
            let ours = of_interpreter(&bytes, &calls).expect("it returns");
            let theirs = of_wasmi(&bytes, &calls).expect("it returns");
            assert_eq!(ours.calls, theirs.calls, "{}", program.name);
            assert!(ours.memory == theirs.memory, "{}: memory", program.name);
            assert_eq!(ours.globals, theirs.globals, "{}", program.name);
        }
    }
}
