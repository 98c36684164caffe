//! `osr-bench steady`: what it prints, and what it refuses. Short runs: nothing depends on times.

mod support;

use serde_json::Value;
use support::{Scratch, case, osr_bench, program};

/// Little is measured, but everything is gone through.
const SHORT: [&str; 6] = ["--processes", "2", "--rounds", "12", "--sample", "1"];

fn steady(options: &[&str]) -> support::Done {
    osr_bench(&[&["steady"], options, &SHORT].concat())
}

fn engine<'r>(row: &'r Value, name: &str) -> &'r Value {
    let engines = row["engines"].as_array().unwrap();
    let found =
        engines.iter().find(|engine| engine["engine"] == name).unwrap_or_else(|| panic!("{name}: {row}"));
    &found["measured"]
}

#[test]
fn tiers_are_compared_as_data() {
    let done = steady(&["fib", "sort", "--engines", "interpreter,optimized,auto", "--json", "--seed", "5"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let findings: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&findings["base"], &findings["effort"]["seed"]), (&"optimized".into(), &5.into()));
    let programs = findings["programs"].as_array().unwrap();
    assert_eq!(programs.iter().map(|row| &row["name"]).collect::<Vec<_>>(), ["fib", "sort"]);
    for row in programs {
        assert_eq!(engine(row, "optimized")["relative"]["ratio"], 1.0);
        for name in ["interpreter", "optimized", "auto"] {
            let measured = engine(row, name);
            let relative = &measured["relative"];
            let (low, ratio, high) = (&relative["low"], &relative["ratio"], &relative["high"]);
            assert!(low.as_f64() <= ratio.as_f64() && ratio.as_f64() <= high.as_f64(), "{measured}");
            assert!(ratio.as_f64() > Some(0.0) && measured["nanoseconds"].as_f64() > Some(0.0));
            assert_eq!(measured["steadiness"].as_array().unwrap().len(), 2, "by process");
        }
    }
    let means = findings["geometric_means"].as_array().unwrap();
    assert_eq!(means.len(), 3);
    assert!(means.iter().all(|mean| mean["programs"] == 2));
}

