//! Guards and speculation: whatever fails, and wherever its frame lands, programs compute what the interpreter does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use osr_engine::{
    ActiveFrames, CodeRelease, CodeVersion, CompiledTier, Delegates, DeoptReason, EntryPoint, Event,
    FailingGuards, Imports, Inlining, Instance, InstantiationError, Land, Mechanism, Observation, Observer,
    Preset, RebuildTime, Schedule, Settings, SpeculationKind, StateRecording, Stress, Thread, Tier, Tiers,
};
use osr_ir::{ExportItem, FunctionIndex, Module, Position, Value};
use osr_tests::guest::parse;
use osr_tests::run::{Call, run};
use osr_tests::{Configuration, Observed, cases, observe, programs};

/// Speculates as soon as there is a profile, however little it says: many guards fail.
fn hasty(stress: Stress) -> Settings {
    let low = Configuration::new("", Tiers::Auto, stress).with_thresholds((5, 20)).settings;
    Settings { speculate: all_kinds(), speculation_threshold: 1, ..low }
}

fn all_kinds() -> BTreeSet<SpeculationKind> {
    SpeculationKind::ALL.iter().copied().collect()
}

/// Where frames land that a guard has left.
fn lands() -> [Land; 4] {
    [Land::In(Tier::Interpreter), Land::In(Tier::Baseline), Land::In(Tier::Optimized), Land::Random(3)]
}

/// A guard of a body: its function, and where it is there.
type Key = (FunctionIndex, Position);

/// Which guards there are in compiled code, which of them were left through, and the ordinals of those that were made to
/// fail.
#[derive(Debug, Default)]
struct GuardLog(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    compiled: BTreeSet<Key>,
    failed: BTreeMap<Key, u64>,
    /// Per guard, which executions of guards were of it.
    forced: BTreeMap<Key, Vec<u64>>,
    reasons: BTreeSet<DeoptReason>,
}

impl Observer for GuardLog {
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>) {
        let mut seen = self.0.lock().expect("no observer has panicked");
        match *event {
            Event::Compiled { version, .. } => {
                let guards = version.guards().filter(|(guard, _)| guard.site.is_some());
                seen.compiled.extend(guards.map(|(guard, _)| (guard.function, guard.at)));
            }
            Event::GuardFailed { guard, is_forced, .. } => {
                let key = (guard.function, guard.at);
                seen.reasons.insert(guard.reason);
                *seen.failed.entry(key).or_default() += 1;
                if is_forced {
                    seen.forced.entry(key).or_default().push(at.transitions().guards);
                }
            }
            _ => {}
        }
    }
}

/// Makes so many calls of a program, watched. Returns how many guards held, too.
fn watch(
    Subject { module, invoke, arguments, .. }: &Subject,
    calls: usize,
    settings: &Settings,
) -> (Seen, u64) {
    let log = Arc::new(GuardLog::default());
    let delegates = Delegates::observer(log.clone());
    let (_instance, thread) = osr_tests::configuration::start_with(module, settings, delegates);
    for _ in 0..calls {
        thread.invoke(invoke, arguments).expect("the program returns");
    }
    let executed = thread.transitions().guards;
    let seen = std::mem::take(&mut *log.0.lock().expect("no observer has panicked"));
    (seen, executed)
}

/// The programs on which everything is tried by default.
const QUICK: [&str; 3] = ["fib", "sort", "phase-change"];

struct Subject {
    name: String,
    module: Module,
    invoke: String,
    arguments: Vec<Value>,
    expected: Observed,
}

impl Subject {
    fn few() -> Vec<Subject> {
        Subject::chosen(|name| QUICK.contains(&name))
    }

    fn chosen(choose: impl Fn(&str) -> bool) -> Vec<Subject> {
        let chosen = programs().into_iter().filter(|program| choose(&program.name));
        let chosen = chosen.map(|program| {
            let (module, arguments) = (program.module(false), program.small_arguments());
            let interpreter = Configuration::interpreter().settings;
            let expected = observe(&module, &program.invoke, &arguments, &interpreter);
            Subject { name: program.name, module, invoke: program.invoke, arguments, expected }
        });
        chosen.collect()
    }

