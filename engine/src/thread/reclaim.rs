//! Retired code of a thread that waits to be freed.
//!
//! ```text
//!   listed     frames of it are hijacked, or will be: the ledger tells when nothing returns into it any more
//!   waiting    whether any frame is left in it has to be found out: a strategy of osr-release
//! ```

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use osr_release::{Epoch, Reclaimer, Strategy};
use osr_stackwalk::ReturnPc;

use crate::code::ledger::LedgerPcs;
use crate::code::{CodeVersion, VersionId};
use crate::event::Cause;
use crate::settings::mechanism::{ActiveFrames, CodeRelease, Mechanism};
use crate::thread::Thread;

/// A retired version, which is freed when it has drained.
#[derive(Debug)]
pub(crate) struct Retired {
    pub(crate) version: Arc<CodeVersion>,
    /// Why it was retired.
    pub(crate) cause: Cause,
}

/// What waits, and when it is looked at.
#[derive(Debug)]
pub(crate) struct Reclaim {
    waiting: RefCell<Reclaimer<Retired>>,
    /// What waits for the ledger, in the order of retirement.
    listed: RefCell<VecDeque<Retired>>,
    /// An empty list, kept so that an invalidation does not allocate.
    pub(crate) spare: RefCell<Vec<Arc<CodeVersion>>>,
    /// With epochs, the outermost call that is under way, if anything was retired in it.
    pub(crate) call: Cell<Option<Epoch>>,
    /// So many arrivals in the runtime are let pass before the next scan.
    pub(crate) patience: Cell<u64>,
}

impl Reclaim {
    /// Nothing waits.
    pub(crate) fn new(mechanism: &Mechanism) -> Reclaim {
        let waiting = match (mechanism.release, mechanism.frames) {
            (CodeRelease::FrameCount, ActiveFrames::ReturnBarrier) => {
                // SAFETY: censuses are of walks of this thread's frames, which find the slots that these return
                // through; the stub asks, and continues where it is told.
                unsafe { Reclaimer::with_stub(barrier_pc()) }
            }
            (CodeRelease::FrameCount, _) => Reclaimer::new(Strategy::Count),
            (CodeRelease::ResidenceCount, _) => Reclaimer::new(Strategy::Residence),
            (CodeRelease::Epoch, _) => Reclaimer::new(Strategy::Epoch),
            _ => Reclaimer::new(Strategy::Scan),
        };
        Reclaim {
            waiting: RefCell::new(waiting),
            listed: RefCell::default(),
            spare: RefCell::default(),
            call: Cell::default(),
            patience: Cell::default(),
        }
    }

    /// `version`, which was retired because of `cause`, waits until it is [taken](Self::take), or [named](Self::remove).
    pub(crate) fn list(&self, version: &Arc<CodeVersion>, cause: Cause) {
        self.listed.borrow_mut().push_back(Retired { version: Arc::clone(version), cause });
    }

    /// The listed version of that number, if there is one, is listed no more.
    pub(crate) fn remove(&self, version: VersionId) -> Option<Retired> {
        let mut listed = self.listed.borrow_mut();
        let place = listed.iter().position(|retired| retired.version.id == version)?;
        listed.remove(place)
    }

    /// The listed version that was retired first is listed no more.
    pub(crate) fn take(&self) -> Option<Retired> {
        self.listed.borrow_mut().pop_front()
    }

    /// What waits to be found drained.
    pub(crate) fn waiting(&self) -> &RefCell<Reclaimer<Retired>> {
        &self.waiting
    }

    /// Whether any slot leads to the barrier stub.
    pub(crate) fn has_barriers(&self) -> bool {
        self.waiting.borrow().has_barriers()
    }
}

/// The barrier stub's PC.
pub(super) fn barrier_pc() -> ReturnPc {
    ReturnPc::new(osr_stubs::x86_64::barrier_pc())
}

impl Thread {
    /// After a trap, activations were dropped that have counted themselves: counts them anew.
    #[cold]
    fn count_residents(&self) {
        let registry = self.instance().registry();
        registry
            .live()
            .iter()
            .filter_map(|version| version.residence.as_ref())
            .for_each(|count| count.set(0));
        let ledger = self.ledger().borrow();
        for frame in self.walk(&LedgerPcs::new(&ledger)) {
            let pc = frame.expect("a stack of compiled frames can be walked").pc;
            let version = registry.find(pc.lookup_address()).expect("compiled frames are of versions");
            if let Some(count) = &version.residence {
                count.set(count.get() + 1);
            }
        }
    }

    /// Frames deeper than `depth` were jumped over by a trap: so are their barriers. What drains by that is freed at
    /// the next safepoint, or when the call ends.
    pub(crate) fn drop_barriers(&self, depth: u64) {
        let mut waiting = self.reclaim().waiting().borrow_mut();
        if waiting.strategy() == Strategy::Residence {
            self.count_residents();
        }
        if waiting.has_barriers() {
            waiting.jumped_over(depth);
            if waiting.has_drained() {
                self.agenda().set_waiting(true);
            }
        }
    }
}
