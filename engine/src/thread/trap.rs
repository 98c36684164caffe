//! Traps that are pending: noticed in guest code, and told when its call has been left.
//!
//! A trap collects its [callers](crate::Callers) on the way out. What it passes says so here: [`Thread::trap_leaves`].

use std::sync::Arc;

use osr_ir::{FunctionIndex, Point, TrapKind};
use osr_stackwalk::{ReturnSlot, StackMemory};

use crate::code::SiteRef;
use crate::code::ledger::LedgerPcs;
use crate::error::{Callers, Exception, Trap, TrapFrame};
use crate::thread::Thread;
use crate::thread::agenda::End;

/// What the machine noticed in compiled code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// The instruction, which is one that may trap.
    pub(crate) pc: u64,
    /// The frame pointer there.
    pub(crate) frame_base: u64,
}

/// Whether the innermost frame is the one that trapped, or waits for what did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Innermost {
    /// It trapped itself, or the runtime did for it.
    Trapped,
    /// It waits.
    Waits,
}

impl Thread {
    /// Notes what the machine noticed. Called by the fault handler.
    pub(crate) fn set_fault(&self, fault: Fault) {
        self.fault.set(Some(fault));
    }

    /// Makes a trap of what the machine noticed. The frame that faulted is the innermost one on the stack.
    #[cold]
    pub(crate) fn trap_of_fault(&self) {
        let Fault { pc, frame_base } = self.fault.take().expect("the handler has noted it");
        let version = self.instance.registry().find(pc).expect("the handler has found it");
        let (function, site) = version.trap_site(pc).expect("the handler has found it");
        self.set_trap(site.kind, function, site.point);
        version.callers_at_trap(pc).for_each(|caller| self.trap_leaves(caller.function, caller.point));
        let Some(callers_base) = self.live_stack().read(frame_base) else { return };
        self.set_exit(ReturnSlot::new(frame_base + 8), callers_base);
        self.trap_leaves_compiled(Innermost::Waits);
    }

    /// The pending trap.
    pub(super) fn take_trap(&self) -> Trap {
        self.trap.take().expect("a trap is pending")
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
        Trap {
            kind,
            function,
            function_name,
            point,
            message,
            cause: None,
            exception,
            callers: Callers::default(),
        }
    }

    /// The exception that is pending, if that is why guest code is being left.
    pub(crate) fn pending_exception(&self) -> Option<Arc<Exception>> {
        self.trap.borrow().as_ref()?.exception.clone()
    }

    /// A frame has caught `exception`, which was pending.
    pub(crate) fn catch(&self, exception: &Arc<Exception>) {
        self.trap.take();
        self.instance.catch(exception);
    }

    /// The pending trap leaves an activation of `function`, which waits at `point`.
    #[cold]
    pub(crate) fn trap_leaves(&self, function: FunctionIndex, point: Point) {
        if let Some(trap) = &mut *self.trap.borrow_mut() {
            self.add_caller(trap, function, point);
        }
    }

    /// `trap` leaves an activation of `function`, which waits at `point`.
    pub(super) fn add_caller(&self, trap: &mut Trap, function: FunctionIndex, point: Point) {
        trap.callers.push(|| {
            let function_name = self.instance.module().function(function).name.clone();
            TrapFrame { function, function_name, point }
        });
    }

    /// What is pending leaves compiled code by way of the runtime: whether the frame that called that is its own.
    pub(crate) fn set_innermost(&self, innermost: Innermost) {
        self.innermost.set(innermost);
    }

    /// As was set last.
    pub(crate) fn innermost(&self) -> Innermost {
        self.innermost.get()
    }

    /// The pending trap leaves the compiled frames up to the nearest entry: from the one on that called the runtime, or is
    /// the [exit](Self::set_exit) by other means. Ends where the stack cannot be walked.
    #[cold]
    pub(crate) fn trap_leaves_compiled(&self, innermost: Innermost) {
        let ledger = self.ledger().borrow();
        let pcs = LedgerPcs::new(&ledger);
        let mut walk = self.walk(self.all_pcs(&pcs));
        let mut skipped = usize::from(innermost == Innermost::Trapped);
        while let Ok(Some(frame)) = walk.next_frame()
            && walk.segment() == 0
        {
            let SiteRef { version, site } = self.site_of(&ledger, frame);
            for activation in self.instance().activations(&version, site).into_iter().skip(skipped) {
                self.trap_leaves(activation.function, activation.point);
            }
            skipped = 0;
        }
    }

    /// Whether the call is to end, since code of the embedder has panicked, or an observer wants it: that is pending now as a
    /// trap, at `point` of `function`.
    #[inline(always)]
    pub(crate) fn fails(&self, function: FunctionIndex, point: Point) -> bool {
        let fails = self.agenda.has_end();
        if fails {
            self.trap.replace(self.end_trap(function, point));
        }
        fails
    }

    /// Why the call is to end, if it is, as a trap.
    #[cold]
    pub(super) fn end_trap(&self, function: FunctionIndex, point: Point) -> Option<Trap> {
        let (message, cause) = match self.agenda.take_end()? {
            End::Panic(message) => (message, None),
            End::Wanted(error) => (error.to_string(), Some(error)),
        };
        self.update_polls(self.phase.get());
        Some(Trap { message: Some(message), cause, ..self.trap_at(TrapKind::HostError, function, point) })
    }
}
