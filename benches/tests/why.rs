//! `why`: what the deoptimizations of a run were, and what is told of one.

mod support;

use serde_json::Value;
use support::{osr_bench, program};

const HASTY: [&str; 6] =
    ["--threshold", "5", "--optimize-threshold", "20", "--speculation-threshold=1", "--speculate=branch"];

fn listed(arguments: &[&str]) -> Value {
    serde_json::from_str(&osr_bench(&[arguments, &["--json"]].concat()).stdout).expect("it is JSON")
}

#[test]
fn guards_that_failed_are_listed_and_told_of() {
    let phases = program("wasm/phase-change.wasm");
    let why = [&["why", &phases, "2000"], &HASTY[..]].concat();
    let all = listed(&why);
    let groups = all["groups"].as_array().expect("a list");
    let guard =
        groups.iter().find(|group| group["why"].as_str().is_some_and(|why| why.starts_with("branch at")));
    let first = guard.expect("a branch went the other way")["first"].to_string();
    let one = listed(&[&why[..], &["--number", &first]].concat());
    assert_eq!(
        (one["number"].to_string(), &one["broken"]["guard"]["before"]),
        (first.clone(), &Value::from(0))
    );
    assert!(one["values"].as_array().is_some_and(|values| !values.is_empty()), "{one}");
    let text = osr_bench(&[&why[..], &["--number", &first]].concat()).stdout;
    assert!(
        text.contains(&format!("deoptimization {first} at")) && text.contains("a guard failed: branch"),
        "{text}"
    );
    let place = format!("{}:{}", one["function"].as_str().unwrap(), one["point"].as_str().unwrap());
    assert_eq!(listed(&[&why[..], &["--at", &place]].concat())["point"], one["point"]);
}

#[test]
fn it_is_told_who_replaced_code_and_how_long_new_code_took() {
    let fib = program("wasm/fib.wasm");
    let why = ["why", &fib, "12", "--tier", "optimized", "--stress", "invalidate=20", "--number", "1"];
    let one = listed(&why);
    let by = one["broken"]["replaced"]["by"].as_str().expect("it was replaced");
    assert!(by.starts_with("stress: invalidate"), "{one}");
    assert!(one["new_code"]["compile_ns"].as_u64().is_some_and(|ns| ns > 0), "{one}");
}

#[test]
fn what_did_not_happen_is_refused() {
    let fib = program("wasm/fib.wasm");
    osr_bench(&["why", &fib, "12"]).prints("nothing was deoptimized\n");
    osr_bench(&["why", &fib, "12", "--number", "1"]).refused(&["there is no such deoptimization"]);
}
