//! The interpreted part of a trap's [backtrace](crate::Callers): the frames of an activation that a trap leaves.

use super::calls::executing;
use super::machine::{Activation, Header, Next, Step};
use super::{Outcome, lists};
use crate::interpreter::op::Op;

/// The activation ends with the trap that is pending: what the frame at `window` has called has trapped, and would have
/// returned to `ip`.
///
/// # Safety
/// There is such a frame of the activation, and one of its calls returns there.
#[cold]
#[inline(never)]
pub(super) unsafe fn callee_trapped(activation: &Activation<'_>, window: *mut u64, ip: *const Step) -> Next {
    // SAFETY: the caller vouches for both.
    unsafe { leave_from(activation, window, ip) }
    activation.leave(Outcome::Trap)
}

/// The activation ends with the trap that is pending, which is that of the frame at `window`.
///
/// # Safety
/// There is such a frame of the activation.
#[cold]
#[inline(never)]
pub(super) unsafe fn trapped(activation: &Activation<'_>, window: *mut u64) -> Next {
    if window != activation.base {
        // SAFETY: it is not the outermost frame, so its call wrote the header.
        unsafe {
            let caller = *Header::Caller.of(window) as *mut u64;
            leave_from(activation, caller, *Header::Resume.of(window) as *const Step);
        }
    }
    activation.leave(Outcome::Trap)
}

/// Adds the frames from the one at `window` outwards, to which a call would have returned at `ip`.
///
/// # Safety
/// As for [`callee_trapped`].
unsafe fn leave_from(activation: &Activation<'_>, mut window: *mut u64, mut ip: *const Step) {
    loop {
        // SAFETY: the caller vouches for the first frame; the headers lead to the others.
        unsafe {
            let code = executing(activation.function_at(window));
            let point = code.resume_point(behind_results(ip)).expect("calls are resumed behind");
            activation.thread.trap_leaves(code.function, point);
            if window == activation.base {
                return;
            }
            (window, ip) =
                (*Header::Caller.of(window) as *mut u64, *Header::Resume.of(window) as *const Step);
        }
    }
}

/// Where execution resumes that returns to `ip`, once several results are where they belong.
///
/// # Safety
/// A call returns there.
pub(super) unsafe fn behind_results(ip: *const Step) -> *const Step {
    // SAFETY: the caller vouches for the operation.
    match unsafe { (*ip).op } {
        Op::Results { count, .. } => ip.wrapping_add(1 + lists::length(count)),
        _ => ip,
    }
}
