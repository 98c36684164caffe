//! What hijacked slots held, for unwinders that know nothing of a ledger.
//!
//! Whoever wants debuggers to name the frames behind hijacked slots keeps a table of them, and [publishes](publish) it. The
//! unwind row of [`osr_landing`](mod@super::landing) looks there: a DWARF expression can search. If it finds the slot, the
//! landing stub appears as a frame of its own, without any stack, which was called at the origin's PC; if not, it stands for the
//! hijacked frame, of which it knows the frame pointer alone.
//!
//! ```text
//!   slot found      CFA = rsp + 8     return PC = the origin's    rbp = rbp      rsp = rsp
//!   no such slot    CFA = rbp + 16    return PC = [rbp + 8]       rbp = [rbp]    rsp = rbp + 16
//! ```
//!
//! Debuggers tell frames apart by function and CFA. A frame that is landing is one of the stub as well, its CFA is the
//! `rsp` of the next: hence the 8. The hijacked frame's own CFA is higher still.
//!
//! The table is hashed: the search for a slot begins at entry `slot / 8`, modulo the entries, and ends at the slot or at an
//! empty entry. Nothing else reads it, and without one the row costs an unwinder a few steps more.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// What a hijacked slot held.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Origin {
    /// The address of the slot; zero in an empty entry.
    pub slot: AtomicU64,
    /// The PC that unwinders continue with.
    pub pc: AtomicU64,
}

/// As the expression reads it.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Origins {
    /// The bytes of the entries, less those of one.
    mask: AtomicU64,
    entries: AtomicPtr<Origin>,
}

pub(super) static ORIGINS: Origins =
    Origins { mask: AtomicU64::new(0), entries: AtomicPtr::new(ptr::null_mut()) };

/// Where the search for `slot` begins in a table of so many entries, a power of two.
pub fn first_entry(slot: u64, entries: usize) -> usize {
    (slot / 8) as usize & (entries - 1)
}

/// Unwinders search `table` from now on, instead of the one before; none if it is empty.
///
/// # Safety
/// The table stays where it is until another is published.
///
/// # Panics
/// If its length is no power of two, nor zero.
pub unsafe fn publish(table: &[Origin]) {
    let last = table.len().saturating_sub(1) * size_of::<Origin>();
    assert!(table.is_empty() || table.len().is_power_of_two(), "the search goes around");
    // In between there is no table: unwinders may stop this thread anywhere.
    ORIGINS.entries.store(ptr::null_mut(), Ordering::SeqCst);
    ORIGINS.mask.store(last as u64, Ordering::SeqCst);
    if !table.is_empty() {
        ORIGINS.entries.store(table.as_ptr().cast_mut(), Ordering::SeqCst);
    }
}

/// Part of an unwind rule: a DWARF expression that leaves the PC of the origin on top, or zero. At the return PC that is looked
/// up the distance of [`ORIGINS`] is ten bytes back, as a word that is relative to itself. 56 bytes.
macro_rules! search_origins {
    () => {
        concat!(
            ".cfi_escape 0x80, 0x76\n", //  0        breg16 -10           rip - 10: the word
            ".cfi_escape 0x06\n",       //  2        deref
            ".cfi_escape 0x80, 0x76\n", //  3        breg16 -10
            ".cfi_escape 0x22\n",       //  5        plus                 origins
            ".cfi_escape 0x12\n",       //  6        dup
            ".cfi_escape 0x23, 0x08, 0x06\n", //  7        plus_uconst 8, deref origins entries
            ".cfi_escape 0x12\n",       // 10        dup
            ".cfi_escape 0x28, 0x04, 0x00\n", // 11        bra table            is there a table?
            ".cfi_escape 0x30\n",       // 14        lit0
            ".cfi_escape 0x2f, 0x26, 0x00\n", // 15        skip end
            ".cfi_escape 0x16, 0x06\n", // 18 table: swap, deref          entries mask
            ".cfi_escape 0x77, 0x78, 0x31, 0x24\n", // 20        breg7 -8, lit1, shl  entries mask 2*slot
            ".cfi_escape 0x14, 0x1a\n", // 24 loop:  over, and            entries mask at
            ".cfi_escape 0x12, 0x15, 0x03, 0x22\n", // 26        dup, pick 3, plus    entries mask at entry
            ".cfi_escape 0x12, 0x06\n", // 30        dup, deref           .. entry key
            ".cfi_escape 0x12, 0x77, 0x78, 0x29\n", // 32        dup, breg7 -8, eq
            ".cfi_escape 0x28, 0x0d, 0x00\n", // 36        bra found            is it the slot?
            ".cfi_escape 0x28, 0x04, 0x00\n", // 39        bra next             is it another?
            ".cfi_escape 0x30\n",       // 42        lit0
            ".cfi_escape 0x2f, 0x0a, 0x00\n", // 43        skip end
            ".cfi_escape 0x13, 0x23, 0x10\n", // 46 next:  drop, plus_uconst 16 entries mask at
            ".cfi_escape 0x2f, 0xe4, 0xff\n", // 49        skip loop
            ".cfi_escape 0x13, 0x23, 0x08, 0x06\n", // 52 found: drop, plus_uconst 8, deref
        )
    };
}

/// The unwind row of the landing PC. See the module's description.
macro_rules! landing_row {
    () => {
        concat!(
            // CFA: def_cfa_expression, 66 bytes.
            ".cfi_escape 0x0f, 66\n",
            search_origins!(),
            ".cfi_escape 0x28, 0x05, 0x00\n", // bra found
            ".cfi_escape 0x76, 0x10\n",       // breg6 16
            ".cfi_escape 0x2f, 0x02, 0x00\n", // skip end
            ".cfi_escape 0x77, 0x08\n",       // found: breg7 8
            // rsp: val_expression of register 7, 66 bytes.
            ".cfi_escape 0x16, 7, 66\n",
            search_origins!(),
            ".cfi_escape 0x28, 0x05, 0x00\n", // bra found
            ".cfi_escape 0x76, 0x10\n",       // breg6 16
            ".cfi_escape 0x2f, 0x02, 0x00\n", // skip end
            ".cfi_escape 0x77, 0x00\n",       // found: breg7 0
            // The return PC: val_expression of register 16, 63 bytes.
            ".cfi_escape 0x16, 16, 63\n",
            search_origins!(),
            ".cfi_escape 0x12, 0x28, 0x03, 0x00\n", // dup, bra end
            ".cfi_escape 0x76, 0x08, 0x06\n",       // breg6 8, deref
            // rbp: val_expression of register 6, 67 bytes.
            ".cfi_escape 0x16, 6, 67\n",
            search_origins!(),
            ".cfi_escape 0x28, 0x06, 0x00\n", // bra found
            ".cfi_escape 0x76, 0x00, 0x06\n", // breg6 0, deref
            ".cfi_escape 0x2f, 0x02, 0x00\n", // skip end
            ".cfi_escape 0x76, 0x00\n",       // found: breg6 0
        )
    };
}

pub(super) use {landing_row, search_origins};
