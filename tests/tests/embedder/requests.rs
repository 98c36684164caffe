//! Observers request transitions, which happen at the next safepoint.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use osr_engine::{
    Cause, Event, Mechanism, Observation, Phase, Request, Settings, StateRecording, Tier, Tiers,
    TransitionError,
};
use osr_ir::Points;
use osr_tests::guest::{acting, eager};

use crate::{call, f_of, kind, loop_of, observer, observer_of_transitions, start, various};

/// Requests `request` at the arrival of that number by a back-edge.
fn at_back_edge(
    request: Request,
    number: u64,
) -> impl Fn(&Observation<'_>, &Event<'_>) + Send + Sync + 'static {
    let arrivals = AtomicU64::new(0);
    move |at, event| {
        if let Event::Reached { point, tier: Tier::Optimized, .. } = event
            && *point != Points::entry()
            && arrivals.fetch_add(1, Relaxed) == number
        {
            at.request(request).expect("code is ready");
        }
    }
}

#[test]
fn a_request_at_a_back_edge_is_carried_out_there() {
    for request in Request::ALL {
        for recording in &StateRecording::ALL[1..] {
            let observer = observer(at_back_edge(request, 7));
            let settings = Settings { mechanism: Mechanism::recorded_by(*recording), ..eager() };
            let (instance, thread) = start(settings, observer, &acting(|_| ()));
            assert_eq!(call(&thread, "loop", 100).expect("it returns"), loop_of(100), "{request:?}");
            assert_eq!(thread.transitions().landings, 1, "{request:?}, {recording:?}");
            let released = instance.code_statistics().versions_released;
            assert_eq!(released > 0, request != Request::Hijack, "{request:?}, {recording:?}");
        }
    }
}

#[test]
fn a_request_is_carried_out_at_the_very_point() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&log);
    let request = at_back_edge(Request::Hijack, 7);
    let observer = observer(move |at, event| {
        seen.lock().unwrap().push(kind(event));
        request(at, event);
    });
    let (_, thread) = start(eager(), observer, &acting(|_| ()));
    call(&thread, "loop", 100).expect("it returns");
    let log = log.lock().unwrap();
    let began = log.iter().position(|kind| kind == "ReplacementBegan").expect("it was carried out");
    let around: Vec<&str> = log[began - 1..began + 4].iter().map(String::as_str).collect();
    assert_eq!(around, ["Reached", "ReplacementBegan", "Hijacked", "ReplacementEnded", "Landed"]);
}

/// Every kind of event that can happen in [`GUEST`](crate::GUEST).
const KINDS: [&str; 16] = [
    "Invoked",
    "Finished",
    "HostCalled",
    "HostReturned",
    "Reached",
    "Compiled",
    "Entered",
    "TieredUp",
    "Landed",
    "ReplacementBegan",
    "ReplacementEnded",
    "Hijacked",
    "Dropped",
    "Retired",
    "Drained",
    "Released",
];

/// Whatever event it is at which an observer requests something.
#[test]
fn a_request_at_any_event_is_carried_out_once() {
    let mut carried_out: BTreeMap<String, u64> = BTreeMap::new();
    for settings in various() {
        for request in Request::ALL {
            for (wanted, number) in KINDS.into_iter().flat_map(|kind| [(kind, 0), (kind, 2)]) {
                let (events, requested) = (AtomicU64::new(0), Arc::new(Mutex::new(None)));
                let replaced = Arc::new(AtomicU64::new(0));
                let (request_at, replacements) = (Arc::clone(&requested), Arc::clone(&replaced));
                let observer = observer(move |at, event| {
                    if let Event::ReplacementBegan { cause: Cause::Observer, .. } = event {
                        replacements.fetch_add(1, Relaxed);
                    }
                    if kind(event) == wanted && events.fetch_add(1, Relaxed) == number {
                        at.request(request).expect("code is ready");
                        *request_at.lock().unwrap() = Some(kind(event));
                    }
                });
                let imports = acting(|call| {
                    call.thread().invalidate_active().expect("a walk");
                });
                let (_, thread) = start(settings.clone(), observer, &imports);
                for n in 0..3 {
                    assert_eq!(call(&thread, "f", n).expect("it returns"), f_of(n as u64));
                }
                call(&thread, "trap", 3).expect_err("it traps");
                assert_eq!(thread.hijacked_slots(), 0);
                if let Some(kind) = requested.lock().unwrap().take() {
                    assert_eq!(replaced.load(Relaxed), 1, "{kind}");
                    *carried_out.entry(kind).or_default() += 1;
                }
            }
        }
    }
    for kind in KINDS {
        assert!(carried_out.contains_key(kind), "{kind}: {carried_out:?}");
    }
}

/// The polls of a loop that nobody else wants to stop are asked for, and given up again.
#[test]
fn a_request_reaches_code_that_is_executing_already() {
    for tiers in [Tiers::Baseline, Tiers::Optimized] {
        let asked = AtomicBool::new(false);
        let observer = observer_of_transitions(move |at, event| {
            if let Event::Compiled { .. } = event
                && !asked.swap(true, Relaxed)
            {
                at.request(Request::InvalidateActive).expect("code is ready");
            }
        });
        let (instance, thread) = start(Settings { tiers, ..eager() }, observer, &acting(|_| ()));
        assert_eq!(call(&thread, "loop", 100).expect("it returns"), loop_of(100));
        assert_eq!(instance.code_statistics().versions_released, 1);
        assert_eq!(thread.transitions().landings, 1);
    }
}

#[test]
fn frames_can_be_seen_unless_one_is_landing() {
    let seen: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let most = Arc::clone(&seen);
    let observer = observer(move |at, event| match at.frames() {
        Ok(frames) => {
            assert!(!matches!(event, Event::Landed { .. }));
            let mut most = most.lock().unwrap();
            let known = most.entry(kind(event)).or_default();
            *known = frames.len().max(*known);
        }
        Err(TransitionError::NotNow(not_now)) => {
            assert!(matches!(event, Event::Landed { .. } | Event::Compiled { cause: Cause::Landing, .. }));
            assert_eq!(not_now.phase, Phase::Landing);
        }
        Err(error) => panic!("{error}"),
    });
    let imports = acting(|call| {
        call.thread().invalidate_active().expect("a walk");
    });
    for settings in various() {
        let (_, thread) = start(settings, observer.clone(), &imports);
        assert_eq!(call(&thread, "f", 5).expect("it returns"), f_of(5));
        call(&thread, "trap", 3).expect_err("it traps");
    }
    let seen = seen.lock().unwrap();
    assert!(seen["HostCalled"] >= 2 && seen["Retired"] >= 2 && seen["Hijacked"] >= 2, "{seen:?}");
    assert_eq!((seen["Invoked"], seen["Finished"]), (0, 0));
}

#[test]
fn what_code_is_not_ready_for_cannot_be_requested() {
    let refused = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&refused);
    let observer = observer_of_transitions(move |at, _| {
        assert!(matches!(at.request(Request::Hijack), Err(TransitionError::FramesRunOut)));
        count.fetch_add(1, Relaxed);
    });
    let settings = Settings { mechanism: Mechanism::recorded_by(StateRecording::None), ..eager() };
    let (_, thread) = start(settings, observer, &acting(|_| ()));
    assert_eq!(call(&thread, "f", 5).expect("it returns"), f_of(5));
    assert!(refused.load(Relaxed) > 0);
}
