//! Frames that leave retired code by themselves, at invalidation points and by return checks: they land when control returns
//! to them, no return PC is swapped, and the code goes when the last of them has left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use osr_engine::{
    ActiveFrames, CompiledTier, Delegates, EntryPoint, Event, Imports, Instance, InstantiationError, Land,
    Mechanism, Observation, Observer, Poll, Request, Settings, Stress, Tier, Tiers, TransitionError,
    VersionState,
};
use osr_ir::Value;
use osr_tests::configuration::{self, on_large_stack};
use osr_tests::guest::{acting, add_act, eager, parse, start};
use osr_tests::{Configuration, observe, programs};

/// Both mechanisms, with everything that has to do with them: what is written into code, and when it goes.
const MECHANISMS: [&str; 12] = [
    "spidermonkey",
    "jsc",
    "spidermonkey,recording=pads,poll=stack-limit",
    "jsc,recording=slots,poll=patched-nop-active,release=epoch",
    "frames=invalidation-point,release=never,poll=guard-page,recording=cross-checked",
    "frames=invalidation-point,release=stack-scan,binding=entry-check,recording=pads",
    "frames=return-check,release=frame-count",
    "frames=return-check,release=frame-count,recording=slots,binding=trampoline",
    "frames=return-check,release=stack-scan,poll=patched-nop,binding=patchpoint",
    "frames=return-check,release=epoch,poll=guard-page",
    "frames=return-check,release=never,recording=cross-checked,poll=flag",
    "frames=return-check,release=frame-count,placement=same-address",
];

fn mechanism(text: &str) -> Mechanism {
    let mechanism: Mechanism = text.parse().expect("a mechanism");
    mechanism.check().unwrap_or_else(|refusal| panic!("{text}: {refusal}"));
    mechanism
}

fn under(text: &str) -> Settings {
    Settings { mechanism: mechanism(text), ..eager() }
}

/// How many versions are retired and in memory.
fn waiting(instance: &Instance) -> usize {
    instance.versions().iter().filter(|version| version.state() != VersionState::Current).count()
}

/// `down` recurses, acts at the bottom, and returns, or traps if it was told to; `nested` calls the host, too, with frames
/// of its own around it.
const DOWN: &str = r#"(module
  (import "env" "act" (func $act))
  (import "env" "nest" (func $nest))
  (global $traps (export "traps") (mut i32) (i32.const 0))
  (func $down (export "down") (param $n i32) (result i32)
    (if (i32.eqz (local.get $n))
      (then (call $act) (if (global.get $traps) (then (unreachable))) (return (i32.const 7))))
    (i32.add (i32.mul (call $down (i32.sub (local.get $n) (i32.const 1))) (i32.const 31)) (local.get $n)))
  (func (export "trap") (param $n i32) (result i32) (local $result i32)
    (global.set $traps (i32.const 1))
    (local.set $result (call $down (local.get $n)))
    (local.get $result))
  (func (export "reset") (global.set $traps (i32.const 0)))
  (func $nested (export "nested") (param $n i32) (result i32)
    (if (i32.eqz (local.get $n)) (then (call $nest) (return (i32.const 3))))
    (i32.add (i32.mul (call $nested (i32.sub (local.get $n) (i32.const 1))) (i32.const 5)) (local.get $n))))"#;

fn down(n: u32) -> u64 {
    u64::from((1..=n).fold(7u32, |sum, n| sum.wrapping_mul(31).wrapping_add(n)))
}

fn nested(n: u32) -> u64 {
    u64::from((1..=n).fold(3u32, |sum, n| sum.wrapping_mul(5).wrapping_add(n)))
}

fn nothing(imports: &mut Imports) {
    add_act(imports, "nest", |_| ());
}

