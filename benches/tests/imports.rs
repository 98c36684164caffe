//! `osr-bench run`: what supplies a program's imports, and what host functions did, recorded and repeated.

mod support;

use support::{Scratch, osr_bench, osr_bench_reading, program};

const HOSTED: &str = r#"(module
  (import "host" "twice" (func $twice (param i32 f64) (result i32)))
  (import "host" "level" (global $level (mut i32)))
  (import "host" "memory" (memory 1 3))
  (import "host" "table" (table 4 funcref))
  (elem (i32.const 1) $one)
  (data (i32.const 8) "x")
  (func $one (result i32) (i32.const 1))
  (func (export "run") (param i32) (result i32)
    (global.set $level (i32.add (global.get $level) (local.get 0)))
    (i32.add (global.get $level)
      (i32.add (call $twice (local.get 0) (f64.const 1))
        (i32.add (i32.load8_u (i32.const 8))
          (i32.add (memory.grow (i32.const 2)) (call_indirect (result i32) (i32.const 1))))))))"#;

#[test]
fn all_that_is_missing_is_listed_with_its_type() {
    let scratch = Scratch::new("imports-missing");
    let hosted = scratch.file("hosted.wat", HOSTED);
    osr_bench(&["run", &hosted, "5"]).refused(&[
        "2 of 2 imports are not provided",
        "function host.twice (i32, f64) -> (i32)",
        "mutable global host.level: i32",
        "--imports stub",
        "--imports trap",
        "--imports replay:FILE",
    ]);
}

#[test]
fn stubs_return_zeros_and_are_reported() {
    let scratch = Scratch::new("imports-stub");
    let hosted = scratch.file("hosted.wat", HOSTED);
    for options in [&[][..], &["--tier", "optimized"], &["--verify"], &["--shadow"]] {
        let arguments = [&["run", &hosted, "5", "--imports", "stub"], options].concat();
        let done = osr_bench(&arguments).prints("127\n");
        assert!(
            done.stderr.starts_with(
                "stub: a module with a host of its own: 1 of 1 imports return zeros, 1 of them were called\n\
             stub: host.twice was called 1 times\n"
            ),
            "{}",
            done.stderr
        );
    }
}

#[test]
fn a_trap_in_place_of_an_import_names_it() {
    let scratch = Scratch::new("imports-trap");
    let hosted = scratch.file("hosted.wat", HOSTED);
    let done = osr_bench(&["run", &hosted, "5", "--imports", "trap"]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("host.twice is not provided"), "{}", done.stderr);
}

#[test]
fn maps_take_modules_that_import_everything() {
    let scratch = Scratch::new("imports-maps");
    assert_eq!(osr_bench(&["maps", &scratch.file("hosted.wat", HOSTED)]).code, 0);
}

#[test]
fn a_record_repeats_a_run_without_its_host() {
    let scratch = Scratch::new("imports-record");
    scratch.file("numbers.txt", "1\n2\n39\n");
    let (echo, record) = (program("wasi/echo.wasm"), scratch.path("record.json"));
    let directory = format!("{}::/data", scratch.path(""));
    let given = ["run", &echo, "--dir", &directory, "--record-imports", &record, "--", "/data/numbers.txt"];
    let done = osr_bench_reading(&given, b"a\nb\n");
    assert_eq!(done.code, 2, "{}", done.stderr);
    let replay = format!("replay:{record}");
    for options in [&[][..], &["--tier", "optimized", "--stress", "invalidate=3", "--verify"]] {
        let done = osr_bench(&[&["run", &echo, "--imports", &replay], options].concat());
        assert_eq!((done.code, &*done.stdout, &*done.stderr), (2, "", ""));
    }
    osr_bench(&["run", &program("wasi/sort.wasm"), "--imports", &replay]).refused(&["of a program of hash"]);
    osr_bench(&["run", &echo, "--imports", "replay:"]).refused(&["replay:FILE"]);
    osr_bench(&["run", &echo, "--imports", "replay:/no/such/file"]).refused(&["cannot read"]);
}

#[test]
fn a_run_with_other_host_calls_than_the_recorded_one_is_an_error() {
    let scratch = Scratch::new("imports-diverge");
    let (sort, record) = (program("wasi/sort.wasm"), scratch.path("record.json"));
    osr_bench_reading(&["run", &sort, "--record-imports", &record], b"2 1\n").prints("1 2\n2 1\n");
    let text = std::fs::read_to_string(&record).unwrap();
    let edited = |name: &str, edit: &dyn Fn(&str) -> String| {
        let path = scratch.file(name, edit(&text));
        osr_bench(&["run", &sort, "--imports", &format!("replay:{path}")])
    };
    let other = edited("other.json", &|text| text.replacen("\"arguments\":[1,", "\"arguments\":[2,", 1));
    assert_eq!(other.code, 2);
    for part in
        ["the run differs from the recorded one: host call ", "(0x1, ", ", and the recorded one ", "(0x2, "]
    {
        assert!(other.stderr.contains(part), "no `{part}` in: {}", other.stderr);
    }
    let shorter = edited("shorter.json", &|text| text.trim_end().rsplit_once('\n').unwrap().0.to_owned());
    assert!(shorter.stderr.contains("were recorded"), "{}", shorter.stderr);
    let longer = edited("longer.json", &|text| text.to_owned() + text.lines().last().unwrap() + "\n");
    assert!(longer.stderr.contains("host calls, and the recorded one"), "{}", longer.stderr);
    edited("broken.json", &|text| text.replacen("\"writes\"", "\"wrote\"", 1))
        .refused(&["broken.json", "wrote"]);
    edited("bytes.json", &|text| text.replacen("\"bytes\":\"", "\"bytes\":\"g", 1))
        .refused(&["bytes.json", "hexadecimal"]);
    edited("empty.json", &|_| String::new()).refused(&["empty.json:1"]);
}
