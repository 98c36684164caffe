//! Passages: blocks where the interpreter charges a long way that no arrival stands for.
//!
//! An arrival is charged the way from there to the next one, every branch being taken half the time ([`Work`]). In a long
//! cascade of tests, of which nearly all lead to the next, hundreds of times as much is executed, and the function
//! would stay interpreted while it takes most of the program's time. So where the shortest way to a block is long, beyond
//! what was charged, the interpreter charges it there. Never is more charged than is executed.

use osr_ir::point::reverse_postorder;
use osr_ir::{Block, Body, Points};

use super::Work;
use super::work::length;

/// Instructions, beyond those that an arrival stands for, after which a way is charged.
const LONG: i64 = 128;

/// The blocks of `body` where a way is charged that was executed to get there, with its instructions. None of small bodies, for
/// which it makes no difference.
pub(crate) fn passages<'w>(
    body: &Body,
    points: &Points,
    work: impl FnOnce() -> &'w Work,
) -> Vec<(Block, u32)> {
    let mut passages = Vec::new();
    if (body.instruction_count() as i64) < 4 * LONG {
        return passages;
    }
    let work = work();
    let charged_to = |block| -i64::from(work.path(block));
    // Per block, the instructions of the shortest way there from an arrival or a passage, without what that was charged.
    let mut ways = vec![i64::MAX; body.blocks.len()];
    let entry = Block::new(Body::ENTRY);
    ways[entry.index()] = charged_to(entry);
    for block in reverse_postorder(body) {
        let mut way = match points.header(block) {
            Some(_) => charged_to(block),
            None => ways[block.index()],
        };
        if way >= LONG {
            passages.push((block, way as u32));
            way = 0;
        }
        let onward = way + i64::from(length(body, block));
        body.block(block).terminator.each_successor(|successor| {
            let way = &mut ways[successor.index()];
            *way = onward.min(*way);
        });
    }
    passages
}

#[cfg(test)]
mod tests {
    use osr_compiler::Analysis;
    use osr_ir::{FunctionIndex, wasm};

    use super::*;

    /// What is charged in a function of a thousand times `step`.
    fn charged(step: &str) -> (u64, u32) {
        let steps = step.repeat(1_000);
        let module = format!("(module (func (param $x i32) (local $y i32) (block $out {steps})))");
        let module = wasm::import_text(&module).expect("it is valid");
        let body = module.function(FunctionIndex::new(0)).body().expect("it is defined");
        let Analysis { points, .. } = Analysis::of(body);
        let work = Work::of(body, &points);
        let charged = passages(body, &points, || &work).iter().map(|&(_, work)| u64::from(work)).sum();
        (charged, work.path(Block::new(Body::ENTRY)))
    }

    #[test]
    fn a_cascade_is_charged_as_far_as_it_is_executed() {
        let (passages, arrival) = charged("(br_if $out (i32.eq (local.get $x) (i32.const 7)))");
        assert!(arrival < 20, "the average way leaves soon: {arrival}");
        assert!(passages > 1_800, "two instructions for each test: {passages}");
    }

    #[test]
    fn what_the_arrival_stands_for_is_not_charged_twice() {
        let (passages, arrival) = charged(
            "(if (local.get $x) (then (local.set $y (i32.const 1))) (else (local.set $y (i32.const 2))))",
        );
        assert!(arrival > 1_000, "all ways lead to the end: {arrival}");
        assert_eq!(passages, 0);
    }
}
