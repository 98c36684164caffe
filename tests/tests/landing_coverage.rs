//! Coverage of landings: of all frame-map entries of all versions that running the C programs compiles,
//! at least 95% are landed on. The rest is listed, by function.
//!
//! Runs redirect instead of invalidating: every so manieth safepoint hijacks all frames, but their
//! versions stay, so that a landing costs no compilation. A period a little longer than a run redirects
//! once in each run, each time a little later. What is landed on is also right: `differential.rs`
//! compares what such landings compute, with dead registers and slots poisoned.
//!
//! The list is printed with `cargo test -p osr-tests --test landing_coverage -- --nocapture`.

use std::collections::BTreeMap;

use osr_engine::{EntryPoint, Instance, Settings, Stress, Thread, Tiers};
use osr_ir::{Module, Point, Value};
use osr_tests::{Program, programs};

/// A version by function and entry, and the number of the site in it.
type Key = (usize, Option<Point>, usize);

/// A site: the entries of its frame map, and whether it was landed on.
type Sites = BTreeMap<Key, (usize, bool)>;

/// Runs of one instance that find nothing new before it is given up.
const PATIENCE: u32 = 60;

/// A program with an argument, in a tier.
struct Run<'p> {
    program: &'p Program,
    module: &'p Module,
    argument: i32,
    tiers: Tiers,
}

impl Run<'_> {
    fn call(&self, thread: &Thread) {
        thread.invoke(&self.program.invoke, &[Value::I32(self.argument)]).expect("the program returns");
    }

    fn start(&self, every: u64) -> (std::sync::Arc<Instance>, Box<Thread>) {
        let threshold = if self.tiers == Tiers::Optimized { 0 } else { 20 };
        let settings = Settings {
            tiers: self.tiers,
            threshold,
            optimize_threshold: 0,
            stress: Stress::redirect(every),
            coverage: true,
            checked: false,
            ..Settings::default()
        };
        osr_tests::configuration::start(self.module, &settings)
    }

    /// Safepoints of one run without a redirection.
    fn safepoints(&self) -> u64 {
        let (_, thread) = self.start(u64::MAX);
        self.call(&thread);
        thread.transitions().safepoints.max(1)
    }

    /// Redirects every `every`th safepoint, over and over, and notes what was landed on.
    fn redirect(&self, every: u64, patience: u32, sites: &mut Sites) {
        let (instance, thread) = self.start(every);
        let (mut known, mut idle) = (0, 0);
        while idle < patience {
            self.call(&thread);
            let landed = instance.covered_sites().iter().filter(|site| site.landings[0] > 0).count();
            idle = if landed > known { 0 } else { idle + 1 };
            known = landed;
        }
        note(&instance, sites);
    }
}

fn note(instance: &Instance, sites: &mut Sites) {
    let mut ordinals: BTreeMap<_, usize> = BTreeMap::new();
    for site in instance.covered_sites() {
        let entry = match site.entry {
            EntryPoint::Function => None,
            EntryPoint::Continuation(point) => Some(point),
        };
        let ordinal = ordinals.entry((site.function, entry)).or_default();
        let noted = sites.entry((site.function.index(), entry, *ordinal)).or_insert((site.entries, false));
        *ordinal += 1;
        noted.1 |= site.landings[0] > 0;
    }
}

/// Lands on as much of `program` as can be reached in a few seconds.
fn cover(program: &Program, module: &Module) -> Sites {
    let mut sites = Sites::new();
    let small = program.small[0];
    let mut arguments = vec![2, 5.min(small), (small / 12).max(2), (small / 3).max(2)];
    arguments.sort_unstable();
    arguments.dedup();
    for argument in arguments {
        for tiers in [Tiers::Optimized, Tiers::Auto] {
            let run = Run { program, module, argument, tiers };
            let all = run.safepoints();
            let frequent: Vec<u64> = if all < 300 { (1..=12).collect() } else { vec![1, 2, 3, 7, 31] };
            frequent.into_iter().for_each(|every| run.redirect(every, 6, &mut sites));
            for every in [all / 3 + 1, all + 1, all + all / 97 + 1, all + all / 37 + 1, all + all / 11 + 1] {
                if sites.values().any(|(_, landed)| !landed) {
                    run.redirect(every, PATIENCE, &mut sites);
                }
            }
        }
    }
    sites
}

/// Entries of the sites that were landed on, or of those that were not.
fn entries(sites: &Sites, landed: bool) -> usize {
    sites.values().filter(|site| site.1 == landed).map(|site| site.0).sum()
}

fn list_missed(program: &Program, module: &Module, sites: &Sites) {
    let mut missed: BTreeMap<&str, usize> = BTreeMap::new();
    for ((function, ..), (entries, _)) in sites.iter().filter(|(_, (_, landed))| !landed) {
        *missed.entry(&module.functions[*function].name).or_default() += entries;
    }
    let list: Vec<String> = missed.iter().map(|(name, entries)| format!("{name} {entries}")).collect();
    println!(
        "{}: {} of {} entries; not: {}",
        program.name,
        entries(sites, true),
        entries(sites, true) + entries(sites, false),
        list.join(", ")
    );
}

#[test]
fn landings_reach_nearly_all_entries() {
    let (mut landed, mut missed) = (0, 0);
    for program in programs() {
        for ssa in [false, true] {
            let module = program.module(ssa);
            let sites = cover(&program, &module);
            list_missed(&program, &module, &sites);
            landed += entries(&sites, true);
            missed += entries(&sites, false);
        }
    }
    let all = landed + missed;
    println!("{landed} of {all} entries were landed on: {:.2}%", landed as f64 * 100.0 / all as f64);
    assert!(landed * 100 >= all * 95, "{landed} of {all} frame-map entries were landed on");
}
