//! Random modules do the same in every configuration.
//!
//! For longer runs, in release builds: `OSR_RANDOM_SEEDS=1000..20000 cargo test --release -p osr-tests --test random`.

use std::time::{Duration, Instant};

use osr_ir::ExportItem;
use osr_tests::random::{Verdict, seeds_asked_for};
use osr_tests::run::Call;
use osr_tests::soak::{Soak, Subject};
use osr_tests::{Program, check_random_module, programs};

#[test]
fn random_modules_agree() {
    let asked = seeds_asked_for();
    let start = Instant::now();
    let (mut modules, mut returns, mut traps) = (0, 0, 0);
    for seed in asked.clone().unwrap_or(0..u64::MAX) {
        if asked.is_none() && modules >= 5 && returns >= 5 && start.elapsed() > Duration::from_secs(1) {
            break;
        }
        if let Verdict::Agreed { returned, trapped } = check_random_module(seed) {
            modules += 1;
            returns += returned;
            traps += trapped;
        }
    }
    println!("{modules} modules, {returns} calls returned, {traps} trapped");
}

/// The soak draws mechanisms, speculation, failing guards and redefinitions. What it has drawn is there, and changes nothing.
#[test]
fn rounds_of_the_soak_agree() {
    // Calls of unoptimized programs are inlined: their frames stand for several activations.
    let wanted = |program: &Program| ["fib", "sort", "richards"].contains(&&*program.name);
    let subject = |program: Program| {
        let module = program.module(true);
        let Some(ExportItem::Function(function)) = module.export(&program.invoke) else {
            panic!("it is exported")
        };
        let arguments = program.small_arguments().iter().flat_map(|value| value.to_words()).collect();
        let calls = vec![Call { name: program.invoke, function, arguments }];
        Subject { name: program.name, module, calls }
    };
    let mut soak = Soak::new(programs().into_iter().filter(wanted).map(subject).collect());
    let mut told = 0;
    for seed in 0..100 {
        if let Err(failure) = soak.round(seed, |_, _| told += 1) {
            panic!("{failure}");
        }
    }
    let totals = soak.totals();
    println!("{totals:?}");
    assert!(totals.left_out < totals.executions / 4);
    assert!(totals.executions > 2 * totals.rounds, "modules are executed several times");
    assert!(told >= totals.executions, "each execution is told of before it begins");
    for (what, count) in [
        ("failed guards", totals.failed_guards),
        ("linked exits", totals.linked_exits),
        ("redefinitions", totals.redefinitions),
        (
            "activations that landed together, watched",
            totals.virtual_frames - totals.unwatched_virtual_frames,
        ),
        ("activations that landed together, unwatched", totals.unwatched_virtual_frames),
    ] {
        assert!(count > 0, "no {what}");
    }
}
