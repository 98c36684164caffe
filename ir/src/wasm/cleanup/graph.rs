//! The control-flow graph: no block that only jumps, none that could be part of the one before it, none
//! that control never reaches.

use std::ops::Range;

use super::super::code::{Code, Draft};
use crate::body::{Body, Terminator};
use crate::index::Block;
use crate::point::reverse_postorder_by;

/// The blocks that are left of the [code](Code), whose terminators name them by their new numbers.
pub(super) struct Graph {
    /// In the order that they will have. Their number is the position here.
    pub(super) blocks: Vec<Block>,
    /// Their numbers, each before its successors except along back-edges.
    pub(super) sequence: Vec<Block>,
    /// Per block of the code, the block whose instructions follow its own, which is part of it.
    next: Vec<Option<Block>>,
}

impl Graph {
    /// Simplifies the graph of `code`.
    pub(super) fn simplify(code: &mut Code) -> Graph {
        thread(&mut code.blocks);
        let mut order =
            reverse_postorder_by(code.blocks.len(), |block| &code.blocks[block.index()].terminator);
        let next = merge(code, &order);
        let mut is_kept = vec![false; code.blocks.len()];
        order.iter().for_each(|block| is_kept[block.index()] = true);
        next.iter().flatten().for_each(|merged| is_kept[merged.index()] = false);
        let blocks: Vec<Block> = code.order.iter().copied().filter(|block| is_kept[block.index()]).collect();
        let mut renamed = vec![Block::new(Body::ENTRY); code.blocks.len()];
        blocks.iter().enumerate().for_each(|(number, block)| renamed[block.index()] = Block::new(number));
        for block in &blocks {
            let terminator = &mut code.blocks[block.index()].terminator;
            terminator.each_successor_mut(|target| *target = renamed[target.index()]);
        }
        order.retain(|block| is_kept[block.index()]);
        order.iter_mut().for_each(|block| *block = renamed[block.index()]);
        Graph { blocks, sequence: order, next }
    }

    /// The blocks among `drafts` that block number `number` consists of, in order: where the instructions of each are.
    pub(super) fn parts<'a>(
        &'a self,
        drafts: &'a [Draft],
        number: Block,
    ) -> impl Iterator<Item = Range<usize>> + 'a {
        let parts = std::iter::successors(Some(self.blocks[number.index()]), |part| self.next[part.index()]);
        parts.map(|part| drafts[part.index()].instructions.clone())
    }

    /// How block number `number` is left.
    pub(super) fn terminator<'a>(&self, code: &'a Code, number: Block) -> &'a Terminator {
        &code.blocks[self.blocks[number.index()].index()].terminator
    }
}

/// Makes every edge to a block that only jumps lead to where that goes.
fn thread(blocks: &mut [Draft]) {
    let targets = final_targets(blocks);
    for block in blocks {
        block.terminator.each_successor_mut(|target| *target = targets[target.index()]);
        if let Terminator::Branch { if_true, if_false, .. } = block.terminator
            && if_true == if_false
        {
            block.terminator = Terminator::Jump { target: if_true };
        }
    }
}

/// Per block, the first from there on that does more than jump; or, if there is none (an empty endless
/// loop), a block of that cycle.
fn final_targets(blocks: &[Draft]) -> Vec<Block> {
    let mut targets: Vec<Option<Block>> = vec![None; blocks.len()];
    let mut on_chain = vec![false; blocks.len()];
    let mut chain = Vec::new();
    for start in (0..blocks.len()).map(Block::new) {
        let mut at = start;
        let end = loop {
            if let Some(known) = targets[at.index()] {
                break known;
            }
            match blocks[at.index()] {
                Draft { terminator: Terminator::Jump { target }, ref instructions }
                    if instructions.is_empty() && !on_chain[at.index()] =>
                {
                    on_chain[at.index()] = true;
                    chain.push(at);
                    at = target;
                }
                _ => break at,
            }
        };
        targets[end.index()] = Some(end);
        for block in chain.drain(..) {
            targets[block.index()] = Some(end);
        }
    }
    targets.into_iter().enumerate().map(|(i, target)| target.unwrap_or(Block::new(i))).collect()
}

/// Appends each block that has one predecessor, which only jumps to it, to that predecessor. Returns, per block, the
/// one that is appended to it.
fn merge(code: &mut Code, order: &[Block]) -> Vec<Option<Block>> {
    let mut predecessors = vec![0_u32; code.blocks.len()];
    for &block in order {
        let terminator = &code.blocks[block.index()].terminator;
        terminator.each_successor(|successor| predecessors[successor.index()] += 1);
    }
    let mut next = vec![None; code.blocks.len()];
    // A block comes after its only predecessor in this order, so each terminator moves once.
    for &block in order {
        let mut last = block;
        while let Terminator::Jump { target } = code.blocks[block.index()].terminator
            && predecessors[target.index()] == 1
            && target != block
        {
            let merged = &mut code.blocks[target.index()];
            let terminator = std::mem::replace(&mut merged.terminator, Terminator::Unreachable);
            code.blocks[block.index()].terminator = terminator;
            code.offsets.move_terminator(block, target);
            next[last.index()] = Some(target);
            last = target;
        }
    }
    next
}
