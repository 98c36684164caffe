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
//! path that is not taken is a site of its own there, so many are never executed. With [`Settings::points`] every function
//! polls at its entry, and a site that is executed is seen: those count, and 95% of their entries are landed on.
//!
//! By default a few programs are covered. All of them, with the list of what is not landed on, take minutes:
//! `cargo test --release -p osr-tests --test landing_coverage -- --ignored --nocapture`.

use std::collections::BTreeMap;

use osr_engine::{CompiledTier, EntryPoint, Inlining, Instance, Settings, Stress, Tier, Tiers};
use osr_ir::{Module, Point, Value};
use osr_tests::{Program, programs};

/// A site: the version by function, tier and entry, and its number there.
type Key = (usize, CompiledTier, Option<Point>, usize);

type Sites = BTreeMap<Key, Site>;

/// What is known of a site.
#[derive(Clone, Copy, Default)]
struct Site {
    /// Entries of its frame map.
    entries: usize,
    /// Whether a frame was ever seen there.
    seen: bool,
    /// In which ways it was landed on.
    landed: [bool; 3],
}

/// Safepoints that find nothing new, and rounds of calls that do, before an instance is given up.
const PATIENCE: (u64, u32) = (20_000, 12);

/// Which sites are to be landed on.
#[derive(Clone, Copy)]
enum Sought {
    /// All.
    All,
    /// With this much inlined, those that are executed, at which a frame stands for several activations.
    Executed(Inlining),
}

fn settings(tiers: Tiers, sought: Sought) -> Settings {
    let inlining = match sought {
        Sought::All => None,
        Sought::Executed(inlining) => Some(inlining),
    };
    Settings {
        tiers,
        inlining,
        points: inlining.is_some(),
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
    let is_inlined = instance.settings().inlining.is_some();
    for site in instance.covered_sites() {
        let entry = match site.entry {
            EntryPoint::Function => None,
            EntryPoint::Continuation(point) | EntryPoint::Specialized { point, .. } => Some(point),
        };
        let ordinal = ordinals.entry((site.function, site.tier, entry)).or_default();
        let key = (site.function.index(), site.tier, entry, *ordinal);
        *ordinal += 1;
        if is_inlined && site.activations < 2 {
            continue;
        }
        let noted = sites.entry(key).or_default();
        noted.entries = site.entries;
        noted.seen |= site.seen;
        for (landed, count) in noted.landed.iter_mut().zip(site.landings) {
            *landed |= count > 0;
        }
    }
}

/// Lands on as much of `program` as can be reached with small arguments.
fn cover(program: &Program, module: &Module, sought: Sought) -> Sites {
    let mut sites = Sites::new();
    let small = program.small[0];
    let mut arguments = vec![2, 5.min(small), (small / 12).max(2), (small / 3).max(2)];
    arguments.sort_unstable();
    arguments.dedup();
    for tiers in [Tiers::Baseline, Tiers::Optimized, Tiers::Auto] {
        cover_in(program, module, &settings(tiers, sought), &arguments, &mut sites);
    }
    if let Sought::Executed(_) = sought {
        sites.retain(|_, site| site.seen);
    }
    sites
}

/// Entries of the sites that were landed on in the way number `way`, or of those that were not.
fn entries(sites: &Sites, way: usize, landed: bool) -> usize {
    sites.values().filter(|site| site.landed[way] == landed).map(|site| site.entries).sum()
}

fn list_missed(program: &Program, module: &Module, sites: &Sites) {
    for (way, tier) in Tier::ALL.into_iter().enumerate() {
        let mut missed: BTreeMap<&str, usize> = BTreeMap::new();
        for ((function, ..), site) in sites.iter().filter(|(_, site)| !site.landed[way]) {
            *missed.entry(&module.functions[*function].name).or_default() += site.entries;
        }
        let list: Vec<String> = missed.iter().map(|(name, entries)| format!("{name} {entries}")).collect();
        let landed = entries(sites, way, true);
        let all = landed + entries(sites, way, false);
        let (name, list) = (&program.name, list.join(", "));
        println!("{name}, into {}: {landed} of {all} entries; not: {list}", tier.name());
    }
}

/// Of a hundred entries, how many are landed on at least.
const LEAST: usize = 95;

fn check(programs: impl IntoIterator<Item = Program>, ssa: bool, sought: Sought) {
    let (mut landed, mut all) = ([0; 3], 0);
    for program in programs {
        let module = program.module(ssa);
        let sites = cover(&program, &module, sought);
        list_missed(&program, &module, &sites);
        all += sites.values().map(|site| site.entries).sum::<usize>();
        (0..3).for_each(|way| landed[way] += entries(&sites, way, true));
    }
    for (tier, landed) in Tier::ALL.into_iter().zip(landed) {
        let percent = landed as f64 * 100.0 / all as f64;
        println!("into {}: {landed} of {all} entries were landed on: {percent:.2}%", tier.name());
    }
    assert!(
        all > 0 && landed.iter().all(|landed| landed * 100 >= all * LEAST),
        "{landed:?} of {all} entries"
    );
}

/// Programs of few functions, of many, with indirect calls, with recursion.
const QUICK: [&str; 4] = ["fib", "binary-trees", "n-body", "phase-change"];

#[test]
fn landings_reach_nearly_all_entries_of_a_few_programs() {
    let quick = || programs().into_iter().filter(|program| QUICK.contains(&&*program.name));
    assert_eq!(quick().count(), QUICK.len());
    check(quick(), false, Sought::All);
}

#[test]
fn landings_reach_nearly_all_entries_of_several_activations() {
    let quick = programs().into_iter().filter(|program| QUICK.contains(&&*program.name));
    check(quick, true, Sought::Executed(Inlining::default()));
}

#[test]
#[ignore = "takes minutes; see the head"]
fn landings_reach_nearly_all_entries_of_several_activations_of_all_programs() {
    check(programs(), true, Sought::Executed(Inlining::default()));
}

#[test]
#[ignore = "takes minutes; see the head"]
fn landings_reach_nearly_all_entries_of_optimized_wasm_programs() {
    check(programs(), false, Sought::All);
}

#[test]
#[ignore = "takes minutes; see the head"]
fn landings_reach_nearly_all_entries_of_unoptimized_wasm_programs() {
    check(programs(), true, Sought::All);
}
