//! Lists of registers, which follow calls and returns in the code.

use super::machine::Step;
use super::op::Op;

/// Registers in one operation of a list.
pub(super) const REGISTERS: usize = 7;

/// Registers that [`copy_first`] copies. Frames have room for at least as many words.
pub(super) const AT_ONCE: usize = 4;

/// Operations of a list of `count` registers, if there are any.
pub(super) fn length(count: u16) -> usize {
    usize::from(count).div_ceil(REGISTERS)
}

/// Copies the words of the first registers of the list at `list`, however many there are, to `to`: what
/// lies beyond is not live there yet.
///
/// # Safety
/// `list` is a list of registers of the window `from`; `to` has room for [`AT_ONCE`] words.
#[inline(always)]
pub(super) unsafe fn copy_first(list: *const Step, from: *const u64, to: *mut u64) {
    // SAFETY: the caller vouches for both places. Entries that are not in use are those of register 0.
    unsafe {
        let Op::Registers(registers) = &(*list).op else { std::hint::unreachable_unchecked() };
        for (position, &register) in registers.iter().take(AT_ONCE).enumerate() {
            *to.add(position) = *from.add(usize::from(register));
        }
    }
}

/// Copies the words of `count` registers, listed from `list` on, to `to`. Returns the operation behind
/// the list. There is a list, if there are no registers.
///
/// # Safety
/// `list` is a list of `count` registers of the window `from`; `to` has room for them.
#[inline(never)]
pub(super) unsafe fn gather(
    mut list: *const Step,
    count: u16,
    from: *const u64,
    mut to: *mut u64,
) -> *const Step {
    let mut left = usize::from(count);
    loop {
        // SAFETY: the caller vouches for the list.
        let Op::Registers(registers) = (unsafe { &(*list).op }) else { unreachable!("a list of registers") };
        for &register in registers.iter().take(left) {
            // SAFETY: the caller vouches for both places.
            unsafe {
                *to = *from.add(usize::from(register));
                to = to.add(1);
            }
        }
        left -= left.min(registers.len());
        list = list.wrapping_add(1);
        if left == 0 {
            return list;
        }
    }
}

/// Moves `count` results, the registers that are listed from `list` on, to the beginning of `window`,
/// by way of the words from `scratch` on.
///
/// # Safety
/// As for [`gather`]; there is room from `scratch` on.
#[inline(never)]
pub(super) unsafe fn gather_results(list: *const Step, count: u16, window: *mut u64, scratch: u32) {
    // SAFETY: the caller vouches for all places.
    unsafe {
        let scratch = window.add(scratch as usize);
        gather(list, count, window, scratch);
        scratch.copy_to(window, usize::from(count));
    }
}

/// Copies `count` words at `from` to the registers of `window` that are listed from `list` on. Returns
/// the operation behind the list.
///
/// # Safety
/// As for [`gather`], with the directions exchanged.
#[inline(never)]
pub(super) unsafe fn scatter(
    mut list: *const Step,
    count: u16,
    mut from: *const u64,
    window: *mut u64,
) -> *const Step {
    let mut left = usize::from(count);
    while left > 0 {
        // SAFETY: the caller vouches for the list.
        let Op::Registers(registers) = (unsafe { &(*list).op }) else { unreachable!("a list of registers") };
        for &register in registers.iter().take(left) {
            // SAFETY: the caller vouches for both places.
            unsafe {
                *window.add(usize::from(register)) = *from;
                from = from.add(1);
            }
        }
        left -= left.min(registers.len());
        list = list.wrapping_add(1);
    }
    list
}
