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
        let lines: Vec<&str> = done.stderr.lines().collect();
        let [trap, own, callers] = *lines else { panic!("{}", done.stderr) };
        assert_eq!(trap, "trap: unreachable in deep at p1");
        assert!(own.starts_with("  #0   deep at p1, 0x"), "{own}");
        assert!(
            callers.starts_with("  #1   deep at p2, 0x") && callers.ends_with(" (5 activations)"),
            "{callers}"
        );
    }
    let done = osr_bench(&["run", &case("call-back.wat"), "--invoke", "trap_inside"]);
    assert_eq!(done.code, 1);
    assert!(
        done.stderr.starts_with("trap: unreachable in trap at p2\n  #0   trap at p2, 0x"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("   call_back at p0\n"), "{}", done.stderr);
}

/// The line of `debug/c/bank.c` with that text.
fn bank_line(text: &str) -> usize {
    let source = std::fs::read_to_string(program("debug/c/bank.c")).expect("the source is there");
    source.lines().position(|line| line.contains(text)).expect("the line is there") + 1
}

#[test]
fn a_trap_says_where_in_the_source() {
    let bank = program("debug/bank.wasm");
    let [division, last, recursion, first] =
        ["whole / parts", "share(100, left)", "spend(left - price", "spend(100, price)"].map(bank_line);
    for tier in ["interpreter", "baseline", "optimized"] {
        for more in [&[][..], &["--inline", "off"], &["--stress", "invalidate=2"]] {
            if tier == "interpreter" && !more.is_empty() {
                continue;
            }
            let arguments = [&["run", &bank, "--invoke", "pay", "10", "--tier", tier][..], more].concat();
            let done = osr_bench(&arguments);
            assert_eq!(done.code, 1, "{}", done.stderr);
            let places: Vec<&str> = done
                .stderr
                .lines()
                .skip(1)
                .map(|line| line.split(' ').next_back().expect("a word"))
                .collect();
            let [division_at, last_at, "activations)", first_at] = *places else { panic!("{}", done.stderr) };
            assert!(division_at.starts_with(&format!("bank.c:{division}:")), "{}", done.stderr);
            assert!(last_at.starts_with(&format!("bank.c:{last}:")), "{}", done.stderr);
            assert!(done.stderr.contains(&format!("bank.c:{recursion}:")), "{}", done.stderr);
            assert!(first_at.starts_with(&format!("bank.c:{first}:")), "{}", done.stderr);
        }
    }
    let done = osr_bench(&["run", &bank, "--invoke", "pay", "10", "--stats", "-", "--quiet"]);
    let stats: serde_json::Value =
        serde_json::from_str(done.stderr.rsplit_once("trap: ").expect("a trap").0).expect("JSON");
    let backtrace = stats["trap"]["backtrace"].as_array().expect("a list");
    assert_eq!(backtrace.len(), 4);
    assert_eq!(backtrace[2]["activations"], 10);
}

#[test]
fn transitions_are_told_as_they_happen() {
    let bank = program("debug/bank.wasm");
    let run = ["run", &bank, "--invoke", "count", "30", "--tier", "optimized", "--stress", "invalidate=4"];
    let done = osr_bench(&[&run[..], &["--trace-deopt"]].concat());
    let quiet = osr_bench(&run);
    assert_eq!((done.code, &done.stdout, &*quiet.stderr), (0, &quiet.stdout, ""), "{}", done.stderr);
    let call = bank_line("sum += share");
    for part in [
        "@4 invalidate: stress: invalidate at safepoint 4\n",
        &format!("bank.c:{call}:"),
        ": optimized to interpreter\n",
    ] {
        assert!(done.stderr.contains(part), "no `{part}` in: {}", done.stderr);
    }
    assert_eq!(osr_bench(&[&run[..], &["--trace-deopt"]].concat()).stderr, done.stderr);
}

