//! Bad input: exit code 2, the place, and what to do about it.

mod support;

use support::{Scratch, osr_bench, program};

#[test]
fn files_that_are_not_programs() {
    let scratch = Scratch::new("files");
    let missing = scratch.path("missing.wasm");
    osr_bench(&["run", &missing]).refused(&["cannot read", "missing.wasm", "help: "]);
    osr_bench(&["run", &scratch.path("")]).refused(&["cannot read"]);
    osr_bench(&["run", &scratch.file("empty.wasm", "")]).refused(&["empty.wasm", "at offset 0x0"]);
    osr_bench(&["run", &scratch.file("text.wasm", "hello, world")]).refused(&["text.wasm", "magic", "0x0"]);
    osr_bench(&["run", &scratch.file("notes.txt", "hello")]).refused(&["notes.txt", ".wat", ".ir"]);
    osr_bench(&["run", &scratch.file("bytes.wat", b"(module \xff)")]).refused(&["not UTF-8", "0x8"]);
}

#[test]
fn a_module_cut_off_anywhere_is_refused() {
    let scratch = Scratch::new("cut");
    let bytes = std::fs::read(program("wasm/fib.wasm")).unwrap();
    for length in (9..bytes.len()).step_by(23) {
        let done = osr_bench(&["run", &scratch.file("cut.wasm", &bytes[..length]), "3"]);
        if done.code != 0 {
            done.refused(&["cut.wasm"]);
        }
    }
}

#[test]
fn texts_with_mistakes_show_the_place() {
    let scratch = Scratch::new("texts");
    let wat = scratch.file("bad.wat", "(module\n  (func (export \"run\")\n    (i32.bogus)))\n");
    osr_bench(&["run", &wat]).refused(&["bad.wat:3:6", "i32.bogus", "here"]);
    let ir = scratch
        .file("bad.ir", "function f () -> (i32) {\n  r0: i32\nb0:\n  r0 = i32.bogus 1\n  return r0\n}\n");
    osr_bench(&["run", &ir]).refused(&["bad.ir:4:8", "unknown operation `i32.bogus`", "here"]);
    let wat = scratch.file("end.wat", "(module");
    osr_bench(&["run", &wat]).refused(&["end.wat:1:8"]);
}

#[test]
fn ill_typed_code_names_function_and_instruction() {
    let scratch = Scratch::new("types");
    let text = "export \"run\" function f\nfunction f (r0: i64) -> (i32) {\nb0:\n  r0 = i32.add r0, r0\n  return r0\n}\n";
    osr_bench(&["run", &scratch.file("types.ir", text), "1"])
        .refused(&["types.ir: function `f`, b0:0", "r0 has type i64, not i32"]);
    let wat = scratch.file("types.wat", "(module (func (export \"run\") (result i32) (i64.const 1)))");
    osr_bench(&["run", &wat]).refused(&["types.wat", "type mismatch", "offset"]);
}

#[test]
fn functions_and_arguments() {
    let fib = program("wasm/fib.wasm");
    osr_bench(&["run", &fib, "--invoke", "no"]).refused(&["no exported function `no`", "`run` (i32) -> ("]);
    osr_bench(&["run", &fib]).refused(&["`run` takes 1 argument(s), 0 given", "(i32)"]);
    osr_bench(&["run", &fib, "1", "2"]).refused(&["2 given"]);
    osr_bench(&["run", &fib, "x"]).refused(&["argument 1", "`x` is not a value of type i32"]);
    osr_bench(&["run", &fib, "1.5"]).refused(&["argument 1", "`1.5`", "i32"]);
    osr_bench(&["run", &fib, "99999999999"]).refused(&["`99999999999` does not fit the type i32"]);
    osr_bench(&["run", &fib, "-inf"]).refused(&["`-inf` is not a value"]);
    let scratch = Scratch::new("exports");
    let two = scratch.file("two.wat", "(module (func (export \"a\")) (func (export \"b\") (param i64)))");
    osr_bench(&["run", &two]).refused(&["--invoke", "`a` () -> ()", "`b` (i64) -> ()"]);
    let none = scratch.file("none.wat", "(module)");
    osr_bench(&["run", &none]).refused(&["no functions"]);
}

