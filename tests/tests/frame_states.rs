//! Frame states in text: activations become what their code says, in every tier, wherever frames land, and with guards that
//! are made to fail; a shadow interpreter has the same state each time.

use osr_engine::{
    FailingGuards, Imports, Inlining, Instance, Land, Moves, Place, Settings, Stress, Thread, Tier, Tiers,
};
use osr_ir::{ExportItem, Module, Value};
use osr_tests::Configuration;
use osr_tests::guest::parse;
use osr_tests::run::{Call, run};

fn calls(module: &Module) -> Vec<Call> {
    let calls = [("sum", 100), ("outer", 60), ("clips", 120), ("down", 100), ("flag", 8), ("looped", 100)];
    let call = |(name, argument): (&str, u64)| {
        let Some(ExportItem::Function(function)) = module.export(name) else { panic!("{name} is exported") };
        Call { name: name.to_owned(), function, arguments: vec![argument] }
    };
    calls.into_iter().map(call).collect()
}

#[test]
fn a_shadow_follows_what_activations_become() {
    let module = parse(include_str!("../cases/deoptimize.ir"));
    let calls = calls(&module);
    let lands = Tier::ALL.map(Land::In).into_iter().chain([Land::Random(5)]);
    for (n, land) in lands.enumerate() {
        for stress in [Stress::None, Stress::guard(2), Stress::hijack(1), Stress::invalidate(1)] {
            for tiers in [Tiers::Baseline, Tiers::Optimized, Tiers::Auto] {
                let base =
                    Configuration::new("", tiers, stress.clone().landing(land)).with_thresholds((4, 9));
                let failing_guards = FailingGuards::ALL[n % FailingGuards::ALL.len()];
                let inlining = (n % 2 == 1).then(Inlining::default);
                let settings = Settings { failing_guards, guard_failures: 1, inlining, ..base.settings };
                let run = run(&module, &calls, &settings, true).expect("it returns");
                let difference = run.difference.map(|difference| difference.to_string());
                assert_eq!(difference, None, "{tiers:?}, {stress:?}, {land:?}");
                assert!(run.transitions.deoptimized > 100, "{tiers:?}, {stress:?}, {land:?}");
            }
        }
    }
}

/// Three activations take the place of one. The two that wait land where the first does, each when its call has returned.
#[test]
fn activations_that_wait_land_when_their_calls_have_returned() {
    let module = parse(include_str!("../cases/deoptimize.ir"));
    let calls: Vec<Call> = calls(&module).into_iter().filter(|call| call.name == "outer").collect();
    for tier in [Tier::Baseline, Tier::Optimized] {
        let stress = Stress::None.landing(Land::In(tier));
        let base = Configuration::new("", Tiers::Optimized, stress).settings;
        let run =
            run(&module, &calls, &Settings { guard_failures: u32::MAX, ..base }, false).expect("it returns");
        let waited = |moves: &&Moves| {
            (moves.from, moves.to, moves.place) == (Tier::Interpreter, tier, Place::PendingReturn)
        };
        let landed: u64 = run.moves.iter().filter(waited).map(|moves| moves.count).sum();
        assert_eq!((landed, run.transitions.deoptimized > 0), (2 * run.transitions.deoptimized, true));
    }
}

/// Each activation becomes two, without end: the stack is exhausted as by calls, in every tier.
#[test]
fn activations_that_become_ever_more_exhaust_the_stack() {
    let module = parse(
        "export \"f\" function f
        function f (r0: i32) -> (i32) {
          r1: i32
        b0:
          branch r0, b1, b2
        b1:
          deoptimize { f p0: r0 = r0  f p2: r0 = r0 }
        b2:
          r1 = call f (r0)
          r1 = i32.add r1, r0
          return r1
        }",
    );
    for tiers in [Tiers::Interpreter, Tiers::Baseline, Tiers::Optimized, Tiers::Auto] {
        let settings = Settings { tiers, ..Settings::default() };
        let instance = Instance::new(settings, module.clone(), &Imports::new()).expect("a valid module");
        let thread = Thread::new(&instance).expect("a thread");
        let trap = thread.invoke("f", &[Value::I32(1)]).expect_err("it never ends");
        assert!(trap.to_string().contains("stack exhausted"), "{tiers:?}: {trap}");
    }
}
