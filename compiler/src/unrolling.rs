//! Unrolling: innermost loops that call nothing are translated several times in a row.
//!
//! ```text
//!   header ─> body ─┐         header 0 ─> body 0 ─> header 1 ─> body 1 ─┐
//!     ^─── poll <───┘           ^─────────────── poll <─────────────────┘
//! ```
//!
//! A copy is left wherever the loop is: its exits lead where the loop's exits lead. So the only thing that
//! changes is that not every iteration polls, which is the purpose: in a loop of a dozen instructions a
//! comparison and a branch are some ten percent. Points, frame states and traps are those of the body,
//! whichever copy executes.

use osr_ir::{Block, Body, Points};

/// How many instructions all copies of a loop may have, in the body's terms.
const INSTRUCTIONS: usize = 128;

/// Which loops are translated how often.
#[derive(Debug)]
pub(super) struct Unrolling {
    /// Per block, the header of the loop that it is in, if that is unrolled.
    header: Vec<Option<Block>>,
    /// Per header of such a loop, how many copies there are.
    copies: Vec<u8>,
}

/// Instructions that unrolling adds to `body`, of whose loops there are to be at most `copies`.
pub fn unrolled_instructions(body: &Body, points: &Points, copies: u8) -> usize {
    let unrolling = Unrolling::of(body, points, copies);
    let added = |block: Block| {
        let header = unrolling.header[block.index()]?;
        let further = usize::from(unrolling.copies[header.index()] - 1);
        Some(further * (body.block(block).instructions.len() + 1))
    };
    body.block_indices().filter_map(added).sum()
}

impl Unrolling {
    /// Chooses loops of `body`, of which there are to be at most `copies`.
    pub(super) fn of(body: &Body, points: &Points, copies: u8) -> Unrolling {
        let mut unrolling =
            Unrolling { header: vec![None; body.blocks.len()], copies: vec![1; body.blocks.len()] };
        if copies > 1 {
            let predecessors = predecessors(body, points);
            for header in body.block_indices().filter(|&block| points.header(block).is_some()) {
                unrolling.consider(body, points, &predecessors, header, copies);
            }
        }
        unrolling
    }

    fn consider(
        &mut self,
        body: &Body,
        points: &Points,
        predecessors: &[Vec<Block>],
        header: Block,
        copies: u8,
    ) {
        let Some(blocks) = innermost_loop(points, predecessors, header) else { return };
        let instructions = || blocks.iter().flat_map(|&block| &body.block(block).instructions);
        if instructions().any(|instruction| instruction.is_call()) {
            return;
        }
        let size = instructions().count() + blocks.len();
        let copies = copies.min((INSTRUCTIONS / size).min(255) as u8);
        if copies > 1 {
            blocks.iter().for_each(|block| self.header[block.index()] = Some(header));
            self.copies[header.index()] = copies;
        }
    }

    /// Which copy of `to` an edge leads to from copy number `copy` of `from`. From the last copy of a loop a
    /// back-edge leads to the first one.
    pub(super) fn copy(&self, from: Block, copy: u8, to: Block) -> u8 {
        match self.header[from.index()] {
            Some(header) if to == header => (copy + 1) % self.copies[header.index()],
            Some(header) if self.header[to.index()] == Some(header) => copy,
            _ => 0,
        }
    }
}

/// The blocks of the natural loop of `header`, if there is no other loop in it and nothing enters it elsewhere.
fn innermost_loop(points: &Points, predecessors: &[Vec<Block>], header: Block) -> Option<Vec<Block>> {
    let mut blocks = vec![header];
    let latches = predecessors[header.index()].iter().copied();
    let mut pending: Vec<Block> = latches.filter(|&latch| points.goes_back(latch, header)).collect();
    while let Some(block) = pending.pop() {
        if blocks.contains(&block) {
            continue;
        }
        let is_entered_elsewhere = block == Block::new(Body::ENTRY) || points.goes_before(block, header);
        if is_entered_elsewhere || points.header(block).is_some() || blocks.len() == INSTRUCTIONS {
            return None;
        }
        blocks.push(block);
        pending.extend(&predecessors[block.index()]);
    }
    Some(blocks)
}

