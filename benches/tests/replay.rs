//! `osr-bench run`: schedules that are recorded and replayed, verification, traces, explanations; and
//! `osr-bench shrink`.

mod support;

use serde_json::Value;
use support::{Done, Scratch, osr_bench, program};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).expect("the file is there")
}

/// `osr-bench run fib.wasm 12` with low thresholds and these options.
fn fib(options: &[&str]) -> Done {
    let fib = program("wasm-ssa/fib.wasm");
    let fixed = ["run", &fib, "12", "--threshold", "5", "--optimize-threshold", "20"];
    osr_bench(&[&fixed[..], options].concat())
}

#[test]
fn a_recorded_run_is_replayed() {
    let scratch = Scratch::new("replay");
    let [schedule, again, stats] = ["s.json", "again.json", "stats.json"].map(|name| scratch.path(name));
    fib(&["--stress", "random=3", "--record", &schedule, "--stats", &stats]).prints("144\n");
    let recorded = json(&read(&schedule));
    assert_eq!((&recorded["format"], &recorded["version"]), (&"osr-schedule".into(), &2.into()));
    assert_eq!(recorded["run"]["arguments"][0], "12");
    assert!(!recorded["schedule"]["safepoints"].as_array().unwrap().is_empty());
    let transitions = json(&read(&stats))["transitions"].clone();
    fib(&["--replay", &schedule, "--record", &again, "--stats", &stats, "--verify"]).prints("144\n");
    assert_eq!(json(&read(&again)), recorded);
    assert_eq!(json(&read(&stats))["transitions"], transitions);
    assert_eq!(scratch.names(), ["again.json", "s.json", "stats.json"], "nothing is left behind");
}

