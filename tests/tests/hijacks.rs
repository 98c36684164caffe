//! Hijacking what is hijacked already, giving slots back, and hijacks that fail half-way.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use osr_engine::{CompiledFrame, Hijacked, HostCall, Imports, Thread};
use osr_ir::Value;
use osr_stackwalk::ReturnPc;
use osr_tests::guest::{acting, add_act, eager, hijack_some, start};

/// `f0` calls `f1` calls `f2`, which calls the host twice. `g` calls the host, too.
const GUEST: &str = r#"(module
  (import "env" "act" (func $act))
  (import "env" "then" (func $then))
  (func (export "f0") (param $n i32) (result i32) (i32.add (call $f1 (local.get $n)) (local.get $n)))
  (func $f1 (export "f1") (param $n i32) (result i32)
    (local $below i32)
    (local.set $below (call $f2 (local.get $n)))
    (call $g)
    (i32.mul (local.get $below) (local.get $n)))
  (func $f2 (export "f2") (param $n i32) (result i32)
    (call $act) (call $then) (i32.add (local.get $n) (i32.const 5)))
  (func $g (export "g") (call $then)))"#;

/// f0(3): (3 + 5) * 3 + 3.
const RESULT: u64 = 27;

/// What lies in the return slots of frames.
fn slots(frames: &[CompiledFrame]) -> Vec<ReturnPc> {
    // SAFETY: the frames are active.
    frames.iter().map(|frame| unsafe { frame.frame.return_slot.load() }).collect()
}

fn frames(call: &HostCall<'_>) -> Vec<CompiledFrame> {
    call.thread().compiled_frames().expect("a walk")
}

