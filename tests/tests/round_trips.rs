//! One activation leaves compiled code by landing, and enters it again at its loop header, or goes to and fro
//! between the compiled tiers, over and over: stack and memory stay as they are.
//!
//! Ten million trips, some seconds each:
//! `cargo test --release -p osr-tests --test round_trips -- --ignored --nocapture`

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use osr_engine::{
    Candidate, CodeVersion, CompiledTier, Delegates, Destination, HostCall, Ladder, Moves, Place, Settings,
    Tier, TieringPolicy,
};
use osr_ir::{Point, Value};
use osr_tests::guest::{acting, eager, start_with};
use osr_tests::process::resident_bytes;

const GUEST: &str = r#"(module
  (import "env" "act" (func $act))
  (import "env" "call_back" (func $call_back (param i32) (result i32)))
  (table (export "table") 2 funcref)
  (elem (i32.const 0) func $one_trip $all_trips)
  (global $n (mut i32) (i32.const 0))

  (func $loop (export "loop") (param $n i32) (result i32) (local $hash i32)
    (loop $again
      (call $act)
      (local.set $hash (i32.add (i32.mul (local.get $hash) (i32.const 31)) (local.get $n)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $hash))

  ;; The caller is hijacked by the first trip, and waits for the last.
  (func (export "below_a_caller") (param $n i32) (result i32)
    (i32.add (call $loop (local.get $n)) (i32.const 1)))

  ;; Both frames land in every trip.
  (func $leaf (param $n i32) (result i32) (call $act) (local.get $n))
  (func (export "two_landings") (param $n i32) (result i32) (local $hash i32)
    (loop $again
      (local.set $hash (i32.add (i32.mul (local.get $hash) (i32.const 31)) (call $leaf (local.get $n))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $hash))

  ;; The trips are on the far side of a host call.
  (func $all_trips (result i32) (call $loop (global.get $n)))
  (func (export "beyond_the_host") (param $n i32) (result i32)
    (global.set $n (local.get $n))
    (i32.add (call $call_back (i32.const 1)) (i32.const 1)))

  ;; Each trip goes through a host call, and lands on both sides of it.
  (func $one_trip (result i32) (call $act) (global.get $n))
  (func (export "through_the_host") (param $n i32) (result i32) (local $hash i32)
    (loop $again
      (global.set $n (local.get $n))
      (local.set $hash (i32.add (i32.mul (local.get $hash) (i32.const 31)) (call $call_back (i32.const 0))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $hash)))"#;

fn hash_of_trips(n: u32) -> u32 {
    (1..=n).rev().fold(0u32, |hash, left| hash.wrapping_mul(31).wrapping_add(left))
}

/// What the host sees while the trips continue. The first tenth is for warming up.
#[derive(Default)]
struct Meter {
    warm: u64,
    trips: AtomicU64,
    shallowest: AtomicU64,
    deepest: AtomicU64,
    memory: AtomicU64,
    value_stack: AtomicU64,
}

impl Meter {
    fn trip(&self, call: &HostCall<'_>) {
        let here = 0u8;
        let address = (&raw const here) as u64;
        let trip = self.trips.fetch_add(1, Relaxed) + 1;
        if trip == self.warm {
            self.shallowest.store(address, Relaxed);
            self.deepest.store(address, Relaxed);
            self.memory.store(resident_bytes(), Relaxed);
            self.value_stack.store(call.thread().peak_value_stack_bytes(), Relaxed);
        } else {
            self.shallowest.fetch_max(address, Relaxed);
            self.deepest.fetch_min(address, Relaxed);
        }
        call.thread().hijack(|_| true).expect("a walk");
    }
}

/// Memory is measured: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// What trips came to.
struct Travelled {
    moves: Vec<Moves>,
    /// How often the interpreter was left.
    tier_up: u64,
    /// Between the host's least and greatest depth, in bytes.
    depths: u64,
}

/// `n` trips through `function`, which adds `more` to their hash and makes `landings`: constant stack and
/// memory.
fn travel(function: &str, n: u32, more: u32, landings: u64, settings: &Settings) -> Travelled {
    travel_with(function, n, more, landings, settings, Delegates::default())
}

fn travel_with(
    function: &str,
    n: u32,
    more: u32,
    landings: u64,
    settings: &Settings,
    delegates: Delegates,
) -> Travelled {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let meter = Arc::new(Meter { warm: u64::from(n / 10), ..Meter::default() });
    let host = Arc::clone(&meter);
    let (instance, thread) = start_with(GUEST, settings, delegates, &acting(move |call| host.trip(call)));
    let began = Instant::now();
    let results = thread.invoke(function, &[Value::I32(n as i32)]).expect("the guest returns");
    println!("{function}: {n} trips in {:.2?}", began.elapsed());
    assert_eq!(results, [u64::from(hash_of_trips(n).wrapping_add(more))]);

    let transitions = thread.transitions();
    assert_eq!(meter.trips.load(Relaxed), u64::from(n));
    assert_eq!(transitions.landings, landings, "every hijacked frame lands");
    assert_eq!(transitions.hijacked_frames, landings, "every landing was a hijack");
    let code = instance.code_statistics();
    assert!(code.versions_compiled <= 6, "the cached continuations are entered again: {code:?}");
    assert_eq!(code.versions_released, 0);

    assert_eq!(
        thread.peak_value_stack_bytes(),
        meter.value_stack.load(Relaxed),
        "the value stack is constant"
    );
    let growth = resident_bytes().saturating_sub(meter.memory.load(Relaxed));
    assert!(growth < 1 << 20, "memory grew by {growth} bytes");
    assert_eq!(thread.hijacked_slots(), 0);
    let depths = meter.shallowest.load(Relaxed) - meter.deepest.load(Relaxed);
    Travelled { moves: thread.moves(), tier_up: transitions.tier_up, depths }
}

/// Trips to the interpreter and back.
fn check(function: &str, n: u32, more: u32, landings: u64, settings: &Settings) {
    let Travelled { tier_up, depths, .. } = travel(function, n, more, landings, settings);
    assert_eq!(depths, 0, "the host is always as deep");
    assert!(tier_up >= u64::from(n) - 1, "every landing but the last tiers up: {tier_up}");
}

/// Frames of optimized code land in baseline code, and those of baseline code in optimized code.
#[derive(Debug)]
struct Seesaw(Ladder);

impl TieringPolicy for Seesaw {
    fn threshold(&self, tier: Tier) -> u32 {
        self.0.threshold(tier)
    }

    fn tier_up(&self, candidate: &Candidate) -> Option<CompiledTier> {
        self.0.tier_up(candidate)
    }

    fn land(&self, version: &CodeVersion, _point: Point) -> Destination {
        Destination::Compiled(match version.tier {
            CompiledTier::Baseline => CompiledTier::Optimized,
            CompiledTier::Optimized => CompiledTier::Baseline,
        })
    }
}

/// `n` times from optimized code to baseline code and back.
fn check_tiers(n: u32, settings: &Settings) {
    let policy = Arc::new(Seesaw(Ladder::of(settings)));
    let landings = 2 * u64::from(n);
    let Travelled { moves, depths, .. } =
        travel_with("loop", 2 * n, 0, landings, settings, Delegates::policy(policy));
    assert!(depths < 512, "a frame of one tier stands where one of the other did: {depths}");
    let between = |from, to| {
        let moved = |moves: &&Moves| (moves.from, moves.to, moves.place) == (from, to, Place::PendingReturn);
        moves.iter().find(moved).map_or(0, |moves| moves.count)
    };
    assert_eq!(between(Tier::Optimized, Tier::Baseline), u64::from(n), "{moves:?}");
    assert_eq!(between(Tier::Baseline, Tier::Optimized), u64::from(n), "{moves:?}");
}

fn check_all(n: u32, settings: &Settings) {
    let trips = u64::from(n);
    check("loop", n, 0, trips, settings);
    check("below_a_caller", n, 1, trips + 1, settings);
    check("two_landings", n, 0, 2 * trips, settings);
    check("beyond_the_host", n, 1, trips + 2, settings);
    check("through_the_host", n, 0, 2 * trips, settings);
    check_tiers(n, settings);
}

#[test]
fn round_trips_take_constant_stack_and_memory() {
    check_all(200_000, &eager());
}

#[test]
#[ignore = "half a minute in a release build"]
fn ten_million_round_trips_take_constant_stack_and_memory() {
    check_all(10_000_000, &Settings { checked: false, ..eager() });
}
