//! Frame states in text: they read back as they were printed, and what is wrong with one is named.

use osr_ir::{Instruction, Terminator, text, verifier};

/// A module in which `f` becomes what stands between the braces.
fn module(frames: &str) -> String {
    format!(
        "import tick () = \"env\" \"tick\"
function f (r0: i32, r1: i64) -> (i64) {{
  r2: i32
b0:
  r2 = i32.eqz r0
  guard r2, b1 else b2
b1:
  return r1
b2:
  deoptimize {{ {frames} }}
}}
body other of f (r0: i32, r1: i64) -> (i64) {{
  r2: i32, r3: i64
b0:
  r3 = call g (r0)
  r3 = i64.add r3, r1
  return r3
}}
function g (r0: i32) -> (i64) {{
  r1: i64
b0:
  r1 = i64.extend_i32_u r0
  return r1
}}
function wide (r0: i32) -> (i64) {{
  r1: v128, r2: i64
b0:
  r2 = i64.const 1
  return r2
}}
function traps (r0: i32) -> (i32) {{
b0:
  r0 = i32.load r0
  return r0
}}
function cut (r0: i32) -> (i64) {{
  r1: i64
b0:
  r1 = i64.const 1
  return r1
b1:
  r1 = call g (r0)
  return r1
}}
memory 1
"
    )
}

#[test]
fn frames_read_back() {
    let source = module("g p0: r0 = (r0 i32.const 1 i32.add) other p1: r1 = r1");
    let parsed = text::parse(&source).expect("a module");
    verifier::verify(&parsed).expect("it is well formed");
    let body = parsed.functions[1].body().expect("it is defined");
    let block = &body.blocks[2];
    assert_eq!(block.instructions, [Instruction::Interpret], "it goes without saying");
    let Terminator::Deoptimize { frames } = &block.terminator else { panic!("{:?}", block.terminator) };
    assert_eq!(frames.len(), 2);
    let printed = text::print(&parsed);
    assert_eq!(text::parse(&printed).expect("what is printed can be read"), parsed);
    assert!(
        printed.contains("    g p0: r0 = (r0 i32.const 1 i32.add)\n    other p1: r1 = r1\n  }"),
        "{printed}"
    );
}

#[test]
fn refusals_say_what_and_where() {
    let at = "function `f`, b2:1: ";
    let refused = [
        ("", "`deoptimize` leads to no frame"),
        ("tick p0", "frame 0, `tick` p0: there is no such body"),
        ("g p9: r0 = r0", "frame 0, `g` p9: that body has no such point"),
        ("traps p1: r0 = r0", "frame 0, `traps` p1: that is a point at which execution does not resume"),
        (
            "traps p0: r0 = r0",
            "frame 0, `traps` p0: it returns other results than the function that deoptimizes",
        ),
        ("g p0: r0 = r0 cut p1", "frame 1, `cut` p1: control never gets to that point of its body"),
        ("wide p0", "frame 0, `wide` p0: a body has registers of type v128, of which no frame can be made"),
        ("g p0", "frame 0, `g` p0: r0 of the new body is live at p0, and has no value"),
        ("g p0: r0 = r1", "frame 0, `g` p0: the value of r0 has type i64, not i32"),
        ("g p0: r0 = r0, r0 = r2", "frame 0, `g` p0: r0 of the new body has two values"),
        ("g p0: r7 = r0", "frame 0, `g` p0: the new body has no r7"),
        (
            "g p0: r0 = (r0 r0 i32.div_s)",
            "frame 0, `g` p0: the value of r0 may trap: `i32.div_s` does for some operands",
        ),
        (
            "g p0: r0 = r0 other p0: r0 = r0, r1 = r1",
            "frame 1, `other` p0: it does not wait there for what the frame before is of: that is not behind a call of `g`",
        ),
        (
            "traps p0: r0 = r0 other p1: r1 = r1",
            "frame 1, `other` p1: it does not wait there for what the frame before is of: that is not behind a call of `traps`",
        ),
        (
            "g p0: r0 = r0 other p1: r1 = r1, r3 = r1",
            "frame 1, `other` p1: r3 is what the call returns that the frame waits for, and needs no value",
        ),
        ("g p0: r0 = r0 other p1", "frame 1, `other` p1: r1 of the new body is live at p1, and has no value"),
    ];
    for (frames, expected) in refused {
        let parsed = text::parse(&module(frames)).expect("it can be read");
        let error = verifier::verify(&parsed).expect_err(frames).to_string();
        assert_eq!(error, format!("{at}{expected}"), "{frames}");
    }
}

#[test]
fn what_is_not_there_or_not_assigned_is_not_read() {
    let error = |source: &str| {
        let parsed = text::parse(source).expect("it can be read");
        verifier::verify(&parsed).expect_err(source).to_string()
    };
    let unknown = module("g p0: r0 = r8");
    assert_eq!(error(&unknown), "function `f`, b2:1: there is no register r8");
    let unassigned = module("g p0: r0 = r2").replace("b0:\n  r2 = i32.eqz r0\n  guard r2", "b0:\n  guard r0");
    assert_eq!(error(&unassigned), "function `f`, b2:1: r2 may be read before it is assigned");
}

#[test]
fn code_of_functions_is_invalidated_by_the_script() {
    let source = module("g p0: r0 = r0") + "at 3 invalidate of f, g\nat 4 invalidate\n";
    let parsed = text::parse(&source).expect("a module");
    verifier::verify(&parsed).expect("it is well formed");
    assert_eq!(text::parse(&text::print(&parsed)).expect("it reads back"), parsed);
    for (function, why) in
        [("tick", "it is imported"), ("other", "it is a further body of a function: name the function")]
    {
        let parsed =
            text::parse(&(source.clone() + "at 9 invalidate of " + function)).expect("it can be read");
        let error = verifier::verify(&parsed).expect_err(function).to_string();
        assert_eq!(error, format!("script: code of `{function}` cannot be invalidated: {why}"));
    }
}
