//! The ways to run a program that must all observe the same.

use std::pin::Pin;
use std::sync::Arc;

use osr_engine::{
    BaselineCompiler, CodeMemory, Delegates, Inlining, Instance, InvokeError, Land, Mechanism, Preset,
    RebuildTime, Settings, StateRecording, Stress, Thread, Tier, Tiers,
};
use osr_ir::{ExportItem, Module, Value};

use crate::host::imports;

/// A named choice of settings.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// For messages.
    pub name: &'static str,
    /// The settings.
    pub settings: Settings,
}

/// Thresholds at which short runs go through all tiers.
const LOW_THRESHOLDS: (u32, u32) = (20, 60);

impl Configuration {
    /// The interpreter alone: the definition of correct.
    pub fn interpreter() -> Configuration {
        Configuration::new("interpreter", Tiers::Interpreter, Stress::None)
    }

    /// As `tiers` have it, under `stress`, checked.
    pub fn new(name: &'static str, tiers: Tiers, stress: Stress) -> Configuration {
        Configuration { name, settings: Settings { tiers, stress, checked: true, ..Settings::default() } }
    }

    /// The same with other thresholds: of the interpreter, and of baseline code.
    #[must_use]
    pub fn with_thresholds(mut self, (interpreter, baseline): (u32, u32)) -> Configuration {
        self.settings.threshold = Some(interpreter);
        self.settings.optimize_threshold = Some(baseline);
        self
    }

    /// The same with another code memory.
    #[must_use]
    pub fn code_memory(mut self, code_memory: CodeMemory) -> Configuration {
        self.settings.code_memory = code_memory;
        self
    }

    /// The same with another state recording.
    #[must_use]
    pub fn recording(mut self, recording: StateRecording) -> Configuration {
        self.settings.mechanism = Mechanism::recorded_by(recording);
        self
    }

    /// The same, with everything inlined into optimized code that can be, as long as it compiles in good time.
    #[must_use]
    pub fn inlined(mut self) -> Configuration {
        self.settings.inlining = Some(Configuration::MUCH);
        self
    }

    /// More than anyone would want.
    pub const MUCH: Inlining = Inlining { callee: 500, growth: 2_000, depth: 5, recursion: 2 };

    /// The same with baseline code by another compiler.
    #[must_use]
    pub fn baseline(mut self, baseline: BaselineCompiler) -> Configuration {
        self.settings.baseline = baseline;
        self
    }

    /// The same with another mechanism.
    #[must_use]
    pub fn mechanism(mut self, mechanism: Mechanism) -> Configuration {
        self.settings.mechanism = mechanism;
        self
    }

    /// From the interpreter to optimized code at `threshold`; every `every`th safepoint invalidates.
    pub fn stress(name: &'static str, threshold: u32, every: u64) -> Configuration {
        Configuration::new(name, Tiers::Auto, Stress::invalidate(every)).with_thresholds((threshold, 0))
    }