/// Nothing that was typed reaches a terminal but as text; neither does what is in a file that is shown.
#[test]
fn what_was_typed_is_escaped() {
    let (fib, typed) = (program("wasm/fib.wasm"), "a\u{1b}[31m");
    for arguments in [
        &["run", typed][..],
        &["run", &fib, "--invoke", typed],
        &["run", &fib, typed],
        &["run", &fib, "24", "--replay", typed],
        &["maps", &fib, "--function", typed],
        &["steady", typed],
        &["man", typed],
    ] {
        let done = osr_bench(arguments);
        assert_eq!(done.code, 2, "{arguments:?}: {}", done.stderr);
        assert!(!done.stderr.contains('\u{1b}') && done.stderr.contains(r"a\u{1b}[31m"), "{}", done.stderr);
    }
    let scratch = Scratch::new("escaped");
    let wat = scratch.file("escaped.wat", "(module\n (;\u{1b}[31m;) (func bogus))");
    let shown = osr_bench(&["run", &wat]);
    assert!(!shown.stderr.contains('\u{1b}'), "{}", shown.stderr);
    shown.refused(&["escaped.wat:2:", "(;?[31m;) (func bogus)"]);
}

#[test]
fn the_kind_of_a_module_does_not_depend_on_the_policy() {
    let scratch = Scratch::new("kind");
    let wat = scratch.file(
        "kind.wat",
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
          (import "a" "b" (global i32)) (import "env" "nobody" (func)) (func (export "_start")))"#,
    );
    let kind = "made for JavaScript by emscripten";
    osr_bench(&["run", &wat]).refused(&[kind]);
    for policy in ["stub", "trap"] {
        let done = osr_bench(&["run", &wat, "--imports", policy]);
        assert!(done.code == 0 && done.stderr.contains(kind), "{policy}: {}", done.stderr);
    }
}

#[test]
fn imports_that_nobody_provides() {
    let scratch = Scratch::new("imports");
    let import = |item: &str| scratch.file("import.wat", format!("(module {item} (func (export \"run\")))"));
    let function = import("(import \"env\" \"launch\" (func (param i32 f64) (result i64)))");
    osr_bench(&["run", &function]).refused(&[
        "env.launch",
        "(i32, f64) -> (i64)",
        "env.print_i32 (i32) -> ()",
    ]);
    let ty = import("(import \"env\" \"invalidate\" (func (param i32)))");
    osr_bench(&["run", &ty]).refused(&["env.invalidate", "(i32) -> ()", "env.invalidate () -> ()"]);
    osr_bench(&["run", &import("(import \"env\" \"g\" (global i32))")]).refused(&["env.g", "i32"]);
}

#[test]
fn segments_that_do_not_fit() {
    let scratch = Scratch::new("segments");
    let data = scratch
        .file("data.wat", "(module (memory 1) (data (i32.const 65535) \"ab\") (func (export \"run\")))");
    osr_bench(&["run", &data]).refused(&["data.wat", "data segment 0", "out of bounds"]);
}