#[test]
fn every_frame_leaves_and_its_code_goes_after_the_last() {
    const DEPTH: u32 = 2_000;
    for text in MECHANISMS {
        let mut imports = acting(move |call| {
            let invalidated = call.thread().invalidate_all().expect("a walk");
            assert_eq!((invalidated.versions, invalidated.frames), (1, 0), "no slot is swapped");
            assert_eq!(call.thread().hijacked_slots(), 0);
            let frames = call.thread().compiled_frames().expect("a walk");
            assert_eq!(frames.len(), DEPTH as usize + 1);
            assert!(frames.iter().all(|frame| !frame.hijacked));
            assert!(waiting(call.thread().instance()) >= 1, "frames are in it");
        });
        nothing(&mut imports);
        on_large_stack(64 << 20, || {
            let (instance, thread) = start(DOWN, &under(text), &imports);
            for round in 1..=2 {
                let results = thread.invoke("down", &[Value::I32(DEPTH as i32)]).expect("it returns");
                assert_eq!(results, [down(DEPTH)], "{text}");
                let transitions = thread.transitions();
                let landings = round * (u64::from(DEPTH) + 1);
                assert_eq!((transitions.landings, transitions.hijacked_frames), (landings, 0), "{text}");
                let kept = if text.contains("never") { round as usize } else { 0 };
                assert_eq!(waiting(&instance), kept, "{text}");
            }
            let moved = thread.moves().iter().map(|moves| moves.count).sum::<u64>();
            assert!(moved >= u64::from(DEPTH), "{text}");
        });
    }
}

/// Traps drop frames that were to leave: what waits for them goes all the same, and those further out still leave.
#[test]
fn frames_that_a_trap_drops_have_left() {
    for text in MECHANISMS {
        let mut imports = acting(|call| {
            call.thread().invalidate_all().expect("a walk");
        });
        add_act(&mut imports, "nest", |call| {
            call.thread().invoke("trap", &[Value::I32(30)]).expect_err("it traps");
            call.thread().invoke("reset", &[]).expect("it returns");
            // Nothing is left behind that would have these leave, or land elsewhere.
            assert_eq!(call.thread().invoke("down", &[Value::I32(9)]).expect("it returns"), [down(9)]);
        });
        let (instance, thread) = start(DOWN, &under(text), &imports);
        for _ in 0..3 {
            let results = thread.invoke("nested", &[Value::I32(40)]).expect("it returns");
            assert_eq!(results, [nested(40)], "{text}");
            thread.invoke("trap", &[Value::I32(20)]).expect_err("it traps");
            thread.invoke("reset", &[]).expect("it returns");
            assert!(text.contains("never") || waiting(&instance) == 0, "{text}");
        }
        // In each round the frames of `nested`, the trapping call's dropped, and those of the last `down`.
        assert!(thread.transitions().landings >= 3 * (41 + 10), "{text}");
    }
}

/// Frames of one version retired at different times, with current ones between them.
#[test]
fn retired_and_current_frames_alternate() {
    const STEPS: &str = r#"(module
      (import "env" "act" (func $act))
      (func $f (export "f") (param $n i32) (result i32)
        (if (i32.eqz (local.get $n)) (then (return (i32.const 1))))
        (call $act)
        (i32.add (i32.mul (call $g (i32.sub (local.get $n) (i32.const 1))) (i32.const 3)) (local.get $n)))
      (func $g (param $n i32) (result i32)
        (if (i32.eqz (local.get $n)) (then (return (i32.const 2))))
        (i32.add (i32.mul (call $f (i32.sub (local.get $n) (i32.const 1))) (i32.const 7)) (local.get $n))))"#;
    let expected = {
        fn f(n: u32) -> u32 {
            if n == 0 { 1 } else { g(n - 1).wrapping_mul(3).wrapping_add(n) }
        }
        fn g(n: u32) -> u32 {
            if n == 0 { 2 } else { f(n - 1).wrapping_mul(7).wrapping_add(n) }
        }
        u64::from(f(101))
    };
    for text in MECHANISMS {
        let calls = AtomicU64::new(0);
        let imports = acting(move |call| {
            let number = calls.fetch_add(1, Relaxed);
            let function = call.thread().instance().exported_function("f").expect("it is there");
            // `f` every third time, `g` every fifth.
            let chosen = |is_f: bool| number.is_multiple_of(if is_f { 3 } else { 5 });
            let choose = |version: &osr_engine::CodeVersion| chosen(version.function == function);
            call.thread().invalidate_chosen(choose).expect("a walk");
        });
        let (instance, thread) = start(STEPS, &under(text), &imports);
        for _ in 0..2 {
            assert_eq!(thread.invoke("f", &[Value::I32(101)]).expect("it returns"), [expected], "{text}");
        }
        assert!(text.contains("never") || waiting(&instance) == 0, "{text}");
    }
}

