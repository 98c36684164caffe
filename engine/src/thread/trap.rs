//! Traps that are pending: noticed in guest code, and told when its call has been left.

use std::sync::Arc;

use osr_ir::{FunctionIndex, Point, TrapKind};

use crate::error::{Exception, Trap};
use crate::thread::Thread;

/// A trap that the machine noticed in compiled code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// Why.
    pub(crate) kind: TrapKind,
    /// The function whose code it is.
    pub(crate) function: FunctionIndex,
    /// The point of the instruction.
    pub(crate) point: Point,
}

impl Thread {
    /// Notes what the machine noticed. Called by the fault handler.
    pub(crate) fn set_fault(&self, fault: Fault) {
        self.fault.set(Some(fault));
    }

    /// The pending trap.
    pub(super) fn take_trap(&self) -> Trap {
        match self.fault.take() {
            Some(Fault { kind, function, point }) => self.trap_at(kind, function, point),
            None => self.trap.take().expect("a trap is pending"),
        }
    }

    /// Makes a trap pending.
    #[cold]
    pub(crate) fn set_trap(&self, kind: TrapKind, function: FunctionIndex, point: Point) {
        let trap = self.trap_at(kind, function, point);
        self.trap.replace(Some(trap));
    }

    pub(super) fn trap_at(&self, kind: TrapKind, function: FunctionIndex, point: Point) -> Trap {
        let function_name = self.instance.module().function(function).name.clone();
        let is_exception = kind == TrapKind::UncaughtException;
        let exception = is_exception.then(|| self.instance.take_thrown()).flatten();
        let message = exception.as_ref().map(|exception| exception.to_string());
        Trap { kind, function, function_name, point, message, cause: None, exception }
    }

    /// The exception that is pending, if that is why guest code is being left.
    pub(crate) fn pending_exception(&self) -> Option<Arc<Exception>> {
        if self.fault.get().is_some() {
            return None;
        }
        self.trap.borrow().as_ref()?.exception.clone()
    }

    /// A frame has caught `exception`, which was pending.
    pub(crate) fn catch(&self, exception: &Arc<Exception>) {
        self.trap.take();
        self.instance.catch(exception);
    }

    /// Whether code of the embedder has panicked: that is pending now as a trap, at `point` of `function`.
    #[inline(always)]
    pub(crate) fn fails(&self, function: FunctionIndex, point: Point) -> bool {
        let fails = self.agenda.has_panic();
        if fails {
            self.trap.replace(self.panic_trap(function, point));
        }
        fails
    }

    /// The panic of code of the embedder, as a trap.
    #[cold]
    pub(super) fn panic_trap(&self, function: FunctionIndex, point: Point) -> Option<Trap> {
        let message = self.agenda.take_panic()?;
        self.update_polls(self.phase.get());
        Some(Trap { message: Some(message), ..self.trap_at(TrapKind::HostError, function, point) })
    }
}
