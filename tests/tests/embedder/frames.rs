//! What waits for a host function has the same frames and values in every tier, however it got there, hijacked or not.

use std::sync::{Arc, Mutex};

use osr_engine::{
    GuestFrame, Imports, Inlining, Instance, InstantiationError, Mechanism, PRESETS, RebuildTime, Settings,
    StateRecording, Thread, Tier, TransitionError,
};
use osr_ir::Value;
use osr_tests::guest::{in_each_tier, interpreted, parse};

/// `down` calls itself, and at its bottom `leaf` through a table, which calls the host. Values of several types are live at each
/// call.
const GUEST: &str = r#"(module
  (import "host" "look" (func $look))
  (table 1 funcref) (elem (i32.const 0) $leaf)
  (func $leaf (param i64) (result i64) (local f32)
    (local.set 1 (f32.convert_i64_s (local.get 0)))
    (call $look)
    (i64.add (local.get 0) (i64.trunc_f32_s (local.get 1))))
  (func $down (export "down") (param $n i32) (param $x f64) (result i64) (local $sum i64)
    (local.set $sum (i64.extend_i32_s (i32.mul (local.get $n) (i32.const -7))))
    (if (i32.eqz (local.get $n))
      (then (return (call_indirect (param i64) (result i64) (i64.add (local.get $sum) (i64.const 40)) (i32.const 0)))))
    (local.set $sum (i64.add (local.get $sum)
      (call $down (i32.sub (local.get $n) (i32.const 1)) (f64.add (local.get $x) (f64.const 0.5)))))
    (i64.add (i64.add (local.get $sum) (i64.trunc_f64_s (local.get $x))) (i64.extend_i32_s (local.get $n))))
  (func (export "often") (param $n i32) (result i64) (local $sum i64)
    (loop $again
      (local.set $sum (i64.add (local.get $sum) (call $down (i32.const 3) (f64.convert_i32_s (local.get $n)))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))"#;

/// What is the same in every tier: function, point, registers with their words.
type Seen = Vec<(u32, String, Vec<(u32, u64)>)>;

fn seen(frames: &[GuestFrame]) -> Seen {
    let values = |frame: &GuestFrame| {
        frame.values.iter().map(|&(register, word)| (register.index() as u32, word)).collect()
    };
    frames.iter().map(|frame| (frame.function.as_u32(), frame.point.to_string(), values(frame))).collect()
}

/// What the host sees in calls of `often`: every second time it calls `down` in turn, from where it looks again. Then it hijacks
/// what there is, and looks once more.
fn run(settings: Settings) -> (Vec<Seen>, Vec<Tier>, Vec<u64>) {
    let all = Arc::new(Mutex::new((Vec::new(), Vec::new(), 0)));
    let shared = Arc::clone(&all);
    let mut imports = Imports::new();
    imports.typed("host", "look", move |call, ()| {
        let thread = call.thread();
        let frames = thread.guest_frames().expect("a host function may look");
        let depth = {
            let (list, tiers, depth) = &mut *shared.lock().unwrap();
            list.push(seen(&frames));
            tiers.extend(frames.iter().map(|frame| frame.tier));
            *depth += 1;
            *depth
        };
        if depth % 3 == 1 {
            thread.invoke("down", &[Value::I32(2), Value::F64(9.25f64.to_bits())])?;
            assert_eq!(seen(&thread.guest_frames().expect("it may")), seen(&frames), "they still wait");
        }
        if thread.hijack(|_| true).is_ok() {
            let hijacked = thread.guest_frames().expect("hijacked frames are whole");
            assert_eq!(seen(&hijacked), seen(&frames));
            let compiled = hijacked.iter().filter(|frame| frame.tier != Tier::Interpreter);
            assert!(compiled.clone().all(|frame| frame.is_hijacked && frame.version.is_some()));
        }
        Ok(())
    });
    let settings = Settings { guest_frames: true, inlining: None, ..settings };
    let instance = Instance::new(settings, parse(GUEST), &imports).expect("an instance");
    let thread = Thread::new(&instance).expect("a thread");
    let results = thread.invoke("often", &[Value::I32(12)]).expect("it returns");
    assert!(thread.guest_frames().expect("nothing waits").is_empty());
    let (list, tiers, _) = std::mem::take(&mut *all.lock().unwrap());
    (list, tiers, results)
}

#[test]
fn frames_and_values_are_the_same_in_every_tier() {
    let (expected, tiers, results) = run(interpreted());
    assert!(tiers.iter().all(|&tier| tier == Tier::Interpreter));
    // `leaf` and `down` four times, below `often`; twice as many where the host has called back.
    assert_eq!(expected[0].len(), 6);
    assert_eq!(expected[1].len(), 10);
    // The innermost `down` returns what its call returns, and needs nothing more.
    let has_values = expected[0].iter().map(|(_, _, values)| !values.is_empty());
    assert_eq!(has_values.collect::<Vec<_>>(), [true, false, true, true, true, true]);
    let mut mixed = 0;
    for settings in in_each_tier(5) {
        let (list, tiers, returned) = run(settings.clone());
        assert_eq!(list, expected, "{settings:?}");
        assert_eq!(returned, results);
        mixed += usize::from(tiers.contains(&Tier::Interpreter) && tiers.contains(&Tier::Optimized));
    }
    assert!(mixed > 0, "frames of several tiers are seen at once");
}

#[test]
fn frames_and_values_are_the_same_however_states_are_recorded_and_frames_replaced() {
    let (expected, _, results) = run(interpreted());
    let recorded = [StateRecording::Slots, StateRecording::Locations, StateRecording::CrossChecked]
        .map(Mechanism::recorded_by);
    let at_once = Mechanism { rebuild: RebuildTime::AtOnce, ..Mechanism::default() };
    let presets = PRESETS.iter().map(|preset| preset.mechanism).filter(|mechanism| mechanism.hijacks());
    for mechanism in recorded.into_iter().chain([at_once]).chain(presets) {
        for settings in in_each_tier(5) {
            let stress = if mechanism.hijacks() { settings.stress.clone() } else { Default::default() };
            let (list, _, returned) = run(Settings { mechanism, stress, ..settings });
            // With pads nothing but the frames is known.
            let known = |list: &[Seen]| list.iter().map(Vec::len).collect::<Vec<_>>();
            match mechanism.recording {
                StateRecording::Pads => assert_eq!(known(&list), known(&expected)),
                _ => assert_eq!(list, expected, "{mechanism}"),
            }
            assert_eq!(returned, results, "{mechanism}");
        }
    }
}

#[test]
fn frames_are_refused_where_nothing_lists_them() {
    let mut imports = Imports::new();
    imports.typed("host", "look", |_, ()| Ok(()));
    let instance = Instance::new(interpreted(), parse(GUEST), &imports).expect("an instance");
    let refused = Thread::new(&instance).expect("a thread").guest_frames();
    assert!(matches!(refused, Err(TransitionError::FramesNotListed)), "{refused:?}");
    let settings = Settings { guest_frames: true, inlining: Some(Inlining::default()), ..interpreted() };
    let refused = Instance::new(settings, parse(GUEST), &imports);
    assert!(matches!(refused, Err(InstantiationError::FramesNotListed)));
}
