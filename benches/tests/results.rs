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
            "experiments = [\"predictor\"]\nmechanisms = [\"default\"]\nrepetitions = 1\n[sizes]\nreplacements = 2\ndepth = {size}\n"
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
    let done = osr_bench(&["thread", "predictor", "--tiny", "--mechanism", "default", "-o", &other]);
    assert!(done.stderr.contains("there are results of another machine (Apple M9"), "{}", done.stderr);
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

#[test]
fn a_file_that_is_not_of_results_is_never_touched() {
    let scratch = Scratch::new("results-precious");
    let plan = "experiments = [\"predictor\"]\nmechanisms = [\"default\"]";
    for (position, text) in ["precious", "one\ntwo", "{\"a\":1}\n", "[1", "{", plan].into_iter().enumerate() {
        let precious = scratch.file(&format!("{position}.txt"), text);
        let plan = scratch.file("plan.toml", plan);
        osr_bench(&["sweep", &plan, "-o", &precious, "--trials", "0"]).refused(&["not a result"]);
        let run = ["thread", "predictor", "--tiny", "--mechanism", "default", "-o", &precious];
        osr_bench(&run).refused(&["not a result"]);
        assert_eq!(std::fs::read_to_string(&precious).unwrap(), text);
        osr_bench(&["sweep", &precious, "-o", &precious]);
        assert_eq!(std::fs::read_to_string(&precious).unwrap(), text, "a plan is no file of results");
    }
    let results = scratch.path("results.jsonl");
    predictor(&results, &[]);
    let there = std::fs::read_to_string(&results).unwrap();
    let torn = scratch.file("notes.jsonl", format!("{there}and a note"));
    osr_bench(&["thread", "predictor", "--tiny", "-o", &torn]).refused(&["not a result"]);
    assert_eq!(std::fs::read_to_string(&torn).unwrap(), format!("{there}and a note"));
    osr_bench(&["report", &results, "-o", &results]).refused(&["replaced by what is made of it"]);
    assert_eq!(std::fs::read_to_string(&results).unwrap(), there);
}

#[test]
fn a_file_that_another_process_appends_to_is_left_to_it() {
    let scratch = Scratch::new("results-locked");
    let results = scratch.path("results.jsonl");
    predictor(&results, &[]);
    let torn = std::fs::read_to_string(&results).unwrap() + "{\"experiment\":\"predi";
    std::fs::write(&results, &torn).unwrap();
    let file = std::fs::File::open(&results).unwrap();
    file.lock().unwrap();
    osr_bench(&["thread", "predictor", "--tiny", "--mechanism", "default", "-o", &results])
        .refused(&["another process writes to it"]);
    assert_eq!(std::fs::read_to_string(&results).unwrap(), torn, "its line is not cut off");
    drop(file);
    predictor(&results, &[]);
}

#[test]
fn a_last_line_without_its_end_is_a_result() {
    let scratch = Scratch::new("results-unended");
    let results = scratch.path("results.jsonl");
    predictor(&results, &[]);
    let there = std::fs::read_to_string(&results).unwrap();
    std::fs::write(&results, there.trim_end()).unwrap();
    predictor(&results, &[]);
    assert_eq!(std::fs::read_to_string(&results).unwrap(), there, "nothing is lost, and nothing made again");
}

