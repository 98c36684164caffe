//! The options that choose how the engine executes, and the names that they are given by.

use std::fmt;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use osr_engine::{
    BaselineCompiler, CodeMemory, Compilation, CompiledTier, Costs, DefectPlace, FailingGuards,
    PlantedDefect, Settings, SpeculationKind, StateRecording, Tiers,
};

use super::inlining::InliningOption;
use super::mechanism::MechanismOptions;
use super::size::Size;
use super::stress::{self, StressItem};
use crate::error::Error;

/// Options that choose how the engine executes.
#[derive(Debug, Args)]
pub(crate) struct EngineOptions {
    /// Which tiers execute.
    #[arg(long, value_enum, default_value_t = TierName::Auto)]
    pub(crate) tier: TierName,
    /// Function entries plus back-edges in the interpreter before a function tiers up, with `--tier auto` [default: it does
    /// when compiling costs less than it saves, if the function runs for as long again].
    #[arg(long, value_name = "N")]
    pub(crate) threshold: Option<u32>,
    /// Function entries plus back-edges in baseline code before a function is optimized, with `--tier auto`; 0: there is
    /// no baseline code [default: it is when that pays].
    #[arg(long, value_name = "N")]
    pub(crate) optimize_threshold: Option<u32>,
    /// Where functions that tier up are compiled: `sync`, while they wait; `background`, while they continue in the tier that
    /// they are in; `simulated:SEED`, as in the background, but the same in every run.
    #[arg(long = "compile", value_name = "WHERE", default_value_t = Compilation::default())]
    compilation: Compilation,
    /// What compilations are taken to cost, where it is decided whether they pay.
    #[arg(long, value_name = "HOW", value_enum, default_value_t = CostsName::Nominal)]
    costs: CostsName,
    /// How active code is replaced.
    #[command(flatten)]
    mechanism: MechanismOptions,
    /// What compiled code is kept in.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = CodeMemoryName::Arena)]
    code_memory: CodeMemoryName,
    /// What makes baseline code.
    #[arg(long, value_name = "COMPILER", value_enum, default_value_t = BaselineName::default())]
    baseline: BaselineName,
    /// What is inlined into optimized code: `off`, `on`, or CALLEE,GROWTH,DEPTH,RECURSION: the size of the largest
    /// body that is inlined, in instructions; how much is added to a function; how many activations a frame stands for,
    /// besides the function's own; how often a function is inlined into itself.
    #[arg(long = "inline", value_name = "WHAT", default_value_t = InliningOption::default())]
    pub(crate) inlining: InliningOption,
    /// How often optimized code unrolls small innermost loops, at most: how many iterations share a poll. 1:
    /// not at all.
    #[arg(long, value_name = "N", default_value_t = Settings::DEFAULT_UNROLLING,
          value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) unrolling: u8,
    /// What optimized code speculates on, with commas between: what baseline code has always seen. `branch`: the same side
    /// of a branch is taken. `call-target`: an indirect call has few targets, which it is compared with, and which may be
    /// inlined. `only-targets`: and no others. `argument`: an integer argument has the same value. `global`: so has a
    /// mutable global.
    #[arg(long, value_name = "KIND,..", value_delimiter = ',', value_parser = speculation)]
    pub(crate) speculate: Vec<SpeculationKind>,
    /// How often baseline code must have executed what is speculated on.
    #[arg(long, value_name = "N", default_value_t = Settings::DEFAULT_SPECULATION_THRESHOLD)]
    pub(crate) speculation_threshold: u32,
    /// How often a guard fails until something is done about it.
    #[arg(long, value_name = "N", default_value_t = Settings::DEFAULT_GUARD_FAILURES)]
    pub(crate) guard_failures: u32,
    /// What that is. `remake`: code that has the guard is retired, and new code does without. `link`: its exit jumps to
    /// a continuation of its own. `dispatch`: to one that is specialized for frames that fail there, and leads back when
    /// they do not; hijacked frames of code that speculates land so, too.
    #[arg(long, value_name = "WHAT", default_value = FailingGuards::default().name(), value_parser = failing_guards)]
    pub(crate) failing_guards: FailingGuards,
    /// With `--failing-guards dispatch`, for how many contexts there are continuations of a function at most; with `link`,
    /// for how many of frames that stand for several activations.
    #[arg(long, value_name = "N", default_value_t = Settings::DEFAULT_CONTEXTS)]
    pub(crate) contexts: u8,
    /// Make every arrival at a function's entry and at a loop header a safepoint: loops are not unrolled, and
    /// optimized functions that call nothing poll, too. Implied by `run --shadow`.
    #[arg(long)]
    pub(crate) points: bool,
    /// Force transitions; may be repeated. `invalidate=N`: every Nth safepoint reached in compiled code
    /// invalidates every version active on the stack, hijacks its frames and releases its code.
    /// `hijack=N`: hijacks the frames, and the code stays. `guard=N`: every Nth guard that holds in optimized code
    /// fails all the same. `land=interpreter|baseline|optimized|random:SEED`: where these frames land. `random=SEED`: anything at any safepoint, as the seed has it.
    #[arg(long, value_name = "KIND=VALUE")]
    pub(crate) stress: Vec<StressItem>,
    /// Native stack of the guest, and as much again for interpreter frames. With k, M or G.
    #[arg(long, value_name = "BYTES", default_value_t = Size::DEFAULT_STACK)]
    pub(crate) stack_size: Size,
    /// Check invariants while running: stack scans before each release, released code inaccessible,
    /// dead registers and slots poisoned.
    #[arg(long)]
    pub(crate) checked: bool,
    /// Make frame maps of FUNCTION wrong about register number N, to try out the tools that find such defects: those of its
    /// `continuations`, of its `guards`, or of `chains` of activations that were inlined into it.
    #[arg(long, value_name = "FUNCTION:N[:PLACE]", hide = true)]
    pub(crate) plant_defect: Option<DefectOption>,
}

