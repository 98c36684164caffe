//! Errors of the parser: each kind, with its place.

use osr_ir::text::{ParseErrorKind, parse};

/// Checks that `source` is refused with `message`, which begins with line and column.
#[track_caller]
fn check(source: &str, message: &str) {
    let error = parse(source).expect_err("the source is wrong");
    assert_eq!(error.to_string(), message);
    assert!(message.starts_with(&format!("{}:{}: ", error.line, error.column)));
}

/// As [`check`], for `code` in a function with a register `r0: i32`; it starts at 3:1.
#[track_caller]
fn check_code(code: &str, message: &str) {
    check(&format!("function f (r0: i32) {{\nb0:\n{code}\n}}\n"), message);
}

#[test]
fn characters_and_strings() {
    check("memory 1\n  # 2", "2:3: unexpected character '#'");
    check("import é", "1:8: unexpected character 'é'");
    check("; é\nexport \"é\" - ", "2:12: unexpected character '-'");
    check("export \"run\n\" memory", "1:8: the string does not end on its line");
    check("export \"run", "1:8: the string does not end on its line");
    let escape = "unknown escape: write \\hh with two hexadecimal digits, or one of \\n \\r \\t \\\" \\\\";
    check("data d0 passive \"ab\\xy\"", &format!("1:20: {escape}"));
    check("data d0 passive \"\\f", &format!("1:18: {escape}"));
    check("export \"\\ff\" memory", "1:8: a name must be UTF-8");
}

#[test]
fn items() {
    check(
        "memory 1\nmemori 2",
        "2:1: expected signature, memory, global, table, tag, caught, data, element, import, export, start, function, body, \
         map or at, found `memori`",
    );
    check("memory 1\nmemory 1", "2:1: there is a second `memory`");
    check("memory 1\nmemory m2: 1", "2:8: expected `m1` as the next number, found `m2`");
    check("data d0 m1 at 0 \"\"\nmemory 1", "1:9: `m1` is not defined");
    check("start f\n  start g", "2:3: there is a second `start`");
    check("signature s0 ()\nsignature s1 ()", "2:14: this signature is listed as `s0` already");
    check("memory", "1:7: expected a number, found the end of the file");
    check("table t0: -1", "1:11: `-1` is not an unsigned 32-bit number");
    check("table t0: 4294967296", "1:11: `4294967296` is not an unsigned 32-bit number");
    check("data d0 declared \"\"", "1:9: expected `at`, a memory or `passive`, found `declared`");
    check("element e0 at 0 []", "1:12: expected a table, `passive` or `declared`, found `at`");
    check("element e0 t0 \"at\" []", "1:15: expected `at`, found a string");
    check("export \"f\" start", "1:12: expected function, global, table, memory or tag, found `start`");
    check("import f (i33) = \"\" \"\"", "1:11: expected a type, found `i33`");
    check("import f (i32", "1:14: expected `)`, found the end of the file");
}

#[test]
fn numbering() {
    check("global g1: i32 = 0", "1:8: expected `g0` as the next number, found `g1`");
    check("function f (r0: i32, r0: i32) {}", "1:22: expected `r1` as the next number, found `r0`");
    check("function f () {\n r0: i32\n b1: return }", "3:2: expected `b0` as the next number, found `b1`");
    check("table t99999999999: 0", "1:7: `99999999999` is not an unsigned 32-bit number");
}

#[test]
fn constants() {
    check("global g0: i32 = 0x", "1:18: `0x` is not a number of type i32");
    check("global g0: i32 = 12ab", "1:18: `12ab` is not a number of type i32");
    check("global g0: i64 = 1.5", "1:18: `1.5` is not a number of type i64");
    check("global g0: f64 = 1.5.2", "1:18: `1.5.2` is not a number of type f64");
    check("global g0: funcref = 0", "1:22: `0` is not a number of type funcref");
    check("global g0: i32 = 4294967296", "1:18: `4294967296` does not fit i32");
    check("global g0: i32 = -2147483649", "1:18: `-2147483649` does not fit i32");
    check("global g0: f32 = 1e39", "1:18: `1e39` does not fit f32");
    check("global g0: f32 = nan:0x800000", "1:18: `nan:0x800000` does not fit f32");
    check("global g0: f64 = nan:0x0", "1:18: `nan:0x0` does not fit f64");
    check("global g0: i32 = {", "1:18: expected a constant, found `{`");
    check("global g0: i32 = (", "1:19: expected a constant or an operation, found the end of the file");
}

#[test]
fn names() {
    check("start nobody\nexport \"\" function no2", "1:7: unknown function `nobody`");
    check("function f () {}\nimport f () = \"\" \"\"", "2:8: there is a function `f` already");
    check("function null () {}", "1:10: `null` means something else: write the function's name in quotes");
    check("start g07", "1:7: `g07` means something else: write the function's name in quotes");
    check("start inf", "1:7: expected the name of a function, found `inf`");
    check("export \"g\" global g0", "1:19: `g0` is not defined");
    check_code("  call g (r0) return", "3:8: unknown function `g`");
    check_code("  r1 = i32.const 1 return", "3:3: `r1` is not defined");
    check_code("  jump\n  b7", "4:3: `b7` is not defined");
    check_code("  r0 = table.size t3 return", "3:19: `t3` is not defined");
    check_code("  data.drop d0 return", "3:13: `d0` is not defined");
    check_code("  elem.drop e0 return", "3:13: `e0` is not defined");
}

#[test]
fn code() {
    check_code("  r0 = i32.plus r0, r0", "3:8: unknown operation `i32.plus`");
    check_code("  trap_if r0, \"boredom\"", "3:15: there is no trap `boredom`");
    check_code("  memory.wipe r0", "3:3: unknown operation `memory.wipe`");
    check_code("  table.wipe t0", "3:3: unknown operation `table.wipe`");
    check_code("  i32.add r0, r0", "3:3: `i32.add` has 1 result(s), found 0");
    check_code("  r0, r0 = copy r0", "3:3: `copy` has 1 result(s), found 2");
    check_code("  r0 = i32.store r0, r0", "3:3: `i32.store` has 0 result(s), found 1");
    check_code("  r0 = return", "3:3: `return` has 0 result(s), found 1");
    check_code("  r0 = i32.add r0 r0", "3:19: expected `,`, found `r0`");
    check_code("  r0 = ", "4:1: expected an instruction or a terminator, found `}`");
    check_code("  branch r0, b0", "4:1: expected `,`, found `}`");
    check_code("  r0 = i32.const r0", "3:18: expected a number, found `r0`");
    check_code("  return jump b0", "3:10: expected a block such as `b0`, or `}`, found `jump`");
}

#[test]
fn the_error_shows_its_place() {
    let error = parse("memory 1\nglobal g0: i32 = 1.5\n").unwrap_err();
    assert!(matches!(error.kind, ParseErrorKind::MalformedNumber { .. }));
    assert_eq!((error.span.offset(), error.span.len()), (26, 3));
    let report = format!("{:?}", miette::Report::new(error));
    assert!(report.contains("global g0: i32 = 1.5"), "{report}");
}
