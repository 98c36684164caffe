//! Dead code: constants and copies to registers that nothing reads.

use super::super::offsets::Offsets;
use crate::body::{Body, Instruction};
use crate::index::{Block, Register};

/// Removes them, with what becomes dead by that.
pub(super) fn remove(body: &mut Body, offsets: &mut Offsets) {
    let mut reads = vec![0_u32; body.registers.len()];
    for block in &body.blocks {
        let mut count = |register: Register| reads[register.index()] += 1;
        block.instructions.iter().for_each(|instruction| instruction.each_use(&mut count));
        block.terminator.each_use(&mut count);
    }
    while remove_unread(body, offsets, &mut reads) {}
}

/// Removes what is dead now; says whether that may have made more dead.
fn remove_unread(body: &mut Body, offsets: &mut Offsets, reads: &mut [u32]) -> bool {
    let mut more = false;
    for (number, block) in body.blocks.iter_mut().enumerate() {
        let mut kept = Vec::new();
        block.instructions.retain(|instruction| {
            let is_kept = match *instruction {
                Instruction::Const { dst, .. } => reads[dst.index()] > 0,
                Instruction::Copy { dst, src } if reads[dst.index()] == 0 => {
                    reads[src.index()] -= 1;
                    more |= reads[src.index()] == 0;
                    false
                }
                _ => true,
            };
            if offsets.are_wanted() {
                kept.push(is_kept);
            }
            is_kept
        });
        offsets.retain(Block::new(number), &kept);
    }
    more
}
