//! Work: how many instructions of a body a count of arrivals stands for, and how many a unit has.
//!
//! Arrivals at entries and loop headers are counted, and [passages](super::passage) through long ways. What is executed between one arrival and the next is
//! estimated: every way a branch can go is taken for equally likely. So a loop around a switch with a hundred thousand
//! cases is charged one case for each iteration, not all of them.

use std::sync::atomic::{AtomicU32, Ordering};

use osr_ir::point::reverse_postorder;
use osr_ir::{Block, Body, Point, PointKind, Points};

/// The work in a body, in instructions of the IR.
#[derive(Debug)]
pub(crate) struct Work {
    /// Of the whole body.
    instructions: u32,
    /// Per block, those that are executed from its beginning to the next arrival, on average.
    paths: Box<[u32]>,
    /// Per block, those that can be reached from it; 0 if they were not counted yet.
    reached: Box<[AtomicU32]>,
}

impl Work {
    /// That of `body`, whose points are `points`.
    pub(crate) fn of(body: &Body, points: &Points) -> Work {
        let mut paths = vec![0; body.blocks.len()];
        for &block in reverse_postorder(body).iter().rev() {
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
            reached: body.blocks.iter().map(|_| AtomicU32::new(0)).collect(),
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

    /// Instructions that an arrival at `point` stands for.
    pub(crate) fn of_arrival(&self, points: &Points, point: Point) -> u32 {
        let path = self.paths[points.position(point).block.index()];
        if points.kind(point) == PointKind::Entry { path.saturating_add(CALL) } else { path }
    }

    /// Instructions of a continuation that is entered at `point`: those that can be reached from there.
    pub(crate) fn reached_from(&self, body: &Body, points: &Points, point: Point) -> u32 {
        if points.kind(point) == PointKind::Entry {
            return self.instructions;
        }
        let from = points.position(point).block;
        let known = &self.reached[from.index()];
        match known.load(Ordering::Relaxed) {
            0 => {
                let count = reached_from(body, from);
                known.store(count, Ordering::Relaxed);
                count
            }
            count => count,
        }
    }
}

/// Instructions that take as long as a call and a return.
const CALL: u32 = 10;

/// Instructions of `block`, its end included.
pub(super) fn length(body: &Body, block: Block) -> u32 {
    body.block(block).instructions.len() as u32 + 1
}

fn reached_from(body: &Body, from: Block) -> u32 {
    let mut seen = vec![false; body.blocks.len()];
    seen[from.index()] = true;
    let mut pending = vec![from];
    let mut count = 0;
    while let Some(block) = pending.pop() {
        count += length(body, block);
        body.block(block).terminator.each_successor(|successor| {
            if !std::mem::replace(&mut seen[successor.index()], true) {
                pending.push(successor);
            }
        });
    }
    count
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
}
