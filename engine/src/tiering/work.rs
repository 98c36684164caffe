//! Work: how many instructions of a body a count of arrivals stands for, and how many a unit has.
//!
//! Arrivals at entries and loop headers are counted, and [passages](super::passage) through long ways. What is executed between one arrival and the next is
//! estimated: every way a branch can go is taken for equally likely. So a loop around a switch with a hundred thousand
//! cases is charged one case for each iteration, not all of them.

use std::sync::OnceLock;

use osr_ir::{Block, Body, Point, PointKind, Points};

/// The work in a body, in instructions of the IR.
#[derive(Debug)]
pub(crate) struct Work {
    /// Of the whole body.
    instructions: u32,
    /// Per block, those that are executed from its beginning to the next arrival, on average.
    paths: Box<[u32]>,
    /// Per block, those that can be reached from it, at most: counted on first use.
    reached: OnceLock<Box<[u32]>>,
    /// Those that optimizing adds: estimated on first use.
    growth: OnceLock<u32>,
}

impl Work {
    /// That of `body`, whose points are `points`.
    pub(crate) fn of(body: &Body, points: &Points) -> Work {
        let mut paths = vec![0; body.blocks.len()];
        for &block in points.reverse_postorder().iter().rev() {
            let mut ways = 0;
            let mut sum = 0;
            body.block(block).terminator.each_successor(|successor| {
                ways += 1;
                // At a header the next arrival begins.
                sum += points.header(successor).map_or(u64::from(paths[successor.index()]), |_| 0);
            });
            let onward = sum.checked_div(ways).unwrap_or(0) as u32;
            paths[block.index()] = onward.saturating_add(length(body, block));
        }
        Work {
            instructions: body.instruction_count() as u32,
            paths: paths.into(),
            reached: OnceLock::new(),
            growth: OnceLock::new(),
        }
    }

    /// Instructions that are executed from the beginning of `block` to the next arrival, on average.
    pub(super) fn path(&self, block: Block) -> u32 {
        self.paths[block.index()]
    }

    /// Instructions of the whole body.
    pub(crate) fn instructions(&self) -> u32 {
        self.instructions
    }

    /// Instructions that optimizing adds, about, as `estimate` says when it is first asked.
    pub(crate) fn growth(&self, estimate: impl FnOnce() -> u32) -> u32 {
        *self.growth.get_or_init(estimate)
    }

    /// Instructions that an arrival at `point` stands for.
    pub(crate) fn of_arrival(&self, points: &Points, point: Point) -> u32 {
        let path = self.paths[points.position(point).block.index()];
        if points.kind(point) == PointKind::Entry { path.saturating_add(CALL) } else { path }
    }

    /// Instructions of a continuation that is entered at `point`: those that can be reached from there, at most.
    pub(crate) fn reached_from(&self, body: &Body, points: &Points, point: Point) -> u32 {
        if points.kind(point) == PointKind::Entry {
            return self.instructions;
        }
        self.reached.get_or_init(|| reached(body))[points.position(point).block.index()]
    }
}

/// Instructions that take as long as a call and a return.
const CALL: u32 = 10;

/// Instructions of `block`, its end included.
pub(super) fn length(body: &Body, block: Block) -> u32 {
    body.block(block).instructions.len() as u32 + 1
}

/// Per block, how many instructions can be reached from it, at most: those of its strongly connected component, and of all
/// that come after that in a topological order. That takes linear time for all blocks together, which counting what each
/// reaches does not. Too many are counted where control could have gone another way before: the other arm of a branch.
fn reached(body: &Body) -> Box<[u32]> {
    let mut reached = vec![0; body.blocks.len()];
    let mut count = 0u32;
    // Those that others lead to come first.
    each_component(body, |component| {
        count = component.iter().fold(count, |count, &block| count.saturating_add(length(body, block)));
        component.iter().for_each(|block| reached[block.index()] = count);
    });
    reached.into()
}

