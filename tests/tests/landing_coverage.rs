//! Coverage of landings: of all frame-map entries of all versions that running the C programs compiles, at
//! least 95% are landed on, in each of the ways that there are: into the interpreter, into baseline code,
//! into optimized code. The rest is listed, by function.
//!
//! At each safepoint those frames are hijacked that wait at a site which has not yet landed everywhere
//! ([`Stress::Uncovered`]); their versions stay. A landing after a call compiles one more version for the
//! point, whose sites are to be covered, too. What is landed on is also right: `differential.rs` compares
//! what such landings compute, with dead registers and slots poisoned.
//!
//! Where bodies are inlined, the same is done for the sites at which a frame stands for several activations. Each copy of a
//! path that is seldom taken is a site of its own there: of those, four fifths are landed on.
//!
//! By default a few programs are covered. All of them, with the list of what is not landed on, take minutes:
//! `cargo test --release -p osr-tests --test landing_coverage -- --ignored --nocapture`.

use std::collections::BTreeMap;

use osr_engine::{CompiledTier, EntryPoint, Inlining, Instance, Settings, Stress, Tier, Tiers};
use osr_ir::{Module, Point, Value};
use osr_tests::{Program, programs};

/// A site: the version by function, tier and entry, and its number there.
type Key = (usize, CompiledTier, Option<Point>, usize);

/// Entries of a site's frame map, and in which ways it was landed on.
type Sites = BTreeMap<Key, (usize, [bool; 3])>;

/// Safepoints that find nothing new, and rounds of calls that do, before an instance is given up.
const PATIENCE: (u64, u32) = (20_000, 12);

fn settings(tiers: Tiers, inlining: Option<Inlining>) -> Settings {
    Settings {
        tiers,
        inlining,
        threshold: Some(20),
        optimize_threshold: Some(60),
        stress: Stress::Uncovered,
        coverage: true,
        checked: false,
        ..Settings::default()
    }
}

/// Runs `program` in `tiers` with each of `arguments`, over and over, while that lands somewhere new.
fn cover_in(program: &Program, module: &Module, settings: &Settings, arguments: &[i32], sites: &mut Sites) {
    let (instance, thread) = osr_tests::configuration::start(module, settings);
    let (mut known, mut since, mut idle) = (0, 0, 0);
    while idle < PATIENCE.1 || thread.transitions().safepoints - since < PATIENCE.0 {
        for &argument in arguments {
            thread.invoke(&program.invoke, &[Value::I32(argument)]).expect("the program returns");
        }
        idle += 1;
        let covered = instance.covered_sites();
        let landed = covered.iter().flat_map(|site| site.landings).filter(|&count| count > 0).count();
        if landed > known {
            (known, since, idle) = (landed, thread.transitions().safepoints, 0);
        }
    }
    note(&instance, sites);
}

fn note(instance: &Instance, sites: &mut Sites) {
    let mut ordinals: BTreeMap<_, usize> = BTreeMap::new();
    // Where bodies are inlined, only what has several activations counts.
    let fewest = if instance.settings().inlining.is_some() { 2 } else { 1 };
    for site in instance.covered_sites() {
        let entry = match site.entry {
            EntryPoint::Function => None,
            EntryPoint::Continuation(point) | EntryPoint::Specialized { point, .. } => Some(point),
        };
        let ordinal = ordinals.entry((site.function, site.tier, entry)).or_default();
        let key = (site.function.index(), site.tier, entry, *ordinal);
        *ordinal += 1;
        if site.activations < fewest {
            continue;
        }
        let noted = sites.entry(key).or_insert((site.entries, [false; 3]));
        for (landed, count) in noted.1.iter_mut().zip(site.landings) {
            *landed |= count > 0;
        }
    }
}

/// Lands on as much of `program` as can be reached with small arguments.
fn cover(program: &Program, module: &Module, inlining: Option<Inlining>) -> Sites {
    let mut sites = Sites::new();
    let small = program.small[0];
    let mut arguments = vec![2, 5.min(small), (small / 12).max(2), (small / 3).max(2)];
    arguments.sort_unstable();
    arguments.dedup();
    for tiers in [Tiers::Baseline, Tiers::Optimized, Tiers::Auto] {
        cover_in(program, module, &settings(tiers, inlining), &arguments, &mut sites);
    }
    sites
}

/// Entries of the sites that were landed on in the way number `way`, or of those that were not.
fn entries(sites: &Sites, way: usize, landed: bool) -> usize {
    sites.values().filter(|site| site.1[way] == landed).map(|site| site.0).sum()
}

fn list_missed(program: &Program, module: &Module, sites: &Sites) {
    for (way, tier) in Tier::ALL.into_iter().enumerate() {
        let mut missed: BTreeMap<&str, usize> = BTreeMap::new();
        for ((function, ..), (entries, _)) in sites.iter().filter(|(_, (_, landed))| !landed[way]) {
            *missed.entry(&module.functions[*function].name).or_default() += entries;
        }
        let list: Vec<String> = missed.iter().map(|(name, entries)| format!("{name} {entries}")).collect();
        let landed = entries(sites, way, true);
        let all = landed + entries(sites, way, false);
        let (name, list) = (&program.name, list.join(", "));
        println!("{name}, into {}: {landed} of {all} entries; not: {list}", tier.name());
    }
}

/// Of a hundred entries, how many are landed on at least, and where bodies are inlined.
const LEAST: [usize; 2] = [95, 80];

fn check(programs: impl IntoIterator<Item = Program>, ssa: bool, inlining: Option<Inlining>) {
    let least = LEAST[usize::from(inlining.is_some())];
    let (mut landed, mut all) = ([0; 3], 0);
    for program in programs {
        let module = program.module(ssa);
        let sites = cover(&program, &module, inlining);
        list_missed(&program, &module, &sites);
        all += sites.values().map(|site| site.0).sum::<usize>();
        (0..3).for_each(|way| landed[way] += entries(&sites, way, true));
    }
    for (tier, landed) in Tier::ALL.into_iter().zip(landed) {
        let percent = landed as f64 * 100.0 / all as f64;
        println!("into {}: {landed} of {all} entries were landed on: {percent:.2}%", tier.name());
    }
    assert!(landed.iter().all(|landed| landed * 100 >= all * least), "{landed:?} of {all} entries");
}

/// Programs of few functions, of many, with indirect calls, with recursion.
const QUICK: [&str; 4] = ["fib", "binary-trees", "n-body", "phase-change"];

#[test]
fn landings_reach_nearly_all_entries_of_a_few_programs() {
    let quick = || programs().into_iter().filter(|program| QUICK.contains(&&*program.name));
    assert_eq!(quick().count(), QUICK.len());
    check(quick(), false, None);
}

#[test]
fn landings_reach_nearly_all_entries_of_several_activations() {
    let quick = programs().into_iter().filter(|program| QUICK.contains(&&*program.name));
    check(quick, true, Some(Inlining::default()));
}

#[test]
#[ignore = "takes minutes; see the head"]
fn landings_reach_nearly_all_entries_of_several_activations_of_all_programs() {
    check(programs(), true, Some(Inlining::default()));
}

#[test]
#[ignore = "takes minutes; see the head"]
fn landings_reach_nearly_all_entries_of_optimized_wasm_programs() {
    check(programs(), false, None);
}

#[test]
#[ignore = "takes minutes; see the head"]
fn landings_reach_nearly_all_entries_of_unoptimized_wasm_programs() {
    check(programs(), true, None);
}
