//! The interpreter and an independent engine have the same opinion of random modules and of the programs.
//!
//!     cargo test --release -p osr-tests --features oracle --test oracle
//!
//! wasmi 2.0.0 has an error of its own: it gives the wrong operand of a `select` whose condition is also an operand
//! (seed 551). Where a module cannot trap as wasmi says that it does, wasmi is not listened to.
//!
//! For other seeds: `OSR_RANDOM_SEEDS=1000..20000` before it.

// Without optimization wasmi's operations call one another instead of jumping, and loops exhaust the native stack.
#![cfg(not(debug_assertions))]

use osr_ir::TrapKind;
use osr_tests::oracle::{Opinion, Outcome, of_interpreter, of_wasmi};
use osr_tests::programs;
use osr_tests::random::{
    calls_of, has_exceptions, has_memories, has_vectors, is_trap_free, random_module, random_wasm,
    seeds_asked_for,
};
use osr_tests::run::Call;

/// Whether an opinion is wrong whatever the other one is: the module cannot trap like that.
fn is_refuted(seed: u64, opinion: &Opinion) -> bool {
    let is_impossible =
        |call: &Outcome| matches!(call, Outcome::Trapped(kind) if *kind != TrapKind::Unreachable);
    is_trap_free(seed) && opinion.calls.iter().any(is_impossible)
}

#[test]
fn random_modules_agree() {
    let (mut compared, mut left_out) = (0, 0);
    let (mut refuted, mut differing) = (Vec::new(), Vec::new());
    for seed in seeds_asked_for().unwrap_or(0..300) {
        if has_vectors(seed) || has_exceptions(seed) || has_memories(seed) {
            continue;
        }
        let Some(module) = random_module(seed) else { continue };
        let bytes = random_wasm(seed).expect("the module's");
        let calls = calls_of(&module, seed);
        let (Some(ours), Some(theirs)) = (of_interpreter(&bytes, &calls), of_wasmi(&bytes, &calls)) else {
            left_out += 1;
            continue;
        };
        compared += 1;
        assert!(!is_refuted(seed, &ours), "seed {seed}: {:?}", ours.calls);
        if is_refuted(seed, &theirs) {
            refuted.push(seed);
        } else if ours != theirs {
            differing.push((seed, ours.calls, theirs.calls));
        }
    }
    println!("{compared} modules compared, {left_out} left out; wasmi is wrong on {refuted:?}");
    assert!(differing.is_empty(), "seed, our calls, wasmi's calls: {differing:#x?}");
    assert!(compared > left_out && compared > 20 * refuted.len(), "most modules can be compared");
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
