//! Resuming a function by hand at the points where constants and comparisons were fused.

use osr_ir::{FunctionIndex, Point};

use super::{invoke, resume, thread_of};

const MODULE: &str = r#"
signature s0 (i32) -> (i32)
export "sum" function sum
function sum (r0: i32) -> (i32) {
  r1: i32, r2: i32, r3: i32
b0:
  r1 = i32.const 0
  r2 = i32.const 5
  jump b1
b1:
  r1 = i32.add r1, r2
  r1 = call twice (r1)
  r1 = i32.add r1, r2
  r3 = i32.const 1
  r0 = i32.sub r0, r3
  branch r0, b1, b2
b2:
  return r1
}
function twice (r0: i32) -> (i32) {
b0:
  r0 = i32.add r0, r0
  return r0
}
"#;

fn expected(mut left: u32, mut sum: u32) -> Vec<u64> {
    while left > 0 {
        sum = (sum + 5) * 2 + 5;
        left -= 1;
    }
    vec![u64::from(sum)]
}

#[test]
fn constants_that_are_live_are_in_the_window_at_each_point() {
    let thread = thread_of(MODULE);
    let function = FunctionIndex::new(0);
    let points = &thread.instance().analysis(function).points;
    assert_eq!(points.len(), 3, "entry, loop header, call");
    assert_eq!(invoke(&thread, "sum", &[3]), Ok(expected(3, 0)));
    let at = |point, state: &[(usize, u64)]| resume(&thread, function, Point::new(point), state).unwrap();
    assert_eq!(at(0, &[(0, 3)]), expected(3, 0));
    assert_eq!(at(1, &[(0, 2), (1, 7), (2, 5)]), expected(2, 7));
    assert_eq!(at(2, &[(0, 2), (1, 24), (2, 5)]), expected(1, 29));
}
