//! Invalidation: retiring versions, hijacking their frames, and giving their code back.
//!
//! Three steps, in this order:
//! 1. *retire*: the incoming edges are cut, so that nothing new enters;
//! 2. *hijack* every frame of a retired version, so that nothing returns into it;
//! 3. *release* the code, at once or [when the mechanism says](crate::transition::release). Frame maps and unwind rows
//!    stay until the last record is gone.
//!
//! Where frames run out, nothing is hijacked: an invalidation retires. Where they leave by themselves, the second step
//! comes last, and has the code that is left [overwritten](super::invalidation_point), or [looked
//! for](super::return_check).

use std::cell::RefCell;
use std::sync::Arc;

use osr_ir::{FunctionIndex, GlobalIndex};
use osr_stackwalk::{Frame, ReturnPc, ReturnPcs};

use crate::code::assumption::Assumption;
use crate::code::ledger::LedgerPcs;
use crate::code::{CodeVersion, VersionState};
use crate::error::TransitionError;
use crate::event::{Cause, Event, Replacement};
use crate::settings::mechanism::{ActiveFrames, HijackDensity};
use crate::thread::Thread;
use crate::thread::walk::Walk;
use crate::transition::pc_cache::PcCache;

/// What an invalidation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Invalidated {
    /// Versions that were retired. Unless the release is [`OnHijack`](crate::CodeRelease::OnHijack), their code may be
    /// freed later.
    pub versions: u64,
    /// Frames that were hijacked. Those that [leave by themselves](crate::Mechanism::frames_leave) are not counted here.
    pub frames: u64,
    /// Bytes of their code.
    pub code_bytes: u64,
}

impl Invalidated {
    fn of(retired: &[Arc<CodeVersion>], frames: u64) -> Invalidated {
        let code_bytes = retired.iter().map(|version| u64::from(version.code_bytes)).sum();
        Invalidated { versions: retired.len() as u64, frames, code_bytes }
    }
}

impl Thread {
    /// Invalidates every version that has a frame on this thread's stack.
    ///
    /// # Errors
    /// If the thread is in no [phase](crate::Phase) for it, or compiled code is not ready: then nothing happened. If the
    /// stack cannot be walked, which is a broken invariant, the versions are retired and keep their code. If an
    /// observer [panicked](TransitionError::Panicked), the invalidation is complete all the same.
    pub fn invalidate_active(&self) -> Result<Invalidated, TransitionError> {
        self.on_demand(|| self.invalidate_active_because(Cause::Host))
    }

    /// As [`Self::invalidate_active`], for another reason than that the host asks.
    pub(crate) fn invalidate_active_because(&self, cause: Cause) -> Result<Invalidated, TransitionError> {
        self.check_updatable()?;
        let instance = self.instance();
        let mechanism = instance.settings().mechanism;
        let is_dense = mechanism.hijacks() && mechanism.density == HijackDensity::EveryFrame;
        // An observer may walk the stack when it is told of a retirement, which it cannot amid a hijack.
        if is_dense && self.hijacked_slots() == 0 && instance.observer().is_none() {
            return self.replacing(Replacement::Invalidation, cause, || self.invalidate_met(cause));
        }
        let versions = self.active_versions()?;
        self.invalidate(versions, cause)
    }

    /// Retires the version of each frame that a hijack meets, so that one walk does for both; there is no observer to be told.
    /// No slot is hijacked before: frames that are do not keep their version active.
    fn invalidate_met(&self, cause: Cause) -> Result<Invalidated, TransitionError> {
        let retired = RefCell::new(self.reclaim().spare.take());
        let hijacked = self.hijack_sites(cause, |version, _| {
            if self.instance().retire(version) {
                retired.borrow_mut().push(version.handle());
            }
            true
        });
        let (frames, retired) = (hijacked?.frames, retired.into_inner());
        self.reclaim_retired(&retired, cause)?;
        Ok(self.invalidated(retired, frames))
    }

    /// Invalidates all code of the instance.
    ///
    /// # Errors
    /// As for [`Self::invalidate_active`].
    pub fn invalidate_all(&self) -> Result<Invalidated, TransitionError> {
        self.on_demand(|| self.invalidate_all_because(Cause::Host))
    }

