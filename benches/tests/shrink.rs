//! Defects that only show with guards, redefinitions and inlined frames are found, and made small.

mod support;

use serde_json::Value;
use support::{Scratch, osr_bench};

/// `sum` has a guard in its loop, which holds until it is made to fail.
const GUARDED: &str = "
export \"sum\" function sum
function sum (r0: i32) -> (i32) {
  r1: i32, r2: i32
b0:
  r1 = i32.const 0
  jump b1
b1:
  r1 = i32.add r1, r0
  r2 = i32.const 1
  guard r2, b2 else b3
b2:
  r0 = i32.sub r0, r2
  branch r0, b1, b3
b3:
  return r1
}
";

/// `sum` has another body, to which its activations are carried at two calls, and back.
const REDEFINED: &str = "
export \"sum\" function sum
function step (r0: i32) -> (i32) {
b0:
  return r0
}
function sum (r0: i32) -> (i32) {
  r1: i32, r2: i32
b0:
  r1 = i32.const 0
  jump b1
b1:
  r2 = call step (r0)
  r1 = i32.add r1, r2
  r2 = i32.const 1
  r0 = i32.sub r0, r2
  branch r0, b1, b2
b2:
  return r1
}
body twice of sum (r0: i32) -> (i32) {
  r1: i32, r2: i32
b0:
  r1 = i32.const 0
  jump b1
b1:
  r2 = call step (r0)
  r1 = i32.add r1, r2
  r1 = i32.add r1, r2
  r2 = i32.const 1
  r0 = i32.sub r0, r2
  branch r0, b1, b2
b2:
  return r1
}
map sum to twice { p1 to p1: r0 = r0, r1 = r1 }
map twice to sum { p1 to p1: r0 = r0, r1 = r1 }
at 9 redefine sum to twice carry
at 15 redefine sum to sum carry
at 22 invalidate
";

/// `sum` calls `middle` calls `leaf`, which are inlined: its frames stand for several activations when the host invalidates
/// them.
const INLINED: &str = "
import act () = \"env\" \"invalidate\"
export \"sum\" function sum
function leaf (r0: i32) -> (i32) {
b0:
  call act ()
  return r0
}
function middle (r0: i32, r1: i32) -> (i32) {
  r2: i32
b0:
  r2 = call leaf (r0)
  r2 = i32.add r2, r1
  return r2
}
function sum (r0: i32) -> (i32) {
  r1: i32, r2: i32
b0:
  r1 = i32.const 0
  jump b1
b1:
  r1 = call middle (r0, r1)
  r2 = i32.const 1
  r0 = i32.sub r0, r2
  branch r0, b1, b2
b2:
  return r1
}
";

/// Runs `program` with `options`: it is right, but not with `defect`. What shrinks of the latter is reported, and reproduced.
fn shrunk(name: &str, program: &str, defect: &str, options: &[&str]) -> (Value, String) {
    let scratch = Scratch::new(name);
    let file = scratch.file("program.ir", program);
    let call = [&[&*file, "30", "--invoke", "sum"], options].concat();
    let planted = ["--plant-defect", defect];
    let good = osr_bench(&[&["run"], &call[..], &["--verify"]].concat());
    assert_eq!(good.code, 0, "{name}: {}", good.stderr);
    let bad = osr_bench(&[&["run"], &call[..], &["--verify"], &planted].concat());
    assert_eq!(bad.code, 3, "{name}: {}", bad.stderr);
    let stem = scratch.path("small");
    let shrink = ["shrink", "--output", &stem, "--json", "--seconds", "600"];
    let done = osr_bench(&[&shrink[..], &planted, &call].concat());
    assert_eq!(done.code, 0, "{name}: {}", done.stderr);
    let report: Value = serde_json::from_str(&done.stdout).expect("JSON");
    let command: Vec<&str> = report["command"].as_str().unwrap().split(' ').skip(1).collect();
    assert_eq!(osr_bench(&command).code, 3, "{command:?}");
    let text = std::fs::read_to_string(format!("{stem}.ir")).expect("it was written");
    (report, text)
}

#[track_caller]
fn is_small((report, text): (Value, String), entries: u64, instructions: u64) -> String {
    let after = |what: &str| report["after"][what].as_u64().unwrap();
    assert!(after("entries") <= entries && after("instructions") <= instructions, "{report}\n{text}");
    report["command"].as_str().unwrap().to_owned()
}

const AUTO: [&str; 4] = ["--threshold", "3", "--optimize-threshold", "8"];

#[test]
fn a_defect_at_guards_is_shrunk() {
    let options = ["--tier", "optimized", "--stress", "guard=3", "--speculate", "branch,argument"];
    let found = shrunk("shrink-guards", GUARDED, "sum:1:guards", &options);
    let text = found.1.clone();
    let command = is_small(found, 1, 8);
    assert!(text.contains("guard r") && !command.contains("--speculate"), "{command}\n{text}");
}

#[test]
fn a_defect_of_a_body_that_is_redefined_is_shrunk() {
    let options = ["--stress", "hijack=3", "--stress", "land=optimized"];
    let found = shrunk("shrink-carried", REDEFINED, "twice:1", &[&AUTO[..], &options].concat());
    let text = found.1.clone();
    is_small(found, 3, 16);
    let steps: Vec<&str> = text.lines().filter(|line| line.starts_with("at ")).collect();
    assert!(matches!(*steps, [step] if step.contains("redefine sum to twice")), "{text}");
}

#[test]
fn a_defect_of_frames_of_several_activations_is_shrunk() {
    let options = ["--tier", "optimized", "--inline", "on"];
    let command = is_small(shrunk("shrink-inlined", INLINED, "sum:4:chains", &options), 0, 8);
    assert!(!command.contains("--inline off"), "{command}");
}
