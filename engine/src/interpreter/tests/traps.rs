//! Every way to trap, with the function and point that it is reported for.

use osr_ir::TrapKind::{self, *};

use super::{invoke, thread_of};

const MODULE: &str = r#"
signature s0 (i32) -> (i32)
signature s1 ()
memory 1 2
table t0: 4
data d0 passive "abc"
element e0 t0 at 1 [identity, nothing]
import "host" () = "env" "fail"
export "unreachable" function unreachable_
export "divide" function divide
export "load" function load
export "fill" function fill
export "init" function init
export "table_get" function table_get
export "indirect" function indirect
export "host" function calls_host
function identity (r0: i32) -> (i32) {
b0:
  return r0
}
function nothing () {
b0:
  return
}
function unreachable_ (r0: i32) {
b0:
  branch r0, b1, b2
b1:
  unreachable
b2:
  return
}
function divide (r0: i32, r1: i32) -> (i32) {
  r2: i32
b0:
  r2 = i32.const 1
  r0 = i32.mul r0, r2
  r0 = i32.div_s r0, r1
  return r0
}
function load (r0: i32) -> (i64) {
  r1: i64
b0:
  r1 = i64.load r0 + 4
  r1 = i64.load r0 + 4294967295
  return r1
}
function fill (r0: i32, r1: i32) {
b0:
  memory.fill r0, r1, r1
  return
}
function init (r0: i32) {
  r1: i32
b0:
  r1 = i32.const 0
  memory.init d0, r1, r1, r0
  data.drop d0
  memory.init d0, r1, r1, r0
  return
}
function table_get (r0: i32) -> (funcref) {
  r1: funcref
b0:
  r1 = table.get t0, r0
  return r1
}
function indirect (r0: i32) -> (i32) {
  r1: i32
b0:
  r1 = call_indirect t0 (i32) -> (i32) [r0] (r0)
  return r1
}
function calls_host () {
b0:
  call host ()
  return
}
"#;

fn check(name: &str, arguments: &[u64], kind: TrapKind, function: &str, point: usize) {
    let thread = thread_of(MODULE);
    let expected = (kind, function.to_owned(), osr_ir::Point::new(point));
    assert_eq!(invoke(&thread, name, arguments), Err(expected), "{name} {arguments:?}");
}

#[test]
fn each_kind_of_trap_at_its_point() {
    check("unreachable", &[1], Unreachable, "unreachable_", 1);
    check("divide", &[1, 0], IntegerDivideByZero, "divide", 1);
    check("divide", &[0x8000_0000, 0xffff_ffff], IntegerOverflow, "divide", 1);
    check("load", &[65_525], MemoryOutOfBounds, "load", 1);
    check("load", &[65_524], MemoryOutOfBounds, "load", 2);
    check("load", &[0xffff_ffff], MemoryOutOfBounds, "load", 1);
    check("fill", &[1, 65_536], MemoryOutOfBounds, "fill", 1);
    check("init", &[4], MemoryOutOfBounds, "init", 1);
    check("init", &[1], MemoryOutOfBounds, "init", 3);
    check("table_get", &[4], TableOutOfBounds, "table_get", 1);
    check("indirect", &[4], UndefinedElement, "indirect", 1);
    check("indirect", &[0], UninitializedElement, "indirect", 1);
    check("indirect", &[2], IndirectCallTypeMismatch, "indirect", 1);
    check("host", &[], HostError, "host", 0);
}

#[test]
fn what_is_in_bounds_does_not_trap() {
    let thread = thread_of(MODULE);
    assert_eq!(invoke(&thread, "unreachable", &[0]), Ok(vec![]));
    assert_eq!(invoke(&thread, "divide", &[7, 2]), Ok(vec![3]));
    assert_eq!(invoke(&thread, "fill", &[0, 65_536]), Ok(vec![]));
    assert_eq!(invoke(&thread, "init", &[0]), Ok(vec![]));
    assert_eq!(invoke(&thread, "indirect", &[1]), Ok(vec![1]));
    assert_eq!(invoke(&thread, "table_get", &[0]), Ok(vec![0]));
}

#[test]
fn endless_recursion_exhausts_the_stack_and_leaves_the_thread_usable() {
    let source = r#"
signature s0 (i32) -> (i32)
signature s1 (i64, i64) -> (i64)
import "host_back" (i32) -> (i32) = "env" "back"
export "down" function down
export "back" function back
function down (r0: i32) -> (i32) {
  r1: i32
b0:
  branch r0, b1, b2
b1:
  r1 = i32.const 1
  r0 = i32.sub r0, r1
  r0 = call down (r0)
  r0 = i32.add r0, r1
  return r0
b2:
  return r0
}
function back (r0: i32) -> (i32) {
b0:
  r0 = call host_back (r0)
  return r0
}
"#;
    let thread = thread_of(source);
    let top = thread.values().top();
    let exhausted = |name: &str| Err((StackExhausted, name.to_owned(), osr_ir::Point::new(0)));
    assert_eq!(invoke(&thread, "down", &[0xffff_ffff]), exhausted("down"));
    assert_eq!(thread.values().top(), top);
    assert_eq!(invoke(&thread, "down", &[1000]), Ok(vec![1000]));
    let answer = invoke(&thread, "back", &[1]);
    assert!(matches!(answer, Err((StackExhausted, ..))), "{answer:?}");
    assert_eq!(thread.values().top(), top);
    assert_eq!(invoke(&thread, "down", &[1000]), Ok(vec![1000]));
}
