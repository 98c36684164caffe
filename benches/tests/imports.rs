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
                "stub: a module with a host of its own: 1 of 1 imports return zeros, 1 of them was called\n\
             stub: host.twice was called once\n"
            ),
            "{}",
            done.stderr
        );
    }
}

#[test]
fn globals_are_given_one_by_one() {
    let scratch = Scratch::new("imports-globals");
    let wat = r#"(module (import "env" "__stack_pointer" (global $s (mut i32))) (import "a.b" "c" (global $c f64))
        (memory 2) (func (export "run") (result i32 f64) (global.get $s) (global.get $c)))"#;
    let module = scratch.file("globals.wat", wat);
    let run = |options: &[&str]| osr_bench(&[&["run", &module], options].concat());
    run(&["--imports", "stub"]).prints("98304\n0\n");
    run(&["--global", "a.b.c=1.5", "--global", "env.__stack_pointer=-8"]).prints("-8\n1.5\n");
    run(&["--global", "a.b.c=1.5"]).refused(&["1 of 1 imports", "mutable global env.__stack_pointer: i32"]);
    run(&["--global", "a.c=1.5"]).refused(&["--global a.c", "imports no such global"]);
    run(&["--global", "env.__stack_pointer=1.5"]).refused(&["`1.5` is not a value of type i32"]);
}

#[test]
fn a_program_of_emscriptens_is_called_back() {
    let scratch = Scratch::new("imports-emscripten");
    let wat = r#"(module
        (import "env" "invoke_iii" (func $invoke (param i32 i32 i32) (result i32)))
        (import "env" "_emscripten_init_main_thread_js" (func $init (param i32)))
        (import "env" "emscripten_notify" (func $notify))
        (table 3 funcref) (elem (i32.const 1) $add $one)
        (memory 1)
        (func $add (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
        (func $one (result i32) (i32.const 1))
        (func (export "_emscripten_thread_init") (param i32 i32 i32 i32 i32 i32)
            (i32.store (local.get 0) (local.get 3)))
        (func (export "run") (param i32) (result i32)
            (call $init (i32.const 16))
            (call $notify)
            (call $invoke (local.get 0) (i32.const 40) (i32.load (i32.const 16)))))"#;
    let module = scratch.file("called-back.wat", wat);
    osr_bench(&["run", &module, "1"]).refused(&["env.emscripten_notify"]);
    for options in [&[][..], &["--tier", "optimized", "--stress", "hijack=1", "--verify"], &["--shadow"]] {
        let run = [&["run", &module, "1", "--imports", "stub"], options].concat();
        let done = osr_bench(&run).prints("41\n");
        assert!(done.stderr.contains("1 of 3 imports return zeros"), "{}", done.stderr);
    }
    let fails = |element: &str, why: &str| {
        let done = osr_bench(&["run", &module, element, "--imports", "stub"]);
        assert!(done.code == 1 && done.stderr.contains(why), "{}", done.stderr);
    };
    fails("0", "element 0 of the table is null");
    fails("2", "element 2 of the table is of another type");
    fails("3", "table");
}

#[test]
fn a_tag_of_the_host_is_the_programs_own() {
    let scratch = Scratch::new("imports-tags");
    let wat = r#"(module (import "js" "tag" (tag $t (param externref)))
        (func (export "run") (result i32)
            (drop (block $caught (result externref)
                (try_table (catch $t $caught) (throw $t (ref.null extern)))
                (return (i32.const 0))))
            (i32.const 7)))"#;
    let module = scratch.file("tags.wat", wat);
    osr_bench(&["run", &module]).prints("7\n");
    osr_bench(&["run", &module, "--tier", "optimized", "--stress", "hijack=1", "--verify"]).prints("7\n");
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
fn calls_with_pointers_out_of_bounds_are_recorded_too() {
    let scratch = Scratch::new("imports-bounds");
    let wat = r#"(module
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 16) "\ff\ff\ff\ff\ff\ff\ff\ff\f0\ff\00\00\20\00\00\00")
        (func (export "run") (param i32 i32 i32) (result i32)
            (call $read (i32.const 0) (local.get 0) (local.get 1) (local.get 2))))"#;
    let module = scratch.file("bounds.wat", wat);
    for arguments in
        [["16", "1", "0"], ["24", "1", "0"], ["-4", "1", "0"], ["16", "0", "-2"], ["16", "-1", "65534"]]
    {
        let done =
            osr_bench(&[&["run", &module, "--verify", "--invoke", "run", "--"], &arguments[..]].concat());
        let is_told = done.code == 0 || done.stderr.starts_with("trap: host error in read at p0\n");
        assert!(is_told, "{arguments:?}: {} {}", done.code, done.stderr);
    }
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

#[test]
fn a_function_that_is_imported_twice_is_recorded_once_a_call() {
    let scratch = Scratch::new("imports-twice");
    let wat = r#"(module
        (import "h" "a" (func $a (param i32) (result i32)))
        (import "h" "b" (func $b (param i32) (result i32)))
        (import "h" "a" (func $c (param i32) (result i32)))
        (func (export "run") (result i32)
            (i32.add (call $a (i32.const 1)) (i32.add (call $b (i32.const 2)) (call $c (i32.const 3))))))"#;
    let (module, record) = (scratch.file("twice.wat", wat), scratch.path("record.json"));
    let done = osr_bench(&["run", &module, "--imports", "stub", "--verify", "--record-imports", &record]);
    let done = done.prints("0\n");
    assert!(done.stderr.contains("2 of 2 imports return zeros, 2 of them were called"), "{}", done.stderr);
    assert!(
        done.stderr.contains("stub: h.a was called 2 times\nstub: h.b was called once\n"),
        "{}",
        done.stderr
    );
    assert_eq!(std::fs::read_to_string(&record).unwrap().lines().count(), 1 + 3, "a head and three calls");
    osr_bench(&["run", &module, "--imports", &format!("replay:{record}"), "--verify"]).prints("0\n");
    osr_bench(&["run", &module]).refused(&["2 of 2 imports are not provided"]);
}

#[test]
fn a_replay_has_the_globals_that_were_recorded() {
    let scratch = Scratch::new("globals");
    let wat = scratch.file(
        "globals.wat",
        r#"(module (import "host" "size" (global $size i32)) (import "host" "f" (func $f (param i32)))
          (func (export "run") (result i32) (call $f (global.get $size)) (global.get $size)))"#,
    );
    let record = scratch.path("globals.rec");
    let run = ["run", &wat, "--imports", "stub", "--global", "host.size=9", "--record-imports", &record];
    osr_bench(&run).prints("9\n");
    let replay = ["run", &wat, "--imports", &format!("replay:{record}"), "--verify"];
    osr_bench(&replay).prints("9\n");
    let other = osr_bench(&[&replay[..], &["--global", "host.size=8"]].concat());
    assert!(other.code == 2 && other.stderr.contains("host.f(0x9)"), "{}: {}", other.code, other.stderr);
}
