//! `osr-bench run`: results, traps, arguments, tiers and stress.

mod support;

use support::{Scratch, case, osr_bench, program};

const ECHO: &str = r#"(module
  (func (export "i32") (param i32) (result i32) (local.get 0))
  (func (export "i64") (param i64) (result i64) (local.get 0))
  (func (export "f32") (param f32) (result f32) (local.get 0))
  (func (export "f64") (param f64) (result f64) (local.get 0))
  (func (export "swap") (param i32 f64) (result f64 i32) (local.get 1) (local.get 0))
  (func (export "run"))
  (func (export "deep") (param i32) (result i32)
    (if (result i32) (i32.eqz (local.get 0)) (then (unreachable))
      (else (call 6 (i32.sub (local.get 0) (i32.const 1)))))))"#;

#[test]
fn values_of_all_types_go_in_and_out() {
    let scratch = Scratch::new("values");
    let echo = scratch.file("echo.wat", ECHO);
    for (name, argument, printed) in [
        ("i32", "-2147483648", "-2147483648"),
        ("i32", "0xffffffff", "-1"),
        ("i32", "-0x2", "-2"),
        ("i64", "9223372036854775807", "9223372036854775807"),
        ("f32", "0.1", "0.1"),
        ("f64", "-1.5e3", "-1500"),
        ("f64", "-0", "-0"),
        ("f64", "-.5", "-0.5"),
        ("f64", "-inf", "-inf"),
        ("f64", "inf", "inf"),
        ("f64", "-nan", "NaN"),
        ("f64", "1e300", &1e300.to_string()),
    ] {
        osr_bench(&["run", &echo, "--invoke", name, argument]).prints(&format!("{printed}\n"));
        osr_bench(&["run", &echo, argument, "--invoke", name]).prints(&format!("{printed}\n"));
        osr_bench(&["run", &echo, "--invoke", name, "--", argument]).prints(&format!("{printed}\n"));
    }
    osr_bench(&["run", &echo, "--invoke", "swap", "-1", "-2.5"]).prints("-2.5\n-1\n");
    osr_bench(&["run", &echo]).prints("");
}

#[test]
fn a_program_runs_alike_in_all_tiers_and_under_stress() {
    let fib = program("wasm/fib.wasm");
    for options in [
        &[][..],
        &["--tier", "interpreter"],
        &["--tier", "optimized"],
        &["--tier", "optimized", "--threshold", "0"],
        &["--tier", "auto", "--threshold", "10"],
        &["--tier", "optimized", "--stress", "invalidate=50"],
        &["--threshold", "10", "--stress", "invalidate=50", "--checked"],
        &["--stack-size", "512k"],
    ] {
        let mut arguments = vec!["run", &*fib, "15"];
        arguments.extend(options);
        osr_bench(&arguments).prints("610\n");
    }
}

#[test]
fn textual_ir_runs() {
    let scratch = Scratch::new("ir");
    let text = "export \"main\" function double\nfunction double (r0: i32) -> (i32) {\nb0:\n  \
                r0 = i32.add r0, r0\n  return r0\n}\n";
    osr_bench(&["run", &scratch.file("double.ir", text), "21"]).prints("42\n");
}

#[test]
fn a_module_without_extension_is_known_by_its_first_bytes() {
    let scratch = Scratch::new("magic");
    let bytes = std::fs::read(program("wasm/fib.wasm")).unwrap();
    osr_bench(&["run", &scratch.file("fib", bytes), "10"]).prints("55\n");
}

#[test]
fn what_a_program_prints_does_not_mix_with_results() {
    let prints = case("host-calls.wat");
    let done = osr_bench(&["run", &prints, "--invoke", "print_all"]).prints("");
    assert_eq!(done.stderr, "-1\n5000000000\n1.5\n");
    let done = osr_bench(&["run", &prints, "--invoke", "print_all", "--quiet"]).prints("");
    assert_eq!(done.stderr, "");
}

#[test]
fn the_host_invalidates_and_calls_back() {
    let (invalidate, call_back) = (case("invalidate.wat"), case("call-back.wat"));
    for tier in ["interpreter", "optimized", "auto"] {
        osr_bench(&["run", &invalidate, "--invoke", "depth", "1000", "--tier", tier]).prints("500500\n");
        osr_bench(&["run", &call_back, "--invoke", "chain_invalidating", "10", "--tier", tier])
            .prints("3070\n");
    }
}

#[test]
fn a_trap_says_what_and_where() {
    let scratch = Scratch::new("trap");
    let echo = scratch.file("echo.wat", ECHO);
    for tier in ["interpreter", "optimized"] {
        let done = osr_bench(&["run", &echo, "--invoke", "deep", "5", "--tier", tier]);
        assert_eq!((done.code, &*done.stdout), (1, ""), "{}", done.stderr);
        assert_eq!(done.stderr, "trap: unreachable in deep at p1\n");
    }
    let done = osr_bench(&["run", &case("call-back.wat"), "--invoke", "trap_inside"]);
    assert_eq!((done.code, &*done.stderr), (1, "trap: unreachable in trap at p2\n"));
}

#[test]
fn a_trap_of_the_start_function_is_a_trap() {
    let scratch = Scratch::new("start");
    let start =
        scratch.file("start.wat", "(module (func $s (unreachable)) (start $s) (func (export \"run\")))");
    let done = osr_bench(&["run", &start]);
    assert_eq!((done.code, &*done.stderr), (1, "trap: unreachable in s at p1\n"));
}

#[test]
fn a_recursion_100_000_frames_deep_is_hijacked_as_a_whole() {
    let invalidate = case("invalidate.wat");
    let arguments = ["run", &invalidate, "--invoke", "depth", "100000", "--tier", "optimized"];
    let all = [&arguments[..], &["--stack-size", "256M", "--stats", "-"]].concat();
    let done = osr_bench(&all).prints("705082704\n");
    let stats: serde_json::Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!(stats["transitions"]["hijacked_frames"], 100_001);
    assert_eq!(stats["transitions"]["landings"], 100_001);
}

#[test]
fn a_shadow_says_what_it_compared() {
    let fib = program("wasm/fib.wasm");
    let done = osr_bench(&["run", &fib, "12", "--stress", "hijack=3", "--threshold", "5", "--shadow"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let transitions = done.stderr.split_whitespace().nth(2).and_then(|word| word.parse::<u64>().ok());
    assert!(transitions.is_some_and(|transitions| transitions > 0), "{}", done.stderr);
}

#[test]
fn a_time_limit_ends_endless_loops_in_every_tier() {
    let scratch = Scratch::new("limit");
    let endless = scratch.file("endless.wat", r#"(module (func (export "run") (loop $l (br $l))))"#);
    let trace = scratch.path("trace.json");
    for tier in ["interpreter", "baseline", "optimized", "auto"] {
        let options = ["--tier", tier, "--timeout", "0.3", "--trace", &trace, "--explain"];
        let done = osr_bench(&[&["run", &endless][..], &options].concat());
        assert_eq!((done.code, &*done.stdout), (124, ""), "{}", done.stderr);
        assert!(done.stderr.contains("the program did not end within 300ms"), "{}", done.stderr);
        let text = std::fs::read_to_string(&trace).expect("a trace was written");
        serde_json::from_str::<serde_json::Value>(&text).expect("it is complete");
        assert_eq!(scratch.names(), ["endless.wat", "trace.json"]);
    }
    osr_bench(&["run", &endless, "--timeout", "0"]).refused(&["not a number of seconds above 0"]);
}
