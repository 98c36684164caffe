//! Dropping the registers that nothing uses.

use crate::body::Body;
use crate::index::Register;
use crate::renaming::{rename_definitions, rename_terminator, rename_uses};

/// Drops the registers that nothing mentions. The first `parameters` stay.
pub(super) fn compact(body: &mut Body, parameters: usize) {
    let mut used = vec![false; body.registers.len()];
    used[..parameters].fill(true);
    let mut mark = |register: Register| {
        used[register.index()] = true;
        register
    };
    rename_all(body, &mut mark);
    let mut renamed = Vec::with_capacity(used.len());
    let mut kept = Vec::new();
    for (ty, used) in body.registers.iter().zip(used) {
        renamed.push(Register::new(kept.len()));
        kept.extend(used.then_some(*ty));
    }
    body.registers = kept;
    rename_all(body, &mut |register| renamed[register.index()]);
}

fn rename_all(body: &mut Body, rename: &mut impl FnMut(Register) -> Register) {
    for block in &mut body.blocks {
        for instruction in &mut block.instructions {
            rename_uses(instruction, &mut *rename);
            rename_definitions(instruction, &mut *rename);
        }
        rename_terminator(&mut block.terminator, &mut *rename);
    }
}
