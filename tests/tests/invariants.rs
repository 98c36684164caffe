//! Continuations that are made for what a loop does not change, entered by frames of these values alone: programs compute what
//! the interpreter does.

use osr_engine::{EntryPoint, Imports, Settings, Stress, Tiers};
use osr_ir::Value;
use osr_tests::Configuration;
use osr_tests::guest::{interpreted, start};

/// A factor and a divisor that the loop does not change.
const POWER: &str = r#"(module
  (func (export "power") (param $a i32) (param $n i32) (param $m i64) (result i64) (local $p i32) (local $s i64)
    (local.set $p (i32.const 1))
    (loop $next
      (local.set $p (i32.add (i32.mul (local.get $p) (local.get $a)) (local.get $n)))
      (local.set $s (i64.rem_u (i64.add (local.get $s) (i64.extend_i32_u (local.get $p))) (local.get $m)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i64.xor (local.get $s) (i64.extend_i32_u (local.get $p)))))"#;

const CALLS: [(i32, i64); 7] =
    [(8, 1_000_003), (8, 1_000_003), (-3, 1_000_003), (8, 5_000_000_000), (0, 7), (8, 1_000_003), (1, -1)];

/// The results of all calls, and how many versions are specialized.
fn powers(settings: &Settings) -> (Vec<Vec<u64>>, usize) {
    let (instance, thread) = start(POWER, settings, &Imports::new());
    let call = |&(a, m): &(i32, i64)| {
        let arguments = [Value::I32(a), Value::I32(200), Value::I64(m)];
        thread.invoke("power", &arguments).expect("it returns")
    };
    let results = CALLS.iter().map(call).collect();
    let is_specialized = |entry| matches!(entry, EntryPoint::Specialized { .. });
    (results, instance.versions().iter().filter(|version| is_specialized(version.entry)).count())
}

#[test]
fn frames_of_the_same_values_continue_in_what_is_made_for_them_and_others_elsewhere() {
    let (expected, _) = powers(&interpreted());
    for stress in [Stress::None, Stress::hijack(3), Stress::invalidate(29)] {
        let is_calm = matches!(stress, Stress::None);
        let low = Configuration::new("", Tiers::Auto, stress).with_thresholds((3, 30)).settings;
        for (contexts, count) in [(Settings::DEFAULT_CONTEXTS, 1), (0, 0)] {
            let (results, specialized) = powers(&Settings { contexts, checked: true, ..low.clone() });
            assert_eq!(results, expected);
            assert!(!is_calm || specialized == count, "{specialized} with {contexts} contexts");
        }
    }
}