/// What is behind each call of retired code leads to one place; current code is as it was compiled.
#[test]
fn jumps_are_written_behind_the_calls_of_retired_code_only() {
    let mechanism = mechanism("frames=invalidation-point,release=never");
    let mut imports = acting(|call| {
        let function = call.thread().instance().exported_function("down").expect("it is there");
        call.thread().invalidate_chosen(|version| version.function == function).expect("a walk");
    });
    nothing(&mut imports);
    let (instance, thread) = start(DOWN, &Settings { mechanism, ..eager() }, &imports);
    thread.invoke("nested", &[Value::I32(2)]).expect("it returns");
    thread.invoke("down", &[Value::I32(2)]).expect("it returns");
    let mut targets = Vec::new();
    for version in instance.versions() {
        let code = version.code().expect("it is in memory");
        let jumps = version.frame_maps.sites().filter_map(|site| {
            let [opcode, distance @ ..]: [u8; 5] =
                code[site.return_offset as usize..][..5].try_into().ok()?;
            let distance = i64::from(i32::from_le_bytes(distance));
            let next = version.start as i64 + i64::from(site.return_offset) + 5;
            (opcode == 0xe9).then_some(next + distance)
        });
        let jumps: Vec<i64> = jumps.filter(|target| !version.contains(*target as u64)).collect();
        let is_retired = version.state() != VersionState::Current;
        assert_eq!(jumps.len(), if is_retired { version.frame_maps.len() } else { 0 }, "{}", version.id);
        targets.extend(jumps);
    }
    targets.dedup();
    assert_eq!(targets.len(), 1, "{targets:x?}");
}

/// With either mechanism, a current frame continues in a higher tier from the poll of a loop.
#[test]
fn loops_tier_up() {
    const LOOP: &str = r#"(module
      (import "env" "act" (func $act))
      (func $step (param $n i32) (result i32) (i32.mul (local.get $n) (i32.const 3)))
      (func (export "run") (param $n i32) (result i32) (local $sum i32)
        (call $act)
        (loop $again
          (local.set $sum (i32.add (local.get $sum) (call $step (local.get $n))))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum)))"#;
    for text in MECHANISMS {
        let imports = acting(|call| {
            call.thread().invalidate_all().expect("a walk");
        });
        let settings =
            Settings { tiers: Tiers::Auto, threshold: Some(5), optimize_threshold: Some(20), ..under(text) };
        let (_, thread) = start(LOOP, &settings, &imports);
        for _ in 0..4 {
            let expected = 3 * (1..=500u64).sum::<u64>();
            assert_eq!(thread.invoke("run", &[Value::I32(500)]).expect("it returns"), [expected], "{text}");
        }
        let moves = thread.moves();
        let tiered_up =
            moves.iter().filter(|moves| moves.from == Tier::Baseline && moves.to == Tier::Optimized);
        assert!(tiered_up.map(|moves| moves.count).sum::<u64>() > 0, "{text}: {moves:?}");
    }
}

/// Requests come and go while retired code waits: where polls are patched, its jumps stay.
#[derive(Debug)]
struct Requesting(AtomicU64);

impl Observer for Requesting {
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>) {
        if matches!(event, Event::Landed { .. } | Event::Compiled { .. }) {
            let number = self.0.fetch_add(1, Relaxed);
            if number < 400 && number.is_multiple_of(5) {
                at.request(Request::InvalidateActive).expect("code is ready");
            }
        }
    }
}

