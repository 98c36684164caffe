//! The checker passes every frame map of every version of everything there is, and notices damage.

#[path = "../../ir/tests/support/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of the IR")]
mod support;

use std::sync::Arc;

use osr_engine::{
    BaselineCompiler, CompileError, CompiledTier, EntryPoint, FrameMapEntry, Imports, Inlining, Instance,
    Location, MachineRegister, Mechanism, Settings, StateRecording,
};
use osr_ir::inlining::InlineBudget;
use osr_ir::module::GlobalInitial;
use osr_ir::point::reverse_postorder;
use osr_ir::{Body, ConstantExpression, FunctionKind, Module, Point, PointKind, Points, Register, Value};
use osr_tests::checker::{Subject, Traced, Violation, ViolationKind, check, check_and_trace};
use osr_tests::random::random_module;
use osr_tests::{Configuration, cases, programs};

/// What was checked.
#[derive(Debug, Default)]
struct Checked {
    versions: usize,
    sites: usize,
    entries: usize,
    traced: Traced,
}

/// Where versions of `body` can be entered: at its entry, and at all points that control can reach and
/// resume at.
fn entry_points(body: &Body) -> Vec<EntryPoint> {
    let reachable = reverse_postorder(body);
    let continued = |kind| matches!(kind, PointKind::Entry | PointKind::LoopHeader | PointKind::AfterCall);
    let points = Points::of(body);
    let continuations =
        points.iter().filter(|(_, kind, at)| continued(*kind) && reachable.contains(&at.block));
    let continuations = continuations.map(|(point, _, _)| EntryPoint::Continuation(point));
    std::iter::once(EntryPoint::Function).chain(continuations).collect()
}

/// Which compiler's baseline code is checked beside optimized code with `recording`: it is the same with any, so each is
/// checked once.
fn baseline_beside(recording: StateRecording) -> Option<BaselineCompiler> {
    match recording {
        StateRecording::Slots => Some(BaselineCompiler::SinglePass),
        StateRecording::Locations => Some(BaselineCompiler::Cranelift),
        _ => None,
    }
}

