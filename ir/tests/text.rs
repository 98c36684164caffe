//! The textual form: one module that uses everything, what is printed for it, and the small print.

use osr_ir::verifier::verify;
use osr_ir::{
    ConstantExpression, FunctionIndex, GlobalInitial, Instruction, Module, Signature, Type, Value, text,
};

/// Every item, instruction and terminator, as they are printed.
const EVERYTHING: &str = r#"signature s0 (i32) -> (i32)
signature s1 ()
signature s2 (i32, i64, f32, f64, funcref) -> (i32, i64)
signature s3 (funcref)
memory import "env" "mem" 1 16
global g0: i32 = 1024
global g1: mut i64 = -5
global g2: f32 = 1e-7
global g3: f64 = import "env" "\00x"
global g4: funcref = null
global g5: mut funcref = "odd name"
global g6: funcref = g4
table t0: 10 20
table t1: import "env" "table" 0
data d0 at g0 "bytes\00\0a\"\\"
data d1 passive ""
element e0 t0 at 0 [fib, null, g4]
element e1 passive [main]
element e2 declared ["null"]
import "odd name" () = "env" "print"
export "run" function fib
export "mem" memory
export "größe" global g0
export "" table t1
start main
function fib (r0: i32) -> (i32) {
  r1: i32, r2: i32
b0:
  r1 = i32.const 2
  r2 = i32.lt_s r0, r1
  branch r2, b1, b2
b1:
  return r0
b2:
  r2 = i32.sub r0, r1
  r2 = call fib (r2)
  return r2
}
function "null" (r0: i32, r1: i64, r2: f32, r3: f64, r4: funcref) -> (i32, i64) {
b0:
  return r0, r1
}
function main () {
  r0: i32, r1: i64, r2: f32, r3: f64, r4: funcref, r5: i32, r6: i64
b0:
  r0 = i32.const -1
  r5 = i32.const 0
  r1 = i64.const -9223372036854775808
  r2 = f32.const -nan:0x1
  r3 = f64.const inf
  r4 = ref.null
  r4 = ref.func "null"
  r6 = copy r1
  r5 = i64.eqz r6
  r3 = f64.add r3, r3
  r2 = select r5, r2, r2
  r1 = i64.load8_u r0 + 4294967295
  f32.store r0, r2
  i64.store32 r5 + 8, r1
  r4 = global.get g4
  global.set g5, r4
  r0 = memory.size
  r0 = memory.grow r0
  memory.fill r0, r0, r5
  memory.copy r5, r0, r5
  memory.init d1, r0, r0, r0
  data.drop d1
  r4 = table.get t1, r5
  table.set t0, r0, r4
  r0 = table.size t0
  r0 = table.refers t0, r5, "null"
  r0 = table.grow t1, r4, r5
  table.fill t0, r0, r4, r5
  table.copy t0, t1, r0, r5, r5
  table.init t1, e1, r0, r0, r0
  elem.drop e1
  call "odd name" ()
  r5, r6 = call "null" (r0, r1, r2, r3, r4)
  r0 = call_indirect t0 (i32) -> (i32) [r5] (r0)
  call_indirect t1 (funcref) [r0] (r4)
  jump b1
b1:
  switch r0, [b1, b2], b3
b2:
  switch r5, [], b3
b3:
  guard r0, b1 else b4
b4:
  unreachable
}
"#;

fn parse(source: &str) -> Module {
    text::parse(source).unwrap_or_else(|error| panic!("{error}\n{source}"))
}

#[test]
fn everything_round_trips() {
    let module = parse(EVERYTHING);
    assert_eq!(verify(&module), Ok(()));
    assert_eq!(text::print(&module), EVERYTHING);
    assert_eq!(module.to_string(), EVERYTHING);
}

#[test]
fn blanks_and_comments_only_separate() {
    let comment = "  ;\u{2603}\"{\n\t";
    let spread: String = EVERYTHING.replace('\n', comment);
    assert_eq!(parse(&spread), parse(EVERYTHING));
    let dense = "function f(r0:i32)->(i32){r1:i32 b0:r1=i32.load r0+8 i32.store r0+1,r1 return r1}";
    let module = parse(dense);
    assert_eq!(parse(&text::print(&module)), module);
}

#[test]
fn the_example_in_the_documentation_is_valid() {
    let documentation = include_str!("../src/text/mod.rs");
    let example = documentation.split("```text").nth(2).and_then(|rest| rest.split("```").next());
    let example: String =
        example.unwrap().lines().map(|l| l.trim_start_matches("//!").to_owned() + "\n").collect();
    let module = parse(&example);
    assert_eq!(verify(&module), Ok(()));
    assert_eq!(module.functions.len(), 3);
    assert_eq!(parse(&text::print(&module)), module);
}

#[test]
fn names_resolve_forward() {
    let module = parse(
        "export \"a\" function z start b function b () { b0: call z () return } import z () = \"\" \"\"",
    );
    assert_eq!(module.start, Some(FunctionIndex::new(0)));
    let body = module.functions[0].body().unwrap();
    let Instruction::Call { function, .. } = &body.blocks[0].instructions[0] else { panic!("{body:?}") };
    assert_eq!(module.function(*function).name, "z");
}

