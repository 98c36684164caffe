//! Dead code: constants and copies to registers that nothing reads.

use super::super::code::Code;
use super::graph::Graph;
use super::usage::Usage;
use crate::body::Instruction;
use crate::index::Block;

/// Finds them, with what becomes dead by that: for each instruction of the list of `code`, whether it is. They do not count in
/// `usage` any more.
pub(super) fn find(code: &Code, graph: &Graph, usage: &mut Usage) -> Vec<bool> {
    let mut is_dead = vec![false; code.instructions.len()];
    while find_unread(code, graph, usage, &mut is_dead) {}
    usage.zeroes.retain(|local| usage.reads[local.index()] > 0);
    usage.zeroes.iter().for_each(|local| usage.mentions[local.index()] += 1);
    is_dead
}

/// Finds what is dead now; says whether that may have made more dead.
fn find_unread(code: &Code, graph: &Graph, usage: &mut Usage, is_dead: &mut [bool]) -> bool {
    let mut more = false;
    let Usage { reads, mentions, .. } = usage;
    for index in
        (0..graph.blocks.len()).flat_map(|number| graph.parts(&code.blocks, Block::new(number))).flatten()
    {
        let (Instruction::Const { dst, .. } | Instruction::Copy { dst, .. }) = code.instructions[index]
        else {
            continue;
        };
        if reads[dst.index()] > 0 || std::mem::replace(&mut is_dead[index], true) {
            continue;
        }
        mentions[dst.index()] -= 1;
        if let Instruction::Copy { src, .. } = code.instructions[index] {
            mentions[src.index()] -= 1;
            reads[src.index()] -= 1;
            more |= reads[src.index()] == 0;
        }
    }
    more
}