    fn agrees(&self, settings: &Settings) {
        let observed = observe(&self.module, &self.invoke, &self.arguments, settings);
        assert_eq!(observed, self.expected, "{}, {:?}", self.name, settings.stress);
    }
}

#[test]
fn what_was_speculated_wrongly_is_left() {
    for program in Subject::few() {
        for (land, guard_failures) in lands().into_iter().zip([1, 10, u32::MAX, 3]) {
            program.agrees(&Settings { guard_failures, ..hasty(Stress::None.landing(land)) });
        }
    }
}

/// Each guard is made to fail at its first, its second and its last execution, and frames land everywhere.
#[test]
fn every_guard_fails_when_it_is_made_to() {
    force_everywhere(Subject::few());
}

#[test]
#[ignore = "takes minutes"]
fn every_guard_of_every_program_fails_when_it_is_made_to() {
    force_everywhere(Subject::chosen(|_| true));
}

fn force_everywhere(programs: Vec<Subject>) {
    for program in programs {
        let every = hasty(Stress::guard(1).landing(Land::In(Tier::Optimized)));
        program.agrees(&every);
        let (seen, executed) = watch(&program, 1, &every);
        assert!(executed > 0 && !seen.forced.is_empty(), "{}: no guards", program.name);
        let mut guards: BTreeSet<u64> = BTreeSet::new();
        for hits in seen.forced.values() {
            guards.extend(hits.iter().take(2).chain(hits.last()));
        }
        let guards: Vec<u64> = guards.into_iter().collect();
        for tier in Tier::ALL {
            let landings = (1..=executed).map(|landing| (landing, tier)).collect();
            let schedule = Schedule { safepoints: Vec::new(), landings, guards: guards.clone() };
            program.agrees(&hasty(Stress::Replay(schedule.into())));
        }
        for (every, land) in [2, 7, 97].into_iter().zip(lands()) {
            program.agrees(&hasty(Stress::guard(every).landing(land)));
        }
    }
}

/// A shadow interpreter has the same state wherever a guard is left, or made to be left.
#[test]
fn a_shadow_follows_through_guards() {
    for program in Subject::few() {
        let Some(ExportItem::Function(function)) = program.module.export(&program.invoke) else {
            panic!("{} exports its function", program.name);
        };
        let arguments = program.arguments.iter().map(|argument| argument.to_bits()).collect();
        let calls = [Call { name: program.invoke.clone(), function, arguments }];
        let stresses = [Stress::None, Stress::guard(1), Stress::guard(5), Stress::None];
        for (n, (stress, land)) in stresses.into_iter().zip(lands()).enumerate() {
            let failing_guards = FailingGuards::ALL[n % FailingGuards::ALL.len()];
            let settings = Settings { failing_guards, guard_failures: 2, ..hasty(stress.landing(land)) };
            let run = run(&program.module, &calls, &settings, true).expect("it returns");
            let difference = run.difference.map(|difference| difference.to_string());
            assert_eq!(difference, None, "{}, {land:?}", program.name);
            assert!(run.transitions.failed_guards > 0, "{}, {land:?}", program.name);
        }
    }
}

/// A frame that a guard of an inlined body leaves stands for several activations, and lands as these.
#[test]
fn guards_of_inlined_bodies_are_left() {
    let inlined = |settings: Settings| Settings { inlining: Some(Configuration::MUCH), ..settings };
    for program in Subject::few() {
        for (land, every) in lands().into_iter().zip([1, 2, 3, 1]) {
            for guard_failures in [2, u32::MAX] {
                let hasty = hasty(Stress::guard(every).landing(land));
                program.agrees(&inlined(Settings { guard_failures, ..hasty }));
            }
        }
    }
    let fib = Subject::chosen(|name| name == "fib").pop().expect("it is there");
    let Some(ExportItem::Function(function)) = fib.module.export(&fib.invoke) else { panic!("exported") };
    let arguments = fib.arguments.iter().map(|argument| argument.to_bits()).collect();
    let calls = [Call { name: fib.invoke.clone(), function, arguments }];
    for (every, land) in [1, 5, 2, 3].into_iter().zip(lands()) {
        let settings = inlined(hasty(Stress::guard(every).landing(land)));
        let run = run(&fib.module, &calls, &settings, true).expect("it returns");
        assert_eq!(run.difference.map(|difference| difference.to_string()), None, "{land:?}");
        assert!(run.transitions.virtual_frames > 0, "{land:?}: {:?}", run.transitions);
    }
}

