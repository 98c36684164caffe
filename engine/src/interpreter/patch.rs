//! Code of the interpreter as the redefinitions in effect have it.
//!
//! ```text
//!   call sort (..)      names the body that calls of `sort` enter
//!   call_indirect ..    looks first whether the function that it finds is redefined
//!   p1: add ..          a body whose activations are carried: each operation at which a mapped point resumes carries
//! ```
//!
//! So frames need no mark, whatever their number and wherever they wait: what executes next in each of them says what
//! becomes of it. Nothing is paid for it while no function is redefined.

use std::sync::atomic::Ordering;

use osr_compiler::reference::referenced;
use osr_ir::FunctionIndex;

use super::calls::{self, Call};
use super::carry::carry;
use super::code::Code;
use super::handlers::handler;
use super::listed::listed_handler;
use super::lists::AT_ONCE;
use super::machine::{Activation, Bounds, Machine, Next, Step};
use super::op::Op;
use crate::instance::Instance;

/// Adapts all code of `instance` that is there. To be called on the native thread that executes the instance, while it
/// is in the runtime.
pub(crate) fn adapt_all(instance: &Instance) {
    instance
        .functions()
        .iter()
        .filter_map(|state| state.existing_code())
        .for_each(|code| adapt(code, instance));
}

/// Makes `code` of a function of `instance` be as the redefinitions in effect have it, whatever they were before.
pub(super) fn adapt(code: &Code, instance: &Instance) {
    let bodies = instance.bodies();
    for step in &code.steps {
        // SAFETY: nothing executes the code or refers to it: handlers copy what they need of an operation before they
        // call anything, and keep no reference to it.
        let step = unsafe { &mut *step.get() };
        if let Op::Call { function, .. } = &mut step.op {
            let callee = FunctionIndex::new(*function as usize);
            *function = bodies.entered(instance.module().function_of(callee)).as_u32();
        }
        step.handler = match step.op {
            Op::CallIndirect { .. } => call_indirect,
            op => handler(&op),
        };
    }
    if let Some(map) = bodies.carried(code.function) {
        for entry in &map.entries {
            // SAFETY: as above.
            unsafe { (*code.start(entry.from).cast_mut()).handler = carry };
        }
    }
}

/// A call through a table, where functions are redefined.
unsafe fn call_indirect(ip: *const Step, window: *mut u64, memory: Bounds, activation: &Activation<'_>) {
    // SAFETY: this is the handler of such an operation.
    unsafe {
        match redefined_callee(ip, window, activation) {
            Some(body) => {
                if activation.instance.settings().guest_frames {
                    activation.next.set(Next { ip: Call::at(ip, window).behind(), window });
                }
                let state = activation.instance.function(body);
                let Op::CallIndirect { arguments, .. } = (*ip).op else {
                    unreachable!("a call through a table")
                };
                if usize::from(arguments) <= AT_ONCE && !state.has_compiled() {
                    state.counter.count();
                }
                let next = calls::call(activation, window, ip, body);
                Machine { ip, window, memory, activation }.resume(next);
            }
            None if activation.instance.settings().guest_frames => {
                listed_handler(&(*ip).op)(ip, window, memory, activation)
            }
            None => handler(&(*ip).op)(ip, window, memory, activation),
        }
    }
}

/// The body that the indirect call at `ip` enters, if it succeeds and that is not what the table refers to.
///
/// # Safety
/// There is such an operation, of the function whose frame is at `window`.
#[inline(never)]
unsafe fn redefined_callee(
    ip: *const Step,
    window: *mut u64,
    activation: &Activation<'_>,
) -> Option<FunctionIndex> {
    // SAFETY: the caller vouches for the operation, which its table follows; the index is below the table's length.
    let reference = unsafe {
        let Op::CallIndirect { index, .. } = (*ip).op else { unreachable!("a call through a table") };
        let Op::Table { table, expected } = (*ip.add(1)).op else { unreachable!("its table") };
        let view = &activation.instance.table_views()[table as usize];
        let index = u64::from(*window.add(usize::from(index)) as u32);
        let is_there = index < view.length.load(Ordering::Relaxed);
        let reference = if is_there { *view.entries.add(index as usize) } else { 0 };
        if (reference >> 32) as u32 == expected { reference } else { 0 }
    };
    let function = activation.instance.own_function(referenced(reference)?)?;
    let body = activation.instance.bodies().entered(function);
    (body != function).then_some(body)
}
