//! Calls: many arguments and results, through tables, to the host, and switches.

use super::{invoke, thread_of};

/// A function of `count` parameters that returns them backwards, and one that calls it twice, so that
/// they come out as they went in.
fn reversing(count: usize) -> String {
    let list = |items: Vec<String>| items.join(", ");
    let types = list(vec!["i64".to_owned(); count]);
    let parameters = list((0..count).map(|n| format!("r{n}: i64")).collect());
    let forwards = list((0..count).map(|n| format!("r{n}")).collect());
    let backwards = list((0..count).rev().map(|n| format!("r{n}")).collect());
    format!(
        "signature s0 ({types}) -> ({types})
export \"twice\" function twice
export \"swap\" function swap
function swap ({parameters}) -> ({types}) {{
b0:
  return {backwards}
}}
function twice ({parameters}) -> ({types}) {{
b0:
  {backwards} = call swap ({forwards})
  {forwards} = call swap ({backwards})
  return {forwards}
}}
"
    )
}

#[test]
fn many_arguments_and_results() {
    for count in [2, 6, 7, 8, 14, 15, 40] {
        let thread = thread_of(&reversing(count));
        let arguments: Vec<u64> = (100..100 + count as u64).collect();
        let backwards: Vec<u64> = arguments.iter().rev().copied().collect();
        assert_eq!(invoke(&thread, "swap", &arguments), Ok(backwards), "{count}");
        assert_eq!(invoke(&thread, "twice", &arguments), Ok(arguments), "{count}");
    }
}

#[test]
fn calls_of_the_host_directly_and_through_a_table() {
    let source = r#"
signature s0 (i32, i32) -> (i32)
table t0: 2
element e0 t0 at 0 [host_add, own_add]
import "host_add" (i32, i32) -> (i32) = "env" "add"
export "sum" function sum
function own_add (r0: i32, r1: i32) -> (i32) {
b0:
  r0 = i32.add r0, r1
  return r0
}
function sum (r0: i32, r1: i32) -> (i32) {
  r2: i32, r3: i32, r4: i32
b0:
  r2 = i32.const 0
  r3 = call_indirect t0 (i32, i32) -> (i32) [r2] (r0, r1)
  r2 = i32.const 1
  r4 = call_indirect t0 (i32, i32) -> (i32) [r2] (r0, r1)
  r3 = i32.mul r3, r4
  r4 = call host_add (r3, r2)
  return r4
}
"#;
    let thread = thread_of(source);
    assert_eq!(invoke(&thread, "sum", &[3, 4]), Ok(vec![50]));
}

#[test]
fn a_switch_takes_its_default_beyond_the_targets() {
    let source = r#"
signature s0 (i32) -> (i32)
export "pick" function pick
function pick (r0: i32) -> (i32) {
b0:
  switch r0, [b1, b2], b3
b1:
  r0 = i32.const 10
  return r0
b2:
  r0 = i32.const 20
  return r0
b3:
  r0 = i32.const 30
  return r0
}
"#;
    let thread = thread_of(source);
    for (index, expected) in [(0, 10), (1, 20), (2, 30), (0xffff_ffff, 30)] {
        assert_eq!(invoke(&thread, "pick", &[index]), Ok(vec![expected]));
    }
}
