//! What the engine knows of one function: its analyses, its interpreter code, its counter.

use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use osr_ir::{Body, Liveness, Point, Points};

use crate::interpreter::Code;

/// The state of one function of an instance. Everything lazy is computed on first use.
#[derive(Debug, Default)]
pub(crate) struct FunctionState {
    /// Entries plus back-edges in the interpreter since the function last tiered up or was invalidated.
    pub(crate) counter: AtomicU32,
    /// The compiled code that a call enters now; null if there is none.
    pub(crate) compiled: AtomicPtr<u8>,
    /// The compiler refused once, and would again.
    pub(crate) never_compile: AtomicBool,
    /// The code of continuations, by the point where they are entered.
    continuations: Mutex<Vec<(Point, u64)>>,
    analysis: OnceLock<Analysis>,
    code: OnceLock<Code>,
}

/// Points and liveness of a body.
#[derive(Debug)]
pub(crate) struct Analysis {
    /// The points.
    pub(crate) points: Points,
    /// The live registers at each.
    pub(crate) liveness: Liveness,
}

impl FunctionState {
    /// The analyses of `body`, which is this function's.
    pub(crate) fn analysis(&self, body: &Body) -> &Analysis {
        self.analysis.get_or_init(|| {
            let points = Points::of(body);
            let liveness = Liveness::of(body, &points);
            Analysis { points, liveness }
        })
    }

    /// The interpreter's code, made by `decode` on first use.
    #[inline(always)]
    pub(crate) fn code(&self, decode: impl FnOnce() -> Code) -> &Code {
        self.code.get_or_init(decode)
    }

    /// The continuation that is entered at `point`.
    pub(crate) fn continuation(&self, point: Point) -> Option<*const u8> {
        let continuations = self.continuations();
        continuations.iter().find(|(at, _)| *at == point).map(|&(_, code)| code as *const u8)
    }

    /// From now on `point` is continued at `code`.
    pub(crate) fn add_continuation(&self, point: Point, code: *const u8) {
        self.continuations().push((point, code as u64));
    }

    /// From now on `point` is not continued.
    pub(crate) fn remove_continuation(&self, point: Point) {
        self.continuations().retain(|(at, _)| *at != point);
    }

    fn continuations(&self) -> MutexGuard<'_, Vec<(Point, u64)>> {
        self.continuations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one entry or back-edge. Counts may be lost between threads; that only delays tier-up.
    #[inline(always)]
    pub(crate) fn count(&self) -> u32 {
        let count = self.counter.load(Ordering::Relaxed).wrapping_add(1);
        self.counter.store(count, Ordering::Relaxed);
        count
    }
}
