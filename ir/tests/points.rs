//! Points and liveness of small bodies, by hand.

use osr_ir::{Block, Body, Liveness, Points, text};

/// The body of the only function of `source`.
fn body(source: &str) -> Body {
    let module = text::parse(source).unwrap_or_else(|error| panic!("{error}\n{source}"));
    module.functions[0].body().expect("the function is defined").clone()
}

/// Each point of `body`: its number, kind, position and live registers.
fn describe(body: &Body) -> Vec<String> {
    let points = Points::of(body);
    let liveness = Liveness::of(body, &points);
    let line = |(point, kind, position)| format!("{point} {kind:?} {position} {:?}", liveness.at(point));
    points.iter().map(line).collect()
}

#[test]
fn straight_code() {
    let body = body(
        "memory 1 function f (r0: i32, r1: i32) -> (i32) {
           r2: i32
         b0:
           i32.store r0, r1
           r2 = call f (r0, r0)
           r2 = i32.add r2, r1
           r2 = i32.div_s r2, r0
           return r2 }",
    );
    assert_eq!(
        describe(&body),
        [
            "p0 Entry b0:0 [r0, r1]",
            "p1 Trap b0:0 [r0, r1]",
            "p2 AfterCall b0:1 [r0, r1, r2]",
            "p3 Trap b0:3 [r0, r2]",
        ]
    );
}

#[test]
fn a_result_that_overwrites_an_argument() {
    let body = body("function f (r0: i32) -> (i32) { b0: r0 = call f (r0) r0 = call f (r0) unreachable }");
    assert_eq!(
        describe(&body),
        ["p0 Entry b0:0 [r0]", "p1 AfterCall b0:0 [r0]", "p2 AfterCall b0:1 []", "p3 Trap b0:2 []"]
    );
}

#[test]
fn nested_loops() {
    let body = body(
        "function f (r0: i32, r1: i32) -> (i32) {
           r2: i32
         b0: r2 = i32.const 0 jump b1
         b1: r2 = copy r1 jump b2
         b2: r2 = i32.sub r2, r0 branch r2, b2, b3
         b3: r0 = i32.sub r0, r1 branch r0, b1, b4
         b4: return r2 }",
    );
    assert_eq!(
        describe(&body),
        ["p0 Entry b0:0 [r0, r1]", "p1 LoopHeader b1:0 [r0, r1]", "p2 LoopHeader b2:0 [r0, r1, r2]"]
    );
    let points = Points::of(&body);
    assert_eq!(points.header(Block::new(1)), Some(osr_ir::Point::new(1)));
    assert_eq!(points.header(Block::new(3)), None);
}

#[test]
fn an_irreducible_cycle_has_a_header() {
    let body = body(
        "function f (r0: i32) { b0: branch r0, b1, b2 b1: branch r0, b2, b3 b2: branch r0, b1, b3 b3: return }",
    );
    let points = Points::of(&body);
    let headers: Vec<bool> = body.block_indices().map(|block| points.header(block).is_some()).collect();
    assert_eq!(headers.iter().filter(|is_header| **is_header).count(), 1);
    assert!(headers[1] || headers[2]);
}

#[test]
fn unreachable_blocks_have_points_but_are_no_loops() {
    let body = body("function f () { b0: return b1: call f () jump b1 }");
    assert_eq!(describe(&body), ["p0 Entry b0:0 []", "p1 AfterCall b1:0 []"]);
}

#[test]
fn points_are_found_by_position() {
    let body = body("function f (r0: i32) { b0: call f (r0) r0 = copy r0 call f (r0) unreachable }");
    let points = Points::of(&body);
    let at = |index| points.at(Block::new(0), index).map(|point| point.index());
    assert_eq!([at(0), at(1), at(2), at(3), at(4)], [Some(1), None, Some(2), Some(3), None]);
    assert_eq!(points.len(), 4);
    assert!(points.contains(osr_ir::Point::new(3)) && !points.contains(osr_ir::Point::new(4)));
}

#[test]
fn exits_of_guards_come_last() {
    let body = body(
        "function f (r0: i32, r1: i32) -> (i32) {
         b0: guard r0, b1 else b3
         b1: r0 = call f (r0, r1) branch r0, b2, b1
         b2: guard r1, b4 else b1
         b3: return r1
         b4: return r0 }",
    );
    let described = describe(&body);
    assert_eq!(
        described,
        [
            "p0 Entry b0:0 [r0, r1]",
            "p1 LoopHeader b1:0 [r0, r1]",
            "p2 AfterCall b1:0 [r0, r1]",
            // A loop header, too: arriving there comes after the exit.
            "p3 Guard b1:0 [r0, r1]",
            "p4 Guard b3:0 [r1]",
        ]
    );
    let speculative = Points::speculative(&body);
    let points = Points::of(&body);
    assert!(points.iter().all(|point| speculative.iter().any(|other| other == point)), "the same numbers");
    let added: Vec<_> =
        speculative.iter().skip(points.len()).map(|(_, _, position)| position.block).collect();
    // The sides of the branch, and where the guards go that hold, without what there is already; the beginning.
    assert_eq!(added, [2, 4, 0].map(Block::new));
}