#[test]
fn trials_that_failed_are_made_again_and_refused_ones_are_not() {
    let scratch = Scratch::new("results-failed");
    let results = scratch.path("results.jsonl");
    let quick = scratch.file(
        "plan.toml",
        "experiments = [\"predictor\"]\nmechanisms = [\"default\", \"bare\", \"recording=none\"]\nrepetitions = 1\n[sizes]\nreplacements = 2\n",
    );
    let sweep = || osr_bench(&["sweep", &quick, "-o", &results]);
    sweep().prints("3 trials made, 0 were there already, 0 are left\n");
    sweep().prints("0 trials made, 3 were there already, 0 are left\n");
    // As if the process of one trial had been killed. Trials are in random order.
    let mut all = lines(&results);
    let mut failed = all.iter().find(|line| line["mechanism"] == "thread-2015").unwrap().clone();
    all.retain(|line| line["mechanism"] != "thread-2015");
    failed["metric"] = "failed".into();
    failed["samples"] = serde_json::json!([]);
    failed["note"] = "it was killed".into();
    failed["part"] = serde_json::json!([1, 1]);
    all.insert(0, failed);
    std::fs::write(&results, all.iter().map(|line| line.to_string() + "\n").collect::<String>()).unwrap();
    let page = osr_bench(&["report", &results]).stdout;
    assert!(page.contains("it was killed"), "it is told of");
    sweep().prints("1 trials made, 2 were there already, 0 are left\n");
    let page = osr_bench(&["report", &results]).stdout;
    assert!(!page.contains("it was killed"), "it was made again");
}

#[test]
fn a_trial_that_takes_too_long_has_failed() {
    let scratch = Scratch::new("results-patience");
    let results = scratch.path("results.jsonl");
    let plan = "experiments = [\"latency\"]\nmechanisms = [\"default\"]\nrepetitions = 1\npatience = 1\n[sizes]\nreplacements = 1000000\n";
    let plan = scratch.file("plan.toml", plan);
    for _ in 0..2 {
        let made = "1 trials made, 0 were there already, 0 are left\n1 of those made have failed: the same command makes them again\n";
        osr_bench(&["sweep", &plan, "-o", &results]).prints(made);
    }
}

#[test]
fn what_cannot_be_measured_is_refused_in_the_plan_with_its_place() {
    let scratch = Scratch::new("results-plan");
    let refused = |text: &str, parts: &[&str]| {
        let plan = scratch.file("plan.toml", text);
        osr_bench(&["sweep", &plan, "-o", &scratch.path("results.jsonl"), "--trials", "0"]).refused(parts);
    };
    for (line, column, problem) in [
        ("processes = 5", 1, "unknown field `processes`"),
        ("rounds = 0", 10, "0 is not from 1"),
        ("updates = 0", 11, "0 is not from 1"),
        ("frames = [1, 100000000]", 10, "100000000 is not from 0 to 1000000"),
        ("sites = [0]", 9, "0 is not from 1"),
        ("depth = -1", 9, "-1 is not from 0"),
        ("programs = [\"fib\", \"fibb\"]", 20, "no bundled program `fibb`"),
        ("programs = [\"./missing.wasm 1\"]", 13, "missing.wasm"),
        ("programs = [\"fib\", \"fib\"]", 20, "named twice"),
    ] {
        refused(&format!("seed = 1\n[sizes]\n{line}\n"), &[&format!("plan.toml:3:{column}: "), problem]);
    }
    refused("seed = 1\nrepetitions = 0\n", &["plan.toml:2:15: ", "0 is not from 1 to 1000"]);
    refused("patience = 0\n", &["plan.toml:1:12: ", "0 is not from 1"]);
    refused("experiments = [\"update\", \"updat\"]\n", &["plan.toml:1:26: ", "no experiment `updat`"]);
    refused("mechanisms = [\"v8\", \"v9\"]\n", &["plan.toml:1:21: ", "no preset `v9`"]);
}

