//! Exceptions: the frame of an activation that catches what is pending.

use super::Outcome;
use super::calls::executing;
use super::machine::{Activation, Bounds, Header, Next, Step};
use super::op::Op;

/// Registers of a list that one operation has.
const LISTED: usize = 7;

/// What comes next where the frame at `window` would continue at `ip`, but something else is pending: of an exception the
/// innermost frame from there outwards that catches it. If none does, or it is a trap, the activation is left.
///
/// # Safety
/// There is such a frame of the activation; frames further in are gone.
#[cold]
#[inline(never)]
pub(super) unsafe fn unwind(activation: &Activation<'_>, mut window: *mut u64, mut ip: *const Step) -> Next {
    let (thread, instance) = (activation.thread, activation.instance);
    let Some(exception) = thread.pending_exception() else { return activation.leave(Outcome::Trap) };
    loop {
        // SAFETY: the caller vouches for the first frame; headers lead to its callers.
        let code = executing(unsafe { activation.function_at(window) });
        // SAFETY: execution would continue at the operation.
        if let Op::Results { count, .. } = unsafe { (*ip).op } {
            ip = ip.wrapping_add(1 + usize::from(count).div_ceil(LISTED));
        }
        let point = code.resume_point(ip);
        if let Some(point) = point.filter(|&point| instance.catches(code.function, point)) {
            thread.catch(&exception);
            for word in instance.result_words(code.function, point) {
                // SAFETY: the window has a word for each register.
                unsafe { *window.add(word) = 0 };
            }
            activation.memory.set(Bounds::of(thread));
            return Next { ip, window };
        }
        if window == activation.base {
            return activation.leave(Outcome::Trap);
        }
        // SAFETY: it is not the outermost frame, so its call wrote the header.
        unsafe {
            ip = *Header::Resume.of(window) as *const Step;
            window = *Header::Caller.of(window) as *mut u64;
        }
    }
}
