//! What becomes of functions that cannot be compiled, and when policies are asked.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use osr_engine::{
    Candidate, CodeVersion, CompileError, CompiledTier, Delegates, Destination, EntryPoint, Event, Fallback,
    Imports, Instance, InstantiationError, InvokeError, Observation, Observer, Settings, Tier, TieringPolicy,
    Tiers,
};
use osr_ir::{FunctionIndex, Point, TrapKind, Value};
use osr_tests::guest::{parse, start_with};

/// Notes refusals: the function, its tier, its entry, whether it was for want of memory.
#[derive(Debug, Default)]
struct Refusals(Mutex<Vec<(FunctionIndex, CompiledTier, EntryPoint, bool)>>);

impl Observer for Refusals {
    fn observe(&self, _: &Observation<'_>, event: &Event<'_>) {
        if let Event::Refused { function, tier, entry, error, .. } = *event {
            let memory = matches!(error, CompileError::NoCodeMemory);
            self.0.lock().unwrap().push((function, tier, entry, memory));
        }
    }
}

/// `f` calls `g` so often; there are functions whose stubs fill most of a small arena.
fn calling(fillers: usize) -> String {
    let filler = "(func (result i32) (i32.const 1))".repeat(fillers);
    format!(
        r#"(module
        (func $g (param $n i32) (result i32) (i32.mul (local.get $n) (i32.const 3)))
        (func $f (export "f") (param $n i32) (result i32) (local $sum i32)
            (loop $next
                (local.set $sum (i32.add (local.get $sum) (call $g (local.get $n))))
                (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (local.get $sum))
        {filler})"#
    )
}

#[test]
fn without_code_memory_a_refusal_is_told_and_remembered() {
    let refusals = Arc::new(Refusals::default());
    let settings = Settings {
        threshold: Some(10),
        optimize_threshold: Some(100),
        code_bytes: 4096,
        ..Settings::default()
    };
    let watched = Delegates::observer(refusals.clone());
    let (instance, thread) = start_with(&calling(250), &settings, watched, &Imports::new());
    let sum = |n: u32| (1..=n).fold(0u32, |sum, i| sum.wrapping_add(3 * i));
    let sum_of = |n: u32| thread.invoke("f", &[Value::I32(n as i32)]).expect("it returns");
    assert_eq!(sum_of(5_000), [u64::from(sum(5_000))]);
    let told = refusals.0.lock().unwrap().clone();
    assert_eq!(instance.code_statistics().versions_compiled, 0);
    assert!(!told.is_empty() && told.iter().all(|&(.., memory)| memory), "{told:?}");
    let mut once = told.clone();
    once.dedup();
    assert_eq!(once, told, "each is told once");
    assert_eq!(sum_of(5_000), [u64::from(sum(5_000))]);
    assert!(
        refusals.0.lock().unwrap().len() <= told.len() + 1,
        "nothing was tried again, but `f` at its entry"
    );
}

/// Baseline code first, optimized code at the next occasion.
#[derive(Debug, Default)]
struct Alternating(AtomicU64);

impl TieringPolicy for Alternating {
    fn threshold(&self, tier: Tier) -> u32 {
        if tier == Tier::Interpreter { 3 } else { u32::MAX }
    }

    fn tier_up(&self, _: &Candidate) -> Option<CompiledTier> {
        Some(CompiledTier::ALL[self.0.fetch_add(1, Ordering::Relaxed).min(1) as usize])
    }

    fn land(&self, _: &CodeVersion, _: Point) -> Destination {
        Destination::Interpreter
    }
}

/// A function with so many registers, each of which is live from one block to the next: baseline code has a slot
/// for each of them, optimized code keeps them in a register.
fn many_registers(registers: usize) -> String {
    let declared: Vec<String> = (1..=registers).map(|i| format!("r{i}: i64")).collect();
    let declared = declared.join(", ");
    let step = |i| format!("b{}:\n  r{i} = i64.add r0, r{}\n  jump b{i}\n", i - 1, i - 1);
    let steps: String = (1..=registers).map(step).collect();
    format!(
        "export \"run\" function f\n\
         function f (r0: i64) -> (i64) {{\n  {declared}\n{steps}b{registers}:\n  return r{registers}\n}}"
    )
}

#[test]
fn a_refusal_is_of_one_tier() {
    let refusals = Arc::new(Refusals::default());
    let policy: Arc<dyn TieringPolicy> = Arc::new(Alternating::default());
    let delegates = Delegates { observer: Some(refusals.clone()), policy: Some(policy) };
    let settings = Settings { stack_reserve_bytes: Settings::MINIMUM_STACK_RESERVE, ..Settings::default() };
    let (instance, thread) = start_with(&many_registers(3_000), &settings, delegates, &Imports::new());
    for _ in 0..10 {
        assert_eq!(thread.invoke("run", &[Value::I64(2)]).expect("it returns"), [2 * 3_001]);
    }
    let told: Vec<_> = refusals.0.lock().unwrap().iter().map(|&(_, tier, ..)| tier).collect();
    assert_eq!(told, [CompiledTier::Baseline]);
    let known: Vec<_> = instance.refused_code().collect();
    assert_eq!(known.iter().map(|refused| refused.key.tier).collect::<Vec<_>>(), told);
    assert!(known[0].reason.contains("exceeds the limit"), "{}", known[0].reason);
    let tiers: Vec<CompiledTier> = instance.versions().iter().map(|version| version.tier).collect();
    assert_eq!(tiers, [CompiledTier::Optimized]);
}

/// A function of so many registers, all of which are live while it calls another one so often: behind each call it could
/// continue in compiled code.
fn calling_often(registers: usize, calls: usize) -> String {
    let declared: Vec<String> = (1..=registers).map(|i| format!("r{i}: i64")).collect();
    let kept = || calls + 1..=registers;
    let before: String = kept()
        .map(|i| format!("  r{i} = i64.add r0, r{}\n", if i == calls + 1 { 0 } else { i - 1 }))
        .collect();
    let called: String = (1..=calls).map(|i| format!("  r{i} = call g (r{})\n", i - 1)).collect();
    let after: String = kept().map(|i| format!("  r{calls} = i64.xor r{calls}, r{i}\n")).collect();
    format!(
        "export \"run\" function f\n\
         function g (r0: i64) -> (i64) {{\n  r1: i64\nb0:\n  r1 = i64.add r0, r0\n  return r1\n}}\n\
         function f (r0: i64) -> (i64) {{\n  {}\nb0:\n{before}{called}{after}  return r{calls}\n}}",
        declared.join(", "),
    )
}

/// Finding out that a body is too large takes as long as compiling it.
#[test]
fn what_is_too_large_is_not_tried_at_every_point() {
    let program = calling_often(3_000, 60);
    let interpreter = Settings { tiers: Tiers::Interpreter, ..Settings::default() };
    let (_, thread) = start_with(&program, &interpreter, Delegates::default(), &Imports::new());
    let expected = thread.invoke("run", &[Value::I64(1)]).expect("it returns");
    for tiers in [Tiers::Baseline, Tiers::Auto] {
        let refusals = Arc::new(Refusals::default());
        let stack_reserve_bytes = Settings::MINIMUM_STACK_RESERVE;
        let thresholds =
            Settings { threshold: Some(1), optimize_threshold: Some(u32::MAX), ..Settings::default() };
        let settings = Settings { tiers, stack_reserve_bytes, ..thresholds };
        let watched = Delegates::observer(refusals.clone());
        let (_, thread) = start_with(&program, &settings, watched, &Imports::new());
        for _ in 0..3 {
            assert_eq!(thread.invoke("run", &[Value::I64(1)]).expect("it returns"), expected);
        }
        let told = refusals.0.lock().unwrap().clone();
        assert_eq!(told.len(), 1, "{tiers:?}: {told:?}");
    }
}

/// Notes what was compiled in another way than was asked for.
#[derive(Debug, Default)]
struct Fallbacks(Mutex<Vec<(CompiledTier, Fallback)>>);

impl Observer for Fallbacks {
    fn observe(&self, _: &Observation<'_>, event: &Event<'_>) {
        if let Event::FellBack { key, fallback, .. } = *event {
            self.0.lock().unwrap().push((key.tier, fallback.clone()));
        }
    }
}

#[test]
fn what_the_single_pass_compiler_leaves_to_cranelift_is_told() {
    let with_vectors = r#"(module (func (export "f") (param i32) (result i32)
        (i32x4.extract_lane 1 (i32x4.mul (i32x4.splat (local.get 0)) (i32x4.splat (i32.const 3))))))"#;
    let plain =
        r#"(module (func (export "f") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3))))"#;
    for (program, falls_back) in [(with_vectors, true), (plain, false)] {
        let fallbacks = Arc::new(Fallbacks::default());
        let settings = Settings { tiers: Tiers::Baseline, ..Settings::default() };
        let delegates = Delegates::observer(fallbacks.clone());
        let (instance, thread) = start_with(program, &settings, delegates, &Imports::new());
        assert_eq!(thread.invoke("f", &[Value::I32(5)]).expect("it returns"), [15]);
        let told = fallbacks.0.lock().unwrap().clone();
        let reason = "it has vectors".to_owned();
        let expected = falls_back.then_some((CompiledTier::Baseline, Fallback::Compiler { reason }));
        assert_eq!(told, Vec::from_iter(expected));
        assert_eq!((instance.versions().len(), instance.refused_code().count()), (1, 0));
    }
}

