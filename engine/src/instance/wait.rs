//! Waits of atomic instructions. There is one thread, so that nothing ends a wait but its timeout, and an interrupt.

use std::time::Duration;

use osr_ir::{LoadOp, MemoryIndex, TrapKind};

use crate::instance::Instance;

/// What a wait returns where something else is found than was expected.
const NOT_EQUAL: u32 = 1;
/// What it returns after its timeout.
const TIMED_OUT: u32 = 2;

impl Instance {
    /// Waits for `timeout` nanoseconds if there is `expected` at the place, of 64 bits or 32.
    pub(crate) fn atomic_wait(
        &self,
        is_64: bool,
        (memory, address): (MemoryIndex, u64),
        expected: u64,
        timeout: i64,
    ) -> Result<u32, TrapKind> {
        let op = if is_64 { LoadOp::I64Load } else { LoadOp::I64Load32U };
        let found = self.load_from(memory, op, address)?;
        if !self.memory_at(memory).is_shared() {
            return Err(TrapKind::ExpectedSharedMemory);
        }
        if found != u128::from(expected) {
            return Ok(NOT_EQUAL);
        }
        let timeout = u64::try_from(timeout).map_err(|_| TrapKind::EndlessWait)?;
        // An instance that follows another one has no thread, and what it follows has waited.
        if let Some(thread) = self.thread() {
            // SAFETY: it waits here, and so is there.
            unsafe { thread.as_ref() }.agenda().sleep(Duration::from_nanos(timeout));
        }
        Ok(TIMED_OUT)
    }
}
