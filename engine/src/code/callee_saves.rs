//! Where a version's frames keep their callers' callee-saved registers.
//!
//! Taken from the version's unwind rows when it is installed, in the form that a landing wants: offsets
//! from the frame base. All return PCs share one row, that of the body, because Cranelift's prologue
//! saves everything before the first call and no epilogue comes before a return PC.

use osr_stackwalk::{CalleeSaved, CfiRow, Save};
use osr_stubs::CalleeSaved as Registers;

/// Offsets from the frame base of the saved registers; 0 where the register is not saved (at 0 is
/// always the caller's `rbp`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CalleeSaves {
    rbx: i32,
    r12: i32,
    r13: i32,
    r14: i32,
    r15: i32,
}

impl CalleeSaves {
    /// Reads them off the row of a version's body. `None` if its frames are not of the expected form:
    /// the frame base in `rbp`, the caller's `rbp` where it points.
    pub(crate) fn of(row: &CfiRow) -> Option<CalleeSaves> {
        let by_frame_base = row.cfa_register() == Some(CalleeSaved::Rbp);
        let cfa = row.cfa_offset();
        if !by_frame_base || row.save(CalleeSaved::Rbp) != Save::At(-cfa) {
            return None;
        }
        let offset = |register| match row.save(register) {
            Save::Same => Some(0),
            Save::At(from_cfa) => Some(from_cfa + cfa),
            Save::Unknown => None,
        };
        Some(CalleeSaves {
            rbx: offset(CalleeSaved::Rbx)?,
            r12: offset(CalleeSaved::R12)?,
            r13: offset(CalleeSaved::R13)?,
            r14: offset(CalleeSaved::R14)?,
            r15: offset(CalleeSaved::R15)?,
        })
    }

    /// The registers as the caller of the frame at `frame_base` expects them, where `now` is what they
    /// hold in the frame.
    ///
    /// # Safety
    /// `frame_base` is that of a live frame of the version.
    #[inline(always)]
    pub(crate) unsafe fn restore(&self, frame_base: u64, now: &Registers) -> Registers {
        let read = |offset: i32, now: u64| {
            if offset == 0 {
                return now;
            }
            // SAFETY: the frame is live, and the row says that the register is saved there.
            unsafe { *(frame_base.wrapping_add_signed(i64::from(offset)) as *const u64) }
        };
        Registers {
            rbx: read(self.rbx, now.rbx),
            r12: read(self.r12, now.r12),
            r13: read(self.r13, now.r13),
            r14: read(self.r14, now.r14),
            r15: read(self.r15, now.r15),
            // SAFETY: the frame base points at the caller's.
            rbp: unsafe { *(frame_base as *const u64) },
        }
    }
}