/// A [`PlantedDefect`] as it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DefectOption(PlantedDefect);

impl FromStr for DefectOption {
    type Err = String;

    fn from_str(text: &str) -> Result<DefectOption, String> {
        let named = |name: &str| DefectPlace::ALL.iter().copied().find(|place| place.name() == name);
        let placed = text.rsplit_once(':').and_then(|(text, name)| Some((text, named(name)?)));
        let (text, place) = placed.unwrap_or((text, DefectPlace::default()));
        let parts = text.rsplit_once(':').and_then(|(function, n)| Some((function, n.parse().ok()?)));
        let (function, register) = parts.ok_or("write FUNCTION:N, with the number N of a register")?;
        Ok(DefectOption(PlantedDefect { function: function.to_owned(), register, place }))
    }
}

impl fmt::Display for DefectOption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PlantedDefect { function, register, place } = &self.0;
        write!(formatter, "{function}:{register}")?;
        if *place != DefectPlace::default() { write!(formatter, ":{}", place.name()) } else { Ok(()) }
    }
}

/// The kind of speculation of that name.
fn speculation(name: &str) -> Result<SpeculationKind, String> {
    let names: Vec<&str> = SpeculationKind::ALL.iter().map(|kind| kind.name()).collect();
    if name == "trap" {
        let why = "that divisions and accesses of memory do not trap is what code relies on anyway: processor and guard \
                   pages find out, and no instruction could be left out";
        return Err(why.to_owned());
    }
    let found = SpeculationKind::ALL.iter().find(|kind| kind.name() == name);
    found.copied().ok_or_else(|| format!("there is no such speculation; there is {}", names.join(", ")))
}

/// What becomes of failing guards, of that name.
fn failing_guards(name: &str) -> Result<FailingGuards, String> {
    let names: Vec<&str> = FailingGuards::ALL.iter().map(|what| what.name()).collect();
    let found = FailingGuards::ALL.iter().find(|what| what.name() == name);
    found.copied().ok_or_else(|| format!("write one of {}", names.join(", ")))
}

impl EngineOptions {
    /// The engine's settings, if the options agree.
    pub(crate) fn settings(&self) -> Result<Settings, Error> {
        let mut settings = Settings {
            tiers: self.tier.tiers(),
            threshold: self.threshold,
            optimize_threshold: self.optimize_threshold,
            costs: self.costs.costs(),
            compilation: self.compilation,
            mechanism: self.mechanism.mechanism()?,
            baseline: self.baseline.compiler(),
            code_memory: self.code_memory.memory(),
            inlining: self.inlining.0,
            unrolling: self.unrolling,
            speculate: self.speculate.iter().copied().collect(),
            speculation_threshold: self.speculation_threshold,
            guard_failures: self.guard_failures,
            failing_guards: self.failing_guards,
            contexts: self.contexts,
            points: self.points,
            stress: stress::combine(&self.stress)?,
            value_stack_bytes: self.stack_size.bytes(),
            planted: self.plant_defect.as_ref().map(|defect| defect.0.clone()),
            ..Settings::default()
        };
        settings.checked |= self.checked;
        if settings.tiers != Tiers::Auto {
            self.check_no_thresholds()?;
        }
        if settings.tiers == Tiers::Interpreter && !self.stress.is_empty() {
            return Err(Error::NothingToHijack);
        }
        if self.stack_size < Size::MINIMUM_STACK {
            return Err(Error::SmallStack { given: self.stack_size, minimum: Size::MINIMUM_STACK });
        }
        Ok(settings)
    }

