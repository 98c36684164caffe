//! `osr-bench maps`, the main job, and the help.

mod support;

use serde_json::Value;
use support::{Scratch, case, osr_bench, program};

#[test]
fn maps_stand_beside_the_calls() {
    let fib = program("wasm/fib.wasm");
    let done = osr_bench(&["maps", &fib]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for part in
        ["entered at: function", "  0000  push", "(after call, ", "(entry, b0:0, 0x", "call ", "i64     rax"]
    {
        assert!(done.stdout.contains(part), "no `{part}` in: {}", done.stdout);
    }
    assert!(!done.stdout.contains("loop header b"));
    let continued = osr_bench(&["maps", &fib, "--continuations"]);
    assert!(continued.stdout.contains("loop header b"), "{}", continued.stdout);
}

/// Whatever the code counts.
#[test]
fn listings_are_the_same_in_every_process() {
    let fib = program("wasm/fib.wasm");
    let counts = "frames=run-out,release=residence-count";
    for options in [&["--tier", "optimized"][..], &["--tier", "baseline"], &["--mechanism", counts]] {
        for more in [&[][..], &["--json"], &["--without-code"], &["--without-code", "--json"]] {
            let arguments = [&["maps", &fib][..], options, more].concat();
            let (one, other) = (osr_bench(&arguments), osr_bench(&arguments));
            assert_eq!((one.code, one.stdout.is_empty()), (0, false), "{arguments:?}: {}", one.stderr);
            assert_eq!(one.stdout, other.stdout, "{arguments:?}");
        }
    }
    let baseline = osr_bench(&["maps", &fib, "--tier", "baseline"]).stdout;
    assert!(baseline.contains("mov     r15, profile"), "{baseline}");
    let maps = osr_bench(&["maps", &fib, "--without-code"]).stdout;
    assert!(maps.contains("after call") && !maps.contains("push") && !maps.contains("bytes"), "{maps}");
}

#[test]
fn maps_are_data_too() {
    let done = osr_bench(&["maps", &program("wasm/richards.wasm"), "--json", "--continuations"]);
    let listings: Vec<Value> = serde_json::from_str(&done.stdout).unwrap();
    assert!(listings.len() > 1);
    let mut mapped = 0;
    for listing in &listings {
        let lines = listing["instructions"].as_array().unwrap();
        let calls = lines.iter().any(|line| line["text"].as_str().unwrap().starts_with("call"));
        let maps: Vec<&Value> = lines.iter().filter_map(|line| line.get("frame_map")).collect();
        assert_eq!(maps.is_empty(), !calls, "{listing}");
        mapped += usize::from(calls);
        for map in maps {
            assert!(map["return_offset"].as_u64() <= listing["code_bytes"].as_u64());
            assert!(map["values"].is_array() && map["point"].is_string());
        }
    }
    assert!(mapped > 1);
}

#[test]
fn one_function_is_found_by_name_export_or_index() {
    let scratch = Scratch::new("named");
    let wat = scratch.file("named.wat", "(module (func $a) (func $b (export \"out\") (call $a)))");
    for name in ["b", "out", "1"] {
        let done = osr_bench(&["maps", &wat, "--function", name]);
        assert!(done.stdout.starts_with("b (f1) () -> ()"), "{name}: {} {}", done.stdout, done.stderr);
        assert!(!done.stdout.contains("(f0)"));
    }
    osr_bench(&["maps", &wat, "--function", "c"]).refused(&["no function `c`", "`a`, `b`"]);
}

#[test]
fn maps_of_all_programs_can_be_made() {
    for folder in ["wasm", "wasm-ssa", "../cases"] {
        for file in std::fs::read_dir(program(folder)).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|kind| kind == "md") {
                continue;
            }
            let done = osr_bench(&["maps", path.to_str().unwrap(), "--continuations"]);
            assert_eq!(done.code, 0, "{}: {}", path.display(), done.stderr);
        }
    }
}

#[test]
fn maps_need_nobody_to_provide_imports() {
    let scratch = Scratch::new("unprovided");
    let wat = "(module (import \"a\" \"b\" (func $b (param f32))) (import \"a\" \"g\" (global i64))
      (func (call $b (f32.const 1))))";
    assert_eq!(osr_bench(&["maps", &scratch.file("unprovided.wat", wat)]).code, 0);
}

