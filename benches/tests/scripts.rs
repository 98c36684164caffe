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
    osr_bench(&["run", &script, "--explain"]).refused(&["--explain with a .wast script"]);
    osr_bench(&["maps", &script]).refused(&["not a script", "osr-bench run SCRIPT.wast"]);
}