    /// As [`Self::invalidate_all`], for another reason than that the host asks.
    pub(crate) fn invalidate_all_because(&self, cause: Cause) -> Result<Invalidated, TransitionError> {
        self.invalidate(self.current_versions(), cause)
    }

    /// Invalidates the versions that `choose` picks.
    ///
    /// # Errors
    /// As for [`Self::invalidate_active`]. If `choose` panics, nothing is invalidated.
    pub fn invalidate_chosen(
        &self,
        choose: impl Fn(&CodeVersion) -> bool,
    ) -> Result<Invalidated, TransitionError> {
        self.on_demand(|| {
            let mut versions = self.current_versions();
            versions.retain(|version| choose(version));
            self.invalidate(versions, Cause::Host)
        })
    }

    /// Invalidates the versions that have code of `function`: its own, and those that it is inlined into.
    ///
    /// # Errors
    /// As for [`Self::invalidate_active`].
    pub fn invalidate_function(&self, function: FunctionIndex) -> Result<Invalidated, TransitionError> {
        self.invalidate_chosen(|version| version.depends_on(function))
    }

    /// The same of all of `functions` together, of any of their bodies, for another reason than that the host asks.
    pub(crate) fn invalidate_functions_because(
        &self,
        functions: &[FunctionIndex],
        cause: Cause,
    ) -> Result<Invalidated, TransitionError> {
        let module = self.instance().module();
        let has_code = |version: &CodeVersion, &function: &FunctionIndex| {
            version.depends_on(function) || module.function_of(version.function) == function
        };
        let mut versions = self.current_versions();
        versions.retain(|version| functions.iter().any(|function| has_code(version, function)));
        self.invalidate(versions, cause)
    }

    /// `assumption` does not hold any more: invalidates the versions of this thread's instance that it
    /// [covers](Assumption::cover).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use osr_engine::{Assumption, Delegates, Event, Imports, Instance, Observation, Observer, Settings, Thread, Tiers};
    ///
    /// /// All code relies on it.
    /// #[derive(Debug)]
    /// struct Relying(Assumption);
    /// impl Observer for Relying {
    ///     fn observe(&self, _: &Observation<'_>, event: &Event<'_>) {
    ///         if let Event::Compiled { version, .. } = event {
    ///             self.0.cover(version);
    ///         }
    ///     }
    /// }
    ///
    /// let module = r#"(module (func (export "seven") (result i32) (i32.const 7)))"#;
    /// let undebugged = Assumption::new("the program is not being debugged");
    /// let delegates = Delegates::observer(Arc::new(Relying(undebugged.clone())));
    /// let settings = Settings { tiers: Tiers::Optimized, ..Settings::default() };
    /// let module = osr_ir::wasm::import_text(module)?;
    /// let instance = Instance::with_delegates(settings, delegates, module, &Imports::new())?;
    /// let thread = Thread::new(&instance)?;
    /// thread.invoke("seven", &[])?;
    /// assert_eq!(thread.end_assumption(&undebugged)?.versions, 1);
    /// assert!(!undebugged.holds());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Self::invalidate_active`]; if the thread is in no phase for it, the assumption still holds.
    pub fn end_assumption(&self, assumption: &Assumption) -> Result<Invalidated, TransitionError> {
        self.on_demand(|| {
            self.check_updatable()?;
            let covered = assumption.end();
            let mut versions = self.current_versions();
            versions.retain(|version| covered.iter().any(|covered| Arc::ptr_eq(covered, version)));
            self.invalidate(versions, Cause::Host)
        })
    }

    /// Invalidates the code that takes `global` for a constant.
    pub(crate) fn invalidate_for_global(&self, global: GlobalIndex) {
        let mut versions = self.instance().registry().live();
        versions.retain(|version| version.keeps(global));
        let invalidated = self.invalidate(versions, Cause::Global { global: global.as_u32() });
        invalidated.expect("a stack of compiled frames can be walked");
    }

    /// The versions that were not retired yet.
    pub(super) fn current_versions(&self) -> Vec<Arc<CodeVersion>> {
        let mut versions = self.reclaim().spare.take();
        let is_current = |version: &CodeVersion| version.state() == VersionState::Current;
        self.instance().registry().list_live(&mut versions, is_current);
        versions
    }

