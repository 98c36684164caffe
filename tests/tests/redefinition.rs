//! Functions are redefined while they are active: by bodies that do the same, nothing changes, whatever tier and landing;
//! by bodies that do not, every tier does what the interpreter does under the same schedule.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use osr_engine::{
    BaselineCompiler, CallBinding, Delegates, Event, Instance, Land, Mechanism, Observation, Observer,
    Observers, Placement, Preset, RebuildTime, Redefined, Script, Settings, Shadow, StateRecording, Stress,
    Thread, Tier, Tiers, Transitions,
};
use osr_ir::{
    Change, FunctionIndex, Module, OldActivations, PointKind, Points, Redefinition, Value, default_map,
};
use osr_tests::configuration::{on_large_stack, start_with};
use osr_tests::guest::{acting, parse};
use osr_tests::host::imports;
use osr_tests::program::folder_of_programs;
use osr_tests::variant::{added_variants, change_all, with_variants};
use osr_tests::{Program, programs};

/// Redefines all functions at every `every`th arrival at an entry or a loop header: to their variants, and back.
#[derive(Debug)]
struct Alternate {
    every: u64,
    activations: &'static [OldActivations],
    arrivals: AtomicU64,
}

impl Alternate {
    fn new(every: u64, activations: &'static [OldActivations]) -> Arc<Alternate> {
        Arc::new(Alternate { every, activations, arrivals: AtomicU64::new(0) })
    }
}

impl Observer for Alternate {
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>) {
        let Event::Reached { .. } = event else { return };
        let arrival = self.arrivals.fetch_add(1, Ordering::Relaxed) + 1;
        if arrival.is_multiple_of(self.every) {
            let number = arrival / self.every;
            let activations = self.activations[number as usize % self.activations.len()];
            let redefinition = change_all(at.instance().module(), number % 2 == 1, activations);
            at.redefine(&redefinition).expect("it is possible");
        }
    }

    fn wants_points(&self) -> bool {
        true
    }
}

fn settings(tiers: Tiers, land: Land, recording: StateRecording) -> Settings {
    Settings {
        tiers,
        threshold: Some(5),
        optimize_threshold: Some(20),
        stress: Stress::None.landing(land),
        mechanism: Mechanism::recorded_by(recording),
        points: true,
        checked: true,
        ..Settings::default()
    }
}

fn in_tier(tier: Tier) -> Land {
    Land::In(tier)
}

/// Ways to execute and to land, and a name for each.
fn ways() -> Vec<(&'static str, Settings)> {
    use StateRecording::{Locations, Pads, Slots};
    let mechanism = |mechanism| Settings {
        mechanism,
        ..settings(Tiers::Auto, Land::Random(7), StateRecording::default())
    };
    let with_checked_entries = Mechanism { binding: CallBinding::EntryCheck, ..Mechanism::DEFAULT };
    let preset = |name| mechanism(Preset::named(name).expect("it is there").mechanism);
    vec![
        ("interpreter", settings(Tiers::Interpreter, Land::Random(1), Slots)),
        ("baseline", settings(Tiers::Baseline, in_tier(Tier::Baseline), Slots)),
        (
            "baseline by cranelift",
            Settings {
                baseline: BaselineCompiler::Cranelift,
                ..settings(Tiers::Baseline, in_tier(Tier::Optimized), Slots)
            },
        ),
        ("optimized, slots", settings(Tiers::Optimized, in_tier(Tier::Interpreter), Slots)),
        ("optimized, locations", settings(Tiers::Optimized, in_tier(Tier::Optimized), Locations)),
        ("optimized, pads", settings(Tiers::Optimized, in_tier(Tier::Baseline), Pads)),
        ("auto", settings(Tiers::Auto, Land::Random(5), Locations)),
        (
            "auto, rebuilt at once",
            mechanism(Mechanism { rebuild: RebuildTime::AtOnce, ..Mechanism::DEFAULT }),
        ),
        ("auto, entry checks", mechanism(with_checked_entries)),
        (
            "auto, entry checks at the same address",
            mechanism(Mechanism { placement: Placement::SameAddress, ..with_checked_entries }),
        ),
        ("auto, v8", preset("v8")),
        ("auto, hotspot", preset("hotspot")),
        ("auto, spidermonkey", preset("spidermonkey")),
        ("auto, jsc", preset("jsc")),
    ]
}