#[test]
fn own_programs_are_measured_and_a_change_of_one_is_noticed() {
    let scratch = Scratch::new("results-own-program");
    let results = scratch.path("results.jsonl");
    let adds = |number: i32| {
        let text = format!(
            "(module (func (export \"run\") (param i32) (result i32) (i32.add (local.get 0) (i32.const {number}))))"
        );
        scratch.file("own.wat", text)
    };
    let own = adds(1);
    let program = format!("{own} --invoke run 41");
    let plan = format!(
        "experiments = [\"memory\", \"steady\"]\nmechanisms = [\"default\"]\nrepetitions = 1\n[sizes]\nprograms = [\"fib\", \"{program}\"]\n\
        frames = [1]\nrounds = 3\nmilliseconds = 1\n"
    );
    let plan = scratch.file("plan.toml", plan);
    let sweep = || osr_bench(&["sweep", &plan, "-o", &results]);
    sweep().prints("2 trials made, 0 were there already, 0 are left\n");
    for (experiment, metric) in [("memory", "code"), ("steady", "time")] {
        let mut found = lines(&results).into_iter();
        let is_it = |line: &Value| {
            line["experiment"] == experiment && line["program"] == *own && line["metric"] == metric
        };
        assert!(found.any(|line| is_it(&line) && line["samples"][0].is_f64()), "{experiment}");
    }
    sweep().prints("0 trials made, 2 were there already, 0 are left\n");
    adds(2);
    let done = sweep().prints("2 trials made, 0 were there already, 0 are left\n");
    assert!(done.stderr.contains("program_hashes"), "{}", done.stderr);
    let thread = ["thread", "steady", "--tiny", "--mechanism", "default", "--program", &program, "--json"];
    assert_eq!(osr_bench(&thread).code, 0);
    osr_bench(&["thread", "steady", "--tiny", "--program", "fibb"]).refused(&["fibb", "richards"]);
    osr_bench(&["thread", "steady", "--tiny", "--program", &own]).refused(&["argument"]);
}

#[test]
fn a_mechanism_with_two_names_is_measured_once() {
    let scratch = Scratch::new("results-twice");
    let results = scratch.path("results.jsonl");
    predictor(&results, &[]);
    let once = lines(&results).len();
    let both = scratch.path("both.jsonl");
    predictor(&both, &["--mechanism", "thread-2015", "--mechanism", "default"]);
    assert_eq!(lines(&both).len(), once);
}

#[test]
fn rebench_reads_what_an_executor_prints() {
    let run = ["thread", "predictor", "--tiny", "--mechanism", "default", "--rebench", "--metric", "plain"];
    osr_bench(&run).refused(&["not one", "--size 1024"]);
    let done = osr_bench(&[&run[..], &["--size", "8"]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    let lines: Vec<&str> = done.stdout.lines().collect();
    // A data point is a metric and a total, which is no rounded one.
    for pair in lines.chunks(2) {
        let number = |line: &str, before: &str, unit: &str| -> u64 {
            let text = line.split_once(before).unwrap_or_else(|| panic!("{line}")).1;
            text.strip_suffix(unit).and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{line}"))
        };
        let metric = number(pair[0], "predictor-chain-8-thread-2015: plain: ", "ps");
        assert_eq!(metric, number(pair[1], "predictor-chain-8-thread-2015: iterations=1 runtime: ", "us"));
        assert!(metric > 0);
    }
    assert_eq!(lines.len(), 2 * 2, "each steady sample is a point: of three the last two are taken");
    osr_bench(&["thread", "predictor", "--tiny", "--mechanism", "bare", "--rebench"])
        .refused(&["0 series", "swaps no return PCs"]);
    osr_bench(&["thread", "steady", "--size", "8"]).refused(&["--rebench"]);
}

/// The commands of the sample configuration, with one value for each of its variables.
#[test]
fn the_sample_configuration_of_rebench_chooses_one_series() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("rebench.conf");
    let text = std::fs::read_to_string(path).expect("it is there");
    let commands: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("command: ")).collect();
    assert_eq!(commands.len(), 3);
    for (command, benchmark) in commands.iter().zip(["unbind", "replace", "fib"]) {
        let sizes = ["--quick", "--tiny"];
        let command = command.replace(sizes[0], sizes[1]).replace("%(variable)s", "thread-2015");
        let input = if benchmark == "replace" { "20" } else { "100" };
        let command = command.replace("%(benchmark)s", benchmark).replace("%(input)s", input);
        let done = osr_bench(&command.split(' ').collect::<Vec<_>>());
        assert_eq!(done.code, 0, "{command}: {}", done.stderr);
        assert!(done.stdout.contains(": iterations=1 runtime: "), "{}", done.stdout);
    }
}