#[test]
fn a_replay_of_something_else_is_refused() {
    let scratch = Scratch::new("replay-else");
    let schedule = scratch.path("s.json");
    fib(&["--stress", "invalidate=50", "--record", &schedule]).prints("144\n");
    let run = |options: &[&str]| {
        let file = program("wasm-ssa/fib.wasm");
        osr_bench(&[&["run", &file, "--replay", &schedule], options].concat())
    };
    let same = ["12", "--threshold", "5", "--optimize-threshold", "20"];
    run(&same).prints("144\n");
    run(&["13", "--threshold", "5", "--optimize-threshold", "20"])
        .refused(&["arguments (12), not (13)", "help"]);
    run(&["12", "--threshold", "6", "--optimize-threshold", "20"]).refused(&["--threshold 5, not 6"]);
    run(&["12", "--threshold", "5"])
        .refused(&["with --optimize-threshold 20, not without --optimize-threshold"]);
    run(&["12", "--tier", "optimized"]).refused(&["--tier auto, not optimized"]);
    let and = |more: &[&'static str]| run(&[&same[..], more].concat());
    and(&["--code-memory", "jit-module"]).refused(&["--code-memory arena, not jit-module"]);
    and(&["--unrolling", "1"]).refused(&["--unrolling 4, not 1"]);
    and(&["--points"]).refused(&["recorded without --points, not with --points", "and without --points"]);
    and(&["--shadow"]).refused(&["recorded without --points, not with --points", "and without --points"]);
    and(&["--state-recording", "slots"]).refused(&["--state-recording locations, not slots"]);
    and(&["--stack-size", "1M"]).refused(&["--stack-size"]);
    run(&[&same[..], &["--stress", "invalidate=2"]].concat()).refused(&["--replay together with --stress"]);
    let other = program("wasm/fib.wasm");
    osr_bench(&[&["run", &other, "--replay", &schedule], &same[..]].concat()).refused(&["program of hash"]);
}

#[test]
fn a_replay_that_reaches_other_safepoints_is_an_error() {
    let scratch = Scratch::new("replay-diverged");
    let schedule = scratch.path("s.json");
    fib(&["--stress", "hijack=50", "--record", &schedule]).prints("144\n");
    let mut recorded = json(&read(&schedule));
    let safepoints = recorded["reached"]["safepoints"].as_u64().expect("it was counted");
    recorded["reached"]["safepoints"] = (safepoints + 1).into();
    let other = scratch.file("other.json", recorded.to_string());
    fib(&["--replay", &other]).refused(&["another run", &format!("reached {safepoints} safepoints")]);
    recorded["reached"] = Value::Null;
    let unknown = scratch.file("unknown.json", recorded.to_string());
    fib(&["--replay", &unknown]).prints("144\n");
}

#[test]
fn files_that_are_not_schedules_are_refused() {
    let scratch = Scratch::new("replay-files");
    let good = scratch.path("s.json");
    fib(&["--stress", "invalidate=50", "--record", &good]).prints("144\n");
    let refused = |name: &str, text: &str, parts: &[&str]| {
        fib(&["--replay", &scratch.file(name, text)]).refused(parts);
    };
    let good = read(&good);
    refused("empty", "", &["empty: not a schedule", "line 1"]);
    refused("cut", &good[..good.len() / 2], &["not a schedule"]);
    refused("other", r#"{"format":"osr-trace","version":1}"#, &["of format `osr-trace`"]);
    refused("newer", &good.replace("\"version\":2", "\"version\":3"), &["version 3", "reads 2"]);
    refused("older", &good.replace("\"version\":2", "\"version\":1"), &["version 1", "reads 2"]);
    refused("action", &good.replacen("invalidate", "explode", 1), &["explode"]);
    refused("order", &good.replacen("[50,", "[50000000,", 1), &["do not ascend"]);
    fib(&["--replay", &scratch.path("missing")]).refused(&["cannot read"]);
    fib(&["--record", &scratch.path("no/s.json")]).refused(&["cannot write"]);
    fib(&["--trace", &scratch.path("no/t.json")]).refused(&["cannot write"]);
}

#[test]
fn a_trace_is_complete_and_changes_nothing() {
    let scratch = Scratch::new("trace");
    let [with, without, trace, stats] =
        ["a.json", "b.json", "t.json", "s.json"].map(|name| scratch.path(name));
    let stress = ["--stress", "invalidate=40", "--stress", "land=random:1", "--stats", &stats];
    fib(&[&stress[..], &["--record", &without]].concat()).prints("144\n");
    let expected = json(&read(&stats));
    fib(&[&stress[..], &["--record", &with, "--trace", &trace]].concat()).prints("144\n");
    let stats = json(&read(&stats));
    assert_eq!(read(&with), read(&without));
    assert_eq!(stats["transitions"], expected["transitions"]);
    assert_eq!(stats["memory_hash"], expected["memory_hash"]);
    let trace = json(&read(&trace));
    let landings = trace["traceEvents"].as_array().unwrap().iter();
    let landings = landings.filter(|event| event["name"].as_str().unwrap().starts_with("land ")).count();
    assert_eq!(landings, stats["transitions"]["landings"].as_u64().unwrap() as usize);
}

#[test]
fn a_program_that_traps_writes_what_it_was_asked_for() {
    let scratch = Scratch::new("trap-trace");
    let trap = scratch.file("t.wat", "(module (func $f (unreachable)) (func (export \"run\") (call $f)))");
    let [trace, schedule] = ["t.json", "s.json"].map(|name| scratch.path(name));
    let done = osr_bench(&[
        "run",
        &trap,
        "--tier",
        "interpreter",
        "--trace",
        &trace,
        "--record",
        &schedule,
        "--explain",
        "--verify",
    ]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains("nothing was compiled"), "{}", done.stderr);
    assert!(read(&trace).contains("trap: unreachable in f at p1"));
    assert!(json(&read(&schedule))["schedule"]["landings"].as_array().unwrap().is_empty());
}

#[test]
fn an_explanation_names_versions_causes_and_loops() {
    let stress = ["--stress", "invalidate=40", "--stress", "land=optimized"];
    let done = fib(&[&stress[..], &["--explain"]].concat()).prints("144\n");
    for part in [
        "v1 baseline, entered at its entry",
        "hot in the interpreter tier, at its entry",
        "a landing continues there",
        "stress: invalidate at safepoint 40",
        "memory freed",
        "deoptimization loop: ",
        "calls from compiled code to compiled code are not",
    ] {
        assert!(done.stderr.contains(part), "no `{part}` in {}", done.stderr);
    }
    let done = fib(&[&stress[..], &["--explain=json"]].concat()).prints("144\n");
    let explanation = json(&done.stderr);
    let version = &explanation["functions"][0]["versions"][0];
    assert_eq!((&version["tier"], &version["id"]), (&"baseline".into(), &1.into()));
    assert_eq!(version["cause"]["tier-up"]["from"], "interpreter");
    assert!(explanation["deoptimization_loops"][0]["retired"].as_u64().unwrap() >= 3);
    let quiet = fib(&["--explain"]).prints("144\n");
    assert!(!quiet.stderr.contains("deoptimization loop: "), "{}", quiet.stderr);
}

/// A sum over a table of squares, and much that has nothing to do with it.
const SUM: &str = r#"(module
  (memory 1)
  (func $noise (param $n i32) (result i32)
    (i32.store (i32.const 64) (i32.mul (local.get $n) (i32.const 3)))
    (i32.rotl (i32.load (i32.const 64)) (i32.const 5)))
  (func $square (param $n i32) (result i32)
    (i32.add (i32.mul (local.get $n) (local.get $n)) (i32.and (call $noise (local.get $n)) (i32.const 0))))
  (func $sum (export "sum") (param $n i32) (result i32) (local $total i32)
    (loop $next
      (local.set $total (i32.add (local.get $total) (call $square (local.get $n))))
      (local.set $total (i32.xor (local.get $total) (i32.shl (local.get $n) (i32.const 2))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $total))
  (func (export "other") (result i32) (call $noise (i32.const 1))))"#;

#[test]
fn a_planted_defect_is_found_and_shrunk() {
    let scratch = Scratch::new("shrink");
    let sum = scratch.file("sum.wat", SUM);
    // Nothing is optimized by itself: what lands was hijacked.
    let call = [&*sum, "20", "--invoke", "sum", "--threshold", "4", "--optimize-threshold", "1000"];
    let stress = ["--stress", "invalidate=7", "--stress", "land=random:2"];
    let verified =
        |options: &[&str]| osr_bench(&[&["run"], &call[..], &stress, &["--verify"], options].concat());
    let good = verified(&[]);
    assert_eq!(good.code, 0, "{}", good.stderr);
    let bad = verified(&["--plant-defect", "sum:1"]);
    assert_eq!(bad.code, 3, "{}", bad.stderr);
    assert!(bad.stderr.contains("differs from the interpreter alone: the result is"), "{}", bad.stderr);

    let stem = scratch.path("small");
    let shrink = ["shrink", "--plant-defect", "sum:1", "--output", &stem, "--json", "--seconds", "600"];
    let done = osr_bench(&[&shrink[..], &call, &stress].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    let report = json(&done.stdout);
    assert_eq!(report["failure"], "differs");
    assert!(report["before"]["entries"].as_u64().unwrap() > 100, "{report}");
    assert_eq!(report["after"]["entries"], 1, "{report}");
    assert!(
        report["after"]["instructions"].as_u64().unwrap() <= 14,
        "{report}\n{}",
        read(&format!("{stem}.ir"))
    );
    // The command reproduces it; without the defect it is no failure.
    let command: Vec<&str> = report["command"].as_str().unwrap().split(' ').skip(1).collect();
    assert_eq!(osr_bench(&command).code, 3, "{command:?}");
    let without: Vec<&str> =
        command.iter().copied().filter(|&word| word != "--plant-defect" && word != "sum:1").collect();
    assert_eq!(osr_bench(&without).code, 0, "{without:?}");
}

#[test]
fn where_nothing_fails_there_is_nothing_to_shrink() {
    let scratch = Scratch::new("shrink-nothing");
    let (stem, fib) = (scratch.path("small"), program("wasm/fib.wasm"));
    osr_bench(&["shrink", &fib, "5", "--output", &stem]).refused(&["nothing fails", "fib.wasm"]);
    assert_eq!(scratch.names(), Vec::<String>::new(), "no files are left");
    osr_bench(&["shrink", &fib, "5", "--output", &scratch.path("no/small")]).refused(&["cannot write"]);
}

/// `osr-bench run bubble.ir 400` with a file of bodies that are added, and these options.
fn bubble(file: &str, options: &[&str]) -> Done {
    let (program, at) = (program("redefinition/bubble.ir"), format!("50002={file}"));
    osr_bench(&[&["run", &program, "400", "--add", &at], options].concat())
}

#[test]
fn bodies_that_are_added_are_part_of_what_is_replayed_and_verified() {
    let scratch = Scratch::new("replay-added");
    let schedule = scratch.path("s.json");
    let insertion = program("redefinition/insertion.ir");
    let replaced = "0\n1340304469\n58574\n";
    bubble(&insertion, &["--stress", "random=3", "--record", &schedule, "--verify"]).prints(replaced);
    bubble(&insertion, &["--replay", &schedule, "--shadow", "--verify"]).prints(replaced);
    let text = read(&insertion);
    let same = scratch.file("same.ir", &text);
    bubble(&same, &["--replay", &schedule]).refused(&["recorded with --add 50002=", "same.ir"]);
    let wrong = scratch.file("wrong.ir", text.replace("call order", "call ordre"));
    bubble(&wrong, &[]).refused(&["wrong.ir:25:13: unknown function `ordre`"]);
    let wrong = scratch.file("wrong.ir", text.replace("r2 = i32.const 1\n", "r2 = i64.const 1\n"));
    bubble(&wrong, &[]).refused(&["wrong.ir: function `insertion`, b0:0: r2 has type i32, not i64"]);
    let partial = scratch.file("partial.ir", text.replace("  p3 to", "; p3 to"));
    bubble(&partial, &[])
        .refused(&["call 50002", "partial.ir: not all activations of `sort` can be carried"]);
    bubble(&scratch.path("absent.ir"), &[]).refused(&["absent.ir"]);
}

#[test]
fn a_replay_is_given_the_same_globals() {
    let scratch = Scratch::new("replay-globals");
    let wat =
        r#"(module (import "e" "g" (global $g i32)) (func (export "run") (result i32) (global.get $g)))"#;
    let (module, schedule) = (scratch.file("globals.wat", wat), scratch.path("s.json"));
    let run = |options: &[&str]| osr_bench(&[&["run", &module], options].concat());
    run(&["--global", "e.g=4", "--record", &schedule]).prints("4\n");
    run(&["--global", "e.g=4", "--replay", &schedule]).prints("4\n");
    run(&["--global", "e.g=5", "--replay", &schedule])
        .refused(&["recorded with --global e.g=4, not e.g=5", "--invoke run --global e.g=4"]);
    run(&["--global", "e.g=4", "--inline", "off", "--replay", &schedule])
        .refused(&["recorded with --inline on, not off", "--inline on"]);
}
