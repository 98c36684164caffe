//! Code that is compiled beside the guest: whenever it arrives, runs compute what the interpreter computes, and what
//! arrives too late is discarded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use osr_engine::{
    Compilation, Costs, Delegates, Event, Instance, InstantiationError, Land, Observation, Observer,
    Settings, Stress, Thread, Tiers,
};
use osr_ir::{Module, Value, wasm};
use osr_tests::configuration::on_large_stack;
use osr_tests::host::imports;
use osr_tests::reproduction::{Calls, Run, calls_of_program};
use osr_tests::{Configuration, cases, programs};

/// Counts what became of orders.
#[derive(Debug, Default)]
struct Orders {
    ordered: AtomicU64,
    compiled: AtomicU64,
    discarded: AtomicU64,
    refused: AtomicU64,
}

impl Orders {
    fn counts(&self) -> [u64; 4] {
        [&self.ordered, &self.compiled, &self.discarded, &self.refused]
            .map(|count| count.load(Ordering::Relaxed))
    }
}

impl Observer for Orders {
    fn observe(&self, _: &Observation<'_>, event: &Event<'_>) {
        let count = match event {
            Event::Ordered { .. } => &self.ordered,
            Event::Compiled { .. } => &self.compiled,
            Event::Discarded { .. } => &self.discarded,
            Event::Refused { .. } => &self.refused,
            _ => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Small thresholds, under `stress`, compiled beside the guest as `seed` has it.
fn simulated(seed: u64, stress: Stress) -> Settings {
    let compilation = Compilation::Simulated(seed);
    Settings { compilation, ..Configuration::new("", Tiers::Auto, stress).with_thresholds((20, 60)).settings }
}

fn stresses(seed: u64) -> Stress {
    match seed % 4 {
        0 => Stress::invalidate(37).landing(Land::Random(seed)),
        1 => Stress::hijack(11).landing(Land::Random(seed)),
        2 => Stress::Random(seed),
        _ => Stress::invalidate(1),
    }
}

fn interpreted(module: &Module, calls: &Calls) -> Run {
    Run::of(module, calls, &Configuration::interpreter().settings)
}

/// What was ordered is refused, discarded, installed, or had not arrived when the guest was gone.
#[test]
fn programs_compute_the_same_whenever_code_arrives() {
    let orders = Arc::new(Orders::default());
    for (number, program) in programs().iter().enumerate() {
        let (module, calls) = (program.module(true), calls_of_program(program));
        let expected = interpreted(&module, &calls).outcomes;
        for seed in [number as u64, number as u64 + 1] {
            let settings = simulated(seed, stresses(seed));
            let run = Run::with_delegates(&module, &calls, &settings, Delegates::observer(orders.clone()));
            assert_eq!(run.outcomes, expected, "{}, {seed}: {:?}", program.name, settings.stress);
        }
    }
    let [ordered, compiled, discarded, _] = orders.counts();
    assert!(compiled > 50 && discarded > 10, "{:?}", orders.counts());
    assert!(discarded <= ordered, "landings compile at once, and what they compile is not ordered");
}

/// The cases have traps, memory, recursion, host calls that invalidate, and several calls in one instance.
#[test]
fn cases_compute_the_same_whenever_code_arrives() {
    for (number, case) in cases().iter().filter(|case| !case.exhausts_stack()).enumerate() {
        let seed = number as u64;
        let compilation = Compilation::Simulated(seed);
        let stress = Configuration::new("", Tiers::Auto, stresses(seed)).with_thresholds((2, 3));
        let settings = Settings { compilation, ..stress.settings };
        on_large_stack(4 << 20, || {
            let expected = interpreted(&case.module, &case.calls()).outcomes;
            assert_eq!(Run::of(&case.module, &case.calls(), &settings).outcomes, expected, "{}", case.name);
        });
    }
}

/// `sum` counts down in a loop, and calls `step` in each iteration.
const LOOP: &str = r#"(module
    (func $step (param i64) (result i64) (i64.add (local.get 0) (i64.const 3)))
    (func (export "sum") (param $n i32) (result i64) (local $sum i64)
        (loop $next
            (local.set $sum (call $step (local.get $sum)))
            (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum)))"#;

fn start(settings: Settings, observer: Arc<dyn Observer>) -> (Arc<Instance>, std::pin::Pin<Box<Thread>>) {
    let module = wasm::import_text(LOOP).expect("it is valid");
    let instance = Instance::with_delegates(settings, Delegates::observer(observer), module, &imports());
    let instance = instance.expect("an instance");
    let thread = Thread::new(&instance).expect("a thread");
    (instance, thread)
}

fn background() -> Settings {
    let compilation = Compilation::Background;
    Settings { compilation, threshold: Some(20), optimize_threshold: Some(60), ..Settings::default() }
}

#[test]
fn code_arrives_from_the_background() {
    let orders = Arc::new(Orders::default());
    let (instance, thread) = start(background(), orders.clone());
    // However slow the compiling threads are: the guest is called until their code has arrived.
    while orders.compiled.load(Ordering::Relaxed) < 3 {
        assert_eq!(thread.invoke("sum", &[Value::I32(1_000)]).expect("it returns"), [3_000]);
    }
    assert_eq!(orders.refused.load(Ordering::Relaxed), 0);
    assert!(instance.code_statistics().versions_compiled >= 3);
    thread.invalidate_all().expect("the host may");
    assert_eq!(thread.invoke("sum", &[Value::I32(1_000)]).expect("it returns"), [3_000]);
}

#[test]
fn a_run_that_ends_does_not_wait_and_an_instance_goes_when_the_compiler_is_done() {
    for n in [1, 25, 70, 500] {
        let (instance, thread) = start(background(), Arc::new(Orders::default()));
        assert_eq!(thread.invoke("sum", &[Value::I32(n)]).expect("it returns"), [3 * n as u64]);
        let handle = Arc::downgrade(&instance);
        drop((thread, instance));
        let patience = Instant::now();
        while handle.strong_count() > 0 {
            assert!(patience.elapsed() < Duration::from_secs(300), "somebody keeps the instance");
            std::thread::yield_now();
        }
    }
}

#[test]
fn what_depends_on_time_is_neither_forced_nor_recorded() {
    let timed = [background(), Settings { costs: Costs::Measured, ..Settings::default() }];
    for settings in timed {
        for settings in [
            Settings { record: true, ..settings.clone() },
            Settings { stress: Stress::invalidate(5), ..settings.clone() },
        ] {
            let module = wasm::import_text(LOOP).expect("it is valid");
            let refused = Instance::new(settings, module, &imports());
            assert!(matches!(refused, Err(InstantiationError::DependsOnTime)), "{refused:?}");
        }
    }
}

#[test]
fn a_unit_that_would_take_too_much_memory_is_refused_and_interpreted() {
    for compilation in [Compilation::Sync, Compilation::Simulated(1)] {
        let orders = Arc::new(Orders::default());
        let settings = Settings { compilation, unit_bytes: 5_000, ..background() };
        let (instance, thread) = start(settings, orders.clone());
        assert_eq!(thread.invoke("sum", &[Value::I32(100_000)]).expect("it returns"), [300_000]);
        let [ordered, compiled, _, refused] = orders.counts();
        assert!(refused >= 1 && compiled >= 1 && refused <= ordered, "{:?}", orders.counts());
        let names = |version: &Arc<osr_engine::CodeVersion>| {
            let function = instance.module().function(version.function);
            (function.name.clone(), version.tier)
        };
        let versions: Vec<_> = instance.versions().iter().map(names).collect();
        let is_refused = |(name, tier): &(String, osr_engine::CompiledTier)| {
            name != "step" && *tier == osr_engine::CompiledTier::Optimized
        };
        assert!(!versions.iter().any(is_refused), "{versions:?}");
    }
}
