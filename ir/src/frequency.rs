//! How often blocks are executed, as far as the shape of a body says.

use crate::body::Body;
use crate::index::Block;

/// Per block, how often it is executed, as far as loops say: up to three levels, each of eight iterations. A loop
/// is what is between its header and the last edge back to it in `order`, a reverse postorder.
pub fn weights(body: &Body, order: &[Block]) -> Vec<u32> {
    let mut position = vec![usize::MAX; body.blocks.len()];
    order.iter().enumerate().for_each(|(at, block)| position[block.index()] = at);
    let mut last = vec![None; order.len()];
    for (at, &block) in order.iter().enumerate() {
        body.block(block).terminator.each_successor(|successor| {
            let to = position[successor.index()];
            if to <= at {
                last[to] = Some(at);
            }
        });
    }
    let mut ends = vec![0; order.len()];
    let mut depth = 0;
    let mut weights = vec![1; body.blocks.len()];
    for (at, &block) in order.iter().enumerate() {
        if let Some(last) = last[at] {
            depth += 1;
            ends[last] += 1;
        }
        weights[block.index()] = 8u32.pow(depth.min(3));
        depth -= ends[at];
    }
    weights
}
