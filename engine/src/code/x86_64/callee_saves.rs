//! Where a version's frames keep their callers' callee-saved registers.
//!
//! Taken from the version's unwind rows: all return PCs share one row, that of the body, because Cranelift's
//! prologue saves everything before the first call and no epilogue comes before a return PC.

use std::mem::offset_of;
use std::ptr;

use osr_stackwalk::{CalleeSaved, CompactRows};
use osr_stubs::CalleeSaved as Registers;

/// The landing stub keeps the registers in the order of the places that they are saved at.
const _: () = {
    use CalleeSaved::{R12, R13, R14, R15, Rbx};
    assert!(matches!(CompactRows::REGISTERS, [Rbx, R12, R13, R14, R15]));
    assert!(offset_of!(Registers, rbx) == 0 && offset_of!(Registers, r12) == 8);
    assert!(offset_of!(Registers, r13) == 16 && offset_of!(Registers, r14) == 24);
    assert!(offset_of!(Registers, r15) == 32);
};

/// Makes `registers`, which are as they are in a frame, what the caller of that frame expects.
///
/// # Safety
/// The frame is live, and of the version that has `rows`.
#[inline(always)]
pub(crate) unsafe fn restore(rows: CompactRows, registers: &mut Registers) {
    let frame_base = registers.rbp;
    // SAFETY: the frame is live, and the rows say that a register is saved there.
    let saved = |place: i32| unsafe { *(frame_base.wrapping_add_signed(i64::from(place)) as *const u64) };
    let words = ptr::from_mut(registers).cast::<u64>();
    rows.saves().for_each(|(position, place)| {
        // SAFETY: the struct has a word for each register, in that order.
        unsafe { *words.add(position) = saved(place) };
    });
    registers.rbp = saved(0);
}
