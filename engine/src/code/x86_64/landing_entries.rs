//! The code of landing tables.
//!
//! ```text
//!          int3                        so that no call of the code before returns to the first entry
//!   entry: jmp rel32 end               one for each PC that is to be told from others
//!   ..
//!   end:   jmp qword ptr [rip]         the stub reads the entry's PC from the slot
//!          .quad osr_landing_from_table
//! ```
//!
//! No register changes: what arrives has the callee's results in some, and the old frame's values in others.

use super::entry_stub::TRAP_INSTRUCTION;

/// Bytes of an entry.
pub(crate) const BYTES: usize = 5;

/// Bytes of so many entries, and of what stands around them.
pub(crate) fn bytes(entries: usize) -> usize {
    const AROUND: usize = 1 + 6 + size_of::<u64>();
    AROUND + entries * BYTES
}

/// So many entries, and what stands around them.
pub(crate) fn code(entries: usize) -> Vec<u8> {
    let mut code = vec![TRAP_INSTRUCTION];
    for entry in 0..entries {
        code.push(0xe9);
        let distance = (entries - entry - 1) * BYTES;
        code.extend((distance as u32).to_le_bytes());
    }
    code.extend([0xff, 0x25, 0, 0, 0, 0]);
    code.extend(osr_stubs::x86_64::landing_from_table().to_le_bytes());
    debug_assert_eq!(code.len(), bytes(entries));
    code
}
