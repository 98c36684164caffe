//! The embedder invalidates what it chooses: the code of a function, or what relies on an assumption. Frames that are active
//! continue elsewhere, and results are right.

use std::sync::{Arc, Mutex};

use osr_engine::{
    Assumption, Event, Instance, Invalidated, Phase, Settings, Thread, Tiers, TransitionError, VersionState,
};
use osr_tests::configuration::Configuration;
use osr_tests::guest::{acting, eager};

use crate::{call, f_of, observer_of_transitions, start};

/// Calls `f`, whose inner calls of the host have done to them what `act` does; what it returned, both times.
fn invalidated(
    settings: Settings,
    act: impl Fn(&Thread) -> Result<Invalidated, TransitionError> + Send + Sync + 'static,
) -> Vec<Invalidated> {
    let done = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&done);
    let imports = acting(move |call| list.lock().unwrap().push(act(call.thread()).expect("a host may")));
    let (_, thread) = start(settings, Default::default(), &imports);
    assert_eq!(call(&thread, "f", 5).expect("it returns"), f_of(5));
    assert_eq!(thread.hijacked_slots(), 0);
    done.lock().unwrap().clone()
}

/// The function of that name, exported or not.
fn named(instance: &Instance, name: &str) -> osr_ir::FunctionIndex {
    let position = instance.module().functions.iter().position(|function| function.name == name);
    osr_ir::FunctionIndex::new(position.expect("there is one"))
}

#[test]
fn the_code_of_one_function_is_invalidated() {
    let g = |thread: &Thread| thread.invalidate_function(named(thread.instance(), "g"));
    let [first, second] = invalidated(eager(), g)[..] else { panic!("`g` is called twice") };
    assert_eq!((first.versions, first.frames), (1, 1), "`f` keeps its code");
    assert_eq!((second.versions, second.frames), (1, 1), "`g` has new code");
    // Where `g` is inlined into `f`, the code of `f` is code of `g`, too.
    let inlined = invalidated(Settings { inlining: Some(Configuration::MUCH), ..eager() }, g);
    assert_eq!((inlined[0].versions, inlined[0].frames), (1, 1));
    let interpreted = invalidated(Settings { tiers: Tiers::Interpreter, ..eager() }, g);
    assert_eq!(interpreted, [Invalidated::default(); 2]);
}

#[test]
fn what_relies_on_an_assumption_is_invalidated_when_it_ends() {
    let assumption = Assumption::new("odd");
    let covering = assumption.clone();
    // The versions of `f` rely on it.
    let refused = Arc::new(Mutex::new(0));
    let too_late = Arc::clone(&refused);
    let delegates = observer_of_transitions(move |at, event| {
        if let Event::Compiled { version, .. } = event
            && at.instance().module().function(version.function).name == "f"
            && !covering.cover(version)
        {
            *too_late.lock().unwrap() += 1;
        }
    });
    let (ending, ends) = (assumption.clone(), Arc::new(Mutex::new(Vec::new())));
    let list = Arc::clone(&ends);
    let imports = acting(move |call| {
        list.lock().unwrap().push(call.thread().end_assumption(&ending).expect("a host may"));
    });
    let (instance, thread) = start(eager(), delegates, &imports);
    assert!(assumption.holds());
    assert_eq!(call(&thread, "f", 5).expect("it returns"), f_of(5));
    assert!(!assumption.holds());
    let ends = ends.lock().unwrap().clone();
    assert_eq!((ends[0].versions, ends[0].frames), (1, 1), "that of `f`, and its frame");
    assert_eq!(ends[1], Invalidated::default(), "it has ended");
    let states = instance.versions().iter().map(|version| version.state()).collect::<Vec<_>>();
    assert!(!states.contains(&VersionState::Retired), "{states:?}");
    // What is made later cannot rely on it.
    assert_eq!(call(&thread, "f", 6).expect("it returns"), f_of(6));
    assert!(*refused.lock().unwrap() > 0);
}

#[test]
fn an_assumption_holds_on_where_it_cannot_be_ended() {
    let assumption = Assumption::new("kept");
    let hook = assumption.clone();
    let delegates = observer_of_transitions(move |_, event| {
        if let Event::Compiled { .. } = event {
            let refused = crate::reached().end_assumption(&hook).expect_err("not from an observer");
            assert!(matches!(&refused, TransitionError::NotNow(now) if now.phase != Phase::Outside));
        }
    });
    let (_, thread) = start(eager(), delegates, &acting(|_| {}));
    assert_eq!(call(&thread, "f", 5).expect("it returns"), f_of(5));
    assert!(assumption.holds());
}