#[test]
fn signatures_are_listed_only_when_their_order_needs_it() {
    let in_order = "import a (i32) = \"\" \"\"\nimport b () = \"\" \"\"\n";
    assert_eq!(text::print(&parse(in_order)), in_order);
    let unused = "signature s0 (i32)\nsignature s1 ()\nimport b () = \"\" \"\"\n";
    let module = parse(unused);
    assert_eq!(module.signatures[0], Signature::new(vec![Type::I32], vec![]));
    assert_eq!(text::print(&module), unused);
}

/// The value of a global of type `ty` that is written as `literal`.
fn constant(ty: &str, literal: &str) -> Value {
    let module = parse(&format!("global g0: {ty} = {literal}"));
    match module.globals[0].initial {
        GlobalInitial::Expression(ConstantExpression::Value(value)) => value,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn initializers_compute_in_postfix_order() {
    let source = "global g0: i32 = 7\nglobal g1: i32 = (g0 2 i32.sub g0 i32.mul)\n\
                  global g2: i64 = (1 -2 i64.sub 3 i64.add)\nglobal g3: i32 = (0 1 i32.sub)\n";
    let module = parse(source);
    assert_eq!(text::print(&module), source);
    osr_ir::verifier::verify(&module).expect("it is valid");
    let value = |number: usize| match &module.globals[number].initial {
        GlobalInitial::Expression(expression) => expression.evaluate(|_| 7, |_| unreachable!()),
        other => panic!("{other:?}"),
    };
    assert_eq!([value(1), value(2), value(3)], [35, 6, 0xffff_ffff]);
    // As deep as it likes.
    let deep = format!("global g0: i32 = (1{})", " 1 i32.add".repeat(200_000));
    assert!(osr_ir::verifier::verify(&parse(&deep)).is_ok());
}

#[test]
fn numbers_are_read_as_in_webassembly() {
    assert_eq!(constant("i32", "0xffffffff"), Value::I32(-1));
    assert_eq!(constant("i32", "4294967295"), Value::I32(-1));
    assert_eq!(constant("i32", "-0x80000000"), Value::I32(i32::MIN));
    assert_eq!(constant("i64", "18446744073709551615"), Value::I64(-1));
    assert_eq!(constant("f32", "1"), Value::F32(1f32.to_bits()));
    assert_eq!(constant("f32", "0.1"), Value::F32(0.1f32.to_bits()));
    assert_eq!(constant("f64", "2.5E+3"), Value::F64(2500f64.to_bits()));
    assert_eq!(constant("f64", "-0.0"), Value::F64(1 << 63));
    assert_eq!(constant("f32", "nan"), Value::F32(0x7fc0_0000));
    assert_eq!(constant("f32", "-nan"), Value::F32(0xffc0_0000));
    assert_eq!(constant("f32", "nan:0x7fffff"), Value::F32(0x7fff_ffff));
    assert_eq!(constant("f64", "nan:0x1"), Value::F64(0x7ff0_0000_0000_0001));
    assert_eq!(constant("f32", "-inf"), Value::F32(0xff80_0000));
}

#[test]
fn points_are_printed_as_comments() {
    let source = "\
function count (r0: i32) -> (i32) {
  r1: i32, r2: i32
b0:
  r1 = i32.const 1
  jump b1
b1:
  r0 = i32.sub r0, r1
  r2 = i32.div_u r0, r1
  r2 = call count (r2)
  branch r0, b1, b2
b2:
  return r2
}
";
    let module = parse(source);
    let with_points = text::print_with_points(&module);
    assert_eq!(with_points, text::print_function(&module, FunctionIndex::new(0)));
    assert_eq!(parse(&with_points), module);
    let comments: Vec<&str> =
        with_points.lines().filter_map(|line| line.split_once("; ")).map(|(_, c)| c).collect();
    assert_eq!(
        comments,
        [
            "p0 entry, live: r0",
            "p1 loop header, live: r0, r1",
            "p2 trap, live: r0, r1",
            "p3 after call, live: r0, r1, r2",
        ]
    );
    let body = module.functions[0].body().unwrap();
    assert!(text::print_body(&module, body).starts_with("  r0: i32, r1: i32, r2: i32\nb0:"));
}

#[test]
fn large_inputs_do_not_overflow_the_stack() {
    let lists = "(".repeat(100_000);
    assert!(text::parse(&lists).is_err());
    let blocks: String = (0..100_000).map(|i| format!("b{i}: jump b{}\n", i + 1)).collect();
    let module = parse(&format!("function f () {{ {blocks} b100000: return }}"));
    assert_eq!(verify(&module), Ok(()));
    assert_eq!(parse(&text::print_with_points(&module)), module);
}

#[test]
fn any_name_can_name_a_function() {
    for name in ["null", "import", "g0", "inf", "nan", "r0", "b0", "at", "function", "a b", "\\22\\5c\\0a"] {
        let module = parse(&format!(
            "global g0: funcref = \"{name}\" global g1: i32 = 0 table t0: 1
             element e0 t0 at g1 [\"{name}\", g0, null]
             import \"{name}\" () = \"\" \"\" export \"\" function \"{name}\" start \"{name}\"
             function caller (r0: i32) {{ r1: funcref b0: r1 = ref.func \"{name}\" call \"{name}\" () return }}"
        ));
        assert_eq!(verify(&module), Ok(()));
        assert_eq!(parse(&text::print(&module)), module, "{name}");
    }
}