/// Where nothing watches, what lands in the interpreter becomes one activation of it.
#[test]
fn chains_that_land_in_the_interpreter_agree_unwatched() {
    let mut landed = 0;
    for program in Subject::few() {
        for inlining in [Inlining::default(), Configuration::MUCH] {
            let hasty = hasty(Stress::None);
            let settings =
                Settings { checked: false, inlining: Some(inlining), guard_failures: u32::MAX, ..hasty };
            let module = &program.module;
            let (_instance, thread) = osr_tests::configuration::start(module, &settings);
            for _ in 0..3 {
                let outcome = thread.invoke(&program.invoke, &program.arguments);
                assert_eq!(outcome.ok(), program.expected.outcome.clone().ok(), "{}", program.name);
            }
            landed += thread.transitions().virtual_frames;
        }
    }
    assert!(landed > 0, "no frame stood for several activations");
}

/// Nearly all guards that there are in code are left through, into each tier.
#[test]
fn nearly_all_guards_are_left_through() {
    for land in Tier::ALL {
        let (mut compiled, mut left) = (0, 0);
        for program in Subject::few() {
            let mut failed = BTreeSet::new();
            let mut known = BTreeSet::new();
            // What follows a guard that always fails is not reached.
            for every in [1, 2, 3, 4, 5, 7, 11, 13, 31] {
                let mut settings = hasty(Stress::guard(every).landing(Land::In(land)));
                settings.guard_failures = u32::MAX;
                let (seen, _) = watch(&program, 4, &settings);
                failed.extend(seen.failed.into_keys());
                known.extend(seen.compiled);
            }
            compiled += known.len();
            left += failed.intersection(&known).count();
        }
        println!("into {}: {left} of {compiled} guards were left through", land.name());
        assert!(left * 100 >= compiled * 95, "into {}: {left} of {compiled} guards", land.name());
    }
}

#[test]
fn guards_fail_under_every_recording_and_mechanism() {
    let preset = |name| Preset::named(name).expect("it is there").mechanism;
    let mut mechanisms: Vec<Mechanism> = StateRecording::ALL
        .iter()
        .filter(|&&recording| recording != StateRecording::None)
        .map(|&recording| Mechanism::recorded_by(recording))
        .collect();
    mechanisms.extend(["v8", "hotspot", "spidermonkey", "jsc", "erlang", "hhvm", "orc"].map(preset));
    let residence = CodeRelease::ResidenceCount;
    mechanisms.push(Mechanism { frames: ActiveFrames::RunOut, release: residence, ..Mechanism::DEFAULT });
    let checked = Mechanism {
        frames: ActiveFrames::ReturnCheck,
        release: CodeRelease::FrameCount,
        ..Mechanism::DEFAULT
    };
    mechanisms.push(checked);
    mechanisms.retain(|mechanism| mechanism.can_leave() && mechanism.check().is_ok());
    assert!(mechanisms.len() >= 10, "{mechanisms:?}");
    let programs = Subject::few();
    for (number, mechanism) in mechanisms.into_iter().enumerate() {
        let program = &programs[number % programs.len()];
        for stress in [Stress::None, Stress::guard(3)] {
            let mut settings =
                Settings { mechanism, guard_failures: 2, ..hasty(stress.landing(lands()[number % 4])) };
            if !mechanism.replaces_frames() {
                settings.speculate.remove(&SpeculationKind::Global);
            }
            program.agrees(&settings);
        }
    }
}

