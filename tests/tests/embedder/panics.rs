//! Code of the embedder panics: the transition is completed, the call ends with the reason, the thread continues.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use osr_engine::{
    Candidate, CodeVersion, CompiledTier, Delegates, Destination, Event, InvokeError, Ladder, Settings,
    Thread, Tier, TieringPolicy, Tiers, TransitionError, Trap,
};
use osr_ir::{Point, TrapKind};
use osr_tests::guest::{acting, eager};

use crate::{call, f_of, kind, loop_of, observer, start, various};

fn trap_of(outcome: Result<u64, InvokeError>) -> Trap {
    match outcome {
        Err(InvokeError::Trap(trap)) => trap,
        other => panic!("{other:?}"),
    }
}

/// The thread can be used as if nothing had happened.
fn check_usable(thread: &Thread) {
    assert_eq!(thread.hijacked_slots(), 0);
    assert_eq!(call(thread, "f", 5).expect("it returns"), f_of(5));
    assert_eq!(call(thread, "loop", 100).expect("it returns"), loop_of(100));
    assert_eq!(trap_of(call(thread, "trap", 20)).kind, TrapKind::Unreachable);
    thread.invalidate_all().expect("a walk");
}

/// At each event in turn.
#[test]
fn an_observer_that_panics_ends_the_call() {
    let imports = acting(|call| {
        call.thread().invalidate_active().map(drop).unwrap_or_else(|error| {
            assert!(matches!(error, TransitionError::Panicked { .. }), "{error}");
            std::panic::resume_unwind(Box::new(error.to_string()))
        });
    });
    let mut panicked = std::collections::BTreeSet::new();
    for settings in various() {
        for number in (0..40).step_by(3) {
            let (events, done) = (AtomicU64::new(0), Arc::new(AtomicBool::new(false)));
            let kinds = Arc::new(std::sync::Mutex::new(String::new()));
            let (panics, at) = (Arc::clone(&done), Arc::clone(&kinds));
            let observer = observer(move |_, event| {
                if events.fetch_add(1, Relaxed) == number {
                    panics.store(true, Relaxed);
                    *at.lock().unwrap() = kind(event);
                    std::panic::resume_unwind(Box::new("a bug"));
                }
            });
            let (_, thread) = start(settings.clone(), observer, &imports);
            let outcome = match call(&thread, "f", 5) {
                outcome if done.load(Relaxed) => outcome,
                _ => call(&thread, "trap", 20),
            };
            if !done.load(Relaxed) {
                continue;
            }
            let trap = trap_of(outcome);
            assert_eq!(trap.kind, TrapKind::HostError, "{trap:?}");
            let message = trap.message.expect("it says why");
            assert!(message.ends_with("an observer panicked: a bug"), "{message}");
            check_usable(&thread);
            panicked.insert(kinds.lock().unwrap().clone());
        }
    }
    assert!(panicked.len() >= 10, "{panicked:?}");
}

#[test]
fn a_panic_at_a_dropped_frame_does_not_hide_the_others() {
    let text = AtomicU64::new(0);
    let observer = observer(move |_, event| {
        if let Event::Dropped { .. } = event
            && text.fetch_add(1, Relaxed) < 10
        {
            std::panic::resume_unwind(Box::new(String::from("a bug")));
        }
    });
    let imports = acting(|call| {
        call.thread().hijack(|_| true).expect("a walk");
    });
    let (instance, thread) = start(eager(), observer, &imports);
    let trap = trap_of(call(&thread, "trap", 200));
    assert_eq!(trap.message.as_deref(), Some("an observer panicked: a bug"));
    check_usable(&thread);
    assert_eq!(instance.code_statistics().frame_map_bytes, 0);
}

/// The loop is stopped, in whatever tier: it would go round two thousand million times.
#[test]
fn an_observer_that_panics_stops_a_loop() {
    for tiers in [Tiers::Interpreter, Tiers::Baseline, Tiers::Optimized, Tiers::Auto] {
        let arrivals = AtomicU64::new(0);
        let observer = observer(move |_, event| {
            if let Event::Reached { .. } = event
                && arrivals.fetch_add(1, Relaxed) == 5
            {
                std::panic::resume_unwind(Box::new("enough"));
            }
        });
        let (_, thread) = start(Settings { tiers, ..eager() }, observer, &acting(|_| ()));
        let trap = trap_of(call(&thread, "loop", i32::MAX));
        assert_eq!(trap.message.as_deref(), Some("an observer panicked: enough"), "{tiers:?}");
        assert_eq!(trap.function_name, "loop");
        check_usable(&thread);
    }
}

#[test]
fn what_the_host_asked_for_is_done_although_an_observer_panics() {
    let observer = observer(|_, event| {
        if let Event::Retired { .. } = event {
            std::panic::resume_unwind(Box::new("a bug"));
        }
    });
    let (instance, thread) = start(eager(), observer, &acting(|_| ()));
    call(&thread, "loop", 100).expect("it returns");
    let error = thread.invalidate_all().expect_err("an observer panics");
    assert_eq!(error.to_string(), "it was done, but an observer panicked: a bug");
    assert_eq!(instance.code_statistics().versions_released, instance.code_statistics().versions_compiled);
    assert_eq!(call(&thread, "loop", 100).expect("it returns"), loop_of(100));
}

/// Panics the first time that it is asked something.
#[derive(Debug)]
struct Panicking {
    ladder: Ladder,
    landing: bool,
    done: AtomicBool,
}

impl Panicking {
    fn panic_if(&self, due: bool) {
        if due && !self.done.swap(true, Relaxed) {
            std::panic::resume_unwind(Box::new("a bug"));
        }
    }
}

impl TieringPolicy for Panicking {
    fn threshold(&self, tier: Tier) -> u32 {
        self.ladder.threshold(tier)
    }

    fn tier_up(&self, candidate: &Candidate) -> Option<CompiledTier> {
        self.panic_if(!self.landing);
        self.ladder.tier_up(candidate)
    }

    fn land(&self, version: &CodeVersion, point: Point) -> Destination {
        self.panic_if(self.landing);
        self.ladder.land(version, point)
    }
}

#[test]
fn a_policy_that_panics_ends_the_call() {
    let imports = acting(|call| {
        call.thread().invalidate_active().expect("a walk");
    });
    for settings in various().into_iter().filter(|settings| settings.tiers != Tiers::Interpreter) {
        for landing in [false, true] {
            let policy = Panicking { ladder: Ladder::of(&settings), landing, done: AtomicBool::new(false) };
            let (_, thread) = start(settings.clone(), Delegates::policy(Arc::new(policy)), &imports);
            let mut outcomes = (0..5).map(|n| call(&thread, "f", n));
            let failed = outcomes.find_map(|outcome| outcome.err()).expect("the policy was asked");
            let InvokeError::Trap(trap) = failed else { panic!("{failed}") };
            assert_eq!(trap.kind, TrapKind::HostError);
            assert_eq!(trap.message.as_deref(), Some("the tiering policy panicked: a bug"));
            check_usable(&thread);
        }
    }
}