#[test]
fn the_main_job_compares_and_measures() {
    let done = osr_bench(&["--only", "fib,sort", "--json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(done.stderr, "");
    let findings: Value = serde_json::from_str(&done.stdout).unwrap();
    let rows = findings["programs"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!(row["agrees"], true, "{row}");
        assert!(row["invalidated"]["landings"].as_u64().unwrap() > 0, "{row}");
        assert_eq!(row["interpreter"]["versions_compiled"], 0);
    }
    for descent in findings["descents"].as_array().unwrap() {
        assert_eq!(descent["frames"].as_u64().unwrap(), descent["depth"].as_u64().unwrap() + 1);
        assert!(descent["hijack_ns"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn the_main_job_prints_tables() {
    let done = osr_bench(&["--only", "fib"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for part in ["program", "fib", "equal", "landing", "depth"] {
        assert!(done.stdout.contains(part), "no `{part}` in: {}", done.stdout);
    }
    osr_bench(&["--only", "doom"]).refused(&["`doom`", "fib"]);
}

#[test]
fn help_has_examples() {
    for arguments in [
        &["--help"][..],
        &["run", "--help"],
        &["maps", "--help"],
        &["steady", "--help"],
        &["readiness", "--help"],
        &["regret", "--help"],
    ] {
        let done = osr_bench(arguments);
        assert_eq!(done.code, 0);
        assert!(done.stdout.contains("Examples:"), "{}", done.stdout);
    }
}

#[cfg(not(feature = "soak"))]
#[test]
fn a_binary_without_random_modules_says_how_to_build_one_with_them() {
    osr_bench(&["soak", "--rounds", "1"]).refused(&["built without `soak`", "--features soak"]);
}

#[cfg(feature = "soak")]
#[test]
fn a_soak_is_short_if_asked() {
    let done = osr_bench(&["soak", "--rounds", "6", "--seed", "20", "--json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let found: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(found["rounds"], 6);
    assert_eq!(found["failure"], Value::Null);
    let moves = found["moves"].as_array().unwrap();
    let sum: u64 = moves.iter().map(|moves| moves["count"].as_u64().unwrap()).sum();
    let transitions = sum + found["linked_exits"].as_u64().unwrap();
    assert_eq!(found["transitions"].as_u64(), Some(transitions));
    let again = osr_bench(&["soak", "--rounds", "6", "--seed", "20"]);
    let told = format!("{transitions} transitions");
    assert!(again.stdout.contains(&told), "seeds reproduce: {}", again.stdout);
    let fixed = osr_bench(&["soak", "--transitions", "100", "--mechanism", "v8", "--json"]);
    let fixed: Value = serde_json::from_str(&fixed.stdout).unwrap();
    assert!(fixed["transitions"].as_u64() >= Some(100), "{fixed}");
    osr_bench(&["soak", "--rounds", "0"]).refused(&["--rounds"]);
    osr_bench(&["soak", "--rounds", "1", "--mechanism", "v9"]).refused(&["no preset `v9`"]);
    osr_bench(&["soak", "--rounds", "1", "--seconds", "1"]).refused(&["cannot be used with"]);
}

#[test]
fn recording_reports_every_function() {
    let done = osr_bench(&["recording", "fib", &case("many-live.wat"), "--json"]);
    let reports: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(reports[0]["program"], "fib");
    let total = &reports[1]["total"];
    let count = |name: &str| total[name].as_u64().unwrap();
    assert!(count("calls") > 0 && count("spilled") > count("calls"), "{total}");
    let places = ["results", "constants", "registers", "spilled"].map(count);
    assert_eq!(places.iter().sum::<u64>(), count("live"));
    assert!(total["pads"]["pads"].as_u64() > Some(0), "{total}");
    assert_eq!(total["locations"]["pads"], 0);
    let text = osr_bench(&["recording", "fib", "--functions"]).stdout;
    assert!(text.contains("spilled") && text.contains("fib"), "{text}");
    osr_bench(&["recording", "no-such-program"]).refused(&["no-such-program"]);
}

#[test]
fn the_ir_is_printed_with_its_points_and_places_and_runs() {
    let bank = program("debug/bank.wasm");
    let done = osr_bench(&["ir", &bank]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for part in ["function spend ", "b0:0, 0x", " bank.c:", "p1 after call, live: r1", "p1 trap, live:"] {
        assert!(done.stdout.contains(part), "no `{part}` in: {}", done.stdout);
    }
    let scratch = Scratch::new("ir-runs");
    let text = scratch.file("bank.ir", &done.stdout);
    for path in [&bank, &text] {
        osr_bench(&["run", path, "--invoke", "count", "5"]).prints("25\n");
    }
    let one = osr_bench(&["ir", &bank, "--function", "pay"]);
    assert!(one.stdout.starts_with("function pay (") && done.stdout.contains(&one.stdout), "{}", one.stdout);
    osr_bench(&["ir", &bank, "--function", "nobody"]).refused(&["no function `nobody`", "`pay`"]);
}

#[test]
fn maps_name_places() {
    let done = osr_bench(&["maps", &program("debug/bank.wasm"), "--function", "spend", "--inline", "off"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("(after call, b1:1, 0x"), "{}", done.stdout);
    assert!(done.stdout.contains(" bank.c:"), "{}", done.stdout);
}

#[test]
fn shells_complete_and_manuals_are_read() {
    for shell in ["bash", "zsh", "fish"] {
        let done = osr_bench(&["completions", shell]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(done.stdout.contains("trace-deopt"), "{shell}");
    }
    let done = osr_bench(&["man"]);
    assert!(done.code == 0 && done.stdout.contains(".TH osr-bench 1"), "{}{}", done.stdout, done.stderr);
    let done = osr_bench(&["man", "run"]);
    assert!(done.code == 0 && done.stdout.contains("trace\\-deopt"), "{}{}", done.stdout, done.stderr);
    osr_bench(&["man", "walk"]).refused(&["no command `walk`", "maps"]);
}
