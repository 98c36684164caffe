//! `osr-bench run SCRIPT.wast`: steps are run in any tier and under stress, failures have a place, steps are counted.

mod support;

use support::{Scratch, osr_bench};

const SCRIPT: &str = r#"(module
  (import "spectest" "print_i32" (func $print (param i32)))
  (func $fib (export "fib") (param i32) (result i32)
    (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
      (then (local.get 0))
      (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                     (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
  (func (export "print") (param i32) (call $print (local.get 0)))
  (func (export "trap") (unreachable)))
(assert_return (invoke "fib" (i32.const 12)) (i32.const 144))
(invoke "print" (i32.const -3))
(assert_trap (invoke "trap") "unreachable")
(assert_invalid (module (func (result i32))) "type mismatch")
"#;

#[test]
fn a_script_passes_in_every_tier_and_under_stress() {
    let scratch = Scratch::new("scripts");
    let script = scratch.file("fib.wast", SCRIPT);
    for options in [
        &[][..],
        &["--tier", "interpreter"],
        &["--tier", "baseline", "--stress", "hijack=1"],
        &["--tier", "optimized", "--stress", "invalidate=1", "--checked"],
        &["--stress", "random=3", "--stack-size", "2M"],
    ] {
        let done = osr_bench(&[&["run", &*script][..], options].concat());
        let done = done.prints(&format!("{script}: 5 passed\n"));
        assert_eq!(done.stderr, "i32 -3\n");
    }
    let transitions = ["--tier", "optimized", "--stress", "hijack=1", "--trace-deopt"];
    let done = osr_bench(&[&["run", &*script][..], &transitions].concat());
    assert!(done.stderr.contains("land a frame of v1 of fib at p"), "{}", done.stderr);
    let done = osr_bench(&["run", &script, "--quiet"]).prints(&format!("{script}: 5 passed\n"));
    assert_eq!(done.stderr, "");
}

#[test]
fn failures_are_located_and_what_is_not_supported_is_counted() {
    let scratch = Scratch::new("failing-scripts");
    let script = scratch.file(
        "failing.wast",
        format!(
            "{SCRIPT}(assert_return (invoke \"fib\" (i32.const 3)) (i32.const 4))\n\
             (assert_trap (invoke \"fib\" (i32.const 3)) \"unreachable\")\n\
             (assert_return (invoke \"trap\"))\n\
             (module (type (struct)))\n"
        ),
    );
    let done = osr_bench(&["run", &script]);
    let expected = format!(
        "{script}:14: returned i32 2, not i32 4\n\
         {script}:15: returned i32 2, not `unreachable`\n\
         {script}:16: trapped: unreachable, instead of returning nothing\n\
         {script}: 3 failed, 5 passed; left out: 1 gc\n"
    );
    assert_eq!((done.code, done.stdout), (1, expected), "{}", done.stderr);
}

#[test]
fn what_is_no_script_is_refused_with_its_place() {
    let scratch = Scratch::new("no-scripts");
    let broken = scratch.file("broken.wast", "(module)\n(assert_return (invoke \"f\")\n");
    osr_bench(&["run", &broken])
        .refused(&["broken.wast:3:1: expected `)`", "text format of WebAssembly's test scripts"]);
    osr_bench(&["run", &scratch.path("missing.wast")]).refused(&["cannot read"]);
    let script = scratch.file("fib.wast", SCRIPT);
    osr_bench(&["run", &script, "--invoke", "fib", "3"]).refused(&["an argument with a .wast script"]);
    osr_bench(&["run", &script, "--explain=html", "--explain-to", "-"])
        .refused(&["--explain=html with a .wast script"]);
    osr_bench(&["maps", &script]).refused(&["not a script", "osr-bench run SCRIPT.wast"]);
}

/// What watches a call watches scripts, too: a trace has all instances, an explanation and statistics have each.
#[test]
fn scripts_are_explained_traced_and_counted() {
    let scratch = Scratch::new("watched-scripts");
    let script = scratch.file("two.wast", format!("{SCRIPT}\n{SCRIPT}"));
    let [stats, trace, explained] =
        ["stats.json", "trace.json", "explained.json"].map(|name| scratch.path(name));
    let engine = ["--tier", "optimized", "--stress", "invalidate=5", "--quiet"];
    let outputs = ["--stats", &*stats, "--trace", &trace, "--explain=json", "--explain-to", &explained];
    osr_bench(&[&["run", &*script][..], &engine, &outputs].concat())
        .prints(&format!("{script}: 10 passed\n"));
    let read = |path: &str| -> serde_json::Value {
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let stats = read(&stats);
    assert_eq!((&stats["passed"], &stats["failed"]), (&10.into(), &0.into()));
    let lines = |list: &serde_json::Value| -> Vec<u64> {
        list.as_array().unwrap().iter().map(|instance| instance["line"].as_u64().unwrap()).collect()
    };
    assert_eq!(lines(&stats["instances"]), [1, 15]);
    for instance in stats["instances"].as_array().unwrap() {
        assert!(instance["transitions"]["landings"].as_u64() > Some(0), "{instance}");
        assert!(instance["code"]["versions_compiled"].as_u64() > Some(1), "{instance}");
    }
    let explained = read(&explained);
    assert_eq!(lines(&explained), [1, 15]);
    for instance in explained.as_array().unwrap() {
        assert_eq!(instance["explanation"]["functions"][0]["function"], "fib");
    }
    let events = read(&trace);
    let names = events["traceEvents"].as_array().unwrap().iter().filter_map(|event| event["name"].as_str());
    assert!(names.filter(|name| name.contains("fib")).count() > 4);
    let text = osr_bench(&["run", &script, "--quiet", "--explain"]).prints(&format!("{script}: 10 passed\n"));
    assert!(text.stderr.contains("the instance made at line 15:\n"), "{}", text.stderr);
}