/// Per block, the blocks that lead to it, of those that the entry reaches.
fn predecessors(body: &Body, points: &Points) -> Vec<Vec<Block>> {
    let mut predecessors = vec![Vec::new(); body.blocks.len()];
    for block in body.block_indices().filter(|&block| points.is_reached(block)) {
        body.block(block).terminator.each_successor(|successor| predecessors[successor.index()].push(block));
    }
    predecessors
}

#[cfg(test)]
mod tests {
    use osr_ir::{Block, Module, Points};

    use super::Unrolling;

    /// The loops of the first function that has a body that are unrolled: how often, and of how many blocks.
    fn unrolled(module: &Module, copies: u8) -> Vec<(u8, usize)> {
        let body = module.functions.iter().find_map(|function| function.body()).expect("a body");
        let unrolling = Unrolling::of(body, &Points::of(body), copies);
        let blocks = |header: Block| unrolling.header.iter().filter(|&&of| of == Some(header)).count();
        let headers = body.block_indices().filter(|&block| unrolling.header[block.index()] == Some(block));
        headers.map(|header| (unrolling.copies[header.index()], blocks(header))).collect()
    }

    fn of_text(code: &str, copies: u8) -> Vec<(u8, usize)> {
        let text = format!("(module (func (param i32) {code}) (func $other))");
        unrolled(&osr_ir::wasm::import_text(&text).expect("a valid module"), copies)
    }

    const COUNT: &str = "(br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))";

    #[test]
    fn innermost_loops_that_call_nothing_are_unrolled() {
        assert_eq!(of_text(&format!("(loop {COUNT})"), 4), [(4, 1)]);
        let nest =
            format!("(loop (local.set 0 (i32.mul (local.get 0) (i32.const 5))) (loop {COUNT}) {COUNT})");
        assert_eq!(of_text(&nest, 3), [(3, 1)]);
        assert_eq!(of_text(&format!("(loop call $other {COUNT})"), 4), []);
        for copies in [0, 1] {
            assert_eq!(of_text(&format!("(loop {COUNT})"), copies), []);
        }
    }

    #[test]
    fn long_loops_are_unrolled_less_often_or_not() {
        let step = "(local.set 0 (i32.mul (local.get 0) (local.get 0)))";
        let copies = |steps| of_text(&format!("(loop {} {COUNT})", step.repeat(steps)), 4);
        assert_eq!(copies(40), [(2, 1)]);
        assert_eq!(copies(200), []);
    }

    #[test]
    fn what_unrolling_adds_is_what_further_copies_have() {
        let text = format!("(module (func (param i32) (loop {COUNT}) (local.set 0 (i32.const 3))))");
        let module = osr_ir::wasm::import_text(&text).expect("a valid module");
        let body = module.functions[0].body().expect("defined");
        let points = Points::of(body);
        let header = body.block_indices().find(|&block| points.header(block).is_some()).expect("a loop");
        let size = body.block(header).instructions.len() + 1;
        let added = [0, 1, 2, 4].map(|copies| super::unrolled_instructions(body, &points, copies));
        assert_eq!(added, [0, 0, size, 3 * size]);
    }

    #[test]
    fn loops_with_two_headers_are_not_unrolled() {
        let text = include_str!("../../tests/cases/irreducible.ir");
        assert_eq!(unrolled(&osr_ir::text::parse(text).expect("a valid module"), 4), []);
    }

    #[test]
    fn the_copies_of_a_loop_follow_one_another() {
        let text = format!("(module (func (param i32) (loop {COUNT})))");
        let module = osr_ir::wasm::import_text(&text).expect("a valid module");
        let body = module.functions[0].body().expect("defined");
        let points = Points::of(body);
        let unrolling = Unrolling::of(body, &points, 3);
        let mut blocks = body.block_indices();
        let header = blocks.find(|&block| points.header(block).is_some()).expect("a loop");
        let copies: Vec<u8> = (0..3).map(|copy| unrolling.copy(header, copy, header)).collect();
        assert_eq!(copies, [1, 2, 0]);
        let exit = blocks.next().expect("what comes after the loop");
        assert_eq!([unrolling.copy(header, 2, exit), unrolling.copy(exit, 0, exit)], [0, 0]);
    }
}