    /// Where nothing waits to tier up no thresholds may be given, but 0.
    fn check_no_thresholds(&self) -> Result<(), Error> {
        let given = [("--threshold", self.threshold), ("--optimize-threshold", self.optimize_threshold)];
        let senseless = given.into_iter().find(|(_, threshold)| threshold.is_some_and(|n| n > 0));
        match senseless {
            Some((option, _)) => Err(Error::ThresholdWithoutTierUp { option, tier: self.tier.name() }),
            None => Ok(()),
        }
    }
}

/// Names of [`Tiers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TierName {
    /// The interpreter only.
    Interpreter,
    /// Baseline code from the first call on; landed frames may pass through the interpreter.
    Baseline,
    /// Optimized code from the first call on; landed frames may pass through the interpreter.
    Optimized,
    /// Start in the interpreter, continue in baseline code, optimize what is hot.
    Auto,
}

impl TierName {
    /// What the engine calls it.
    fn tiers(self) -> Tiers {
        match self {
            TierName::Interpreter => Tiers::Interpreter,
            TierName::Baseline => Tiers::Baseline,
            TierName::Optimized => Tiers::Optimized,
            TierName::Auto => Tiers::Auto,
        }
    }

    /// The name as it is given.
    fn name(self) -> &'static str {
        match self {
            TierName::Interpreter => "interpreter",
            TierName::Baseline => "baseline",
            TierName::Optimized => "optimized",
            TierName::Auto => "auto",
        }
    }
}

/// Names of [`BaselineCompiler`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BaselineName {
    /// The engine's own: one pass over the function, straight to machine code.
    SinglePass,
    /// Cranelift without optimizations.
    Cranelift,
}

impl BaselineName {
    /// What the engine calls it.
    pub(crate) fn compiler(self) -> BaselineCompiler {
        match self {
            BaselineName::SinglePass => BaselineCompiler::SinglePass,
            BaselineName::Cranelift => BaselineCompiler::Cranelift,
        }
    }
}

impl Default for BaselineName {
    fn default() -> BaselineName {
        match BaselineCompiler::default() {
            BaselineCompiler::SinglePass => BaselineName::SinglePass,
            BaselineCompiler::Cranelift => BaselineName::Cranelift,
        }
    }
}

/// Names of [`Costs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CostsName {
    /// As much as they did when the engine was calibrated: decisions are the same in every run.
    Nominal,
    /// As much as the process measures.
    Measured,
}

impl CostsName {
    fn costs(self) -> Costs {
        match self {
            CostsName::Nominal => Costs::Nominal,
            CostsName::Measured => Costs::Measured,
        }
    }
}

/// Names of [`CodeMemory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CodeMemoryName {
    /// One arena, mapped twice: written through one mapping, executed through the other.
    Arena,
    /// One `JITModule` of cranelift-jit for each version, freed with it.
    JitModule,
}

impl CodeMemoryName {
    fn memory(self) -> CodeMemory {
        match self {
            CodeMemoryName::Arena => CodeMemory::Arena,
            CodeMemoryName::JitModule => CodeMemory::JitModule,
        }
    }
}

/// Names of [`StateRecording`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateRecordingName {
    /// Not at all: transitions of active frames are refused.
    None,
    /// Live values are stored into slots before each call.
    Slots,
    /// Live values are where the register allocator keeps them.
    Locations,
    /// Cold code at each call stores live values when a landing asks.
    Pads,
    /// Slots, locations and pads at once; landings compare them.
    CrossChecked,
}

impl StateRecordingName {
    /// What the engine calls it.
    pub(crate) fn recording(self) -> StateRecording {
        match self {
            StateRecordingName::None => StateRecording::None,
            StateRecordingName::Slots => StateRecording::Slots,
            StateRecordingName::Locations => StateRecording::Locations,
            StateRecordingName::Pads => StateRecording::Pads,
            StateRecordingName::CrossChecked => StateRecording::CrossChecked,
        }
    }
}

impl Default for StateRecordingName {
    fn default() -> StateRecordingName {
        match StateRecording::default() {
            StateRecording::None => StateRecordingName::None,
            StateRecording::Slots => StateRecordingName::Slots,
            StateRecording::Locations => StateRecordingName::Locations,
            StateRecording::Pads => StateRecordingName::Pads,
            StateRecording::CrossChecked => StateRecordingName::CrossChecked,
        }
    }
}

/// Names of [`CompiledTier`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompiledTierName {
    /// Compiled quickly, and profiling.
    Baseline,
    /// Optimized.
    Optimized,
}

impl From<CompiledTierName> for CompiledTier {
    fn from(name: CompiledTierName) -> CompiledTier {
        match name {
            CompiledTierName::Baseline => CompiledTier::Baseline,
            CompiledTierName::Optimized => CompiledTier::Optimized,
        }
    }
}
