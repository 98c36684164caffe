//! `osr-bench readiness`: what it prints, and what it refuses. Short runs: nothing depends on times.

mod support;

use serde_json::Value;
use support::osr_bench;

const SHORT: [&str; 6] = ["--processes", "2", "--rounds", "10", "--sample", "1"];

#[test]
fn every_component_has_a_price_in_time_and_bytes() {
    let done = osr_bench(&[&["readiness", "fib", "sort", "--json", "--seed", "3"], &SHORT[..]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    let findings: Value = serde_json::from_str(&done.stdout).unwrap();
    let components: Vec<&str> = findings["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["name"].as_str().unwrap())
        .collect();
    for name in ["bare", "stack check", "stack-limit", "call cells", "slots", "locations", "pads"] {
        assert!(components.contains(&name), "{components:?}");
    }
    assert!(findings["best"].as_str().unwrap().ends_with("locations"), "{}", findings["best"]);
    for row in findings["programs"].as_array().unwrap() {
        let prices = row["prices"].as_array().unwrap();
        assert_eq!(prices.len(), components.len());
        for price in prices {
            for measured in [&price["added"]["measured"], &price["total"]["measured"]] {
                assert!(measured["relative"]["ratio"].as_f64() > Some(0.0), "{price}");
                assert!(measured["code_bytes"].as_u64() > Some(0), "{price}");
            }
        }
        let bytes = |name: &str| {
            let position = components.iter().position(|known| *known == name).unwrap();
            prices[position]["total"]["measured"]["code_bytes"].as_u64().unwrap()
        };
        assert!(bytes("bare") < bytes("stack-limit"), "polls are instructions");
        assert!(bytes("stack-limit") < bytes("slots"), "stores are instructions");
    }
    let means = findings["geometric_means"].as_array().unwrap();
    for (name, mean) in components.iter().zip(means) {
        let programs = if name.starts_with("bare") { Value::Null } else { 2.into() };
        assert_eq!(mean["added"]["programs"], programs, "{name}");
    }
}

#[test]
fn the_tables_name_the_worst_program() {
    let done = osr_bench(&[&["readiness", "fib"], &SHORT[..]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    for part in [
        "call cells",
        "geometric mean",
        "worst program",
        "seed ",
        "code bytes",
        "fib",
        "+0.3% (nop, patched)",
        "Readiness with the best poll and allocator locations: ",
    ] {
        assert!(done.stdout.contains(part), "no `{part}` in: {}", done.stdout);
    }
}

#[test]
fn what_cannot_be_measured_is_refused() {
    osr_bench(&["readiness", "fibonacci"]).refused(&["`fibonacci` is neither"]);
    osr_bench(&["readiness", "fib", "--engines", "wasmi"]).refused(&["--engines"]);
    osr_bench(&["readiness", "fib", "--noise", "x"]).refused(&["--noise", "above 0"]);
}
