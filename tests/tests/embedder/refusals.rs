//! Hooks that get at the thread behind the engine's back: it refuses, and nothing happens.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use osr_engine::{
    Candidate, CodeVersion, CompiledTier, Delegates, Destination, InvokeError, Ladder, NotNow, Phase,
    Settings, Thread, Tier, TieringPolicy, Tiers, TransitionError,
};
use osr_ir::Point;
use osr_tests::guest::{acting, eager};

use crate::{call, f_of, kind, loop_of, observer, reached, start, various};

/// Asks `thread` for everything that it does only when it is called from outside: in which phase it refused.
fn all_refused(thread: &Thread) -> Phase {
    let refusal = |result: Result<(), TransitionError>| match result {
        Err(TransitionError::NotNow(NotNow { phase })) => phase,
        other => panic!("{other:?}"),
    };
    let called = |result: Result<u64, InvokeError>| match result {
        Err(InvokeError::NotNow(NotNow { phase })) => phase,
        other => panic!("{other:?}"),
    };
    let phases = [
        refusal(thread.invalidate_active().map(drop)),
        refusal(thread.invalidate_all().map(drop)),
        refusal(thread.hijack(|_| panic!("nothing is chosen")).map(drop)),
        refusal(thread.unhijack().map(drop)),
        refusal(thread.compiled_frames().map(drop)),
        refusal(thread.count_compiled_frames().map(drop)),
        refusal(thread.native_frames().map(drop)),
        called(call(thread, "f", 40)),
        called(call(thread, "loop", 3)),
    ];
    assert!(phases.iter().all(|phase| *phase == phases[0]), "{phases:?}");
    // What only reads is there for everybody.
    let _ = (thread.hijacked_slots(), thread.transitions(), thread.moves(), thread.schedule());
    phases[0]
}

#[test]
fn observers_cannot_act_on_the_thread() {
    let kinds: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let seen = Arc::clone(&kinds);
    let observer = observer(move |_, event| {
        assert_eq!(all_refused(&reached()), Phase::Observing);
        seen.lock().unwrap().insert(kind(event));
    });
    let imports = acting(|call| {
        call.thread().hijack(|_| true).expect("a walk");
        call.thread().unhijack().expect("a host function can");
        call.thread().invalidate_active().expect("a walk");
    });
    for settings in various() {
        let (_, thread) = start(settings, observer.clone(), &imports);
        for n in 0..3 {
            assert_eq!(call(&thread, "f", n).expect("it returns"), f_of(n as u64));
            assert_eq!(call(&thread, "loop", 100).expect("it returns"), loop_of(100));
        }
        call(&thread, "trap", 3).expect_err("it traps");
        thread.invalidate_all().expect("a walk");
    }
    let kinds = kinds.lock().unwrap();
    for kind in ["Reached", "Compiled", "Entered", "TieredUp", "Landed", "Hijacked", "Restored", "Released"] {
        assert!(kinds.contains(kind), "{kind}: {kinds:?}");
    }
}

/// Tries everything whenever it is asked.
#[derive(Debug)]
struct Meddling {
    ladder: Ladder,
    asked: AtomicU64,
}

impl TieringPolicy for Meddling {
    fn threshold(&self, tier: Tier) -> u32 {
        self.ladder.threshold(tier)
    }

    fn tier_up(&self, candidate: &Candidate) -> Option<CompiledTier> {
        assert_eq!(all_refused(&reached()), Phase::Guest);
        self.asked.fetch_add(1, Relaxed);
        self.ladder.tier_up(candidate)
    }

    fn land(&self, version: &CodeVersion, point: Point) -> Destination {
        // A landing that is watched says so.
        assert!(matches!(all_refused(&reached()), Phase::Guest | Phase::Landing));
        self.asked.fetch_add(1, Relaxed);
        self.ladder.land(version, point)
    }
}

#[test]
fn policies_cannot_act_on_the_thread() {
    let imports = acting(|call| {
        call.thread().invalidate_active().expect("a walk");
    });
    for settings in various().into_iter().filter(|settings| settings.tiers != Tiers::Interpreter) {
        for checked in [false, true] {
            let policy = Arc::new(Meddling { ladder: Ladder::of(&settings), asked: AtomicU64::new(0) });
            let settings = Settings { checked, ..settings.clone() };
            let (_, thread) = start(settings, Delegates::policy(policy.clone()), &imports);
            for n in 0..5 {
                assert_eq!(call(&thread, "f", n).expect("it returns"), f_of(n as u64));
            }
            assert!(policy.asked.load(Relaxed) > 2);
        }
    }
}

#[test]
fn choices_cannot_act_on_the_thread() {
    let imports = acting(|call| {
        let thread = call.thread();
        let hijacked = thread.hijack(|_| {
            assert_eq!(all_refused(thread), Phase::Replacing);
            true
        });
        let frames = hijacked.expect("a walk").frames;
        assert_eq!(thread.hijacked_slots() as u64, frames);
        // Once more: the choice is asked while there are records.
        let again = thread.hijack(|_| all_refused(thread) == Phase::Replacing).expect("a walk").again;
        assert_eq!(again, frames);
    });
    let (_, thread) = start(eager(), Delegates::default(), &imports);
    assert_eq!(call(&thread, "f", 5).expect("it returns"), f_of(5));
    assert!(thread.transitions().landings >= 2);
}