fn instantiate(
    name: &str,
    module: &Module,
    recording: StateRecording,
    inlining: Option<Inlining>,
) -> Arc<Instance> {
    let mut imports = Imports::new();
    for function in &module.functions {
        if let FunctionKind::Import(import) = &function.kind {
            let signature = module.signature(function.signature).clone();
            imports.function(&import.module, &import.name, signature, |_, _, _| Ok(()));
        }
    }
    let baseline = baseline_beside(recording).unwrap_or_default();
    let mechanism = Mechanism::recorded_by(recording);
    let settings = Settings { mechanism, baseline, inlining, ..Settings::default() };
    Instance::new(settings, module.clone(), &imports).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Calls `visit` with each version of each function of `module`.
fn each_version(
    name: &str,
    module: &Module,
    recording: StateRecording,
    mut visit: impl FnMut(&str, Subject<'_>),
) {
    let instance = instantiate(name, module, recording, None);
    for function in module.function_indices() {
        let Some(body) = module.function(function).body() else { continue };
        let entries = entry_points(body);
        let tiers = &CompiledTier::ALL[usize::from(baseline_beside(recording).is_none())..];
        for (tier, &entry) in tiers.iter().flat_map(|tier| entries.iter().map(move |e| (tier, e))) {
            let name = format!("{name}: {}, {tier:?}, {entry:?}", module.function(function).name);
            match instance.compile(function, *tier, entry) {
                Ok(version) => visit(&name, Subject::of(module, &version)),
                Err(CompileError::FrameTooLarge { .. }) => {}
                Err(error) => panic!("{name}: {error}"),
            }
        }
    }
}

fn check_module(name: &str, module: &Module, checked: &mut Checked) {
    for recording in [StateRecording::Slots, StateRecording::Locations, StateRecording::Pads] {
        each_version(name, module, recording, |name, subject| {
            check_subject(&format!("{name}, {recording:?}"), &subject, checked);
        });
    }
}

fn check_subject(name: &str, subject: &Subject<'_>, checked: &mut Checked) {
    let (violations, traced) = check_and_trace(subject);
    let violations: Vec<String> = violations.iter().map(Violation::to_string).collect();
    let body = || osr_ir::text::print_function(subject.module, subject.function);
    assert!(violations.is_empty(), "{name}:\n{}\n{}", violations.join("\n"), body());
    checked.versions += 1;
    checked.sites += subject.sites.len();
    checked.entries += subject.sites.iter().map(|site| site.entries.len()).sum::<usize>();
    checked.traced.followed += traced.followed;
    checked.traced.lost += traced.lost;
}

/// Checks the maps of optimized code with as much inlined.
fn check_inlined(name: &str, module: &Module, inlining: Inlining, checked: &mut Checked) {
    let Inlining { callee, growth, depth, recursion } = inlining;
    let budget = InlineBudget { callee, growth, depth, recursion };
    for recording in [StateRecording::Slots, StateRecording::Locations, StateRecording::Pads] {
        let instance = instantiate(name, module, recording, Some(inlining));
        for function in module.function_indices() {
            let Some(body) = module.function(function).body() else { continue };
            for entry in entry_points(body) {
                let name = format!("{name}: {}, {entry:?}, {recording:?}", module.function(function).name);
                let version = match instance.compile(function, CompiledTier::Optimized, entry) {
                    Ok(version) => version,
                    Err(CompileError::FrameTooLarge { .. }) => continue,
                    Err(error) => panic!("{name}: {error}"),
                };
                let Some(subject) = Subject::merged(module, &instance, &version, &budget) else { continue };
                check_subject(&name, &subject, checked);
            }
        }
    }
}

fn check_programs(ssa: bool) {
    let mut checked = Checked::default();
    for program in programs() {
        check_module(&program.name, &program.module(ssa), &mut checked);
    }
    println!("{checked:?}");
    assert!(checked.versions > 100 && checked.entries > 1000, "{checked:?}");
    assert!(checked.traced.followed > 10 * checked.traced.lost, "most values can be followed: {checked:?}");
}

#[test]
fn maps_of_optimized_wasm_programs_hold() {
    check_programs(false);
}

#[test]
fn maps_of_unoptimized_wasm_programs_hold() {
    check_programs(true);
}

#[test]
fn maps_of_inlined_bodies_hold() {
    let mut checked = Checked::default();
    let few = ["richards", "sort", "hashmap", "fib"];
    for program in programs().iter().filter(|program| few.contains(&&*program.name)) {
        check_inlined(&program.name, &program.module(true), Inlining::default(), &mut checked);
    }
    for case in cases() {
        check_inlined(&case.name, &case.module, Configuration::MUCH, &mut checked);
    }
    println!("{checked:?}");
    assert!(checked.versions > 100 && checked.entries > 1000, "{checked:?}");
}

#[test]
#[ignore = "takes a minute"]
fn maps_of_inlined_bodies_of_all_programs_hold() {
    let mut checked = Checked::default();
    for program in programs() {
        check_inlined(&program.name, &program.module(true), Inlining::default(), &mut checked);
    }
    println!("{checked:?}");
    assert!(checked.traced.followed > 8 * checked.traced.lost, "most values can be followed: {checked:?}");
}

/// Two registers of different activations that are taken for each other.
#[test]
fn exchanged_activations_are_noticed() {
    let program = programs().into_iter().find(|program| program.name == "richards").expect("it is there");
    let module = program.module(true);
    let inlining = Inlining::default();
    let Inlining { callee, growth, depth, recursion } = inlining;
    let budget = InlineBudget { callee, growth, depth, recursion };
    let instance = instantiate(&program.name, &module, StateRecording::Slots, Some(inlining));
    let mut damaged = 0;
    for function in module.function_indices().filter(|&f| module.function(f).body().is_some()) {
        let version = instance.compile(function, CompiledTier::Optimized, EntryPoint::Function);
        let version = version.expect("it compiles");
        let Some(mut subject) = Subject::merged(&module, &instance, &version, &budget) else { continue };
        assert_eq!(check(&subject), []);
        let activations = |site: usize| instance.activations(&version, site as u32).len();
        // The callers of one site with the innermost activation of another.
        let several: Vec<usize> = (0..subject.sites.len()).filter(|&site| activations(site) > 1).collect();
        let (Some(&one), Some(&other)) = (several.first(), several.last()) else { continue };
        if subject.sites[one].point == subject.sites[other].point {
            continue;
        }
        subject.sites[one].entries = subject.sites[other].entries.clone();
        damaged += 1;
        assert!(!check(&subject).is_empty(), "{}: not noticed", module.function(function).name);
    }
    assert!(damaged > 0, "nothing could be damaged so");
}

#[test]
fn maps_of_cases_hold() {
    let mut checked = Checked::default();
    for case in cases() {
        check_module(&case.name, &case.module, &mut checked);
    }
    println!("{checked:?}");
    assert!(checked.versions > 100 && checked.entries > 200, "{checked:?}");
}

/// A module that the host can provide for: nothing but functions is imported.
fn provided(mut module: Module) -> Module {
    module.memories.iter_mut().for_each(|memory| memory.import = None);
    module.tables.iter_mut().for_each(|table| table.import = None);
    for global in &mut module.globals {
        if let GlobalInitial::Import(_) = global.initial {
            global.initial = GlobalInitial::Expression(ConstantExpression::Value(Value::zero(global.ty)));
        }
    }
    // Segments that do not fit would keep the module from being an instance.
    module.data.iter_mut().for_each(|data| data.mode = osr_ir::SegmentMode::Passive);
    module.elements.iter_mut().for_each(|elements| elements.mode = osr_ir::SegmentMode::Passive);
    // One import may be asked for with two types.
    for (number, function) in module.functions.iter_mut().enumerate() {
        if let FunctionKind::Import(name) = &mut function.kind {
            name.name = format!("{}{number}", name.name);
        }
    }
    module
}

/// `count` tapes of a fixed pseudo-random sequence.
fn tapes(count: u64) -> impl Iterator<Item = Vec<u8>> {
    let mix = |x: u64| (x ^ x >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let byte = move |i: u64| (mix(mix(i.wrapping_mul(0x9e37_79b9_7f4a_7c15))) >> 40) as u8;
    (0..count).map(move |tape| (0..600).map(|i| byte(tape * 600 + i)).collect())
}

#[test]
fn maps_of_random_modules_hold() {
    let mut checked = Checked::default();
    for (number, tape) in tapes(60).enumerate() {
        let module = provided(support::module(&tape, support::Shape::Valid));
        check_module(&format!("tape {number}"), &module, &mut checked);
    }
    println!("{checked:?}");
    for seed in 0..40 {
        let Some(module) = random_module(seed) else { continue };
        check_module(&format!("seed {seed}"), &provided(module), &mut checked);
    }
    println!("{checked:?}");
    assert!(checked.versions > 100 && checked.entries > 500, "{checked:?}");
}

/// Calls `damage` with every version of a few modules: it damages the maps, or leaves them if it has
/// nothing to damage. Returns the kinds of violations found, of each version that was damaged.
fn damaged(damage: impl Fn(&mut Subject<'_>) -> bool) -> Vec<Vec<ViolationKind>> {
    damaged_with(StateRecording::Slots, damage)
}

/// The same, with that state recording.
fn damaged_with(
    recording: StateRecording,
    damage: impl Fn(&mut Subject<'_>) -> bool,
) -> Vec<Vec<ViolationKind>> {
    let mut found = Vec::new();
    let cases = cases().into_iter().map(|case| (case.name, case.module));
    let programs = programs().into_iter().map(|program| (program.name.clone(), program.module(true)));
    for (name, module) in cases.chain(programs) {
        let usual = ["many-live.wat", "multi-value.wat", "nested-loops.wat", "vectors.wat", "binary-trees"]
            .contains(&&*name);
        // Enough calls with values across them that do not change.
        let wanted = usual || recording == StateRecording::Locations && name == "richards";
        if !wanted {
            continue;
        }
        each_version(&name, &module, recording, |name, mut subject| {
            if damage(&mut subject) {
                let violations = check(&subject);
                assert!(!violations.is_empty(), "{name}: the damage is not noticed");
                found.push(violations.iter().map(|violation| violation.kind).collect());
            }
        });
    }
    assert!(found.len() >= 3, "only {} versions could be damaged so", found.len());
    found
}

fn all_notice(damage: impl Fn(&mut Subject<'_>) -> bool, expected: impl Fn(&ViolationKind) -> bool) {
    for kinds in damaged(damage) {
        assert!(kinds.iter().any(&expected), "{kinds:?}");
    }
}

/// The first site and entry at `location`.
fn entry_at(subject: &Subject<'_>, wanted: impl Fn(Location) -> bool) -> Option<(usize, usize)> {
    let mut sites = subject.sites.iter().enumerate();
    sites.find_map(|(i, site)| Some((i, site.entries.iter().position(|entry| wanted(entry.location))?)))
}

/// The same, of sites where values may not be in any register.
fn entry_at_call(subject: &Subject<'_>, wanted: impl Fn(Location) -> bool) -> Option<(usize, usize)> {
    let mut sites = subject.sites.iter().enumerate().filter(|(_, site)| !site.is_in_place);
    sites.find_map(|(i, site)| Some((i, site.entries.iter().position(|entry| wanted(entry.location))?)))
}

fn is_slot(location: Location) -> bool {
    matches!(location, Location::FrameSlot(_))
}

#[test]
fn a_dropped_entry_is_noticed() {
    let drop_one = |subject: &mut Subject<'_>| {
        let Some((site, entry)) = entry_at(subject, |_| true) else { return false };
        subject.sites[site].entries.remove(entry);
        true
    };
    all_notice(drop_one, |kind| matches!(kind, ViolationKind::MissingRegister(_)));
}

#[test]
fn an_entry_twice_or_of_a_dead_register_is_noticed() {
    let twice = |subject: &mut Subject<'_>| {
        let Some((site, entry)) = entry_at(subject, is_slot) else { return false };
        let entry = subject.sites[site].entries[entry];
        subject.sites[site].entries.push(entry);
        true
    };
    all_notice(twice, |kind| matches!(kind, ViolationKind::NeedlessRegister(_)));
    let dead = |subject: &mut Subject<'_>| {
        let body = subject.module.function(subject.function).body().expect("defined");
        let registers = body.registers.len();
        let Some((site, entry)) = entry_at(subject, is_slot) else { return false };
        let is_free = |register| subject.sites[site].entries.iter().all(|entry| entry.register != register);
        let Some(free) = (0..registers).map(Register::new).find(|&register| is_free(register)) else {
            return false;
        };
        let mut entry = subject.sites[site].entries[entry];
        entry.register = free;
        subject.sites[site].entries.push(entry);
        true
    };
    all_notice(dead, |kind| matches!(kind, ViolationKind::NeedlessRegister(_)));
}

#[test]
fn a_shifted_slot_is_noticed() {
    // The next word is likely to be written, too: not by 8.
    for by in [-4, 4, 4096, -(1 << 20)] {
        damaged(|subject| {
            let Some((site, entry)) = entry_at(subject, is_slot) else { return false };
            let Location::FrameSlot(offset) = &mut subject.sites[site].entries[entry].location else {
                unreachable!()
            };
            *offset += by;
            true
        });
    }
}

#[test]
fn swapped_slots_are_noticed() {
    let swap = |subject: &mut Subject<'_>| {
        let known = subject.sites.clone();
        // Whose value is written is not claimed: another site must say otherwise.
        let is_elsewhere = |site: usize, entry: &FrameMapEntry| {
            known.iter().enumerate().any(|(other, map)| other != site && map.entries.contains(entry))
        };
        for (number, site) in subject.sites.iter_mut().enumerate() {
            let slots = (0..site.entries.len()).filter(|&i| is_slot(site.entries[i].location));
            let [one, .., other] = *slots.collect::<Vec<_>>() else { continue };
            if is_elsewhere(number, &site.entries[one]) {
                let location = site.entries[one].location;
                site.entries[one].location = site.entries[other].location;
                site.entries[other].location = location;
                return true;
            }
        }
        false
    };
    // What is noticed of the two depends on what is written in between.
    all_notice(swap, |kind| {
        use ViolationKind as V;
        matches!(kind, V::OverlapsSlot(..) | V::StaleSlot(..) | V::Mistaken(..))
    });
}

#[test]
fn a_wrong_width_is_noticed() {
    let widen = |subject: &mut Subject<'_>| {
        let Some((site, entry)) = entry_at(subject, |_| true) else { return false };
        let entry = &mut subject.sites[site].entries[entry];
        entry.wide = !entry.wide;
        true
    };
    all_notice(widen, |kind| matches!(kind, ViolationKind::Width(_)));
}

#[test]
fn wrong_sites_are_noticed() {
    let drop_site = |subject: &mut Subject<'_>| subject.sites.pop().is_some();
    all_notice(drop_site, |kind| matches!(kind, ViolationKind::CallWithoutSite(_)));
    let shift =
        |subject: &mut Subject<'_>| subject.sites.last_mut().map(|site| site.return_offset += 1).is_some();
    all_notice(shift, |kind| matches!(kind, ViolationKind::SiteWithoutCall));
    let repeat = |subject: &mut Subject<'_>| {
        let Some(site) = subject.sites.first().cloned() else { return false };
        subject.sites.push(site);
        true
    };
    all_notice(repeat, |kind| matches!(kind, ViolationKind::CallWithoutSite(_)));
}