/// Runs `f0` with these two actions; returns the thread for a look at what happened.
fn run(
    act: impl Fn(&HostCall<'_>) + Send + Sync + 'static,
    then: impl Fn(&HostCall<'_>) + Send + Sync + 'static,
) -> Pin<Box<Thread>> {
    let mut imports: Imports = acting(act);
    add_act(&mut imports, "then", then);
    let (_, thread) = start(GUEST, &eager(), &imports);
    assert_eq!(thread.invoke("f0", &[Value::I32(3)]).expect("it returns"), [RESULT]);
    assert_eq!(thread.hijacked_slots(), 0);
    thread
}

#[test]
fn a_hijacked_slot_is_not_hijacked_again() {
    let thread = run(
        |call| {
            let before = frames(call);
            assert_eq!(slots(&before), before.iter().map(|frame| frame.frame.pc).collect::<Vec<_>>());
            assert_eq!(hijack_some(call, 0b101), Hijacked { frames: 2, again: 0 });
            let (once, in_slots) = (frames(call), slots(&before));
            assert_eq!(in_slots[0], in_slots[2], "the landing stub");
            assert_eq!(in_slots[1], before[1].frame.pc);
            assert_eq!(hijack_some(call, 0b101), Hijacked { frames: 0, again: 2 });
            assert_eq!(frames(call), once);
            assert_eq!(slots(&before), in_slots);
            assert_eq!(hijack_some(call, 0b111), Hijacked { frames: 1, again: 2 });
            assert_eq!(call.thread().hijacked_slots(), 3);
            let original = |frame: &CompiledFrame| CompiledFrame { hijacked: false, ..*frame };
            assert_eq!(
                frames(call).iter().map(original).collect::<Vec<_>>(),
                before,
                "walkers see the original PCs"
            );
        },
        |_| (),
    );
    let transitions = thread.transitions();
    assert_eq!((transitions.hijacked_frames, transitions.landings, transitions.rehijacked), (3, 3, 4));
}

#[test]
fn a_pending_frame_is_hijacked_again_by_later_calls() {
    // `f2` has landed when it calls `then`, and is interpreted. When `g` calls `then`, `f1` has, too.
    let seen = Arc::new(Mutex::new(Vec::new()));
    let host = Arc::clone(&seen);
    let thread = run(
        |call| assert_eq!(hijack_some(call, 0b111), Hijacked { frames: 3, again: 0 }),
        move |call| host.lock().unwrap().push(call.thread().hijack(|_| true).expect("a walk")),
    );
    let expected = [Hijacked { frames: 0, again: 2 }, Hijacked { frames: 1, again: 1 }];
    assert_eq!(*seen.lock().unwrap(), expected);
    assert_eq!(thread.transitions().landings, 4);
}

#[test]
fn slots_that_are_given_back_return_plainly() {
    let thread = run(
        |call| {
            let before = (frames(call), slots(&frames(call)));
            hijack_some(call, 0b011);
            hijack_some(call, 0b100);
            assert_eq!(call.thread().unhijack().expect("it can"), 3);
            assert_eq!(call.thread().unhijack().expect("it can"), 0);
            assert_eq!((frames(call), slots(&before.0)), before);
            assert_eq!(call.thread().hijacked_slots(), 0);
        },
        |_| (),
    );
    assert_eq!(thread.transitions().landings, 0);
}

#[test]
fn a_slot_that_was_given_back_is_hijacked_anew() {
    let thread = run(
        |call| {
            hijack_some(call, 0b111);
            call.thread().unhijack().expect("it can");
            assert_eq!(hijack_some(call, 0b010), Hijacked { frames: 1, again: 0 });
        },
        |_| (),
    );
    assert_eq!(thread.transitions().landings, 1);
}

#[test]
fn records_of_released_code_are_not_given_back() {
    let thread = run(
        |call| {
            assert_eq!(call.thread().invalidate_active().expect("a walk").frames, 3);
            assert_eq!(call.thread().unhijack().expect("it can"), 0);
            assert_eq!(call.thread().hijacked_slots(), 3);
        },
        |call| {
            // In `g`, which is recompiled: its slot can be freed, that of `f0` cannot.
            call.thread().hijack(|_| true).expect("a walk");
            let outer = call.thread().hijacked_slots();
            let fresh = frames(call).len() - frames(call).iter().filter(|frame| frame.version.0 <= 3).count();
            assert_eq!(call.thread().unhijack().expect("it can"), fresh as u64);
            assert_eq!(call.thread().hijacked_slots(), outer - fresh);
        },
    );
    assert_eq!(thread.transitions().landings, 3);
}

#[test]
fn frame_maps_outlive_the_code_until_the_last_landing() {
    let maps = Arc::new(Mutex::new(Vec::new()));
    let host = Arc::clone(&maps);
    let bytes = |call: &HostCall<'_>| call.thread().instance().code_statistics().frame_map_bytes;
    let thread = run(
        move |call| {
            let before = bytes(call);
            call.thread().invalidate_active().expect("a walk");
            assert_eq!(bytes(call), before);
        },
        move |call| host.lock().unwrap().push(bytes(call)),
    );
    thread.invalidate_all().expect("a walk");
    let maps = maps.lock().unwrap();
    assert!(maps[0] > maps[1], "that of f2 goes before that of f1: {maps:?}");
    assert_eq!(thread.instance().code_statistics().frame_map_bytes, 0);
}

/// The choice is the host's code: it may panic, in the middle of the walk.
#[test]
fn a_choice_that_panics_hijacks_nothing() {
    let thread = run(
        |call| {
            let before = (frames(call), slots(&frames(call)));
            let f1 = call.thread().instance().exported_function("f1");
            let panics = std::panic::AssertUnwindSafe(|| {
                call.thread().hijack(|version| {
                    if Some(version.function) == f1 {
                        std::panic::resume_unwind(Box::new(()));
                    }
                    true
                })
            });
            std::panic::catch_unwind(panics).expect_err("it panics");
            assert_eq!((frames(call), slots(&before.0)), before);
            assert_eq!(call.thread().hijacked_slots(), 0);
            assert_eq!(hijack_some(call, 0b111), Hijacked { frames: 3, again: 0 });
        },
        |_| (),
    );
    assert_eq!(thread.transitions().landings, 3);
}

/// Each frame of a recursion is hijacked by a hijack of its own, while all outer ones are pending.
#[test]
fn a_record_for_each_of_many_hijacks() {
    let guest = r#"(module
      (import "env" "act" (func $act))
      (func $down (export "down") (param $n i32) (result i32)
        (call $act)
        (if (i32.eqz (local.get $n)) (then (return (i32.const 1))))
        (i32.add (call $down (i32.sub (local.get $n) (i32.const 1))) (local.get $n))))"#;
    let imports = acting(|call| {
        let pending = call.thread().hijacked_slots() as u64;
        let hijacked = call.thread().hijack(|_| true).expect("a walk");
        assert_eq!(hijacked, Hijacked { frames: 1, again: pending });
    });
    let (_, thread) = start(guest, &eager(), &imports);
    let results = thread.invoke("down", &[Value::I32(200)]).expect("it returns");
    assert_eq!(results, [1 + 200 * 201 / 2]);
    assert!(thread.transitions().landings > 200);
    assert_eq!(thread.hijacked_slots(), 0);
}