#[test]
fn options_that_contradict_each_other() {
    let fib = program("wasm/fib.wasm");
    let run = |options: &[&str]| osr_bench(&[&["run", &fib, "3"], options].concat());
    run(&["--stress", "invalidate=1", "--tier", "interpreter"]).refused(&["no compiled frames", "help: "]);
    run(&["--stress", "invalidate=1", "--stress", "invalidate=2"]).refused(&["more than once"]);
    run(&["--stress", "land=1"]).refused(&["write land=interpreter", "land=random:SEED"]);
    run(&["--stress", "flood=1"]).refused(&["there is no stress `flood`", "invalidate=N"]);
    run(&["--stress", "invalidate=0"]).refused(&["from 1 up"]);
    run(&["--threshold", "5", "--tier", "optimized"]).refused(&["--threshold", "optimized"]);
    run(&["--threshold", "-5"]).refused(&["--threshold"]);
    run(&["--tier", "turbo"]).refused(&["turbo", "interpreter", "optimized", "auto"]);
    run(&["--stack-size", "1k"]).refused(&["too small", "512k"]);
    run(&["--stack-size", "lots"]).refused(&["--stack-size", "k, M or G"]);
    run(&["--bogus"]).refused(&["--bogus"]);
}

#[test]
fn transitions_without_frame_states() {
    let fib = program("wasm/fib.wasm");
    osr_bench(&["run", &fib, "5", "--state-recording", "none", "--stress", "hijack=1"])
        .refused(&["state recording `none`"]);
    osr_bench(&["run", &fib, "5", "--state-recording", "some"]).refused(&["state-recording", "slots"]);
}

#[test]
fn what_is_not_supported_is_listed_alike_of_text_and_of_binaries() {
    let scratch = Scratch::new("refused-features");
    let wat = "(module (func (export \"run\") (param i64 i64) (result i64 i64)
        (i64.add128 (local.get 0) (local.get 1) (local.get 0) (local.get 1)))
        (func (param i32) (result i32) (ref.is_null (ref.i31 (local.get 0)))))";
    let text = osr_bench(&["run", &scratch.file("wide.wat", wat), "1", "2"]).refused(&["are not supported"]);
    let binary = scratch.file("wide.wasm", wat::parse_str(wat).expect("it is valid text"));
    let binary = osr_bench(&["run", &binary, "1", "2"]).refused(&["are not supported"]);
    assert_eq!(text.stderr.replace("wide.wat", "wide.wasm"), binary.stderr);
}

#[test]
fn memories_that_are_not_there() {
    let scratch = Scratch::new("refused-memories");
    let file = scratch.file("bytes", "abcd");
    let two = "(module (memory (export \"main\") 1) (memory 1) (func (export \"run\")))";
    let (two, none) =
        (scratch.file("two.wat", two), scratch.file("none.wat", "(module (func (export \"run\")))"));
    osr_bench(&["run", &two, "--read", "m1:0=4"]).prints("00000000\n");
    osr_bench(&["run", &two, "--read", "m2:0=4"])
        .refused(&["--read m2:0x0: there is no such memory", "there are m0, m1, `main`"]);
    osr_bench(&["run", &two, "--write", &format!("m3:0={file}")])
        .refused(&["--write m3:0x0: there is no such memory"]);
    osr_bench(&["run", &none, "--read", "0=4"])
        .refused(&["there is no such memory", "there are no memories"]);
}

#[test]
fn files_that_say_nothing() {
    let scratch = Scratch::new("refused-empty");
    let (empty, results) = (scratch.file("empty", ""), scratch.path("results.jsonl"));
    osr_bench(&["report", &empty]).refused(&["there are no results in it", "osr-bench thread -o FILE"]);
    osr_bench(&["compare", &empty, &empty]).refused(&["there are no results in it"]);
    osr_bench(&["report", &program("wasm/fib.wasm")]).refused(&["fib.wasm"]);
    osr_bench(&["sweep", &empty, "-o", &results]).refused(&["it says nothing"]);
}

#[test]
fn unrolling_that_means_nothing() {
    let fib = program("wasm/fib.wasm");
    osr_bench(&["run", &fib, "5", "--unrolling", "0"]).refused(&["--unrolling"]);
    osr_bench(&["steady", "fib", "--vary", "unrolling=0,1"]).refused(&["a loop has one copy at least"]);
    osr_bench(&["steady", "fib", "--vary", "unrolling=1,1"]).refused(&["unrolling=1 is given twice"]);
}
