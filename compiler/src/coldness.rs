//! Coldness: what only cold code reaches is cold, too.
//!
//! Cranelift puts cold blocks behind all others, and takes it from nothing but the mark: a block that only cold ones lead to
//! would lie in the middle of the hot code.

use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::{Block, Function};

/// Marks as cold what is reached from the entry through cold blocks only.
pub(super) fn pass_on(function: &mut Function) {
    let graph = ControlFlowGraph::with_function(function);
    let entry = function.layout.entry_block().expect("it has code");
    let mut is_hot = vec![false; function.dfg.num_blocks()];
    is_hot[entry.as_u32() as usize] = true;
    let mut pending = vec![entry];
    while let Some(block) = pending.pop() {
        for successor in graph.succ_iter(block) {
            let is_known = &mut is_hot[successor.as_u32() as usize];
            if !*is_known && !function.layout.is_cold(successor) {
                *is_known = true;
                pending.push(successor);
            }
        }
    }
    let blocks: Vec<Block> = function.layout.blocks().collect();
    for block in blocks.into_iter().filter(|block| !is_hot[block.as_u32() as usize]) {
        function.layout.set_cold(block);
    }
}
