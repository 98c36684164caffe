//! Dropping the registers that nothing uses.

use crate::body::Body;
use crate::index::Register;

/// Drops the registers that nothing mentions. The first `parameters` stay.
pub(super) fn compact(body: &mut Body, parameters: usize) {
    let mut used = vec![false; body.registers.len()];
    used[..parameters].fill(true);
    let mut mark = |register: Register| {
        used[register.index()] = true;
        register
    };
    body.rename_registers(&mut mark);
    let mut renamed = Vec::with_capacity(used.len());
    let mut kept = Vec::new();
    for (ty, used) in body.registers.iter().zip(used) {
        renamed.push(Register::new(kept.len()));
        kept.extend(used.then_some(*ty));
    }
    body.registers = kept;
    body.rename_registers(|register| renamed[register.index()]);
}