/// Leaves baseline code at this threshold.
#[derive(Debug)]
struct Leaving(u32);

impl TieringPolicy for Leaving {
    fn threshold(&self, tier: Tier) -> u32 {
        if tier == Tier::Baseline { self.0 } else { 0 }
    }

    fn tier_up(&self, candidate: &Candidate) -> Option<CompiledTier> {
        Some(if candidate.from == Tier::Interpreter {
            CompiledTier::Baseline
        } else {
            CompiledTier::Optimized
        })
    }

    fn land(&self, _: &CodeVersion, _: Point) -> Destination {
        Destination::Interpreter
    }
}

#[test]
fn a_threshold_of_zero_is_at_once_and_the_greatest_is_never() {
    for (threshold, tiers_up) in [(0, true), (1, true), (100, true), (u32::MAX, false)] {
        let delegates = Delegates::policy(Arc::new(Leaving(threshold)));
        let (instance, thread) = start_with(&calling(0), &Settings::default(), delegates, &Imports::new());
        thread.invoke("f", &[Value::I32(1_000)]).expect("it returns");
        let optimized = |version: &Arc<CodeVersion>| version.tier == CompiledTier::Optimized;
        assert_eq!(instance.versions().iter().any(optimized), tiers_up, "{threshold}");
    }
}

