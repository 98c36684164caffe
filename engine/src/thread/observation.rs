//! What an observer can see and do while it is told of an event.

use std::error::Error as StdError;

use osr_ir::{FunctionIndex, Redefinition};

use crate::error::{EmbedderError, RedefinitionError, TransitionError};
use crate::event::statistics::{Moves, Transitions};
use crate::instance::Instance;
use crate::thread::Thread;
use crate::thread::agenda::End;
use crate::thread::phase::{NotNow, Phase};
use crate::thread::walk::CompiledFrame;

/// The execution at an event, to look at. What is wanted of it is [requested](Self::request).
///
/// There is no way from here to the [`Thread`], and one that an observer has got at elsewhere refuses with
/// [`NotNow`].
#[derive(Clone, Copy, Debug)]
pub struct Observation<'t> {
    thread: &'t Thread,
    /// The phase in which the event happened.
    phase: Phase,
}

/// What an observer can request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Request {
    /// To [invalidate](Thread::invalidate_all) all code of the instance.
    InvalidateAll,
    /// To [invalidate](Thread::invalidate_active) every version that has a frame on the stack.
    InvalidateActive,
    /// To [hijack](Thread::hijack) all compiled frames on the stack.
    Hijack,
}

impl Request {
    /// All, in the order in which several are carried out at one safepoint.
    pub const ALL: [Request; 3] = [Request::InvalidateAll, Request::InvalidateActive, Request::Hijack];
}

impl<'t> Observation<'t> {
    /// Of an event of `thread` in `phase`.
    pub(crate) fn new(thread: &'t Thread, phase: Phase) -> Observation<'t> {
        Observation { thread, phase }
    }

    /// The instance that executes.
    pub fn instance(&self) -> &'t Instance {
        self.thread.instance()
    }

    /// What happened so far.
    pub fn transitions(&self) -> Transitions {
        self.thread.transitions()
    }

    /// How often activations went over from one tier to another so far, and where.
    pub fn moves(&self) -> Vec<Moves> {
        self.thread.moves()
    }

    /// Slots that are hijacked.
    pub fn hijacked_slots(&self) -> usize {
        self.thread.hijacked_slots()
    }

    /// The compiled frames on the stack, innermost first.
    ///
    /// # Errors
    /// [`TransitionError::NotNow`] if a frame is landing, which is when [`Landed`](crate::Event::Landed) is
    /// told, and [`Compiled`](crate::Event::Compiled) and [`Refused`](crate::Event::Refused) because of a
    /// [landing](crate::Cause::Landing).
    pub fn frames(&self) -> Result<Vec<CompiledFrame>, TransitionError> {
        match self.phase {
            Phase::Landing => Err(NotNow { phase: self.phase }.into()),
            _ => self.thread.list_frames(),
        }
    }

    /// Asks for `request` to be carried out at the next safepoint. If the event is [`Reached`], that is the
    /// point which is reached; else the next poll, call of the runtime or point that is told of. If there is
    /// none before the call ends, or the replacement that the host has asked for, it is carried out then.
    ///
    /// [`Reached`]: crate::Event::Reached
    ///
    /// # Errors
    /// If compiled code is not ready for it.
    pub fn request(&self, request: Request) -> Result<(), TransitionError> {
        match request {
            Request::Hijack => self.thread.check_ready()?,
            Request::InvalidateAll | Request::InvalidateActive => self.thread.check_updatable()?,
        }
        self.thread.agenda().request(request);
        self.thread.update_polls(self.phase);
        Ok(())
    }

    /// Asks for all code of `functions` to be invalidated when [requests](Self::request) are carried out, after those: their
    /// own, that of their further bodies, and what they are inlined into.
    ///
    /// # Errors
    /// If compiled code is not ready for it.
    pub fn invalidate(&self, functions: &[FunctionIndex]) -> Result<(), TransitionError> {
        self.thread.check_updatable()?;
        self.thread.agenda().invalidate(functions);
        self.thread.update_polls(self.phase);
        Ok(())
    }

    /// Asks for the guest's call to end, when [requests](Self::request) are carried out, before those: with
    /// [`TrapKind::HostError`](osr_ir::TrapKind::HostError), whose [`Trap::cause`](crate::Trap::cause) is `error`. If the
    /// event is [`Reached`], the trap is at that point.
    ///
    /// [`Reached`]: crate::Event::Reached
    pub fn end(&self, error: impl StdError + Send + Sync + 'static) {
        self.thread.agenda().end(End::Wanted(EmbedderError::new(error)));
        self.thread.update_polls(self.phase);
    }

    /// Asks for `redefinition` to be carried out when [requests](Self::request) are, after those.
    ///
    /// # Errors
    /// As for [`Thread::redefine`], but for the phase; and if another one is waiting.
    pub fn redefine(&self, redefinition: &Redefinition) -> Result<(), RedefinitionError> {
        (self.thread.hooks.check_redefinition)(self.thread, redefinition)?;
        if !self.thread.agenda().redefine(redefinition.clone()) {
            return Err(RedefinitionError::Waiting);
        }
        self.thread.update_polls(self.phase);
        Ok(())
    }
}
