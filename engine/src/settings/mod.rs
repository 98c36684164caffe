//! What an experiment can choose.

pub(crate) mod planted;
pub(crate) mod stress;
pub(crate) mod tier;

use std::sync::Arc;

pub(crate) use osr_compiler::{CompiledTier, Readiness, StateRecording};
pub(crate) use tier::{Tier, Tiers};

use crate::error::InstantiationError;
use crate::event::Observer;
use crate::settings::planted::PlantedDefect;
use crate::settings::stress::Stress;
use crate::tiering::{Destination, TieringPolicy};

/// The settings of an engine. Sizes are in bytes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which tiers execute.
    pub tiers: Tiers,
    /// With [`Tiers::Auto`], function entries plus back-edges in the interpreter before a function tiers
    /// up.
    pub threshold: u32,
    /// With [`Tiers::Auto`], function entries plus back-edges in baseline code before a function is
    /// optimized. 0: functions are optimized at [`Settings::threshold`], without baseline code before.
    pub optimize_threshold: u32,
    /// Where hijacked frames land, unless [`Settings::stress`] says.
    pub landing: Destination,
    /// Decides when and where functions tier up, and where frames land, instead of the default policy,
    /// [`Ladder`](crate::Ladder), which the four settings above are for.
    pub policy: Option<Arc<dyn TieringPolicy>>,
    /// How optimized code makes its frame states known.
    pub state_recording: StateRecording,
    /// What else optimized code has, so that its frames can be replaced.
    pub readiness: Readiness,
    /// How often small innermost loops are unrolled in optimized code, at most: how many iterations there are
    /// to a poll. 0 and 1: not at all. If an observer [wants](Observer::wants_points) each arrival, they
    /// are not.
    pub unrolling: u8,
    /// With [`Tiers::Optimized`], a seed: all functions are compiled when the instance is made, in an order
    /// and at places that the seed decides, before anyone can observe it. For measurements in which a
    /// lucky place must not pass for fast code.
    pub placement: Option<u64>,
    /// Transitions that are forced.
    pub stress: Stress,
    /// Keep what is forced, so that it can be [replayed](crate::Stress::Replay):
    /// [`Thread::schedule`](crate::Thread::schedule).
    pub record: bool,
    /// Sees what happens.
    pub observer: Option<Arc<dyn Observer>>,
    /// Size of the stack of interpreter frames. Address space; memory is used as it is touched.
    pub value_stack_bytes: usize,
    /// Native stack that guest code leaves free for the runtime: a landing needs more of it than
    /// compiled code does.
    pub stack_reserve_bytes: usize,
    /// Address space for compiled code.
    pub code_bytes: usize,
    /// Check invariants that cost time: conservative stack scans before each release, released code
    /// kept inaccessible, dead registers and slots poisoned at landings.
    pub checked: bool,
    /// Count the landings of each call site ([`Instance::covered_sites`](crate::Instance::covered_sites)).
    pub coverage: bool,
    /// A defect to try out tools on.
    #[doc(hidden)]
    pub planted: Option<PlantedDefect>,
}

impl Settings {
    /// The default of [`Settings::threshold`]: interpreting a loop this often costs about as much as
    /// compiling it quickly does.
    pub const DEFAULT_THRESHOLD: u32 = 500;

    /// The default of [`Settings::unrolling`].
    pub const DEFAULT_UNROLLING: u8 = 4;

    /// Whether an observer wants each arrival at a point.
    pub(crate) fn wants_points(&self) -> bool {
        self.observer.as_ref().is_some_and(|observer| observer.wants_points())
    }

    /// How often loops are unrolled, really.
    pub(crate) fn copies(&self) -> u8 {
        if self.wants_points() { 1 } else { self.unrolling }
    }

    /// Whether safepoints are counted: then all polls of compiled code take their slow path. Recorded runs
    /// count them, whatever is forced, so that the numbers in a schedule mean the same in every run.
    pub fn counts_safepoints(&self) -> bool {
        self.stress.wants_safepoints() || self.record
    }

    /// Whether landings are checked, seen, noted, counted by site, or forced to end somewhere.
    pub(crate) fn watches_landings(&self) -> bool {
        let forces = !matches!(self.stress, Stress::None);
        self.checked || self.observer.is_some() || self.record || self.coverage || forces
    }

    /// The default of [`Settings::optimize_threshold`]: by then, optimizing costs less than what it is
    /// likely to save.
    pub const DEFAULT_OPTIMIZE_THRESHOLD: u32 = 5_000;

    /// Refuses settings that ask for what code made as they say cannot do.
    pub(crate) fn check(&self) -> Result<(), InstantiationError> {
        let forced = self.stress.wants_safepoints();
        if self.state_recording == StateRecording::None && forced {
            return Err(InstantiationError::NoStateRecorded);
        }
        if let Some(missing) = self.readiness.missing() {
            if forced {
                return Err(InstantiationError::NotReady { what: "transitions cannot be forced", missing });
            }
            if self.wants_points() {
                return Err(InstantiationError::NotReady { what: "points cannot be observed", missing });
            }
        }
        if self.is_made_at_once() && self.tiers != Tiers::Optimized {
            return Err(InstantiationError::OnlyOptimized);
        }
        Ok(())
    }

    /// Whether all code is made with the instance.
    pub(crate) fn is_made_at_once(&self) -> bool {
        self.readiness.missing().is_some() || self.placement.is_some()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            tiers: Tiers::Auto,
            threshold: Settings::DEFAULT_THRESHOLD,
            optimize_threshold: Settings::DEFAULT_OPTIMIZE_THRESHOLD,
            landing: Destination::default(),
            policy: None,
            state_recording: StateRecording::default(),
            readiness: Readiness::default(),
            unrolling: Settings::DEFAULT_UNROLLING,
            placement: None,
            stress: Stress::default(),
            record: false,
            observer: None,
            value_stack_bytes: 64 << 20,
            stack_reserve_bytes: 256 << 10,
            code_bytes: 1 << 30,
            checked: cfg!(debug_assertions),
            coverage: false,
            planted: None,
        }
    }
}