    fn invalidate(
        &self,
        versions: Vec<Arc<CodeVersion>>,
        cause: Cause,
    ) -> Result<Invalidated, TransitionError> {
        self.replacing(Replacement::Invalidation, cause, || self.invalidate_versions(versions, cause))
    }

    /// The same, as a part of another replacement.
    pub(super) fn invalidate_versions(
        &self,
        versions: Vec<Arc<CodeVersion>>,
        cause: Cause,
    ) -> Result<Invalidated, TransitionError> {
        self.check_updatable()?;
        let retired = self.retire(versions, cause);
        let frames = self.replace_retired_unseen(&retired, cause)?;
        Ok(self.invalidated(retired, frames))
    }

    /// What was done about the versions that were `retired`; the list is kept.
    fn invalidated(&self, mut retired: Vec<Arc<CodeVersion>>, frames: u64) -> Invalidated {
        let invalidated = Invalidated::of(&retired, frames);
        retired.clear();
        self.reclaim().spare.replace(retired);
        invalidated
    }

    /// Retires those of `versions` that are current, and returns them: nothing new enters them.
    pub(crate) fn retire(&self, mut versions: Vec<Arc<CodeVersion>>, cause: Cause) -> Vec<Arc<CodeVersion>> {
        versions.retain(|version| self.instance().retire(version));
        versions.iter().for_each(|version| self.observe(|| Event::Retired { version, cause }));
        versions
    }

    /// The second and third step for versions that are retired.
    ///
    /// # Errors
    /// As for [`Self::invalidate_active`].
    pub(crate) fn replace_retired(
        &self,
        retired: &[Arc<CodeVersion>],
        cause: Cause,
    ) -> Result<(), TransitionError> {
        let replaced =
            self.replacing(Replacement::Invalidation, cause, || self.replace_retired_unseen(retired, cause));
        replaced.map(drop)
    }

    /// Returns how many frames were hijacked.
    fn replace_retired_unseen(
        &self,
        retired: &[Arc<CodeVersion>],
        cause: Cause,
    ) -> Result<u64, TransitionError> {
        let mechanism = self.instance().settings().mechanism;
        let frames = if mechanism.hijacks() { self.hijack_retired(cause)?.frames } else { 0 };
        let reclaimed = self.reclaim_retired(retired, cause);
        match mechanism.frames {
            ActiveFrames::InvalidationPoint => self.write_points(retired),
            ActiveFrames::ReturnCheck => self.limit_returns()?,
            _ => {}
        }
        reclaimed?;
        Ok(frames)
    }

    /// The versions that have a frame on this thread's stack whose return slot is not hijacked.
    fn active_versions(&self) -> Result<Vec<Arc<CodeVersion>>, osr_stackwalk::Error> {
        let ledger = self.ledger().borrow();
        let pcs = LedgerPcs::new(&ledger);
        if self.swaps_by_ledger_only() {
            self.versions_in(self.walk(&pcs))
        } else {
            self.versions_in(self.walk(self.all_pcs(&pcs)))
        }
    }

    fn versions_in<P: ReturnPcs>(
        &self,
        walk: Walk<P>,
    ) -> Result<Vec<Arc<CodeVersion>>, osr_stackwalk::Error> {
        let registry = self.instance().registry();
        let mut versions: Vec<Arc<CodeVersion>> = Vec::new();
        let mut met = PcCache::new(());
        let mut last_pc = ReturnPc::default();
        for frame in walk {
            let Frame { pc, return_slot, .. } = frame?;
            // Hijacked frames return to a landing, not into their version's code.
            // SAFETY: the walk vouches for the slot.
            if pc == last_pc || self.is_landing(unsafe { return_slot.load() }) {
                continue;
            }
            last_pc = pc;
            met.get(pc, |pc| {
                let version = registry.find(pc.lookup_address()).expect("compiled frames are of versions");
                if version.state() == VersionState::Current
                    && !versions.iter().any(|known| known.id == version.id)
                {
                    versions.push(version);
                }
            });
        }
        Ok(versions)
    }
}
