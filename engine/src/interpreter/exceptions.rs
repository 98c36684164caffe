//! Exceptions: the frame of an activation that catches what is pending.

use super::calls::executing;
use super::machine::{Activation, Bounds, Header, Next, Step};
use super::op::Op;
use super::{backtrace, lists};
use crate::thread::trap::Innermost;

/// What comes next where the frame at `window` would continue at `ip`, but something else is pending: of an exception the
/// innermost frame from there outwards that catches it. If none does, or it is a trap, the activation is left: `innermost` says
/// whose it is.
///
/// # Safety
/// There is such a frame of the activation; frames further in are gone.
#[cold]
#[inline(never)]
pub(super) unsafe fn unwind(
    activation: &Activation<'_>,
    first: *mut u64,
    behind: *const Step,
    innermost: Innermost,
) -> Next {
    let (thread, instance) = (activation.thread, activation.instance);
    // SAFETY: the caller vouches for the frame.
    let leave = || unsafe {
        match innermost {
            Innermost::Trapped => backtrace::trapped(activation, first),
            Innermost::Waits => backtrace::callee_trapped(activation, first, behind),
        }
    };
    let Some(exception) = thread.pending_exception() else { return leave() };
    let (mut window, mut ip) = (first, behind);
    loop {
        // SAFETY: the caller vouches for the first frame; headers lead to its callers.
        let code = executing(unsafe { activation.function_at(window) });
        // SAFETY: execution would continue at the operation.
        if let Op::Results { count, .. } = unsafe { (*ip).op } {
            ip = ip.wrapping_add(1 + lists::length(count));
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
            return leave();
        }
        // SAFETY: it is not the outermost frame, so its call wrote the header.
        unsafe {
            ip = *Header::Resume.of(window) as *const Step;
            window = *Header::Caller.of(window) as *mut u64;
        }
    }
}