#[test]
fn wrong_points_are_noticed() {
    let none = |subject: &mut Subject<'_>| {
        subject.sites.first_mut().map(|site| site.point = Point::new(10_000)).is_some()
    };
    all_notice(none, |kind| matches!(kind, ViolationKind::NoSuchPoint(_)));
    // Points of other calls, with the maps that belong to them: only the flow is wrong.
    let exchange = |subject: &mut Subject<'_>| {
        let body = subject.module.function(subject.function).body().expect("defined");
        let points = Points::of(body);
        let is_call = |point| points.kind(point) == PointKind::AfterCall;
        let calls: Vec<usize> =
            (0..subject.sites.len()).filter(|&site| is_call(subject.sites[site].point)).collect();
        let [first, .., last] = *calls else { return false };
        if calls.len() < 3 || subject.sites[first].point == subject.sites[last].point {
            return false;
        }
        let (one, other) = (subject.sites[first].clone(), subject.sites[last].clone());
        subject.sites[first] =
            osr_tests::checker::SiteMap { return_offset: one.return_offset, ..other.clone() };
        subject.sites[last] = osr_tests::checker::SiteMap { return_offset: other.return_offset, ..one };
        true
    };
    all_notice(exchange, |kind| matches!(kind, ViolationKind::Flow(_) | ViolationKind::StaleSlot(..)));
}