/// What `program` returns and leaves in memory, watched by a shadow interpreter and by `observer`.
fn run(
    program: &Program,
    module: &Module,
    settings: &Settings,
    observer: Option<Arc<dyn Observer>>,
) -> (String, u64, Transitions) {
    let shadow = Arc::new(Shadow::new(module, &imports()).expect("a shadow"));
    let mut observers: Vec<Arc<dyn Observer>> = vec![shadow.clone()];
    observers.extend(observer);
    let watched = Delegates { observer: Observers::join(observers), policy: None };
    let (instance, thread) = start_with(module, settings, watched);
    let outcome = thread.invoke(&program.invoke, &program.small_arguments());
    if let Some(difference) = shadow.difference() {
        panic!("{}: {difference}", program.name);
    }
    assert_eq!(thread.hijacked_slots(), 0);
    let memory = instance.memory_hash().unwrap_or(0);
    (format!("{outcome:?}"), memory, thread.transitions())
}

#[test]
fn default_maps_of_variants_cover_every_point() {
    for program in programs() {
        let module = with_variants(program.module(true));
        for alternative in &module.alternatives {
            for (from, to) in [(alternative.of, alternative.body), (alternative.body, alternative.of)] {
                let map = default_map::propose(&module, from, to);
                let name = &module.function(from).name;
                osr_ir::verifier::verify_state_map(&module, &map).expect(name);
                let points = Points::of(module.function(from).body().expect("defined"));
                for (point, kind, position) in points.iter() {
                    let may_be_there = kind != PointKind::Trap && points.is_reached(position.block);
                    assert_eq!(may_be_there, map.at(point).is_some(), "{}: {point} of {name}", program.name);
                }
            }
        }
    }
}

/// The program `name`, and the same without its script.
fn scripted(name: &str) -> [Module; 2] {
    let path = folder_of_programs().join("redefinition").join(name);
    let module = parse(&std::fs::read_to_string(&path).expect("a program"));
    [Module { script: vec![], ..module.clone() }, module]
}

/// What `main` of `module` returns, as `settings` say, watched by a shadow interpreter, when its script is carried out.
fn run_script(module: &Module, argument: i32, settings: &Settings) -> (Vec<u64>, Transitions) {
    let shadow = Arc::new(Shadow::new(module, &imports()).expect("a shadow"));
    let script = Arc::new(Script::new(&module.script));
    let observer = Observers::join(vec![shadow.clone(), script.clone()]);
    let (_instance, thread) = start_with(module, settings, Delegates { observer, policy: None });
    let results = thread.invoke("main", &[Value::I32(argument)]).expect("it returns");
    assert_eq!(script.failure(), None);
    assert_eq!(script.remaining().next(), None);
    if let Some(difference) = shadow.difference() {
        panic!("{difference}");
    }
    (results, thread.transitions())
}

#[test]
fn a_bubble_sort_is_replaced_in_the_middle_of_its_loop() {
    let [plain, scripted] = scripted("sort.ir");
    for (way, settings) in ways() {
        let [before, after] = [&plain, &scripted].map(|module| run_script(module, 400, &settings));
        let ([disorder, checksum, looked_at], [_, expected, bubbled]) = (&after.0[..], &before.0[..]) else {
            panic!("three results");
        };
        assert_eq!((*disorder, checksum), (0, expected), "{way}");
        assert_eq!((*bubbled, *looked_at), (79_800, 58_574), "{way}");
        assert_eq!((after.1.redefinitions, after.1.carried), (1, 1), "{way}");
    }
}

/// The text of a program, and of the bodies that are added to it.
fn text_of(name: &str) -> String {
    let path = folder_of_programs().join("redefinition").join(name);
    std::fs::read_to_string(path).expect("a program")
}

/// What `main` of the program that `text` spells returns, watched by a shadow interpreter, when the bodies of `added` are added
/// at the given call.
fn run_adding(
    text: &str,
    argument: i32,
    settings: &Settings,
    (call, added): (u64, &str),
) -> (Vec<u64>, Transitions) {
    let mut module = parse(text);
    module.reserve_bodies(1);
    let shadow = Arc::new(Shadow::new(&module, &imports()).expect("a shadow"));
    let script = Arc::new(Script::new(&module.script).adding(call, "added.ir", added));
    let observer = Observers::join(vec![shadow.clone(), script.clone()]);
    let (_instance, thread) = start_with(&module, settings, Delegates { observer, policy: None });
    let results = thread.invoke("main", &[Value::I32(argument)]).expect("it returns");
    assert_eq!(script.failure(), None);
    if let Some(difference) = shadow.difference() {
        panic!("{difference}");
    }
    (results, thread.transitions())
}

