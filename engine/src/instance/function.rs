//! What the engine knows of one function: its analyses, its interpreter code, its counter, its compiled
//! code, its profile.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use osr_compiler::profile::Profile;
use osr_compiler::{Analysis, EntryPoint};
use osr_ir::Point;

use crate::interpreter::Code;
use crate::settings::CompiledTier;
use crate::tiering::contexts::Contexts;
use crate::tiering::speculation::Learnt;
use crate::tiering::{Account, Work};

/// The state of one function of an instance. Everything lazy is computed on first use.
#[derive(Debug, Default)]
pub(crate) struct FunctionState {
    /// Entries plus back-edges in the interpreter since the function was last invalidated.
    pub(crate) counter: Counter,
    /// The compiled code that a call enters now; null if there is none: that of the best tier.
    pub(crate) compiled: AtomicPtr<u8>,
    /// What it has executed, and what its compilations have cost.
    pub(crate) account: Account,
    refusals: Mutex<Vec<Refusal>>,
    tiers: [TierCode; 2],
    analysis: OnceLock<Analysis>,
    code: OnceLock<Code>,
    profile: OnceLock<Profile>,
    work: OnceLock<Work>,
    /// What guards that failed have taught.
    pub(crate) learnt: Learnt,
    /// The contexts that continuations are specialized for.
    pub(crate) contexts: Contexts,
}

/// A compilation that failed, and would again.
#[derive(Clone, Debug)]
struct Refusal {
    tier: CompiledTier,
    entry: EntryPoint,
    reason: String,
    /// For want of code memory: how many versions had been released then. Once there are more it is tried again.
    released: Option<u64>,
    /// If it was too large: how many instructions were compiled.
    too_large: Option<u32>,
}

impl Refusal {
    /// Whether code of `tier` for `entry`, of so many instructions, would be refused for this, too. Of a body that is too large at
    /// one point there is hardly less at the next, and to find that out takes as long as to compile it: what is tried has
    /// less than half the instructions.
    fn is_of(&self, tier: CompiledTier, entry: EntryPoint, instructions: impl FnOnce() -> u32) -> bool {
        let is_as_large = |&refused: &u32| instructions() >= refused / 2;
        self.tier == tier && (self.entry == entry || self.too_large.as_ref().is_some_and(is_as_large))
    }
}

/// Counts entries and back-edges.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU32);

impl Counter {
    /// Counts one. Counts may be lost between threads; that only delays tier-up.
    #[inline(always)]
    pub(crate) fn count(&self) -> u32 {
        let count = self.value().wrapping_add(1);
        self.0.store(count, Ordering::Relaxed);
        count
    }

    /// Takes the last one back: it is counted elsewhere.
    pub(crate) fn take_back(&self) {
        self.0.store(self.value().wrapping_sub(1), Ordering::Relaxed);
    }

    /// The count.
    #[inline(always)]
    pub(crate) fn value(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Restarts at `count`.
    fn restart(&self, count: u32) {
        self.0.store(count, Ordering::Relaxed);
    }
}

/// The current code of a function in one tier.
#[derive(Debug, Default)]
struct TierCode {
    /// Entered by calls.
    function: AtomicPtr<u8>,
    /// Per point, the code that continues there.
    continuations: OnceLock<Box<[AtomicPtr<u8>]>>,
    /// Per context, the code that is specialized for it.
    specialized: OnceLock<Box<[AtomicPtr<u8>]>>,
}

impl TierCode {
    /// `points` says how many the body has.
    fn cell(&self, points: impl FnOnce() -> usize, entry: EntryPoint) -> &AtomicPtr<u8> {
        match entry {
            EntryPoint::Function => &self.function,
            EntryPoint::Continuation(point) => {
                let cells = || (0..points()).map(|_| AtomicPtr::default()).collect();
                &self.continuations.get_or_init(cells)[point.index()]
            }
            EntryPoint::Specialized { context, .. } => {
                let cells = || (0..=u8::MAX).map(|_| AtomicPtr::default()).collect();
                &self.specialized.get_or_init(cells)[context as usize]
            }
        }
    }
}

impl FunctionState {
    /// The state of a function of which nothing is known; the interpreter's count begins with `head_start`.
    pub(crate) fn new(head_start: u32) -> FunctionState {
        let state = FunctionState::default();
        state.restart_count(head_start);
        state
    }

    /// The interpreter's count restarts at `count`.
    pub(crate) fn restart_count(&self, count: u32) {
        self.counter.restart(count);
        self.account.restart_count(count);
    }

    /// The analyses of this function's body, made by `new` on first use.
    #[inline(always)]
    pub(crate) fn analysis(&self, new: impl FnOnce() -> Analysis) -> &Analysis {
        self.analysis.get_or_init(new)
    }

    /// Whether code of `tier` for `entry`, of so many `instructions`, was refused, and would be again, with so many versions
    /// `released`.
    pub(crate) fn is_refused(
        &self,
        (tier, entry): (CompiledTier, EntryPoint),
        instructions: impl Fn() -> u32,
        released: u64,
    ) -> bool {
        let mut refusals = self.refusals();
        refusals.retain(|refusal| refusal.released.is_none_or(|before| released <= before));
        refusals.iter().any(|refusal| refusal.is_of(tier, entry, &instructions))
    }