#[test]
fn polls_are_requested_and_withdrawn_meanwhile() {
    let chosen = ["fib", "richards", "many-call-sites"];
    for program in programs().into_iter().filter(|program| chosen.contains(&&*program.name)) {
        let module = program.module(false);
        let expected = observe(
            &module,
            &program.invoke,
            &program.small_arguments(),
            &Configuration::interpreter().settings,
        );
        for text in MECHANISMS {
            let settings = Settings {
                threshold: Some(5),
                optimize_threshold: Some(20),
                tiers: Tiers::Auto,
                ..under(text)
            };
            let delegates =
                Delegates { observer: Some(Arc::new(Requesting(AtomicU64::new(0)))), policy: None };
            let (_, thread) = configuration::start_with(&module, &settings, delegates);
            let results = thread.invoke(&program.invoke, &program.small_arguments());
            assert_eq!(results.map_err(|error| error.to_string()), expected.outcome, "{}", program.name);
            assert!(thread.transitions().landings > 0, "{}, {text}", program.name);
        }
    }
}

#[test]
fn what_is_current_cannot_be_hijacked() {
    for text in MECHANISMS {
        let imports = {
            let mut imports = acting(|call| {
                let refused = call.thread().hijack(|_| true);
                assert!(matches!(refused, Err(TransitionError::NothingIsHijacked)), "{refused:?}");
            });
            nothing(&mut imports);
            imports
        };
        let (_, thread) = start(DOWN, &under(text), &imports);
        assert_eq!(thread.invoke("down", &[Value::I32(3)]).expect("it returns"), [down(3)]);
        for stress in [Stress::hijack(3), Stress::Random(1), Stress::Uncovered] {
            let settings = Settings { stress, ..under(text) };
            let refused = Instance::new(settings, parse("(module)"), &Imports::default());
            assert!(matches!(refused, Err(InstantiationError::NothingIsHijacked)), "{text}");
        }
    }
}

/// Optimized code has room for its jumps as it is.
#[test]
fn an_invalidation_point_takes_no_code() {
    for program in programs() {
        let module = program.module(false);
        let bytes = |frames: ActiveFrames| {
            let release = osr_engine::CodeRelease::FrameCount;
            // Entries with this poll have the same code in both.
            let mechanism = Mechanism { frames, release, poll: Poll::Flag, ..Mechanism::DEFAULT };
            let settings = Settings { mechanism, ..Settings::default() };
            let instance = Instance::new(settings, module.clone(), &osr_tests::host::imports()).unwrap();
            let functions = (0..instance.module().functions.len()).map(osr_ir::FunctionIndex::new);
            let defined = functions.filter(|&f| instance.module().function(f).is_defined());
            let compile = |f| instance.compile(f, CompiledTier::Optimized, EntryPoint::Function);
            let compiled = defined.map(|f| compile(f).expect("it compiles"));
            // A hijacked frame leaves its loops without code for that.
            let is_loop = |site: osr_engine::Site| site.kind == osr_ir::PointKind::LoopHeader;
            let straight = compiled.filter(|version| !version.frame_maps.sites().any(is_loop));
            straight.map(|version| u64::from(version.code_bytes)).collect::<Vec<u64>>()
        };
        let (hijacked, points) = (bytes(ActiveFrames::Hijack), bytes(ActiveFrames::InvalidationPoint));
        // The last of a function's calls may be too near to the end of its code.
        let takes_more = points.iter().zip(&hijacked).any(|(points, hijacked)| *points > hijacked + 5);
        assert!(!takes_more, "{}: {points:?}, {hijacked:?}", program.name);
    }
}

/// Every landing, at every safepoint of a recursion with a loop and host calls between.
#[test]
fn frames_leave_to_every_tier() {
    for (number, text) in MECHANISMS.into_iter().enumerate() {
        for land in [Land::In(Tier::Interpreter), Land::In(Tier::Baseline), Land::In(Tier::Optimized)] {
            let mut imports = acting(|_| ());
            nothing(&mut imports);
            let stress = Stress::invalidate(1 + number as u64 % 3).landing(land);
            let (_, thread) = start(DOWN, &Settings { stress, ..under(text) }, &imports);
            assert_eq!(thread.invoke("down", &[Value::I32(60)]).expect("it returns"), [down(60)], "{text}");
            let to = match land {
                Land::In(tier) => tier,
                Land::Random(_) => unreachable!("not among them"),
            };
            assert!(thread.moves().iter().any(|moves| moves.to == to && moves.count > 0), "{text}, {land:?}");
        }
    }
}