/// Visits the strongly connected components of the blocks that the entry reaches, each after those that it leads to
/// (Tarjan, "Depth-first search and linear graph algorithms", 1972).
fn each_component(body: &Body, mut visit: impl FnMut(&[Block])) {
    let successors = |block: Block| {
        let mut list = Vec::new();
        body.block(block).terminator.each_successor(|successor| list.push(successor));
        list
    };
    let entry = Block::new(Body::ENTRY);
    // Per block: the order in which blocks are met, from 1; the lowest that is known to be reached and is open.
    let (mut met, mut lowest) = (vec![0u32; body.blocks.len()], vec![0u32; body.blocks.len()]);
    let mut is_closed = vec![false; body.blocks.len()];
    // The blocks of components that are not complete; the path that leads to the current block.
    let (mut open, mut path) = (vec![entry], vec![(entry, successors(entry))]);
    let mut count = 1;
    (met[entry.index()], lowest[entry.index()]) = (count, count);
    while let Some((block, rest)) = path.last_mut() {
        let block = *block;
        let Some(next) = rest.pop() else {
            path.pop();
            if let Some(&(before, _)) = path.last() {
                lowest[before.index()] = lowest[before.index()].min(lowest[block.index()]);
            }
            if lowest[block.index()] == met[block.index()] {
                let first =
                    open.iter().rposition(|&other| other == block).expect("a block that was met is open");
                open[first..].iter().for_each(|other| is_closed[other.index()] = true);
                visit(&open[first..]);
                open.truncate(first);
            }
            continue;
        };
        if met[next.index()] == 0 {
            count += 1;
            (met[next.index()], lowest[next.index()]) = (count, count);
            open.push(next);
            path.push((next, successors(next)));
        } else if !is_closed[next.index()] {
            lowest[block.index()] = lowest[block.index()].min(met[next.index()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use osr_compiler::Analysis;
    use osr_ir::{FunctionIndex, PointKind, wasm};

    use super::{CALL, Work};

    #[test]
    fn an_iteration_is_charged_one_way_through_it_and_a_continuation_what_it_reaches() {
        let module = wasm::import_text(
            r#"(module (func (param i32) (result i32)
                 (local.set 0 (i32.mul (local.get 0) (i32.mul (local.get 0) (i32.mul (local.get 0) (local.get 0)))))
                 (loop $l
                   (if (i32.and (local.get 0) (i32.const 1))
                     (then (local.set 0 (i32.add (local.get 0) (local.get 0))))
                     (else (local.set 0 (i32.sub (local.get 0) (i32.const 7)))))
                   (br_if $l (local.get 0)))
                 (local.get 0)))"#,
        );
        let module = module.expect("it is valid");
        let body = module.function(FunctionIndex::new(0)).body().expect("it is defined");
        let Analysis { points, .. } = Analysis::of(body);
        let work = Work::of(body, &points);
        let is_header = |&(_, kind, _): &(_, PointKind, _)| kind == PointKind::LoopHeader;
        let (header, ..) = points.iter().find(is_header).expect("there is a loop");
        let iteration = work.of_arrival(&points, header);
        let reached = work.reached_from(body, &points, header);
        assert!(iteration < reached, "one of two ways: {iteration} of {reached}");
        assert!(reached < work.instructions(), "not what is before the loop");
        assert_eq!(work.reached_from(body, &points, osr_ir::Points::entry()), work.instructions());
        let before = work.of_arrival(&points, osr_ir::Points::entry()) - CALL;
        assert!(before + reached <= work.instructions() + 1, "up to the loop: {before}");
    }

    #[test]
    fn of_loops_one_after_the_other_each_reaches_what_follows_and_those_in_one_loop_reach_the_same() {
        let one = "(loop $l (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if $l (local.get 0)))";
        let reached = |text: String| {
            let module =
                wasm::import_text(&format!("(module (func (param i32) {text}))")).expect("it is valid");
            let body = module.function(FunctionIndex::new(0)).body().expect("it is defined");
            let Analysis { points, .. } = Analysis::of(body);
            let work = Work::of(body, &points);
            let headers = points.iter().filter(|&(_, kind, _)| kind == PointKind::LoopHeader);
            headers.map(|(header, ..)| work.reached_from(body, &points, header)).collect::<Vec<_>>()
        };
        let sequence = reached(one.repeat(4));
        assert!(sequence.len() == 4 && sequence.is_sorted_by(|one, next| one > next), "{sequence:?}");
        let step = "(local.set 0 (i32.add (local.get 0) (i32.const 9)))";
        let nested = reached(format!("(loop $outer {step} {} (br_if $outer (local.get 0)))", one.repeat(3)));
        assert_eq!(nested.len(), 4);
        assert!(nested.iter().all(|count| *count == nested[0]), "{nested:?}");
    }
}
