//! Files of results: what is taken for one's own, what is kept, and what is told of where they are from.

mod support;

use serde_json::Value;
use support::{Done, Scratch, osr_bench};

fn lines(path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("the file is there");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

/// Changes every line of a file of results.
fn change(path: &str, change: impl Fn(&mut Value)) {
    let mut lines = lines(path);
    lines.iter_mut().for_each(change);
    let text: String = lines.iter().map(|line| line.to_string() + "\n").collect();
    std::fs::write(path, text).expect("the file can be written");
}

/// Measures as little as can be.
fn predictor(results: &str, more: &[&str]) -> Done {
    let run = ["thread", "predictor", "--tiny", "--seed", "5", "--mechanism", "default", "-o", results];
    let done = osr_bench(&[&run, more].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    done
}

#[test]
fn results_say_when_and_how_much() {
    let scratch = Scratch::new("results-say");
    let results = scratch.path("results.jsonl");
    predictor(&results, &[]);
    for line in lines(&results) {
        let time = line["time"].as_str().expect("there is a time");
        assert!(time.starts_with("20") && time.ends_with('Z') && time.len() == 20, "{time}");
        assert_eq!(line["sizes"]["sites"], serde_json::json!([1, 100]), "{line}");
        assert!(line["versions"]["sources"].as_str().is_some_and(|hash| hash.len() == 16), "{line}");
    }
}

#[test]
fn what_was_made_elsewhere_or_otherwise_is_not_taken_for_ones_own() {
    let scratch = Scratch::new("results-own");
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 6] = [
        ("another version", |line| line["versions"]["commit"] = "0ldc0mm1t".into()),
        ("another version", |line| line["versions"]["sources"] = "0123456789abcdef".into()),
        ("another version", |line| line["versions"]["optimized"] = true.into()),
        ("another machine (Other", |line| line["machine"]["processor"] = "Other".into()),
        ("other sizes (depth 50, not 5)", |line| line["sizes"]["depth"] = 50.into()),
        ("sizes that are not known", |line| line["sizes"] = Value::Null),
    ];
    for (position, (reason, alter)) in changes.into_iter().enumerate() {
        let results = scratch.path(&format!("{position}.jsonl"));
        predictor(&results, &[]);
        let once = lines(&results).len();
        assert_eq!(predictor(&results, &[]).stderr, "");
        assert_eq!(lines(&results).len(), once, "its own is not measured again");
        change(&results, alter);
        change(&results, |line| line["samples"] = serde_json::json!([123_456_789_012.0]));
        let done = predictor(&results, &[]);
        assert!(
            done.stderr.contains("1 trials of this seed are left out") && done.stderr.contains(reason),
            "{}",
            done.stderr
        );
        assert!(!done.stdout.contains("123457 ms"), "{}", done.stdout);
        assert_eq!(lines(&results).len(), 2 * once, "{reason}: it is measured");
    }
}

#[test]
fn a_sweep_with_other_sizes_makes_its_trials_again() {
    let scratch = Scratch::new("results-sweep");
    let results = scratch.path("results.jsonl");
    let sweep = |size: u32| {
        let plan = format!(
            "experiments = [\"predictor\"]\nmechanisms = [\"default\"]\n[sizes]\nreplacements = 2\ndepth = {size}\n"
        );
        let plan = scratch.file("plan.toml", plan);
        osr_bench(&["sweep", &plan, "-o", &results])
    };
    sweep(10).prints("1 trials made, 0 were there already, 0 are left\n");
    sweep(10).prints("0 trials made, 1 were there already, 0 are left\n");
    let done = sweep(30).prints("1 trials made, 0 were there already, 0 are left\n");
    assert!(done.stderr.contains("other sizes (depth 10, not 30)"), "{}", done.stderr);
}

#[test]
fn what_mixes_machines_versions_or_sizes_says_so() {
    let scratch = Scratch::new("results-mixed");
    let [own, other] = ["own.jsonl", "other.jsonl"].map(|name| scratch.path(name));
    predictor(&own, &[]);
    predictor(&other, &[]);
    let same = osr_bench(&["compare", &own, &other, "--json"]).stdout;
    let same: Value = serde_json::from_str(&same).expect("it is JSON");
    assert_eq!(same["warnings"], serde_json::json!([]), "{same}");
    change(&other, |line| line["machine"]["processor"] = "Apple M9".into());
    let compared = osr_bench(&["compare", &own, &other]);
    assert!(compared.stdout.contains("Warning: the machines differ"), "{}", compared.stdout);
    change(&other, |line| line["versions"]["commit"] = "0ldc0mm1t".into());
    change(&other, |line| line["sizes"]["depth"] = 50.into());
    let both = [&own, &other].map(|path| std::fs::read_to_string(path).expect("it is there")).concat();
    let mixed = scratch.file("mixed.jsonl", both);
    let page = osr_bench(&["report", &mixed]);
    for text in [&page.stdout, &page.stderr, &osr_bench(&["compare", &own, &mixed]).stdout] {
        for part in [
            "results of 2 machines (",
            "Apple M9",
            "results of 2 versions (",
            "0ldc0mm1t",
            "of several sizes of predictor",
        ] {
            assert!(text.contains(part), "no `{part}` in: {text}");
        }
        assert!(text.contains("figures pool them, of thread-2015"), "{text}");
    }
    assert!(page.stdout.contains("<strong>Mixed: "), "it is on the page");
    let page = osr_bench(&["report", &own]);
    assert!(page.stderr.is_empty() && !page.stdout.contains("Mixed"), "{}", page.stderr);
}