#[test]
fn a_stack_reserve_that_is_too_small_is_refused() {
    let with = |stack_reserve_bytes| {
        let settings = Settings { stack_reserve_bytes, ..Settings::default() };
        Instance::new(settings, parse("(module)"), &Imports::new())
    };
    let minimum = Settings::MINIMUM_STACK_RESERVE;
    let refused = with(minimum - 1);
    assert!(matches!(refused, Err(InstantiationError::SmallStackReserve { .. })), "{refused:?}");
    assert!(with(minimum).is_ok());
}

/// `f`, which calls itself in compiled code, calls `hot`, which is not compiled yet, where the stack ends, if it is
/// `armed`.
const DEEP: &str = r#"(module
    (func $hot (result i32) (local $i i32)
        (loop $next (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 50))))
        (local.get $i))
    (func $f (export "f") (param $depth i32) (param $armed i32) (result i32)
        (if (i32.eqz (i32.or (local.get $depth) (local.get $armed))) (then (return (i32.const 0))))
        (if (result i32) (local.get $depth)
            (then (i32.add
                (call $f (i32.sub (local.get $depth) (i32.const 1)) (local.get $armed)) (i32.const 1)))
            (else (call $hot)))))"#;

#[test]
fn where_little_native_stack_is_left_nothing_is_compiled() {
    let settings = Settings {
        tiers: Tiers::Auto,
        threshold: Some(10),
        optimize_threshold: Some(0),
        stack_reserve_bytes: Settings::MINIMUM_STACK_RESERVE,
        ..Settings::default()
    };
    let run = move || {
        // Whether the deepest call returned, and whether `hot` was compiled.
        let mut seen = BTreeSet::new();
        for depth in (0..=40_000).step_by(400) {
            let (instance, thread) = start_with(DEEP, &settings, Delegates::default(), &Imports::new());
            let call = |depth, armed| thread.invoke("f", &[Value::I32(depth), Value::I32(armed)]);
            for _ in 0..20 {
                assert_eq!(call(1, 0).expect("it returns"), [1]);
            }
            let before = instance.versions().len();
            let returned = match call(depth, 1) {
                Ok(results) => results == [depth as u64 + 50],
                Err(InvokeError::Trap(trap)) if trap.kind == TrapKind::StackExhausted => false,
                Err(error) => panic!("{error}"),
            };
            seen.insert((returned, instance.versions().len() > before));
        }
        seen
    };
    let spawned = std::thread::Builder::new().stack_size(512 << 10).spawn(run).expect("a native thread");
    let seen = spawned.join().expect("it does not panic");
    assert!(seen.contains(&(true, true)) && seen.contains(&(true, false)), "{seen:?}");
}
