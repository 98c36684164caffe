//! What an experiment can choose.

pub(crate) mod code_memory;
pub(crate) mod compilation;
pub(crate) mod destination;
pub(crate) mod failing_guards;
pub(crate) mod inlining;
pub(crate) mod mechanism;
pub(crate) mod planted;
pub(crate) mod speculate;
pub(crate) mod stress;
pub(crate) mod tier;

use std::collections::BTreeSet;

use osr_compiler::Analysis;
use osr_compiler::profile::Counts;
pub(crate) use osr_compiler::{BaselineCompiler, CompiledTier, StateRecording};
use osr_ir::Body;
use serde::{Deserialize, Serialize};
pub(crate) use tier::{Tier, Tiers};

use crate::settings::code_memory::CodeMemory;
use crate::settings::compilation::{Compilation, Costs};
use crate::settings::destination::Destination;
use crate::settings::failing_guards::FailingGuards;
use crate::settings::inlining::Inlining;
use crate::settings::mechanism::{HijackDensity, Mechanism};
use crate::settings::planted::PlantedDefect;
use crate::settings::speculate::SpeculationKind;
use crate::settings::stress::Stress;

/// The settings of an engine: data, which can be written to a file and read back. Sizes are in bytes.
///
/// Objects that watch an instance or decide for it are no settings: [`Delegates`](crate::Delegates).
///
/// ```
/// # use osr_engine::Settings;
/// let settings = Settings { unrolling: 1, points: true, ..Settings::default() };
/// let text = serde_json::to_string(&settings)?;
/// assert_eq!(serde_json::from_str::<Settings>(&text)?, settings);
/// assert_eq!(serde_json::from_str::<Settings>("{}")?, Settings::default());
/// assert!(serde_json::from_str::<Settings>(r#"{ "unroling": 1 }"#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Which tiers execute.
    pub tiers: Tiers,
    /// With [`Tiers::Auto`], function entries plus back-edges in the interpreter before a function tiers
    /// up. `None`: it does when that pays ([`Candidate::pays`](crate::Candidate::pays)).
    pub threshold: Option<u32>,
    /// With [`Tiers::Auto`], function entries plus back-edges in baseline code before a function is
    /// optimized. 0: there is no baseline code, functions leave the interpreter optimized. `None`: it is when that
    /// pays.
    pub optimize_threshold: Option<u32>,
    /// What compilations are taken to cost when it is decided whether they pay.
    pub costs: Costs,
    /// Where functions are compiled that tier up: while they wait, or beside them.
    pub compilation: Compilation,
    /// Memory that one compilation may take, as it is [estimated](crate::Estimate): larger units are refused.
    pub unit_bytes: usize,
    /// Where hijacked frames land, unless [`Settings::stress`] says.
    pub landing: Destination,
    /// How active code is replaced, and what code carries for it.
    pub mechanism: Mechanism,
    /// What makes baseline code.
    pub baseline: BaselineCompiler,
    /// How much is inlined into optimized code; nothing if it is none. A frame of such code lands as the activations that it
    /// stands for.
    pub inlining: Option<Inlining>,
    /// How often small innermost loops are unrolled in optimized code, at most: how many iterations there are
    /// to a poll. 0 and 1, or with [`Settings::points`]: not at all.
    pub unrolling: u8,
    /// What optimized code speculates on.
    pub speculate: BTreeSet<SpeculationKind>,
    /// Baseline code counts arrivals at loop headers, branches and indirect calls
    /// ([`Instance::profiled`](crate::Instance::profiled)), and not only what is speculated on.
    pub profile: bool,
    /// How often baseline code must have executed what is speculated on: a profile that says less says nothing.
    pub speculation_threshold: u32,
    /// How often a guard fails until something is done about it.
    pub guard_failures: u32,
    /// What that is.
    pub failing_guards: FailingGuards,
    /// With [`FailingGuards::Dispatch`], for how many contexts there are continuations of a function at most; with
    /// [`FailingGuards::Link`], for how many of frames that stand for several activations.
    pub contexts: u8,
    /// Every arrival at a function's entry and at a loop header is a safepoint, which an observer
    /// [sees](crate::Event::Reached) if it [wants](crate::Observer::wants_points): all polls take their slow
    /// path, optimized functions that call nothing poll at their entries, too, and loops are not unrolled.
    pub points: bool,
    /// What waits for a host function can be seen by it, in every tier: [`Thread::guest_frames`](crate::Thread::guest_frames).
    /// The interpreter writes down where it calls. Not with inlining, where landed frames wait that nothing lists.
    pub guest_frames: bool,
    /// With [`Tiers::Optimized`], a seed: all functions are compiled when the instance is made, in an order
    /// and at places that the seed decides, before anyone can observe it. For measurements in which a
    /// lucky place must not pass for fast code.
    pub placement: Option<u64>,
    /// Transitions that are forced.
    pub stress: Stress,
    /// Keep what is forced, so that it can be [replayed](crate::Stress::Replay):
    /// [`Thread::schedule`](crate::Thread::schedule).
    pub record: bool,
    /// Size of the stack of interpreter frames. Address space; memory is used as it is touched.
    pub value_stack_bytes: usize,
    /// Native stack that guest code leaves free for the runtime, at least
    /// [`Settings::MINIMUM_STACK_RESERVE`]. Half of it is for two frames that do not check the stack (a
    /// continuation's, and that of a function that calls nothing), the other half for landings. Where less is
    /// left than the compiler needs, nothing is compiled.
    pub stack_reserve_bytes: usize,
    /// What compiled code is kept in.
    pub code_memory: CodeMemory,
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
    /// The least [`Settings::stack_reserve_bytes`].
    pub const MINIMUM_STACK_RESERVE: usize = 64 << 10;

    /// The default of [`Settings::unrolling`].
    pub const DEFAULT_UNROLLING: u8 = 4;

    /// The default of [`Settings::speculation_threshold`].
    pub const DEFAULT_SPECULATION_THRESHOLD: u32 = 100;

    /// The default of [`Settings::guard_failures`]: what fails more often costs more than it saves.
    pub const DEFAULT_GUARD_FAILURES: u32 = 10;

    /// The default of [`Settings::contexts`], as in PLDI 2022's "Deoptless".
    pub const DEFAULT_CONTEXTS: u8 = 5;

    /// Whether bodies have points at which code continues that speculates, or whose guards are made to fail.
    pub(crate) fn needs_guard_points(&self) -> bool {
        !self.speculate.is_empty()
            || self.stress.fails_guards()
            || self.failing_guards == FailingGuards::Dispatch
    }

    /// What baseline code counts, besides what it counts down.
    pub(crate) fn counts(&self) -> Counts {
        let is_chosen = |kinds: &[SpeculationKind]| kinds.iter().any(|kind| self.speculate.contains(kind));
        let targets = is_chosen(&[SpeculationKind::CallTarget, SpeculationKind::OnlyTargets]);
        Counts {
            arrivals: self.profile,
            branches: self.profile || is_chosen(&[SpeculationKind::Branch]),
            calls: self.profile || targets,
            targets,
            arguments: is_chosen(&[SpeculationKind::Argument]),
        }
    }

    /// The analyses of `body`.
    pub(crate) fn analyze(&self, body: &Body) -> Analysis {
        if self.needs_guard_points() { Analysis::speculative(body) } else { Analysis::of(body) }
    }

    /// The unroll factor in effect.
    pub(crate) fn copies(&self) -> u8 {
        if self.points { 1 } else { self.unrolling }
    }

    /// Whether safepoints are counted: then all polls of compiled code take their slow path. Recorded runs
    /// count them, whatever is forced, so that the numbers in a schedule mean the same in every run; and so do those in
    /// which code arrives at safepoints that a seed chooses.
    pub fn counts_safepoints(&self) -> bool {
        let is_simulated = matches!(self.compilation, Compilation::Simulated(_));
        self.stress.wants_safepoints() || self.record || is_simulated
    }

    /// Whether landings are checked, recorded, counted by site, forced to end somewhere, or hijack frames further out.
    pub fn watches_landings(&self) -> bool {
        let is_sparse = self.mechanism.density == HijackDensity::Sparse;
        self.checked || self.record || self.coverage || self.stress.forces_landings() || is_sparse
    }

    /// Whether all code is made with the instance.
    pub(crate) fn is_made_at_once(&self) -> bool {
        self.mechanism.is_final() || self.placement.is_some()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            tiers: Tiers::Auto,
            threshold: None,
            optimize_threshold: None,
            costs: Costs::default(),
            compilation: Compilation::default(),
            unit_bytes: 1 << 30,
            landing: Destination::default(),
            mechanism: Mechanism::default(),
            baseline: BaselineCompiler::default(),
            inlining: None,
            unrolling: Settings::DEFAULT_UNROLLING,
            speculate: BTreeSet::new(),
            profile: false,
            speculation_threshold: Settings::DEFAULT_SPECULATION_THRESHOLD,
            guard_failures: Settings::DEFAULT_GUARD_FAILURES,
            failing_guards: FailingGuards::default(),
            contexts: Settings::DEFAULT_CONTEXTS,
            points: false,
            guest_frames: false,
            placement: None,
            stress: Stress::default(),
            record: false,
            value_stack_bytes: 64 << 20,
            stack_reserve_bytes: 256 << 10,
            code_memory: CodeMemory::default(),
            code_bytes: 1 << 30,
            checked: cfg!(debug_assertions),
            coverage: false,
            planted: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use osr_compiler::{CallBinding, Poll};

    use crate::settings::mechanism::Mechanism;
    use crate::settings::planted::DefectPlace;

    use super::*;
    use crate::settings::stress::{Action, Land, Periodic, Schedule};

    fn round_trip(settings: &Settings) {
        let text = serde_json::to_string(settings).expect("settings are data");
        assert_eq!(&serde_json::from_str::<Settings>(&text).expect("it was written"), settings, "{text}");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let schedule = Schedule {
            safepoints: vec![(7, Action::Hijack)],
            landings: vec![(1, Tier::Optimized)],
            guards: vec![2],
        };
        let periodic = Periodic {
            invalidate: Some(3),
            hijack: None,
            guard: Some(5),
            land: Some(Land::Random(u64::MAX)),
        };
        let stresses = [
            Stress::None,
            Stress::Periodic(periodic),
            Stress::Random(u64::MAX),
            Stress::Uncovered,
            Stress::Replay(schedule.into()),
        ];
        round_trip(&Settings::default());
        for stress in stresses {
            round_trip(&Settings {
                tiers: Tiers::Baseline,
                threshold: Some(1),
                optimize_threshold: Some(u32::MAX),
                costs: Costs::Measured,
                compilation: Compilation::Simulated(3),
                unit_bytes: 4,
                landing: Destination::Compiled(CompiledTier::Baseline),
                mechanism: Mechanism {
                    binding: CallBinding::Direct,
                    poll: Poll::StackCheck,
                    recording: StateRecording::CrossChecked,
                    ..Mechanism::BARE
                },
                baseline: BaselineCompiler::Cranelift,
                inlining: Some(Inlining { callee: 1, growth: 2, depth: 3, recursion: 4 }),
                unrolling: 9,
                speculate: SpeculationKind::ALL.iter().copied().collect(),
                profile: true,
                speculation_threshold: 7,
                guard_failures: 3,
                failing_guards: FailingGuards::Link,
                contexts: 2,
                points: true,
                guest_frames: true,
                placement: Some(5),
                stress,
                record: true,
                value_stack_bytes: 1,
                stack_reserve_bytes: 2,
                code_memory: CodeMemory::JitModule,
                code_bytes: 3,
                checked: !Settings::default().checked,
                coverage: true,
                planted: Some(PlantedDefect {
                    function: "f".to_owned(),
                    register: 4,
                    place: DefectPlace::Guards,
                }),
            });
        }
    }

    #[test]
    fn unknown_fields_are_refused() {
        for text in [
            r#"{ "observer": null }"#,
            r#"{ "mechanism": { "binding": "cell", "checks": "polls" } }"#,
            r#"{ "stress": { "periodic": { "redirect": 1 } } }"#,
            r#"{ "stress": { "replay": { "safepoints": [], "landings": [], "ends": [] } } }"#,
            r#"{ "planted": { "function": "f", "register": 1, "value": 2 } }"#,
        ] {
            let error = serde_json::from_str::<Settings>(text).expect_err(text).to_string();
            assert!(error.contains("unknown field"), "{text}: {error}");
        }
    }
}
