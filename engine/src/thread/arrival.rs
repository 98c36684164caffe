//! Arrivals at points: whether compiled code takes the slow path of its polls, who is told, and what is done there
//! for observers.

use std::collections::BTreeSet;
use std::sync::atomic::{Ordering, fence};

use osr_compiler::Poll;
use osr_ir::{FunctionIndex, Point};
use osr_stubs::POLL_REQUEST;

use crate::code::VersionId;
use crate::code::ledger::LedgerPcs;
use crate::error::TransitionError;
use crate::event::Event;
use crate::settings::Tier;
use crate::thread::Thread;
use crate::thread::phase::Phase;

impl Thread {
    /// Asks compiled code to take the slow path of its polls, or not to, as there is something to be done at
    /// them or not. Code that only checks the stack takes a request for the end of the stack: it gets none. The thread
    /// is in the runtime, in `phase`; [`Phase::Observing`] if in which is not known.
    pub(crate) fn update_polls(&self, phase: Phase) {
        let settings = self.instance().settings();
        let always = settings.counts_safepoints() || settings.points;
        let wanted = (always || !self.agenda().is_empty()) && settings.mechanism.polls();
        let limit = if wanted { POLL_REQUEST } else { self.stack_limit() };
        // SAFETY: the fields are atomic.
        let (stack_limit, flag) = unsafe { (&(*self.context()).stack_limit, &(*self.context()).poll_flag) };
        let near = self.instance().registry().cells.poll_request();
        let request = |limit, wanted| {
            stack_limit.store(limit, Ordering::Relaxed);
            flag.store(u64::from(wanted), Ordering::Relaxed);
            near.store(if wanted { POLL_REQUEST } else { 0 }, Ordering::Relaxed);
        };
        request(limit, wanted);
        if !wanted && self.agenda().is_interruptible() {
            // Pairs with that of a handle: it has written after this thread, or is seen here.
            fence(Ordering::SeqCst);
            if !self.agenda().is_empty() {
                request(POLL_REQUEST, true);
            }
        }
        if self.instance().registry().has_polls_in_code() {
            self.update_polls_in_code(
                wanted,
                !always && settings.mechanism.poll == Poll::PatchedNopActive,
                phase,
            );
        }
    }

    /// The same where code has to be changed for it; if `only_active`, and the stack can be walked, code that may
    /// execute without a poll at its entry before the request is carried out.
    #[cold]
    fn update_polls_in_code(&self, wanted: bool, only_active: bool, phase: Phase) {
        let registry = self.instance().registry();
        let can_walk = !matches!(phase, Phase::Landing | Phase::Observing);
        if !wanted {
            registry.withdraw_polls();
        } else if let Some(active) =
            (only_active && can_walk).then(|| self.versions_on_stack().ok()).flatten()
        {
            registry.request_polls(|version| active.contains(&version.id) || !version.polls_at_entry());
        } else {
            registry.request_all_polls();
        }
    }

    /// The versions into which something on the stack returns.
    fn versions_on_stack(&self) -> Result<BTreeSet<VersionId>, osr_stackwalk::Error> {
        let ledger = self.ledger().borrow();
        let pcs = LedgerPcs::new(&ledger);
        let mut versions = BTreeSet::new();
        for frame in self.walk(self.all_pcs(&pcs)) {
            // Of frames that are hijacked the code may be gone, and is not returned into.
            let version = self.instance().registry().find(frame?.pc.lookup_address());
            versions.extend(version.map(|version| version.id));
        }
        Ok(versions)
    }

    /// Does what observers have requested, and frees code that waits for it. The stack can be walked, and the frame
    /// that called the runtime, if there is one, may be replaced.
    #[inline]
    pub(crate) fn carry_out_requests(&self) {
        if self.agenda().has_requests() {
            (self.hooks.carry_out)(self);
        }
    }

    /// The interpreter is at the entry or at a loop header of `function`. False: a trap is pending.
    #[inline]
    pub(crate) fn reached(&self, function: FunctionIndex, point: Point) -> bool {
        self.observe_reached(function, point, None, Tier::Interpreter);
        self.carry_out_requests();
        !self.fails(function, point)
    }

    /// Tells the observer of an arrival, if arrivals are safepoints.
    pub(crate) fn observe_reached(
        &self,
        function: FunctionIndex,
        point: Point,
        frame: Option<u64>,
        tier: Tier,
    ) {
        if self.instance().settings().points {
            self.observe(|| Event::Reached { function, point, frame, tier });
        }
    }

    /// Whether frames of compiled code can be hijacked at all.
    pub(crate) fn check_ready(&self) -> Result<(), TransitionError> {
        self.check_process()?;
        match self.instance().settings().mechanism {
            mechanism if mechanism.hijacks() => Ok(()),
            mechanism if mechanism.replaces_frames() => Err(TransitionError::NothingIsHijacked),
            _ => Err(TransitionError::FramesRunOut),
        }
    }

    /// Whether versions can be retired at all.
    pub(crate) fn check_updatable(&self) -> Result<(), TransitionError> {
        self.check_process()?;
        let is_final = self.instance().settings().mechanism.is_final();
        if is_final { Err(TransitionError::CodeIsFinal) } else { Ok(()) }
    }

    fn check_process(&self) -> Result<(), TransitionError> {
        let is_current = self.instance().store().process().is_current();
        if is_current { Ok(()) } else { Err(TransitionError::Forked) }
    }
}