#[test]
fn wrong_places_are_noticed() {
    let to_result = |subject: &mut Subject<'_>| {
        let Some((site, entry)) = entry_at_call(subject, is_slot) else { return false };
        subject.sites[site].entries[entry].location = Location::Register(MachineRegister::Rax);
        true
    };
    all_notice(to_result, |kind| matches!(kind, ViolationKind::ResultPlace(_)));
    let from_result = |subject: &mut Subject<'_>| {
        let Some((site, entry)) =
            entry_at_call(subject, |location| matches!(location, Location::Register(_)))
        else {
            return false;
        };
        subject.sites[site].entries[entry].location = Location::Register(MachineRegister::Rbx);
        true
    };
    all_notice(from_result, |kind| matches!(kind, ViolationKind::ResultPlace(_)));
    let to_constant = |subject: &mut Subject<'_>| {
        let Some((site, entry)) = entry_at(subject, is_slot) else { return false };
        subject.constants.push(0x1234_5678_9abc);
        subject.sites[site].entries[entry].location = Location::Constant(subject.constants.len() as u32 - 1);
        true
    };
    all_notice(to_constant, |kind| matches!(kind, ViolationKind::NotConstant(_)));
}

#[test]
fn a_store_that_is_left_out_is_noticed() {
    let no_store = |subject: &mut Subject<'_>| {
        let Some((site, entry)) = entry_at(subject, is_slot) else { return false };
        let Location::FrameSlot(offset) = subject.sites[site].entries[entry].location else { unreachable!() };
        subject.blank_stores(offset)
    };
    all_notice(no_store, |kind| matches!(kind, ViolationKind::StaleSlot(..)));
}