#[test]
fn bodies_that_are_added_are_as_those_that_were_there() {
    let [sort, fib] = ["sort.ir", "fib.ir"].map(|name| scripted(name)[1].clone());
    let (bubble, insertion, all) = (text_of("bubble.ir"), text_of("insertion.ir"), text_of("fib.ir"));
    let (recursive, rest) = all.split_once("; r1 and r2 are").expect("a comment");
    let (rest, _) = rest.split_once("; The first call is").expect("another");
    let looping = format!(";{rest} redefine fib to loop carry");
    for (way, settings) in ways() {
        let expected = run_script(&sort, 400, &settings);
        let found = run_adding(&bubble, 400, &settings, (50_002, &insertion));
        assert_eq!((&found.0, found.1.carried), (&expected.0, expected.1.carried), "{way}");
        let expected = run_script(&fib, 24, &settings);
        let found = run_adding(recursive, 24, &settings, (1_001, &looping));
        assert_eq!((&found.0, found.1.carried), (&expected.0, expected.1.carried), "{way}");
    }
}

/// Adds a variant of each function at every `every`th arrival at an entry or a loop header, and enters it, as long as there is
/// room.
#[derive(Debug)]
struct AddVariants {
    every: u64,
    rounds: u64,
    arrivals: AtomicU64,
}

impl Observer for AddVariants {
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>) {
        use OldActivations::{Carry, CarryAll, Invalidate, RunOut};
        let Event::Reached { .. } = event else { return };
        let arrival = self.arrivals.fetch_add(1, Ordering::Relaxed) + 1;
        let round = arrival / self.every;
        if arrival.is_multiple_of(self.every) && round <= self.rounds {
            let activations = [CarryAll, RunOut, Carry, Invalidate][round as usize % 4];
            let addition = added_variants(at.instance().module(), round as usize, activations);
            let redefinition = addition.redefinition().expect("it has one").clone();
            at.instance().add_bodies(addition).expect("there is room");
            at.redefine(&redefinition).expect("it is possible");
        }
    }

    fn wants_points(&self) -> bool {
        true
    }
}

#[test]
fn adding_the_same_and_entering_it_changes_nothing() {
    const ROUNDS: u64 = 8;
    let ways = ways();
    let mut totals = Transitions::default();
    for (number, program) in programs().into_iter().enumerate() {
        let mut module = program.module(number % 2 == 0);
        module.reserve_bodies(module.functions.len() * ROUNDS as usize);
        let interpreted = settings(Tiers::Interpreter, Land::Random(0), StateRecording::default());
        let expected = run(&program, &module, &interpreted, None);
        for (way, settings) in ways.iter().skip(number % 7).step_by(7) {
            let add = AddVariants { every: 1_009, rounds: ROUNDS, arrivals: AtomicU64::new(0) };
            let found = on_large_stack(16 << 20, || run(&program, &module, settings, Some(Arc::new(add))));
            assert_eq!((&found.0, found.1), (&expected.0, expected.1), "{}, {way}", program.name);
            totals.carried += found.2.carried;
            totals.redefinitions += found.2.redefinitions;
        }
    }
    assert!(totals.carried > 100 && totals.redefinitions > 100, "{totals:?}");
}

#[test]
fn a_recursive_function_is_replaced_while_it_is_deep() {
    let [plain, scripted] = scripted("fib.ir");
    for (way, settings) in ways() {
        assert_eq!(run_script(&plain, 20, &settings).0, [6_765, 21_891], "{way}");
        let (results, transitions) = run_script(&scripted, 24, &settings);
        // Nineteen activations wait when the thousandth begins.
        assert_eq!(results, [46_368, 1_000], "{way}");
        assert_eq!((transitions.redefinitions, transitions.carried), (1, 19), "{way}");
    }
}

