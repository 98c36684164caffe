//! Dead code: constants and copies to registers that nothing reads.

use crate::body::{Body, Instruction};
use crate::index::Register;

/// Removes them, with what becomes dead by that.
pub(super) fn remove(body: &mut Body) {
    let mut reads = vec![0_u32; body.registers.len()];
    for block in &body.blocks {
        let mut count = |register: Register| reads[register.index()] += 1;
        block.instructions.iter().for_each(|instruction| instruction.each_use(&mut count));
        block.terminator.each_use(&mut count);
    }
    while remove_unread(body, &mut reads) {}
}

/// Removes what is dead now; says whether that may have made more dead.
fn remove_unread(body: &mut Body, reads: &mut [u32]) -> bool {
    let mut more = false;
    for block in &mut body.blocks {
        block.instructions.retain(|instruction| match *instruction {
            Instruction::Const { dst, .. } => reads[dst.index()] > 0,
            Instruction::Copy { dst, src } if reads[dst.index()] == 0 => {
                reads[src.index()] -= 1;
                more |= reads[src.index()] == 0;
                false
            }
            _ => true,
        });
    }
    more
}
