//! What `papers.md` says there is, is there; and every experiment is in it.

mod support;

use std::path::Path;

use serde_json::Value;
use support::osr_bench;

/// A file of the repository.
fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn experiments() -> Vec<String> {
    let listed: Value = serde_json::from_str(&osr_bench(&["list", "--json"]).stdout).expect("it is JSON");
    let experiments = listed["experiments"].as_array().expect("a list").iter();
    experiments.map(|experiment| experiment["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn every_file_is_there() {
    let papers = read("papers.md");
    let is_path = |text: &&str| {
        let first = text.split('/').next().unwrap_or_default();
        text.contains('/')
            && ["engine", "compiler", "osr-stubs", "stackwalk", "release", "benches"].contains(&first)
    };
    let paths: Vec<&str> = quoted(&papers).filter(is_path).collect();
    assert!(paths.len() > 40, "{paths:?}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for path in paths {
        assert!(root.join(path).exists(), "papers.md names `{path}`");
    }
}

#[test]
fn every_experiment_and_every_bench_is_there() {
    let papers = read("papers.md");
    let experiments = experiments();
    for experiment in &experiments {
        let row = format!("\n| `osr-bench thread {experiment}` | `benches/src/laboratory/thread/");
        assert_eq!(papers.matches(&row).count(), 1, "papers.md has one line for `{experiment}`");
    }
    for command in quoted(&papers).filter_map(|text| text.strip_prefix("osr-bench ")) {
        let mut words = command.split(' ');
        let name = words.next().expect("a word");
        assert_eq!(osr_bench(&[name, "--help"]).code, 0, "papers.md names `osr-bench {command}`");
        if let ("thread", Some(word)) = (name, words.next()) {
            assert!(word.starts_with("--") || experiments.iter().any(|known| known == word), "{command}");
        }
    }
    let benches: String = ["transitions", "compile", "code_memory", "start_up"]
        .map(|name| read(&format!("benches/benches/{name}.rs")))
        .concat();
    let named = papers.split("bench `").skip(1).map(|rest| rest.split('`').next().expect("a name"));
    for name in named {
        assert!(
            benches.contains(&format!("benchmark_group(\"{name}\")")),
            "papers.md names the bench `{name}`"
        );
    }
}