/// Hölzle, Chambers, Ungar, PLDI 1992: a method that is inlined n times, and active m times.
#[test]
fn a_method_is_replaced_where_it_is_inlined() {
    let [plain, scripted] = scripted("method.ir");
    for activations in ["run_out", "invalidate", "carry", "carry_all"] {
        let text = text_of("method.ir").replace("carry_all", activations);
        let module = Module { script: parse(&text).script, ..scripted.clone() };
        let interpreted = settings(Tiers::Interpreter, Land::Random(0), StateRecording::default());
        let (expected, transitions) = run_script(&module, 8, &interpreted);
        assert_ne!(expected, run_script(&plain, 8, &interpreted).0);
        for (way, settings) in ways() {
            let (results, found) = run_script(&module, 8, &settings);
            assert_eq!(results, expected, "{activations}, {way}");
            assert_eq!(
                (found.redefinitions, found.carried),
                (1, transitions.carried),
                "{activations}, {way}"
            );
            let is_inlined = settings.tiers == Tiers::Optimized && settings.inlining.is_some();
            assert!(!is_inlined || found.virtual_frames > 0, "{activations}, {way}");
        }
    }
}

#[test]
fn redefining_by_the_same_changes_nothing() {
    use OldActivations::{Carry, CarryAll, Invalidate, RunOut};
    let ways = ways();
    let mut totals = Transitions::default();
    for (number, program) in programs().into_iter().enumerate() {
        let module = with_variants(program.module(number % 2 == 0));
        let interpreted = settings(Tiers::Interpreter, Land::Random(0), StateRecording::default());
        let expected = run(&program, &module, &interpreted, None);
        for (way, settings) in ways.iter().skip(number % 7).step_by(7) {
            let alternate = Alternate::new(2_003, &[CarryAll, CarryAll, RunOut, Carry, Invalidate]);
            let found = on_large_stack(16 << 20, || run(&program, &module, settings, Some(alternate)));
            assert_eq!((&found.0, found.1), (&expected.0, expected.1), "{}, {way}", program.name);
            totals.carried += found.2.carried;
            totals.redefinitions += found.2.redefinitions;
        }
    }
    assert!(totals.carried > 1_000 && totals.redefinitions > 1_000, "{totals:?}");
}

/// `f` waits for the host, which does `act`, and adds 1 to its argument; its other body adds 10.
const WAITING: &str = "import act () = \"env\" \"act\"
    export \"f\" function f
    export \"twice\" function twice
    function f (r0: i32) -> (i32) {
      r1: i32
    b0:
      call act ()
      r1 = i32.const 1
      r1 = i32.add r0, r1
      return r1
    }
    body ten of f (r0: i32) -> (i32) {
      r1: i32
    b0:
      r1 = i32.const 10
      r1 = i32.add r0, r1
      return r1
    }
    function twice (r0: i32) -> (i32) {
    b0:
      r0 = call f (r0)
      r0 = call f (r0)
      return r0
    }
    map f to ten { p1 to p0: r0 = (r0 i32.const 100 i32.mul) }";

fn redefined(activations: OldActivations) -> Redefinition {
    let [f, ten] = [1, 2].map(FunctionIndex::new);
    Redefinition { changes: vec![Change { function: f, body: ten }], activations }
}

/// What `twice` returns for 3 if the first call of `act` redefines `f`, and what that returned.
fn redefine_once(settings: &Settings, redefinition: Redefinition) -> (Vec<u64>, Result<Redefined, String>) {
    let outcome = Arc::new(Mutex::new(None));
    let seen = outcome.clone();
    let imports = acting(move |call| {
        seen.lock()
            .expect("unpoisoned")
            .get_or_insert_with(|| call.thread().redefine(&redefinition).map_err(|error| error.to_string()));
    });
    let (_instance, thread) = osr_tests::guest::start(WAITING, settings, &imports);
    let results = thread.invoke("twice", &[Value::I32(3)]).expect("it returns");
    let outcome = outcome.lock().expect("unpoisoned").take();
    (results, outcome.expect("it was called"))
}

#[test]
fn a_host_function_redefines_its_caller() {
    use OldActivations::{Carry, Invalidate, RunOut};
    for (way, settings) in ways() {
        // The activation that waits adds 1, or is carried: then the host's 3 becomes 300, and 10 is added. The next call
        // adds 10.
        for (activations, expected) in [(RunOut, 14), (Invalidate, 14), (Carry, 320)] {
            let (results, outcome) = redefine_once(&settings, redefined(activations));
            assert_eq!(results, [expected], "{way}, {activations}");
            assert_eq!(outcome.expect("it is possible").functions, 1, "{way}, {activations}");
        }
    }
}

