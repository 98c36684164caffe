//! `osr-bench thread`, `compare`, `report` and `list`, on as little as can be measured. Nothing depends on times.

mod support;

use osr_engine::{ActiveFrames, Mechanism, PRESETS};
use serde_json::Value;
use support::{Scratch, osr_bench, program};

const EXPERIMENTS: [&str; 12] = [
    "steady",
    "polls",
    "update",
    "bindings",
    "latency",
    "releases",
    "infinite-loop",
    "sparse",
    "code-writes",
    "predictor",
    "osrkit",
    "memory",
];

fn lines(path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("the file is there");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

fn find<'v>(lines: &'v [Value], experiment: &str, metric: &str) -> &'v Value {
    let found = lines.iter().find(|line| line["experiment"] == experiment && line["metric"] == metric);
    found.unwrap_or_else(|| panic!("no {metric} of {experiment}"))
}

#[test]
fn every_experiment_is_made_and_its_results_say_where_and_by_what() {
    let scratch = Scratch::new("thread");
    let results = scratch.path("results.jsonl");
    let done = osr_bench(&["thread", "--tiny", "--mechanism", "default", "--seed", "7", "-o", &results]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for part in [
        "mechanism",
        "steady",
        "update, a site",
        "new call after",
        "memory after",
        "thread-2015",
        "cores",
        "What a poll costs",
        "Sparse hijacks",
        "unbind, jit-module",
        "transition, CGO'16",
        "live values, CGO'16",
        "an instruction, thread-2015",
        "old code gone after",
        "thread-2015, memory back",
    ] {
        assert!(done.stdout.contains(part), "no `{part}` in: {}", done.stdout);
    }
    let lines = lines(&results);
    for experiment in EXPERIMENTS {
        let mut found = lines.iter().filter(|line| line["experiment"] == experiment).peekable();
        assert!(found.peek().is_some(), "{experiment}");
        for line in found {
            assert_ne!(line["metric"], "nothing", "{line}");
            assert_eq!(
                (&line["mechanism"], &line["settings"]["binding"]),
                (&"thread-2015".into(), &"cell".into())
            );
            assert!(
                line["machine"]["cores"].as_u64() > Some(0) && line["versions"]["crate"].is_string(),
                "{line}"
            );
            assert!(
                line["seed"].is_u64() && line["command"].as_str().unwrap().starts_with("osr-bench thread")
            );
        }
    }
    for (experiment, metric) in [
        ("update", "unbind"),
        ("update", "replace"),
        ("latency", "new call"),
        ("latency", "new frame"),
        ("latency", "memory"),
        ("sparse", "total"),
    ] {
        let samples = find(&lines, experiment, metric)["samples"].as_array().unwrap();
        assert!(!samples.is_empty() && samples.iter().all(|sample| sample.as_f64() > Some(0.0)), "{metric}");
    }
    let of = |program: &str| {
        let is_it = |line: &&Value| line["program"] == program && line["metric"] == "memory";
        lines.iter().find(is_it).unwrap()["samples"].as_array().unwrap().len()
    };
    assert_eq!((of("infinite loop"), of("waits for the loop")), (2, 2), "both are released");
}

#[test]
fn all_presets_have_a_line_and_refused_ones_say_why() {
    let done = osr_bench(&["thread", "infinite-loop", "--tiny", "--json"]);
    let answers: Vec<Value> =
        serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{}", done.stderr));
    assert_eq!(answers.len(), PRESETS.len());
    for (answer, preset) in answers.iter().zip(&PRESETS) {
        assert_eq!(answer["mechanism"], preset.name);
        if let Err(refusal) = preset.mechanism.check() {
            assert_eq!(answer["notes"][0], format!("refused: {refusal}"), "{answer}");
        }
    }
}

#[test]
fn experiments_that_compare_the_values_of_an_axis_choose_their_mechanisms() {
    let scratch = Scratch::new("thread-own");
    let results = scratch.path("results.jsonl");
    let done = osr_bench(&["thread", "sparse", "--tiny", "-o", &results]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let lines = lines(&results);
    for density in ["every-frame", "sparse"] {
        assert!(lines.iter().any(|line| line["settings"]["density"] == density), "{density}");
        assert!(done.stdout.contains(&format!("total, {density}")), "{}", done.stdout);
    }
    assert!(!done.stdout.contains("new call after"), "they are not in the answer: {}", done.stdout);
    assert!(done.stdout.contains("total, orc"), "beside what LLVM has built: {}", done.stdout);
}

#[test]
fn what_llvm_has_built_is_beside_what_the_thread_proposes() {
    let both = ["--mechanism", "orc", "--mechanism", "thread-2015"];
    let done = osr_bench(&[&["thread", "latency", "osrkit", "--tiny"], &both[..]].concat());
    for part in [
        "thread-2015 against orc: ",
        "memory after ",
        " against never",
        "transition, orc",
        "orc: it hijacks no frames",
    ] {
        assert!(done.stdout.contains(part), "no `{part}` in: {}", done.stdout);
    }
    let done = osr_bench(&["thread", "polls", "--tiny"]);
    assert!(done.stdout.contains("stack-check (orc)") && done.stdout.contains("it does not poll: its stack"));
    let checked = "frames=return-check,release=frame-count";
    let done = osr_bench(&["thread", "osrkit", "--tiny", "--mechanism", checked]);
    assert!(done.stdout.contains("it hijacks no frames"), "{}", done.stdout);
}

#[test]
fn a_run_that_was_ended_continues_with_its_seed() {
    let scratch = Scratch::new("thread-continues");
    let results = scratch.path("results.jsonl");
    let thread = |mechanism: &str| {
        let run = ["thread", "predictor", "--tiny", "--seed", "5", "--mechanism", mechanism, "-o", &results];
        assert_eq!(osr_bench(&run).code, 0);
        lines(&results).len()
    };
    let once = thread("default");
    assert_eq!(thread("default"), once, "nothing is measured again");
    assert_eq!(thread("recording=slots"), 2 * once, "what is missing is");
}

#[test]
fn results_are_appended_and_a_torn_line_is_cut_off() {
    let scratch = Scratch::new("thread-append");
    let results = scratch.file("results.jsonl", "");
    let thread = || osr_bench(&["thread", "predictor", "--tiny", "--mechanism", "default", "-o", &results]);
    assert_eq!(thread().code, 0);
    let once = lines(&results).len();
    let mut text = std::fs::read_to_string(&results).unwrap();
    text += "{\"experiment\":\"predi";
    std::fs::write(&results, text).unwrap();
    assert_eq!(osr_bench(&["compare", &results, &results]).code, 0, "a torn line is left out");
    assert_eq!(thread().code, 0);
    assert_eq!(lines(&results).len(), 2 * once);
}

#[test]
fn a_planted_change_is_found_and_nothing_else() {
    let scratch = Scratch::new("compare");
    let before = scratch.path("before.jsonl");
    let thread = ["thread", "update", "memory", "--tiny", "--mechanism", "default", "--repetitions", "2"];
    let done = osr_bench(&[&thread[..], &["-o", &before]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    let mut changed = lines(&before);
    let mut plant = |size: u64| {
        let is_it = |line: &&mut Value| line["metric"] == "bind" && line["size"] == size;
        for planted in changed.iter_mut().filter(is_it) {
            for sample in planted["samples"].as_array_mut().unwrap() {
                *sample = (sample.as_f64().unwrap() * 1e6).into();
            }
        }
    };
    plant(1);
    let text: String = changed.iter().map(|line| line.to_string() + "\n").collect();
    let after = scratch.file("after.jsonl", text);
    let done = osr_bench(&["compare", &before, &after, "--json"]);
    let compared: Value = serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{}", done.stderr));
    let changes = compared["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1, "{compared}");
    assert_eq!((&changes[0]["metric"], &changes[0]["changed"]), (&"bind".into(), &true.into()));
    let first = |text: String| -> String {
        let of = |line: &str| serde_json::from_str::<Value>(line).unwrap()["repetition"] == 1;
        text.lines().filter(|line| of(line)).map(|line| line.to_owned() + "\n").collect()
    };
    let single = [&before, &after].map(|path| first(std::fs::read_to_string(path).unwrap()));
    let [one, other] =
        [("one", &single[0]), ("other", &single[1])].map(|(name, text)| scratch.file(name, text));
    let done = osr_bench(&["compare", &one, &other]);
    let marked = done.stdout.contains(") ?") && done.stdout.contains("1 more may have (?)");
    assert!(marked && done.stdout.contains("0 of "), "one process proves nothing: {}", done.stdout);
    let same = osr_bench(&["compare", &before, &before]);
    assert!(same.stdout.starts_with("0 of "), "{}", same.stdout);
}

#[test]
fn results_are_written_for_other_tools() {
    let scratch = Scratch::new("export");
    let results = scratch.path("results.jsonl");
    osr_bench(&["thread", "predictor", "--tiny", "--mechanism", "default", "-o", &results]);
    let samples: usize = lines(&results).iter().map(|line| line["samples"].as_array().unwrap().len()).sum();
    let csv = osr_bench(&["report", &results, "--csv"]).stdout;
    let mut rows = csv.lines();
    let columns = rows.next().unwrap().split(',').count();
    assert!(rows.clone().all(|row| row.split(',').count() == columns), "{csv}");
    assert_eq!(rows.count(), samples);
    for column in ["binding", "poll", "time", "processor", "commit", "sizes"] {
        assert!(csv.lines().next().unwrap().split(',').any(|name| name == column), "no {column}: {csv}");
    }
    assert!(csv.contains("depth=5;"), "{csv}");
    osr_bench(&["report", &results, "--rebench"]).refused(&["not one", "--metric", "--size 1024"]);
    let one = ["report", &results, "--rebench", "--metric", "plain", "--size", "1024"];
    let chosen =
        lines(&results).into_iter().find(|line| line["metric"] == "plain" && line["size"] == 1024).unwrap();
    let samples: Vec<f64> = chosen["samples"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
    let name = "predictor-chain-1024-thread-2015";
    let points = samples.iter().map(|nanoseconds| {
        let whole = nanoseconds * 1000.0;
        format!("{name}: plain: {whole:.0}ps\n{name}: iterations=1 runtime: {whole:.0}us\n")
    });
    osr_bench(&one).prints(&points.collect::<String>());
}

#[test]
fn bad_input_is_refused_with_a_next_step() {
    let scratch = Scratch::new("thread-refused");
    osr_bench(&["thread", "steddy"]).refused(&["no experiment `steddy`", "infinite-loop"]);
    osr_bench(&["thread", "--mechanism", "v9"]).refused(&["no preset `v9`", "spidermonkey"]);
    osr_bench(&["compare", "missing.jsonl", "missing.jsonl"]).refused(&["missing.jsonl", "sweep"]);
    let bad = scratch.file("bad.jsonl", "\n{\"experiment\":1}\n");
    osr_bench(&["compare", &bad, &bad]).refused(&["bad.jsonl:2", "help"]);
    osr_bench(&["trial"]).refused(&["no trial"]);
}

#[test]
fn the_list_names_presets_values_and_experiments() {
    let text = osr_bench(&["list"]).stdout;
    for part in ["thread-2015", "invalidation-point", "ReOptimizeLayer", "Stop and Go"] {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
    EXPERIMENTS.iter().for_each(|experiment| assert!(text.contains(experiment), "{experiment}"));
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in
        ["exhausts the stack ends the process: there is no trap", "`osr-bench EXPERIMENT`", "transitions"]
    {
        assert!(words.contains(part), "meanings are whole: no `{part}` in: {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let listed: Value = serde_json::from_str(&osr_bench(&["list", "--json"]).stdout).unwrap();
    assert_eq!(listed["mechanisms"].as_array().unwrap().len(), PRESETS.len() + 2);
    assert_eq!(listed["axes"].as_array().unwrap().len(), 9);
    assert_eq!(listed["commands"].as_array().unwrap().len(), 8);
    let frames = listed["axes"][2]["values"].as_array().unwrap();
    assert_eq!(frames.len(), ActiveFrames::ALL.len());
    for meaning in frames.iter().map(|value| value["meaning"].as_str().unwrap()) {
        assert!(
            meaning.contains("innermost frame") && meaning.contains("under a host function"),
            "{meaning}"
        );
    }
}

#[test]
fn a_mechanism_is_an_option_of_run_and_maps() {
    let fib = program("wasm/fib.wasm");
    osr_bench(&["run", &fib, "12", "--mechanism", "recording=slots", "--stress", "invalidate=9"])
        .prints("144\n");
    osr_bench(&["run", &fib, "12", "--mechanism", "thread-2015", "--tier", "optimized"]).prints("144\n");
    osr_bench(&["run", &fib, "12", "--mechanism", "default", "--state-recording", "slots"])
        .refused(&["--mechanism", "--state-recording"]);
    osr_bench(&["run", &fib, "12", "--mechanism", "binding=sell"]).refused(&["no value `sell`", "cell"]);
    osr_bench(&["run", &fib, "12", "--mechanism", "recording=none"])
        .refused(&["recorded state", "osr-bench list"]);
    let maps = |mechanism: &str| osr_bench(&["maps", &fib, "--mechanism", mechanism]).stdout;
    assert_ne!(maps("recording=slots"), maps("default"));
    assert!(maps("bare").contains("bytes of code"), "{}", maps("bare"));
    assert_eq!(maps("bare"), maps(&Mechanism::BARE.to_string()));
}

#[test]
fn a_replay_under_another_mechanism_is_refused() {
    let scratch = Scratch::new("replay-mechanism");
    let (fib, schedule) = (program("wasm/fib.wasm"), scratch.path("s.json"));
    let run = |mechanism: &str, what: &str| {
        osr_bench(&["run", &fib, "12", "--mechanism", mechanism, what, &schedule])
    };
    run("recording=pads", "--record").prints("144\n");
    run("recording=pads", "--replay").prints("144\n");
    run("bare", "--replay").refused(&["recorded with"]);
    run("recording=slots", "--replay").refused(&["pads, not slots", "--state-recording pads"]);
}

#[test]
fn a_report_is_one_page_that_loads_nothing() {
    let scratch = Scratch::new("report");
    let (results, page) = (scratch.path("results.jsonl"), scratch.path("report.html"));
    let thread =
        ["thread", "update", "latency", "predictor", "--tiny", "--mechanism", "default", "-o", &results];
    assert_eq!(osr_bench(&thread).code, 0);
    let plot = scratch.path("frames.svg");
    osr_bench(&["report", &results, "-o", &page, "--plot", &plot]).prints("");
    let svg = std::fs::read_to_string(&plot).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains(">thread-2015<") && svg.ends_with("</svg>\n"), "{svg}");
    let html = std::fs::read_to_string(&page).unwrap();
    for part in [
        "function bodies",
        "<td>thread-2015</td>",
        "Update cost against call sites",
        "Update cost against active frames",
        "Old code gone",
        "one of so many takes longer",
        "One replacement",
        "A stack before and after",
        "prefers-color-scheme:dark",
        "name=\"viewport\"",
        "<code>osr-bench thread update --quick --mechanism thread-2015",
    ] {
        assert!(html.contains(part), "no `{part}`");
    }
    assert!(html.matches("<svg role=\"img\" viewBox=\"0 0 720").count() >= 4);
    for part in ["src=", "href=", "url(", "@import", "<script", "<link"] {
        assert!(!html.contains(part), "`{part}` loads something");
    }
    assert!(!html.contains("https://"), "nothing is elsewhere");
    let bad = scratch.file("bad.jsonl", "{}\n");
    osr_bench(&["report", &bad, "-o", &page]).refused(&["bad.jsonl:1"]);
    assert_eq!(std::fs::read_to_string(&page).unwrap(), html, "a good file stays");
}

#[test]
fn a_sweep_continues_where_it_was_ended() {
    let scratch = Scratch::new("sweep");
    let plan = "experiments = [\"infinite-loop\", \"predictor\"]\nmechanisms = [\"default\", \"recording=slots\"]\n\
        repetitions = 2\nseed = 3\n[sizes]\nloop_thousands = 2\nreplacements = 2\n";
    let (plan, results) = (scratch.file("plan.toml", plan), scratch.path("results.jsonl"));
    let sweep = |more: &[&str]| osr_bench(&[&["sweep", &plan, "-o", &results], more].concat());
    sweep(&["--trials", "3"]).prints("3 trials made, 0 were there already, 5 are left\n");
    // The third trial is ended in the middle of its lines.
    let text = std::fs::read_to_string(&results).unwrap();
    std::fs::write(&results, &text[..text.len() - 10]).unwrap();
    sweep(&[]).prints("6 trials made, 2 were there already, 0 are left\n");
    let mut all: Vec<String> = lines(&results)
        .iter()
        .map(|line| format!("{}{}{}{}", line["experiment"], line["mechanism"], line["seed"], line["part"]))
        .collect();
    let command = format!("osr-bench sweep {plan} -o {results}");
    assert!(lines(&results).iter().all(|line| line["command"] == *command), "a sweep makes it");
    all.sort();
    assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "nothing is there twice");
    sweep(&[]).prints("0 trials made, 8 were there already, 0 are left\n");
    let bad = scratch.file("bad.toml", "seed = 1\nrepetition = 2\n");
    osr_bench(&["sweep", &bad, "-o", &results]).refused(&["bad.toml:2:1", "repetition", "help"]);
    let bad = scratch.file("bad.toml", "mechanisms = [\"v9\"]\n");
    osr_bench(&["sweep", &bad, "-o", &results]).refused(&["no preset `v9`", "osr-bench list"]);
}
