//! Invalidation points: jumps over the code behind the calls of retired versions (`compiler/src/invalidation_point.rs`).
//!
//! ```text
//!   retired code:   call f; jmp rel32 ──> stub: jmp [word] ──> osr_invalidated, which lands the frame
//! ```
//!
//! Every call of a version gets its jump, whether a frame waits there or not: that takes a store for each, and no walk of
//! the stack. (JavaScriptCore does so; IonMonkey walks, and patches the points that it meets.) The stub is in code memory, since
//! the runtime may be further away than `jmp rel32` reaches.
//!
//! Points are written once, on the native thread that executes the instance, while that is in the runtime. From then on
//! nothing else may be written into the code: neither its calls nor its polls are executed any more.

use std::io;

use osr_compiler::POINT_BYTES;
use osr_compiler::frame_map::Site;
use osr_ir::PointKind;
use osr_stubs::x86_64::invalidated_pc;

use super::Registry;
use crate::code::memory::Memory;
use crate::code::version::CodeVersion;
use crate::code::x86_64::jump_stub;

/// Where the jumps go.
#[derive(Clone, Copy, Debug)]
pub(super) struct PointTarget(u64);

impl PointTarget {
    /// Writes the stub.
    pub(super) fn new(memory: &mut Memory) -> io::Result<PointTarget> {
        let code = [jump_stub::through_word(jump_stub::BYTES), invalidated_pc().to_le_bytes()].concat();
        let allocation =
            memory.allocate(&code).ok_or_else(|| io::Error::other("code memory is too small"))?;
        memory.seal(allocation);
        Ok(PointTarget(memory.range().start + allocation.offset as u64))
    }
}

impl Registry {
    /// Whether retired code has jumps behind its calls.
    pub(super) fn writes_points(&self) -> bool {
        self.points.is_some()
    }

    /// Writes the jumps behind the calls of `versions`, which are retired.
    pub(crate) fn write_points<'v>(&self, versions: impl Iterator<Item = &'v CodeVersion>) {
        let Some(PointTarget(target)) = self.points else { return };
        let inner = &mut *self.inner();
        let mut is_written = false;
        for version in versions {
            inner.binding.retire_calls(version);
            let begin = version.offset_in_allocation(&inner.memory);
            let sites = version.frame_maps.sites().zip(0..);
            let is_point =
                |&(site, number): &(Site, u32)| site.kind != PointKind::Guard && !version.exits_apart(number);
            let points = sites.filter(is_point).map(|(site, _)| {
                let jump = jump(version.start + u64::from(site.return_offset), target);
                (begin + site.return_offset as usize, jump)
            });
            let patch = || inner.memory.patch(version.allocation, points);
            version.life.while_in_memory(patch).expect("versions are released by this native thread");
            is_written = true;
        }
        if is_written {
            inner.memory.synchronize();
        }
    }
}

/// A jump from `at` to `target`.
fn jump(at: u64, target: u64) -> [u8; POINT_BYTES as usize] {
    const OPCODE: u8 = 0xe9;
    let [a, b, c, d] = jump_stub::distance(at + 1, target);
    [OPCODE, a, b, c, d]
}
