//! Versions are compiled, hijacked and released over and over: nothing of them stays.
//!
//! The full number: `cargo test --release -p osr-tests --test version_churn -- --ignored --nocapture`

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use osr_engine::{HostCall, Settings};
use osr_ir::Value;
use osr_tests::guest::{acting, eager, start};
use osr_tests::process::{mappings, resident_bytes};

/// Each act invalidates the loop's continuation and the callee between them: two versions.
const GUEST: &str = r#"(module
  (import "env" "act" (func $act))
  (memory 1)
  (func $callee (param $n i32) (result i32)
    (local $square i32)
    (local.set $square (i32.mul (local.get $n) (local.get $n)))
    (call $act)
    (i32.add (local.get $square) (i32.const 1)))
  (func (export "run") (param $n i32) (result i32) (local $hash i32)
    (loop $again
      (local.set $hash (i32.add (i32.mul (local.get $hash) (i32.const 31)) (call $callee (local.get $n))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $hash)))"#;

fn expected(n: u32) -> u32 {
    (1..=n).rev().fold(0u32, |hash, n| hash.wrapping_mul(31).wrapping_add(n.wrapping_mul(n).wrapping_add(1)))
}

/// What is there when all code of the moment has just been released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kept {
    live_bytes: u64,
    frame_map_bytes: u64,
    records: usize,
    mappings: usize,
    resident_bytes: u64,
}

impl Kept {
    fn now(call: &HostCall<'_>) -> Kept {
        let code = call.thread().instance().code_statistics();
        Kept {
            live_bytes: code.live_bytes,
            frame_map_bytes: code.frame_map_bytes,
            records: call.thread().hijacked_slots(),
            mappings: mappings().len(),
            resident_bytes: resident_bytes(),
        }
    }
}

/// Memory is measured: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn check(versions: u32, settings: &Settings) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let rounds = versions / 2;
    let (count, warm) = (AtomicU64::new(0), Arc::new(Mutex::new(Kept::default())));
    let last = Arc::new(Mutex::new(Kept::default()));
    let (host_warm, host_last) = (Arc::clone(&warm), Arc::clone(&last));
    let act = move |call: &HostCall<'_>| {
        let invalidated = call.thread().invalidate_active().expect("a walk");
        assert_eq!((invalidated.versions, invalidated.frames), (2, 2));
        match count.fetch_add(1, Relaxed) + 1 {
            round if round == u64::from(rounds / 5) => *host_warm.lock().unwrap() = Kept::now(call),
            round if round == u64::from(rounds) => *host_last.lock().unwrap() = Kept::now(call),
            _ => {}
        }
    };
    let (instance, thread) = start(GUEST, settings, &acting(act));
    let began = Instant::now();
    let results = thread.invoke("run", &[Value::I32(rounds as i32)]).expect("the guest returns");
    println!("{versions} versions (checked: {}) in {:.2?}", settings.checked, began.elapsed());
    assert_eq!(results, [u64::from(expected(rounds))]);

    let code = instance.code_statistics();
    assert!(code.versions_compiled >= u64::from(versions), "{code:?}");
    assert!(code.versions_released >= u64::from(versions), "{code:?}");
    assert!(code.peak_bytes <= 5 * 4096, "code memory is used again: {code:?}");
    let (warm, last) = (*warm.lock().unwrap(), *last.lock().unwrap());
    println!("  after a fifth: {warm:?}\n  at the end:    {last:?}");
    assert_eq!(Kept { resident_bytes: 0, ..last }, Kept { resident_bytes: 0, ..warm });
    let growth = last.resident_bytes.saturating_sub(warm.resident_bytes);
    assert!(growth < 2 << 20, "memory grew by {growth} bytes");
    assert_eq!(last.records, 2);
    assert_eq!(thread.hijacked_slots(), 0);
}

#[test]
fn released_versions_leave_nothing() {
    check(3_000, &Settings { checked: false, ..eager() });
}

#[test]
fn released_versions_leave_nothing_in_checked_runs() {
    check(3_000, &eager());
}

#[test]
#[ignore = "half a minute in a release build"]
fn a_hundred_thousand_released_versions_leave_nothing() {
    check(100_000, &Settings { checked: false, ..eager() });
}
