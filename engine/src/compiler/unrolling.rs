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

    /// Which copy of `to` an edge leads to from copy number `copy` of `from`; `None` if it is a back-edge
    /// after the last copy.
    pub(super) fn copy(&self, from: Block, copy: u8, to: Block) -> Option<u8> {
        match self.header[from.index()] {
            Some(header) if self.header[to.index()] == Some(header) => {
                if to != header {
                    Some(copy)
                } else {
                    Some(copy + 1).filter(|&next| next < self.copies[header.index()])
                }
            }
            _ => Some(0),
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
