//! `osr-bench run`: what is done before the call that a run is about, and names that no terminal should see.

mod support;

use support::{Scratch, osr_bench};

const LIBRARY: &str = r#"(module
  (memory (export "memory") 1)
  (global $ready (mut i32) (i32.const 0))
  (func (export "_initialize") (global.set $ready (i32.const 1)))
  (func (export "prepare") (global.set $ready (i32.const 5)))
  (func (export "add") (param i32 f64) (result i32 f64)
    (global.set $ready (i32.add (global.get $ready) (local.get 0)))
    (global.get $ready) (local.get 1))
  (func (export "sum") (param $at i32) (param $length i32) (result i32) (local $sum i32)
    (loop $next
      (if (local.get $length) (then
        (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $length (i32.sub (local.get $length) (i32.const 1)))
        (br $next))))
    (i32.add (local.get $sum) (i32.mul (i32.const 1000) (global.get $ready)))))"#;

#[test]
fn a_library_is_set_up_and_called_more_than_once() {
    let scratch = Scratch::new("steps");
    let library = scratch.file("library.wat", LIBRARY);
    let bytes = scratch.file("bytes", [1, 2, 250]);
    let write = format!("0x100={bytes}");
    let run = |options: &[&str]| osr_bench(&[&["run", &library, "--verify"], options].concat());
    run(&["--invoke", "sum", "256", "3"]).prints("1000\n");
    run(&["--write", &write, "--invoke", "sum", "256", "3"]).prints("1253\n");
    run(&["--init", "prepare", "--write", &write, "--invoke", "sum", "256", "3"]).prints("5253\n");
    for tier in ["interpreter", "optimized"] {
        let calls = ["--invoke", "add=3,-1.5", "--invoke", "add=1, 2", "--invoke", "sum", "0", "1"];
        run(&[&calls[..], &["--tier", tier]].concat()).prints("4\n-1.5\n5\n2\n5000\n");
    }
}

#[test]
fn memory_is_shown_afterwards() {
    let scratch = Scratch::new("steps-read");
    let library = scratch.file("library.wat", LIBRARY);
    let write = format!("8={}", scratch.file("bytes", [1, 2, 250]));
    let run = |reads: &[&str]| {
        osr_bench(&[&["run", &library, "--write", &write, "--invoke", "sum", "8", "3"], reads].concat())
    };
    run(&["--read", "7=5", "--read", "0xfffe=2"]).prints("1253\n000102fa00\n0000\n");
    run(&["--read", "0xffff=2"]).refused(&["2 bytes at 0xffff", "65536 bytes"]);
    run(&["--read", "1"]).refused(&["ADDRESS=LENGTH"]);
}

#[test]
fn steps_that_cannot_be_taken_say_why() {
    let scratch = Scratch::new("steps-refused");
    let library = scratch.file("library.wat", LIBRARY);
    let bytes = scratch.file("bytes", [1, 2]);
    let run =
        |options: &[&str]| osr_bench(&[&["run", &library], options, &["--invoke", "sum", "0", "1"]].concat());
    run(&["--init", "add"]).refused(&["--init add", "(i32, f64) -> (i32, f64)"]);
    run(&["--init", "no"]).refused(&["no exported function `no`"]);
    run(&["--invoke", "add=1"]).refused(&["`add` takes 2 argument(s), 1 given"]);
    run(&["--invoke", "add=1,x"]).refused(&["argument 2 of `add`", "`x`"]);
    run(&["--write", "5"]).refused(&["ADDRESS=FILE"]);
    run(&["--write", "5=/no/such/file"]).refused(&["cannot read", "/no/such/file"]);
    run(&["--write", &format!("65535={bytes}")]).refused(&["2 bytes at 0xffff", "65536 bytes"]);
    osr_bench(&["shrink", &library, "--invoke", "add=1,2", "--invoke", "sum", "0", "1"])
        .refused(&["one call"]);
}

#[test]
fn a_schedule_is_of_the_steps_too() {
    let scratch = Scratch::new("steps-schedule");
    let (library, schedule) = (scratch.file("library.wat", LIBRARY), scratch.path("schedule.json"));
    let recorded =
        ["run", &library, "--invoke", "add=1,2", "--invoke", "sum", "0", "9", "--tier", "optimized"];
    osr_bench(&[&recorded[..], &["--stress", "invalidate=2", "--record", &schedule]].concat())
        .prints("2\n2\n2000\n");
    osr_bench(&[&recorded[..], &["--replay", &schedule]].concat()).prints("2\n2\n2000\n");
    let other = ["run", &library, "--invoke", "add=2,2", "--invoke", "sum", "0", "9", "--tier", "optimized"];
    osr_bench(&[&other[..], &["--replay", &schedule]].concat())
        .refused(&["what is done before", "--invoke add=1,2"]);
}

/// A function's name in a module that wants to clear the screen, write a line of its own, and fill others.
#[test]
fn names_are_shown_as_text_and_lists_end() {
    let scratch = Scratch::new("steps-names");
    let functions: String = (0..30_000).map(|n| format!("(func (export \"name{n}\"))")).collect();
    let wat = format!(
        r#"(module (import "\1b]0;x\07" "a\nb" (func)) (func (export "\1b[2J\ntrap: nothing\0d") unreachable)
          {functions})"#
    );
    let evil = scratch.file("evil.wat", wat);
    let done = osr_bench(&["run", &evil, "--imports", "stub", "--invoke", "\u{1b}[2J\ntrap: nothing\r"]);
    assert_eq!(done.code, 1);
    let name = "\\u{1b}[2J\\ntrap: nothing\\r";
    let trap = format!("trap: unreachable in {name} at p1\n  #0   {name} at p1, 0x");
    let (_, rest) = done.stderr.split_once(&trap).unwrap_or_else(|| panic!("{}", done.stderr));
    assert_eq!(rest.lines().count(), 1, "{rest}");
    let refusals = [
        osr_bench(&["run", &evil, "--invoke", "name0"]),
        osr_bench(&["run", &evil, "--imports", "stub", "--invoke", "no"]),
        osr_bench(&["run", &evil, "--imports", "stub"]),
        osr_bench(&["maps", &evil, "--function", "no"]),
    ];
    for done in refusals {
        let plain = |character: char| character == '\n' || !character.is_control();
        assert!(done.stderr.chars().all(plain), "{:?}", done.stderr);
        assert!(done.stderr.len() < 5_000, "{} bytes", done.stderr.len());
        done.refused(&["\\u{1b}"]);
    }
}