#[test]
fn the_table_says_how_it_was_measured() {
    let done = steady(&["fib", "--engines", "baseline,optimized", "--base", "baseline"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for part in ["relative to baseline", "over 2 processes", "fib", "geometric mean", " [", "~ noisy"] {
        assert!(done.stdout.contains(part), "no `{part}` in: {}", done.stdout);
    }
    assert_eq!(done.stdout.contains("--features peers"), cfg!(not(feature = "peers")), "{}", done.stdout);
}

#[test]
fn files_are_measured_with_the_arguments_given() {
    let scratch = Scratch::new("steady");
    let text = "(module (func (export \"twice\") (param f64 i32) (result f64 i32)
        (f64.mul (local.get 0) (f64.const 2)) (local.get 1)) (func (export \"other\")))";
    let wat = scratch.file("twice.wat", text);
    let options = ["--invoke", "twice", "--argument", "1.5", "--argument", "-3", "--json"];
    let done = steady(&[&[&*wat, "--engines", "interpreter,optimized"], &options[..]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    let findings: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(findings["programs"][0]["arguments"], serde_json::json!(["1.5", "-3"]));
    let ir = case("constants.ir");
    osr_bench(&["steady", &ir]).refused(&["argument(s)"]);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let fib = program("wasm/fib.wasm");
    osr_bench(&["steady", "fibonacci"]).refused(&["`fibonacci` is neither", "fannkuch", ".wasm"]);
    osr_bench(&["steady", "./missing.wasm"]).refused(&["cannot read", "missing.wasm"]);
    osr_bench(&["steady", &fib]).refused(&["`run` takes 1 argument(s), 0 given"]);
    osr_bench(&["steady", &fib, "fib", "--argument", "3"]).refused(&["--argument", "one by one"]);
    osr_bench(&["steady", "fib", "--invoke", "run"]).refused(&["--invoke", "recorded"]);
    osr_bench(&["steady", "--argument", "1"]).refused(&["--argument", "recorded"]);
    osr_bench(&["steady", "fib", "--engines", "interpreter"]).refused(&["--base optimized", "interpreter"]);
    osr_bench(&["steady", "fib", "--engines", "spidermonkey"]).refused(&["spidermonkey", "wasmtime"]);
    osr_bench(&["steady", "fib", "--processes", "0"]).refused(&["--processes"]);
    osr_bench(&["steady", "fib", "--noise", "0"]).refused(&["--noise", "above 0"]);
    if cfg!(not(feature = "peers")) {
        osr_bench(&["steady", "fib", "--engines", "optimized,wasmtime"])
            .refused(&["wasmtime is not available", "--features peers"]);
    }
}

#[test]
fn a_program_that_traps_ends_before_anything_is_measured() {
    let scratch = Scratch::new("steady-trap");
    let wat = scratch.file("trap.wat", "(module (func (export \"run\") (unreachable)))");
    let done = osr_bench(&["steady", &wat]);
    assert_eq!((done.code, &*done.stdout), (1, ""));
    assert!(done.stderr.contains("trap: unreachable"), "{}", done.stderr);
}

#[test]
fn a_worker_refuses_what_is_no_job() {
    osr_bench(&["worker"]).refused(&["no job"]);
}

#[cfg(feature = "peers")]
#[test]
fn peers_give_the_recorded_results() {
    // Results of each type, and several at once.
    let scratch = Scratch::new("peers");
    let text = "(module (func (export \"run\") (param i32 i64 f32 f64) (result f64 f32 i64 i32)
        (local.get 3) (local.get 2) (local.get 1) (local.get 0)))";
    let wat = scratch.file("swap.wat", text);
    let arguments =
        ["--argument", "-3", "--argument", "-9223372036854775808", "--argument", "0.1", "--argument", "-0"];
    let engines = ["--engines", "optimized,wasmtime,wasmi", "--json"];
    for subject in [
        &[&["fib", "n-body", "richards"], &engines[..]].concat(),
        &[&[&*wat], &engines[..], &arguments].concat(),
    ] {
        let done = steady(subject);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let findings: Value = serde_json::from_str(&done.stdout).unwrap();
        for row in findings["programs"].as_array().unwrap() {
            for name in ["wasmtime", "wasmi"] {
                assert!(engine(row, name)["nanoseconds"].as_f64() > Some(0.0), "{row}");
            }
        }
    }
}

/// A program that is over for good after one call.
const REPLAYED: &str = "(module (memory (export \"memory\") 1) (global $next (mut i32) (i32.const 0))
    (func (export \"run\") (result i32) (local $n i32)
      (if (global.get $next) (then (return (i32.const -1))))
      (global.set $next (i32.const 1))
      (drop (memory.grow (i32.const 1)))
      (loop $again
        (i32.store (local.get $n) (i32.add (i32.load (local.get $n)) (local.get $n)))
        (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 4))) (i32.const 4000))))
      (i32.load (i32.const 396))))";

#[test]
fn a_program_that_changes_its_state_is_rewound_between_calls() {
    let scratch = Scratch::new("rewound");
    let wat = scratch.file("replayed.wat", REPLAYED);
    let options = [&*wat, "--engines", "interpreter,baseline,optimized", "--json"];
    let done = steady(&options);
    assert_eq!(done.code, 1, "{}", done.stderr);
    let done = steady(&[&options[..], &["--rewind"]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    let findings: Value = serde_json::from_str(&done.stdout).unwrap();
    let row = &findings["programs"][0];
    for name in ["interpreter", "baseline", "optimized"] {
        assert!(engine(row, name)["nanoseconds"].as_f64() > Some(0.0), "{row}");
    }
    let slower = engine(row, "interpreter")["relative"]["ratio"].as_f64();
    assert!(slower > Some(2.0), "each call does its work: {slower:?}");
}