    /// Notes that code of `tier` for `entry` was refused, with the compiler's `reason`: for good, or, for want of memory, until
    /// more than this many versions are `released`. `too_large` says how many instructions were too many.
    pub(crate) fn refuse(
        &self,
        (tier, entry): (CompiledTier, EntryPoint),
        released: Option<u64>,
        too_large: Option<u32>,
        reason: String,
    ) {
        self.refusals().push(Refusal { tier, entry, reason, released, too_large });
    }

    /// What was refused so far, and would be again as far as is known.
    pub(crate) fn refused(&self) -> Vec<(CompiledTier, EntryPoint, String)> {
        let refused = |refusal: &Refusal| (refusal.tier, refusal.entry, refusal.reason.clone());
        self.refusals().iter().map(refused).collect()
    }

    fn refusals(&self) -> MutexGuard<'_, Vec<Refusal>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The interpreter's code, made by `decode` on first use.
    #[inline(always)]
    pub(crate) fn code(&self, decode: impl FnOnce() -> Code) -> &Code {
        self.code.get_or_init(decode)
    }

    /// The interpreter's code, if it was made.
    #[inline(always)]
    pub(crate) fn existing_code(&self) -> Option<&Code> {
        self.code.get()
    }

    /// The work in its body, as `of` has it.
    pub(crate) fn work(&self, of: impl FnOnce() -> Work) -> &Work {
        self.work.get_or_init(of)
    }

    /// The profile, made by `new` on first use.
    pub(crate) fn profile(&self, new: impl FnOnce() -> Profile) -> &Profile {
        self.profile.get_or_init(new)
    }

    /// The profile, if baseline code was compiled.
    pub(crate) fn existing_profile(&self) -> Option<&Profile> {
        self.profile.get()
    }

    /// The compiled code that a call enters now.
    pub(crate) fn compiled(&self) -> Option<*const u8> {
        non_null(self.compiled.load(Ordering::Acquire))
    }

    /// Whether calls enter compiled code.
    #[inline(always)]
    pub(crate) fn has_compiled(&self) -> bool {
        !self.compiled.load(Ordering::Relaxed).is_null()
    }

    /// The continuation of `tier` that is entered at `point`.
    #[inline(always)]
    pub(crate) fn continuation(&self, tier: CompiledTier, point: Point) -> Option<*const u8> {
        let continuations = self.tiers[tier as usize].continuations.get()?;
        non_null(continuations[point.index()].load(Ordering::Acquire))
    }

    /// The code of `tier` that is entered at `entry`.
    pub(crate) fn code_at(&self, tier: CompiledTier, entry: EntryPoint) -> Option<*const u8> {
        match entry {
            EntryPoint::Function => non_null(self.tiers[tier as usize].function.load(Ordering::Acquire)),
            EntryPoint::Continuation(point) => self.continuation(tier, point),
            EntryPoint::Specialized { context, .. } => {
                let specialized = self.tiers[tier as usize].specialized.get()?;
                non_null(specialized[context as usize].load(Ordering::Acquire))
            }
        }
    }

    /// From now on `code` is that of `tier` for `entry`.
    pub(crate) fn set_code(&self, tier: CompiledTier, entry: EntryPoint, code: *mut u8) {
        self.cell(tier, entry).store(code, Ordering::Release);
        self.choose_best(entry);
    }

    /// There is no code of `tier` for `entry` any more, if that was `code`.
    pub(crate) fn withdraw_code(&self, tier: CompiledTier, entry: EntryPoint, code: *mut u8) {
        let cell = self.cell(tier, entry);
        // Another version may have taken the place, or this one never had it.
        if cell.compare_exchange(code, ptr::null_mut(), Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            self.choose_best(entry);
        }
    }

    fn cell(&self, tier: CompiledTier, entry: EntryPoint) -> &AtomicPtr<u8> {
        let points = || self.analysis.get().map_or(0, |analysis| analysis.points.len());
        self.tiers[tier as usize].cell(points, entry)
    }

    /// Calls enter the code of the best tier that there is.
    fn choose_best(&self, changed: EntryPoint) {
        if changed == EntryPoint::Function {
            let of = |tier: CompiledTier| self.tiers[tier as usize].function.load(Ordering::Acquire);
            let best = CompiledTier::ALL.into_iter().rev().map(of).find(|code| !code.is_null());
            self.compiled.store(best.unwrap_or(ptr::null_mut()), Ordering::Release);
        }
    }
}

fn non_null(code: *mut u8) -> Option<*const u8> {
    (!code.is_null()).then_some(code.cast_const())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_is_withdrawn_leaves_the_place_to_what_took_it() {
        let state = FunctionState::default();
        let (tier, entry) = (CompiledTier::Optimized, EntryPoint::Function);
        let [old, new] = [0x1000, 0x2000].map(ptr::without_provenance_mut::<u8>);
        state.set_code(tier, entry, old);
        state.set_code(tier, entry, new);
        state.withdraw_code(tier, entry, old);
        assert_eq!(state.code_at(tier, entry), Some(new.cast_const()));
        assert_eq!(state.compiled(), Some(new.cast_const()));
        state.withdraw_code(tier, entry, new);
        assert_eq!((state.code_at(tier, entry), state.compiled()), (None, None));
    }
}
