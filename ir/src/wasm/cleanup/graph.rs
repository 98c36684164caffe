//! The control-flow graph: no block that only jumps, none that could be part of the one before it, none
//! that control never reaches.

use super::super::offsets::Offsets;
use crate::body::{Body, Terminator};
use crate::index::Block;
use crate::point::reverse_postorder;

/// Simplifies the graph of `body` and puts its blocks in the order of `layout`.
pub(super) fn simplify(body: &mut Body, offsets: &mut Offsets, layout: &[Block]) {
    thread(body);
    merge(body, offsets);
    reorder(body, offsets, layout);
}

/// Calls `change` for each successor.
fn each_successor_mut(terminator: &mut Terminator, mut change: impl FnMut(&mut Block)) {
    match terminator {
        Terminator::Jump { target } => change(target),
        Terminator::Branch { if_true, if_false, .. } => {
            change(if_true);
            change(if_false);
        }
        Terminator::Guard { next, exit, .. } => {
            change(next);
            change(exit);
        }
        Terminator::Switch { targets, default, .. } => {
            targets.iter_mut().for_each(&mut change);
            change(default);
        }
        Terminator::Return { .. }
        | Terminator::Unreachable
        | Terminator::TailCall { .. }
        | Terminator::TailCallIndirect { .. } => {}
    }
}

/// Makes every edge to a block that only jumps lead to where that goes.
fn thread(body: &mut Body) {
    let targets = final_targets(body);
    for block in &mut body.blocks {
        each_successor_mut(&mut block.terminator, |target| *target = targets[target.index()]);
        if let Terminator::Branch { if_true, if_false, .. } = block.terminator
            && if_true == if_false
        {
            block.terminator = Terminator::Jump { target: if_true };
        }
    }
}

/// Per block, the first from there on that does more than jump; or, if there is none (an empty endless
/// loop), a block of that cycle.
fn final_targets(body: &Body) -> Vec<Block> {
    let mut targets: Vec<Option<Block>> = vec![None; body.blocks.len()];
    let mut on_chain = vec![false; body.blocks.len()];
    let mut chain = Vec::new();
    for start in body.block_indices() {
        let mut at = start;
        let end = loop {
            if let Some(known) = targets[at.index()] {
                break known;
            }
            match body.block(at).terminator {
                Terminator::Jump { target }
                    if body.block(at).instructions.is_empty() && !on_chain[at.index()] =>
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

/// Appends each block that has one predecessor, which only jumps to it, to that predecessor.
fn merge(body: &mut Body, offsets: &mut Offsets) {
    let order = reverse_postorder(body);
    let mut predecessors = vec![0_u32; body.blocks.len()];
    for &block in &order {
        body.block(block).terminator.each_successor(|successor| predecessors[successor.index()] += 1);
    }
    // A block comes after its only predecessor in this order, so each instruction moves once.
    for &block in &order {
        while let Terminator::Jump { target } = body.block(block).terminator
            && predecessors[target.index()] == 1
            && target != block
        {
            let merged = &mut body.blocks[target.index()];
            let mut instructions = std::mem::take(&mut merged.instructions);
            let terminator = std::mem::replace(&mut merged.terminator, Terminator::Unreachable);
            let into = &mut body.blocks[block.index()];
            into.instructions.append(&mut instructions);
            into.terminator = terminator;
            offsets.append(block, target);
        }
    }
}

/// Keeps the blocks that control reaches, in the order of `layout`.
fn reorder(body: &mut Body, offsets: &mut Offsets, layout: &[Block]) {
    let mut reached = vec![false; body.blocks.len()];
    reverse_postorder(body).iter().for_each(|block| reached[block.index()] = true);
    let kept: Vec<Block> = layout.iter().copied().filter(|block| reached[block.index()]).collect();
    offsets.reorder(&kept);
    let mut renamed = vec![Block::new(Body::ENTRY); body.blocks.len()];
    kept.iter().enumerate().for_each(|(i, block)| renamed[block.index()] = Block::new(i));
    let mut blocks: Vec<_> = std::mem::take(&mut body.blocks).into_iter().map(Some).collect();
    body.blocks = kept.iter().filter_map(|block| blocks[block.index()].take()).collect();
    for block in &mut body.blocks {
        each_successor_mut(&mut block.terminator, |target| *target = renamed[target.index()]);
    }
}
