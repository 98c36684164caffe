//! Definite assignment: on every path from the entry, a register is assigned before it is read.
//!
//! A forward dataflow over sets of assigned registers, joined by intersection. Blocks that the entry
//! does not reach are never executed and are left out.

use super::error::CodeError;
use crate::body::{BasicBlock, Body};
use crate::index::{Block, Register};
use crate::liveness::RegisterSet;
use crate::point::{Position, reverse_postorder};

/// Checks `body`, whose indices are in range and whose first `parameters` registers are parameters.
pub(super) fn verify(body: &Body, parameters: usize) -> Result<(), (Position, CodeError)> {
    let order = reverse_postorder(body);
    let assigned = solve(body, &order, parameters);
    for block in order {
        let on_entry = assigned[block.index()].clone().expect("reached blocks have a set");
        verify_block(body.block(block), on_entry)
            .map_err(|(index, error)| (Position { block, index }, error))?;
    }
    Ok(())
}

/// The registers that are assigned on every path to each block, for the blocks in `order`.
fn solve(body: &Body, order: &[Block], parameters: usize) -> Vec<Option<RegisterSet>> {
    let mut entry = RegisterSet::new(body.registers.len());
    (0..parameters).for_each(|parameter| entry.insert(Register::new(parameter)));
    let mut assigned = vec![None; body.blocks.len()];
    assigned[Body::ENTRY] = Some(entry);
    let mut changed = true;
    while changed {
        changed = false;
        for &block in order {
            let mut after = assigned[block.index()].clone().expect("a predecessor came before");
            for instruction in &body.block(block).instructions {
                instruction.definitions().iter().for_each(|register| after.insert(*register));
            }
            body.block(block).terminator.each_successor(|successor| {
                changed |= join(&mut assigned[successor.index()], &after);
            });
        }
    }
    assigned
}

/// Intersects `known` with `more`; whether that changed it.
fn join(known: &mut Option<RegisterSet>, more: &RegisterSet) -> bool {
    let mut joined = known.clone().unwrap_or_else(|| more.clone());
    joined.intersect(more);
    let changed = known.as_ref() != Some(&joined);
    *known = Some(joined);
    changed
}

/// Checks that `block` reads only what is in `assigned` or what it has assigned itself.
fn verify_block(block: &BasicBlock, mut assigned: RegisterSet) -> Result<(), (usize, CodeError)> {
    let mut unassigned = None;
    for (index, instruction) in block.instructions.iter().enumerate() {
        instruction.each_use(|register| note(&assigned, register, &mut unassigned));
        if let Some(register) = unassigned {
            return Err((index, CodeError::Unassigned(register)));
        }
        instruction.definitions().iter().for_each(|register| assigned.insert(*register));
    }
    block.terminator.each_use(|register| note(&assigned, register, &mut unassigned));
    match unassigned {
        Some(register) => Err((block.instructions.len(), CodeError::Unassigned(register))),
        None => Ok(()),
    }
}

fn note(assigned: &RegisterSet, register: Register, unassigned: &mut Option<Register>) {
    if !assigned.contains(register) {
        unassigned.get_or_insert(register);
    }
}
