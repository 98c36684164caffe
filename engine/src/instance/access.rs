//! Loads and stores that have no operation of their own in the interpreter: of vectors, and in further memories.

use std::ptr;

use osr_ir::{LoadOp, MemoryIndex, StoreOp, TrapKind};

use crate::instance::Instance;

impl Instance {
    /// What `op` loads at `address`, which does not wrap: a vector, or a word.
    pub(crate) fn load_from(&self, memory: MemoryIndex, op: LoadOp, address: u64) -> Result<u128, TrapKind> {
        let source = self.memory_at(memory).range(address, op.bytes().into());
        let source = source.ok_or(TrapKind::MemoryOutOfBounds)?;
        let mut bytes = [0_u8; 16];
        // SAFETY: the source is in bounds of linear memory.
        unsafe { ptr::copy_nonoverlapping(source, bytes.as_mut_ptr(), op.bytes() as usize) };
        Ok(extended(op, u128::from_le_bytes(bytes)))
    }

    /// Has `op` store `value`, a vector or a word, at `address`, which does not wrap.
    pub(crate) fn store_to(
        &self,
        memory: MemoryIndex,
        op: StoreOp,
        address: u64,
        value: u128,
    ) -> Result<(), TrapKind> {
        let target = self.memory_at(memory).range(address, op.bytes().into());
        let target = target.ok_or(TrapKind::MemoryOutOfBounds)?;
        let bytes = value.to_le_bytes();
        // SAFETY: the target is in bounds of linear memory.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), target, op.bytes() as usize) };
        Ok(())
    }
}

/// The word that `op` makes of the bytes that it loads.
fn extended(op: LoadOp, loaded: u128) -> u128 {
    use LoadOp::*;
    let word = match op {
        I32Load8S => i32::from(loaded as i8) as u32 as u64,
        I32Load16S => i32::from(loaded as i16) as u32 as u64,
        I64Load8S => i64::from(loaded as i8) as u64,
        I64Load16S => i64::from(loaded as i16) as u64,
        I64Load32S => i64::from(loaded as i32) as u64,
        _ => return loaded,
    };
    word.into()
}