#[test]
fn fuel_ends_a_run_at_the_same_place_whenever() {
    let scratch = Scratch::new("fuel");
    let endless = scratch.file("endless.wat", r#"(module (func (export "run") (loop $l (br $l))))"#);
    for tier in ["interpreter", "baseline", "optimized", "auto"] {
        let done = osr_bench(&["run", &endless, "--fuel", "1000", "--tier", tier]);
        assert_eq!((done.code, &*done.stdout), (124, ""), "{}", done.stderr);
        assert!(
            done.stderr.starts_with("the program has used up its --fuel\n  #0   run at p1, 0x"),
            "{}",
            done.stderr
        );
    }
    let sort = program("wasm/sort.wasm");
    let arguments = ["run", &sort, "1000", "--fuel", "54321", "--stress", "invalidate=7", "--stats", "-"];
    let place = || {
        let done = osr_bench(&arguments);
        assert_eq!(done.code, 124, "{}", done.stderr);
        let (stats, place) = done.stderr.split_once("the program has used up").expect("it says so");
        let stats: serde_json::Value = serde_json::from_str(stats).expect("JSON");
        (stats["transitions"].clone(), stats["memory_hash"].clone(), place.to_owned())
    };
    assert_eq!(place(), place());
    osr_bench(&["run", &program("wasm/fib.wasm"), "10", "--fuel", "100000"]).prints("55\n");
    osr_bench(&["run", &endless, "--fuel", "0"]).refused(&["--fuel"]);
    osr_bench(&["run", &endless, "--fuel", "5", "--verify"]).refused(&["--verify"]);
}

#[test]
fn a_trap_of_the_start_function_is_a_trap() {
    let scratch = Scratch::new("start");
    let start =
        scratch.file("start.wat", "(module (func $s (unreachable)) (start $s) (func (export \"run\")))");
    let done = osr_bench(&["run", &start]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.starts_with("trap: unreachable in s at p1\n  #0   s at p1, 0x"), "{}", done.stderr);
}

#[test]
fn a_recursion_100_000_frames_deep_is_hijacked_as_a_whole() {
    let invalidate = case("invalidate.wat");
    let arguments = ["run", &invalidate, "--invoke", "depth", "100000", "--tier", "optimized"];
    let all = [&arguments[..], &["--inline", "off", "--stack-size", "256M", "--stats", "-"]].concat();
    let done = osr_bench(&all).prints("705082704\n");
    let stats: serde_json::Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!(stats["transitions"]["hijacked_frames"], 100_001);
    assert_eq!(stats["transitions"]["landings"], 100_001);
}

#[test]
fn traps_in_texts_name_their_lines() {
    let scratch = Scratch::new("lines");
    let wat = scratch.file("trap.wat", "(module\n  (func (export \"run\")\n    unreachable))");
    let ir = "export \"run\" function run\nfunction run () {\nb0:\n  unreachable\n}\n";
    let ir = scratch.file("trap.ir", ir);
    for (path, place) in [(wat, "trap.wat:3:5"), (ir, "trap.ir:4:3")] {
        for tier in ["interpreter", "baseline", "optimized"] {
            let done = osr_bench(&["run", &path, "--tier", tier]);
            assert_eq!(done.code, 1, "{}", done.stderr);
            assert!(done.stderr.contains(place), "{}", done.stderr);
        }
    }
}

#[test]
fn explanations_and_traces_name_lines() {
    let scratch = Scratch::new("places");
    let trace = scratch.path("trace.json");
    let bank = program("debug/bank.wasm");
    let options = ["--inline", "off", "--stress", "invalidate=3", "--explain", "--trace", &trace];
    let call = ["run", &bank, "--invoke", "count", "5", "--tier", "optimized"];
    let done = osr_bench(&[&call[..], &options].concat()).prints("25\n");
    assert!(done.stderr.lines().any(|line| line.contains("frames hijacked: p") && line.contains(" bank.c:")));
    let trace = std::fs::read_to_string(&trace).expect("a trace was written");
    let trace: serde_json::Value = serde_json::from_str(&trace).expect("it is complete");
    let records = trace["traceEvents"].as_array().expect("a list").iter();
    let hijacks: Vec<_> = records.filter(|record| record["args"]["point"].is_string()).collect();
    let has_line = |source: &str| source.starts_with("0x") && source.contains(" bank.c:");
    assert!(!hijacks.is_empty());
    assert!(
        hijacks.iter().all(|record| record["args"]["source"].as_str().is_some_and(has_line)),
        "{hijacks:?}"
    );
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
