//! State recording is a choice: what it changes, and what it must not.

use std::sync::{Arc, Mutex};

use osr_engine::{
    Instance, InstantiationError, Mechanism, Settings, StateRecording, Stress, Tiers, TransitionError,
};
use osr_ir::Value;
use osr_tests::guest::{acting, eager, start};
use osr_tests::host::imports;

/// `f` waits for the host with a value in hand.
const GUEST: &str = r#"(module
  (import "env" "act" (func $act))
  (func (export "f") (param $n i32) (result i32) (local $mine i32)
    (local.set $mine (i32.mul (local.get $n) (local.get $n)))
    (call $act)
    (i32.add (local.get $mine) (local.get $n))))"#;

#[test]
fn without_frame_states_no_frame_is_replaced() {
    let refusals = Arc::new(Mutex::new(Vec::new()));
    let host = Arc::clone(&refusals);
    let settings = Settings { mechanism: Mechanism::recorded_by(StateRecording::None), ..eager() };
    let imports = acting(move |call| {
        let mut refusals = host.lock().unwrap();
        refusals.push(call.thread().hijack(|_| true).map(drop));
        let retired = call.thread().invalidate_all().expect("that needs no frame state");
        assert_eq!((retired.versions, retired.frames), (1, 0));
    });
    let (instance, thread) = start(GUEST, &settings, &imports);
    assert_eq!(thread.invoke("f", &[Value::I32(5)]).expect("it returns"), [30]);
    let refusals = refusals.lock().unwrap();
    assert_eq!(refusals.len(), 1);
    assert!(refusals.iter().all(|result| matches!(result, Err(TransitionError::FramesRunOut))));
    assert_eq!(thread.transitions().landings, 0);
    assert_eq!(instance.versions().len(), 1, "it is kept");
    let versions = instance.versions();
    let maps = &versions[0].frame_maps;
    assert_eq!(
        maps.sites().flat_map(|site| maps.entries(&site)).count(),
        0,
        "there are sites, but nothing is said of them"
    );
}

#[test]
fn without_frame_states_forced_transitions_are_refused() {
    let settings = Settings {
        tiers: Tiers::Optimized,
        mechanism: Mechanism::recorded_by(StateRecording::None),
        stress: Stress::hijack(1),
        ..Settings::default()
    };
    let module = osr_ir::wasm::import_text(GUEST).expect("a valid module");
    let refused = Instance::new(settings, module, &imports()).expect_err("it is refused");
    assert!(matches!(refused, InstantiationError::FramesRunOut { .. }), "{refused}");
}

#[test]
fn every_recording_lands_with_the_same_state() {
    for recording in StateRecording::ALL.iter().copied().filter(|&how| how != StateRecording::None) {
        let settings = Settings { mechanism: Mechanism::recorded_by(recording), ..eager() };
        let imports = acting(|call| assert_eq!(call.thread().invalidate_active().expect("a walk").frames, 1));
        let (_, thread) = start(GUEST, &settings, &imports);
        assert_eq!(thread.invoke("f", &[Value::I32(5)]).expect("it returns"), [30]);
        let landings = thread.transitions().landings;
        assert_eq!(landings, 1, "{recording:?}");
    }
}