    /// All that every program must agree in. Where landings compile code, every `every`th safepoint
    /// invalidates.
    pub fn all(every: u64) -> Vec<Configuration> {
        use Tiers::{Auto, Baseline, Optimized};
        let threshold = 500;
        let low = |name, stress| Configuration::new(name, Auto, stress).with_thresholds(LOW_THRESHOLDS);
        let invalidate = |land| Stress::invalidate(every).landing(land);
        let (baseline, optimized) = (Land::In(Tier::Baseline), Land::In(Tier::Optimized));
        vec![
            Configuration::interpreter(),
            Configuration::new("baseline", Baseline, Stress::None),
            Configuration::new("optimized", Optimized, Stress::None),
            Configuration::new("auto", Auto, Stress::None),
            low("auto, low thresholds", Stress::None),
            Configuration::stress("auto, invalidate=1", threshold, 1),
            Configuration::stress("auto, slots, invalidate=7", threshold, 7).recording(StateRecording::Slots),
            Configuration::stress("auto, locations, invalidate=7", threshold, 7)
                .recording(StateRecording::Locations),
            Configuration::stress("auto, invalidate=1000", threshold, 1000),
            Configuration::new("baseline, invalidate, land=baseline", Baseline, invalidate(baseline)),
            Configuration::new("baseline, invalidate, land=optimized", Baseline, invalidate(optimized)),
            Configuration::new(
                "baseline by cranelift, invalidate, land=baseline",
                Baseline,
                invalidate(baseline),
            )
            .baseline(BaselineCompiler::Cranelift),
            Configuration::new(
                "optimized, cross-checked, invalidate, land=optimized",
                Optimized,
                invalidate(optimized),
            )
            .recording(StateRecording::CrossChecked),
            Configuration::new("optimized, pads, invalidate, land=baseline", Optimized, invalidate(baseline))
                .recording(StateRecording::Pads),
            Configuration::new("optimized, pads, jit-module, invalidate", Optimized, invalidate(optimized))
                .recording(StateRecording::Pads)
                .code_memory(CodeMemory::JitModule),
            Configuration::stress("auto, jit-module, invalidate=7", threshold, 7)
                .code_memory(CodeMemory::JitModule),
            low("auto, rebuilt at once, invalidate, land=random", invalidate(Land::Random(3)))
                .mechanism(Mechanism { rebuild: RebuildTime::AtOnce, ..Mechanism::DEFAULT }),
            low("auto, landing tables, invalidate, land=random", invalidate(Land::Random(4)))
                .mechanism(Preset::named("v8").expect("it is there").mechanism),
            low("auto, low thresholds, invalidate, land=random", invalidate(Land::Random(1))),
            low("auto, low thresholds, hijack=5, land=random", Stress::hijack(5).landing(Land::Random(2))),
            Configuration::new("optimized, inlined", Optimized, Stress::None).inlined(),
            Configuration::new(
                "optimized, inlined, cross-checked, invalidate, land=optimized",
                Optimized,
                invalidate(optimized),
            )
            .recording(StateRecording::CrossChecked)
            .inlined(),
            Configuration::new(
                "optimized, inlined, slots, invalidate, land=baseline",
                Optimized,
                invalidate(baseline),
            )
            .recording(StateRecording::Slots)
            .inlined(),
            Configuration::new("optimized, inlined, hijack=1", Optimized, Stress::hijack(1)).inlined(),
            low("auto, inlined, invalidate, land=random", invalidate(Land::Random(5))).inlined(),
            low("auto, inlined, rebuilt at once, invalidate, land=random", invalidate(Land::Random(6)))
                .mechanism(Mechanism { rebuild: RebuildTime::AtOnce, ..Mechanism::DEFAULT })
                .inlined(),
            low("auto, inlined, landing tables, invalidate, land=random", invalidate(Land::Random(7)))
                .mechanism(Preset::named("v8").expect("it is there").mechanism)
                .inlined(),
        ]
    }
}

/// What can be observed of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The results, or why there are none. The point of stack exhaustion is left out.
    pub outcome: Result<Vec<u64>, String>,
    /// A hash of the memory afterwards.
    pub memory_hash: u64,
    /// The exported globals afterwards.
    pub globals: Vec<u64>,
}

/// An instance of `module` with a thread, its start function run.
///
/// # Panics
/// If that fails.
pub fn start(module: &Module, settings: &Settings) -> (Arc<Instance>, Pin<Box<Thread>>) {
    start_with(module, settings, Delegates::default())
}

/// The same, with `delegates`.
///
/// # Panics
/// If that fails.
pub fn start_with(
    module: &Module,
    settings: &Settings,
    delegates: Delegates,
) -> (Arc<Instance>, Pin<Box<Thread>>) {
    let instance = Instance::with_delegates(settings.clone(), delegates, module.clone(), &imports());
    let instance = instance.expect("an instance");
    let thread = Thread::new(&instance).expect("a thread");
    thread.start().expect("the start function returns");
    (instance, thread)
}

/// Calls `function` in a fresh instance of `module`.
pub fn observe(module: &Module, function: &str, arguments: &[Value], settings: &Settings) -> Observed {
    let (instance, thread) = start(module, settings);
    let outcome = thread.invoke(function, arguments);
    assert_eq!(thread.hijacked_slots(), 0, "the ledger is empty when the guest is gone");
    Observed {
        outcome: outcome.map_err(|error| describe(&error)),
        memory_hash: instance.memory_hash().unwrap_or(0),
        globals: exported_globals(&instance),
    }
}

/// What a failure says, with the callers of what trapped; for stack exhaustion without the place.
pub fn describe(error: &InvokeError) -> String {
    match error {
        InvokeError::Trap(trap) if trap.kind == osr_ir::TrapKind::StackExhausted => trap.kind.to_string(),
        InvokeError::Trap(trap) => format!("{trap}{}", trap.callers),
        _ => error.to_string(),
    }
}

fn exported_globals(instance: &Instance) -> Vec<u64> {
    let exports = instance.module().exports.iter();
    exports
        .filter_map(|export| match export.item {
            ExportItem::Global(global) => Some(instance.global(global)),
            _ => None,
        })
        .collect()
}

/// Runs `work` on a thread with a large native stack: where interpreted and compiled frames alternate,
/// each guest call takes several native frames.
pub fn on_large_stack<R: Send>(bytes: usize, work: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(bytes).spawn_scoped(scope, work);
        match thread.expect("a thread").join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