#[test]
fn what_cannot_be_redefined_stays_as_it_was() {
    let settings = |mechanism: &str| Settings {
        mechanism: Preset::named(mechanism).expect("it is there").mechanism,
        ..osr_tests::guest::eager()
    };
    let v8 = || settings("v8");
    let not_mapped = "not all activations of `f` can be carried to `ten`: p0, at b0:0, is not mapped";
    let no_body = Redefinition {
        changes: vec![Change { function: FunctionIndex::new(3), body: FunctionIndex::new(2) }],
        activations: OldActivations::RunOut,
    };
    for (settings, redefinition, why) in [
        (v8(), redefined(OldActivations::CarryAll), not_mapped),
        (v8(), no_body, "`twice` cannot be redefined as `ten`: that is no body of it"),
        (
            settings("orc"),
            redefined(OldActivations::Carry),
            "the mechanism lets active frames run out, so none can be replaced",
        ),
    ] {
        let (results, outcome) = redefine_once(&settings, redefinition);
        assert_eq!(outcome.expect_err("it is refused"), why);
        assert_eq!(results, [5], "{why}");
    }
}

/// What `twice` returns for 3 if the first call of `act` adds the bodies of `text`, and redefines as that says; and what that
/// returned.
fn add_once(settings: &Settings, text: &'static str) -> (Vec<u64>, Result<(), String>) {
    let outcome = Arc::new(Mutex::new(None));
    let seen = outcome.clone();
    let imports = acting(move |call| {
        let add = || -> Result<(), Box<dyn std::error::Error>> {
            let instance = call.thread().instance();
            let addition = osr_ir::text::parse_addition(instance.module(), "added.ir", text)?;
            let redefinition = addition.redefinition().cloned();
            instance.add_bodies(addition)?;
            if let Some(redefinition) = redefinition {
                call.thread().redefine(&redefinition)?;
            }
            Ok(())
        };
        seen.lock().expect("unpoisoned").get_or_insert_with(|| add().map_err(|error| error.to_string()));
    });
    let (before, rest) = WAITING.split_once("body ten").expect("a body");
    let (_, after) = rest.split_once("}\n").expect("its end");
    let mut module = parse(&format!("{before}{}", after.split_once("map f").expect("a map").0));
    module.reserve_bodies(1);
    let instance = Instance::new(settings.clone(), module, &imports).expect("an instance");
    let thread = Thread::new(&instance).expect("a thread");
    let results = thread.invoke("twice", &[Value::I32(3)]).expect("it returns");
    let outcome = outcome.lock().expect("unpoisoned").take();
    (results, outcome.expect("it was called"))
}

const TEN: &str = "body ten of f (r0: i32) -> (i32) {
      r1: i32
    b0:
      r1 = i32.const 10
      r1 = i32.add r0, r1
      return r1
    }";

#[test]
fn a_host_function_adds_a_body_of_its_caller() {
    let map = "map f to ten { p1 to p0: r0 = (r0 i32.const 100 i32.mul) }";
    for (way, settings) in ways() {
        for (activations, expected) in [("run_out", 14), ("invalidate", 14), ("carry", 320)] {
            let text = format!("{TEN} {map} redefine f to ten {activations}").leak();
            let (results, outcome) = add_once(&settings, text);
            assert_eq!((outcome, &results[..]), (Ok(()), &[expected][..]), "{way}, {activations}");
        }
        // Without a map, there is one for what the bodies have in common: the entry, where nothing waits.
        let text = format!("{TEN} redefine f to ten carry").leak();
        assert_eq!(add_once(&settings, text), (vec![14], Ok(())), "{way}");
    }
}

#[test]
fn what_cannot_be_added_leaves_all_as_it_was() {
    for (way, settings) in ways() {
        for (text, why) in [
            (TEN.replace("i32.const 10", "i64.const 10"), "function `ten`, b0:0: r1 has type i32, not i64"),
            (TEN.replace("i32.add r0", "i32.add r9"), "5:20: `r9` is not defined"),
            (
                TEN.replace("of f", "of act"),
                "`ten` cannot be a body of `act`: an imported function has no bodies",
            ),
            (
                TEN.repeat(2).replacen("ten", "nine", 1),
                "no room for 2 more bodies: 1 are left of those that were reserved",
            ),
            (
                format!("{TEN} redefine f to ten carry_all"),
                "not all activations of `f` can be carried to `ten`: p1, at b0:0, is not mapped",
            ),
            (format!("{TEN} redefine f to tan carry"), "7:21: unknown function `tan`"),
        ] {
            let (results, outcome) = add_once(&settings, text.clone().leak());
            assert_eq!((outcome.expect_err(way), &results[..]), (why.to_owned(), &[5][..]), "{way}: {text}");
        }
    }
}
