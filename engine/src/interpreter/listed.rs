//! Activations that can be seen from outside, where [`Settings::guest_frames`](crate::Settings::guest_frames) asks for it.
//!
//! ```text
//!   thread's list:  activation, activation, ..     each knows the frame that waits, and where:
//!                                                  before a call the handler of the call writes that down
//! ```
//!
//! Without it calls have handlers that write nothing, and activations are in no list.

use std::ptr;

use osr_ir::{FunctionIndex, Point};

use super::backtrace::behind_results;
use super::calls::{Call, executing};
use super::handlers::handler;
use super::machine::{Activation, Bounds, Handler, Header, Next, Step};
use super::op::Op;
use crate::thread::Thread;

/// The handler of `op` in code whose frames can be seen.
pub(super) fn listed_handler(op: &Op) -> Handler {
    match op {
        Op::Call { .. } | Op::CallIndirect { .. } => call,
        Op::Host { .. } => host,
        op => handler(op),
    }
}

/// A call: the frame waits behind it.
unsafe fn call(ip: *const Step, window: *mut u64, memory: Bounds, activation: &Activation<'_>) {
    // SAFETY: this is the handler of such an operation.
    unsafe {
        activation.next.set(Next { ip: Call::at(ip, window).behind(), window });
        handler(&(*ip).op)(ip, window, memory, activation);
    }
}

/// The host's function, whose whole frame is this one: its caller waits.
unsafe fn host(ip: *const Step, window: *mut u64, memory: Bounds, activation: &Activation<'_>) {
    // SAFETY: this is the handler of such an operation.
    unsafe {
        activation.next.set(caller(activation, window));
        handler(&(*ip).op)(ip, window, memory, activation);
    }
}

/// What waits for the frame at `window`: nothing of the activation, if it is the outermost.
///
/// # Safety
/// There is such a frame of the activation.
pub(super) unsafe fn caller(activation: &Activation<'_>, window: *mut u64) -> Next {
    if window == activation.base {
        return Next::LEAVE;
    }
    // SAFETY: it is not the outermost frame, so its call wrote the header.
    unsafe {
        Next { ip: *Header::Resume.of(window) as *const Step, window: *Header::Caller.of(window) as *mut u64 }
    }
}

/// An activation that is in its thread's list until this is dropped.
pub(super) struct Listed<'t>(&'t Thread);

impl<'t> Listed<'t> {
    /// Adds `activation`, which has called nothing yet.
    pub(super) fn new(thread: &'t Thread, activation: &Activation<'_>) -> Listed<'t> {
        thread.activations().borrow_mut().push(ptr::from_ref(activation).cast());
        Listed(thread)
    }
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.0.activations().borrow_mut().pop();
    }
}

/// Calls `visit` for each frame of `activation` that waits, innermost first: its function, the point behind its call, and its
/// window.
///
/// # Safety
/// The activation is in its thread's list, and has called what calls this.
pub(crate) unsafe fn waiting_frames(
    activation: *const (),
    visit: &mut dyn FnMut(FunctionIndex, Point, *const u64),
) {
    // SAFETY: the list has pointers to activations, which are there as long as they are in it.
    let activation = unsafe { &*activation.cast::<Activation<'_>>() };
    let mut next = activation.next.get();
    while !next.ip.is_null() {
        // SAFETY: a frame that waits is one of the activation, and resumes at the operation that was written down.
        unsafe {
            let code = executing(activation.function_at(next.window));
            let point = code.resume_point(behind_results(next.ip)).expect("calls are resumed behind");
            visit(code.function, point, next.window);
            next = caller(activation, next.window);
        }
    }
}