#[test]
fn cases_agree_when_they_speculate() {
    let stresses = [Stress::None, Stress::guard(1), Stress::guard(3)];
    let names = ["into the interpreter", "into baseline", "into optimized"];
    let configuration = |((stress, land), name): ((Stress, Land), &'static str)| {
        let thresholds =
            Settings { threshold: Some(1), optimize_threshold: Some(3), ..hasty(stress.landing(land)) };
        Configuration { name, settings: thresholds }
    };
    let configurations: Vec<Configuration> =
        stresses.into_iter().zip(lands()).zip(names).map(configuration).collect();
    for case in cases() {
        assert_eq!(case.disagreements_among(&configurations), "");
    }
}

/// A loop of two phases: in the first one a branch is never taken, in the second always.
const PHASES: &str = r#"(module
  (func (export "run") (param $n i32) (param $from i32) (result i32)
    (local $sum i32)
    (loop $next
      (if (i32.lt_u (local.get $n) (local.get $from))
        (then (local.set $sum (i32.add (local.get $sum) (i32.const 3))))
        (else (local.set $sum (i32.xor (local.get $sum) (local.get $n)))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))"#;

fn phases(n: u32, from: u32) -> u64 {
    let step = |sum: u32, n: u32| if n < from { sum.wrapping_add(3) } else { sum ^ n };
    u64::from((1..=n).rev().fold(0, step))
}

/// A guard that fails again and again is given up, and the function does without it from then on.
#[test]
fn a_change_of_phase_heals() {
    const LIMIT: u32 = 4;
    let settings = Settings {
        speculate: all_kinds(),
        guard_failures: LIMIT,
        checked: true,
        threshold: Some(10),
        optimize_threshold: Some(300),
        ..Settings::default()
    };
    let instance = Instance::new(settings, parse(PHASES), &Imports::new()).expect("an instance");
    let thread = Thread::new(&instance).expect("a thread");
    let run = |n: u32, from: u32| {
        let arguments = [Value::I32(n as i32), Value::I32(from as i32)];
        let expected = phases(n, from);
        assert_eq!(thread.invoke("run", &arguments).expect("it returns"), [expected], "{n}, {from}");
    };
    for _ in 0..20 {
        run(1_000, 0);
    }
    let before = thread.transitions().failed_guards;
    let versions =
        || instance.versions().into_iter().filter(|version| version.tier == CompiledTier::Optimized);
    let guarded = || versions().flat_map(|version| version.guards().collect::<Vec<_>>()).count();
    assert!(guarded() > 0, "the branch was speculated never to be taken");
    for _ in 0..20 {
        run(1_000, 1_000);
    }
    let failed = thread.transitions().failed_guards - before;
    assert!(failed >= u64::from(LIMIT), "{failed} failures");
    // The branch, and the end of the loop.
    assert!(failed <= 2 * u64::from(LIMIT), "{failed} failures");
    let after = thread.transitions().failed_guards;
    (0..20).for_each(|round| run(1_000, 500 + round));
    assert_eq!(thread.transitions().failed_guards, after, "what was learnt is kept");
    assert!(versions().count() > 0, "the function is optimized again");
}

/// Exits that are linked change nothing but time, wherever else frames land, and whatever is forced besides.
#[test]
fn linked_exits_agree() {
    linked_exits_agree_with(None);
}

#[test]
fn linked_exits_of_inlined_bodies_agree() {
    linked_exits_agree_with(Some(Configuration::MUCH));
}

fn linked_exits_agree_with(inlining: Option<Inlining>) {
    for program in Subject::few() {
        for failing_guards in [FailingGuards::Link, FailingGuards::Dispatch] {
            let stresses = [Stress::None, Stress::guard(3), Stress::hijack(5), Stress::invalidate(500)];
            for ((stress, land), guard_failures) in stresses.into_iter().zip(lands()).zip([1, 2, 1, 7]) {
                let settings = hasty(stress.landing(land));
                program.agrees(&Settings { guard_failures, failing_guards, inlining, ..settings });
            }
        }
    }
}

/// Calls of a function whose guard fails every time, by an exit that is linked after the first two times.
const FAILING: &str = "export \"run\" function run
    function run (r0: i32) -> (i64) {
      r1: i64, r2: i64, r3: i32
    b0:
      r1 = i64.const 0
      jump b1
    b1:
      r2 = call failing (r0, r1)
      r1 = i64.add r1, r2
      r3 = i32.const 1
      r0 = i32.sub r0, r3
      branch r0, b1, b2
    b2:
      return r1
    }
    function failing (r0: i32, r1: i64) -> (i64) {
      r2: i32, r3: i64, r4: i64
    b0:
      r2 = i32.const 0
      r3 = i64.extend_i32_u r0
      r4 = i64.mul r3, r1
      guard r2, b1 else b2
    b1:
      return r1
    b2:
      r3 = i64.add r3, r4
      r3 = i64.add r3, r1
      return r3
    }";

fn failing(n: u64) -> u64 {
    (1..=n).rev().fold(0u64, |sum, i| sum.wrapping_add(i.wrapping_add(i.wrapping_mul(sum)).wrapping_add(sum)))
}

#[test]
fn an_exit_is_linked_after_some_failures_and_cut_when_either_version_goes() {
    for frames in [ActiveFrames::Hijack, ActiveFrames::HijackToVersion] {
        let mechanism = Mechanism { frames, ..Mechanism::DEFAULT };
        let settings = Settings {
            tiers: Tiers::Optimized,
            guard_failures: 2,
            failing_guards: FailingGuards::Link,
            checked: true,
            mechanism,
            ..Settings::default()
        };
        let instance = Instance::new(settings, parse(FAILING), &Imports::new()).expect("an instance");
        let thread = Thread::new(&instance).expect("a thread");
        let run =
            || assert_eq!(thread.invoke("run", &[Value::I32(100)]).expect("it returns"), [failing(100)]);
        let counts = || (thread.transitions().failed_guards, instance.linked_exits());
        run();
        assert_eq!(counts(), (2, 98), "the second failure has the exit linked");
        run();
        assert_eq!(counts(), (2, 198));
        // The continuation goes, then the version that has the guard: each time the next failure links again.
        for (n, is_continuation) in [true, false].into_iter().enumerate() {
            let n = n as u64 + 1;
            let is_chosen = |version: &CodeVersion| {
                matches!(version.entry, EntryPoint::Continuation(_)) == is_continuation
            };
            thread.invalidate_chosen(is_chosen).expect("it can be done");
            run();
            assert_eq!(counts(), (2 + n, 198 + 99 * n));
        }
    }
}

/// The frame of a loop with a call inlined leaves by its guard: it continues in code with the same call inlined.
#[test]
fn an_exit_of_several_activations_is_linked_to_a_continuation_of_as_many() {
    for failing_guards in [FailingGuards::Link, FailingGuards::Dispatch] {
        let settings = Settings {
            tiers: Tiers::Optimized,
            inlining: Some(Configuration::MUCH),
            guard_failures: 2,
            failing_guards,
            checked: true,
            ..Settings::default()
        };
        let instance = Instance::new(settings, parse(FAILING), &Imports::new()).expect("an instance");
        let thread = Thread::new(&instance).expect("a thread");
        let run =
            || assert_eq!(thread.invoke("run", &[Value::I32(100)]).expect("it returns"), [failing(100)]);
        let counts = || [thread.transitions().failed_guards, instance.linked_exits()];
        (0..3).for_each(|_| run());
        let is_continuation = |version: &CodeVersion| {
            matches!(version.entry, EntryPoint::Specialized { .. }) && version.inlined().count() > 0
        };
        assert!(instance.versions().iter().any(|version| is_continuation(version)), "{failing_guards:?}");
        let [failed, linked] = counts();
        run();
        assert_eq!(counts(), [failed, linked + 1], "{failing_guards:?}: once, and what follows is there");
        for chosen in [&is_continuation as &dyn Fn(&CodeVersion) -> bool, &|version| {
            version.entry == EntryPoint::Function
        }] {
            let [failed, linked] = counts();
            thread.invalidate_chosen(chosen).expect("it can be done");
            run();
            assert_eq!(counts()[0], failed + 1, "{failing_guards:?}: the failure links again");
            run();
            assert_eq!(counts(), [failed + 1, linked + 1], "{failing_guards:?}");
        }
    }
}

/// Where phases come back, so do the versions that are specialized for them: nothing is compiled for the third one.
#[test]
fn phases_that_come_back_dispatch_to_what_is_there() {
    let settings = Settings {
        speculate: all_kinds(),
        guard_failures: 2,
        failing_guards: FailingGuards::Dispatch,
        checked: true,
        threshold: Some(10),
        optimize_threshold: Some(300),
        ..Settings::default()
    };
    let instance = Instance::new(settings, parse(PHASES), &Imports::new()).expect("an instance");
    let thread = Thread::new(&instance).expect("a thread");
    let run = |n: u32, from: u32| {
        let arguments = [Value::I32(n as i32), Value::I32(from as i32)];
        let expected = phases(n, from);
        assert_eq!(thread.invoke("run", &arguments).expect("it returns"), [expected], "{n}, {from}");
    };
    let phase = |from: u32| (0..20).for_each(|_| run(1_000, from));
    phase(0);
    phase(1_000);
    phase(0);
    let is_specialized =
        |version: &&Arc<CodeVersion>| matches!(version.entry, EntryPoint::Specialized { .. });
    let specialized = || instance.versions().iter().filter(is_specialized).count();
    let (known, compiled) = (specialized(), instance.code_statistics().versions_compiled);
    assert!((1..=usize::from(Settings::DEFAULT_CONTEXTS)).contains(&known), "{known}");
    let linked = instance.linked_exits();
    [1_000, 0, 1_000, 0].into_iter().for_each(phase);
    assert_eq!((specialized(), instance.code_statistics().versions_compiled), (known, compiled));
    assert!(instance.linked_exits() > linked);
}

/// A guard in a deep recursion is given up: all its frames leave the code.
#[test]
fn frames_of_code_whose_guard_is_given_up_are_replaced() {
    const DEEP: &str = "export \"down\" function down
        function down (r0: i32) -> (i32) {
          r1: i32, r2: i32
        b0:
          guard r0, b1 else b2
        b1:
          r1 = i32.const 1
          r1 = i32.sub r0, r1
          r2 = call down (r1)
          r2 = i32.add r2, r0
          return r2
        b2:
          r2 = i32.const 5
          return r2
        }";
    for rebuild in RebuildTime::ALL.iter().copied() {
        let settings = Settings {
            mechanism: Mechanism { rebuild, ..Mechanism::DEFAULT },
            guard_failures: 1,
            tiers: Tiers::Optimized,
            threshold: Some(0),
            checked: true,
            ..Settings::default()
        };
        let instance = Instance::new(settings, parse(DEEP), &Imports::new()).expect("an instance");
        let thread = Thread::new(&instance).expect("a thread");
        let down = || thread.invoke("down", &[Value::I32(100)]).expect("it returns");
        assert_eq!(down(), [5 + 100 * 101 / 2], "{rebuild:?}");
        let transitions = thread.transitions();
        assert_eq!((transitions.failed_guards, transitions.hijacked_frames), (1, 100));
        assert_eq!(
            (down(), thread.transitions().failed_guards),
            (vec![5 + 100 * 101 / 2], 1),
            "it is a branch now"
        );
    }
}

#[test]
fn what_cannot_be_left_does_not_speculate() {
    let refused = |settings: Settings| Instance::new(settings, parse(PHASES), &Imports::new()).map(drop);
    let mechanism = Mechanism::recorded_by(StateRecording::None);
    let settings = Settings { mechanism, speculate: all_kinds(), ..Settings::default() };
    let error = refused(settings).expect_err("no frame state is known");
    assert!(matches!(error, InstantiationError::FramesRunOut { .. }), "{error}");
    let stressed = Settings { mechanism, stress: Stress::guard(1), ..Settings::default() };
    refused(stressed).expect_err("no guard can be left");
}