/// Two values of the allocator's that live from one call to another, taken for each other at the other.
#[test]
fn exchanged_locations_are_noticed() {
    let exchange = |subject: &mut Subject<'_>| {
        let known = subject.sites.clone();
        for (number, site) in known.iter().enumerate().filter(|(_, site)| !site.is_poll) {
            let is_allocated = |entry: &&FrameMapEntry| {
                use MachineRegister::{R12, R13, R14, R15, Rbx};
                matches!(
                    entry.location,
                    Location::FrameSlot(_) | Location::Register(Rbx | R12 | R13 | R14 | R15)
                )
            };
            let allocated: Vec<_> = site.entries.iter().filter(is_allocated).collect();
            for pair in allocated.windows(2).filter(|pair| pair[0].location != pair[1].location) {
                for entry in &mut subject.sites[number].entries {
                    match entry.register {
                        register if register == pair[0].register => entry.location = pair[1].location,
                        register if register == pair[1].register => entry.location = pair[0].location,
                        _ => {}
                    }
                }
                if check(subject).iter().any(|found| matches!(found.kind, ViolationKind::Mistaken(..))) {
                    return true;
                }
                // Both were assigned since the site before: there is nothing to notice them by.
                subject.sites.clone_from(&known);
            }
        }
        false
    };
    damaged_with(StateRecording::Locations, exchange);
}

#[test]
fn a_register_that_calls_do_not_preserve_is_noticed() {
    let clobbered = |subject: &mut Subject<'_>| {
        let preserved = |location| location == Location::Register(MachineRegister::Rbx);
        let Some((site, entry)) = entry_at_call(subject, preserved) else { return false };
        subject.sites[site].entries[entry].location = Location::Register(MachineRegister::Rdx);
        true
    };
    for kinds in damaged_with(StateRecording::Locations, clobbered) {
        assert!(kinds.iter().any(|kind| matches!(kind, ViolationKind::ResultPlace(_))), "{kinds:?}");
    }
}
