//! Costs: what a compilation takes, and what it saves, estimated before it is ordered.
//!
//! ```text
//!   work so far x (time per instruction here - there)   >=   paid so far + fixed + instructions x rate x (1 + size)
//!   ───────── saving, if it runs as long again ─────────      ────────────────── cost of the compilation ───────────
//! ```
//!
//! The left side is the assumption of Jikes RVM: a function will run for as long as it has run (Arnold, Fink, Grove, Hind,
//! Sweeney, "Adaptive Optimization in the Jalapeño JVM", OOPSLA 2000); [`expected`] says what is assumed of one that has
//! not. On the right stands all that was ever spent on the
//! function's compilations, so that time spent on compiling never exceeds the time spent in slower code, however often
//! code is invalidated: as in renting skis, twice the best is never exceeded by much.
//!
//! Nominal costs are constants: decisions are functions of counts, the same in every run and on every machine. Processor
//! speed cancels out: it is a factor of both sides. Measured costs follow this process.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use osr_compiler::{BaselineCompiler, CompiledTier};

use crate::settings::compilation::Costs;
use crate::settings::{Settings, Tier};

/// Picoseconds that a tier takes for an instruction of the IR: the geometric mean over the bundled programs, for about a
/// second each.
const PICOSECONDS: [u64; 3] = [540, 126, 82];

/// What a compilation takes, in nanoseconds, as it was when the engine was calibrated.
#[derive(Clone, Copy, Debug)]
struct Rate {
    /// The first unit: the compiler itself is neither in memory nor in caches.
    first: u64,
    /// Whatever is compiled.
    fixed: u64,
    /// For each instruction of a small unit.
    instruction: u64,
    /// A unit of this many instructions takes twice as long for each.
    doubling: u64,
    /// Bytes of memory for each instruction.
    bytes: u64,
}

/// Of what compiles for a tier.
fn rate(tier: CompiledTier, baseline: BaselineCompiler) -> Rate {
    match (tier, baseline) {
        (CompiledTier::Baseline, BaselineCompiler::SinglePass) => {
            Rate { first: 0, fixed: 1_500, instruction: 110, doubling: 1_000_000_000, bytes: 256 }
        }
        (CompiledTier::Baseline, BaselineCompiler::Cranelift) => {
            Rate { first: 0, fixed: 20_000, instruction: 1_900, doubling: 2_000_000, bytes: 512 }
        }
        (CompiledTier::Optimized, _) => {
            Rate { first: 750_000, fixed: 20_000, instruction: 7_000, doubling: 400_000, bytes: 1_024 }
        }
    }
}

/// Estimates costs as the settings say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CostModel {
    costs: Costs,
    baseline: BaselineCompiler,
    has_optimized: bool,
}

impl CostModel {
    /// The one that `settings` ask for, where something was optimized already if it `has_optimized`.
    pub(crate) fn of(settings: &Settings, has_optimized: bool) -> CostModel {
        CostModel { costs: settings.costs, baseline: settings.baseline, has_optimized }
    }

    /// Nanoseconds that compiling a unit of so many `instructions` takes.
    pub(crate) fn compilation(self, tier: CompiledTier, instructions: u32) -> u64 {
        let nominal = self.nominal(tier, instructions);
        match self.costs {
            Costs::Nominal => nominal,
            Costs::Measured => MEASURED[tier as usize].scale(nominal),
        }
    }

    /// Notes what a compilation has taken.
    pub(crate) fn measured(self, tier: CompiledTier, instructions: u32, took: Duration) {
        if self.costs == Costs::Measured {
            MEASURED[tier as usize].add(self.nominal(tier, instructions), took);
        }
    }

    /// Bytes of memory that compiling a unit of so many `instructions` takes.
    pub(crate) fn bytes(self, tier: CompiledTier, instructions: u32) -> u64 {
        u64::from(instructions) * rate(tier, self.baseline).bytes
    }

    fn nominal(self, tier: CompiledTier, instructions: u32) -> u64 {
        let Rate { first, fixed, instruction, doubling, .. } = rate(tier, self.baseline);
        let instructions = u64::from(instructions);
        let first = if self.has_optimized { 0 } else { first };
        first + fixed + instructions * instruction + instructions * instructions / doubling * instruction
    }
}

/// The instructions that a function will execute, of which a unit has so many: as many as it has executed, and of a function
/// of which little is known, so many that a quick compiler is not waited for. Programs interpret no more than large
/// functions, then, before those have shown that they are worth it. The numbers were chosen on five runs of real
/// applications (the README's table), which baseline code from the first call on suits best.
pub(crate) fn expected(work: u64, instructions: u32) -> u64 {
    /// How often each instruction is executed, if nothing is known.
    const TIMES: u64 = 1_500;
    /// Beyond so many instructions of a unit, more do not count.
    const LARGE: u32 = 1_800;
    /// So that the smallest functions do not wait, whose calls cost more than they do.
    const CALL: u32 = 10;
    work.max(TIMES * u64::from(instructions.min(LARGE) + CALL))
}

/// Nanoseconds that are saved if `work` instructions are executed in `to` instead of in `from`.
pub(crate) fn saving(from: Tier, to: CompiledTier, work: u64) -> u64 {
    let saved = PICOSECONDS[from as usize].saturating_sub(PICOSECONDS[Tier::from(to) as usize]);
    work.saturating_mul(saved) / 1_000
}

/// What compilations have taken in this process, beside what they were expected to.
#[derive(Debug)]
struct Measured {
    expected: AtomicU64,
    taken: AtomicU64,
}

/// By tier. The constants count as a millisecond that was measured, so that the first small unit does not decide alone.
static MEASURED: [Measured; 2] = [Measured::new(), Measured::new()];

impl Measured {
    const WEIGHT: u64 = 1_000_000;

    const fn new() -> Measured {
        Measured { expected: AtomicU64::new(Self::WEIGHT), taken: AtomicU64::new(Self::WEIGHT) }
    }

    fn add(&self, expected: u64, took: Duration) {
        self.expected.fetch_add(expected, Ordering::Relaxed);
        self.taken.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
    }

    fn scale(&self, nominal: u64) -> u64 {
        let (expected, taken) = (self.expected.load(Ordering::Relaxed), self.taken.load(Ordering::Relaxed));
        (u128::from(nominal) * u128::from(taken) / u128::from(expected.max(1))) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_grow_with_the_unit_and_more_so_in_the_better_tier() {
        for baseline in [BaselineCompiler::SinglePass, BaselineCompiler::Cranelift] {
            let model = CostModel::of(&Settings { baseline, ..Settings::default() }, true);
            for tier in CompiledTier::ALL {
                assert!(model.nominal(tier, 10) < model.nominal(tier, 1_000));
            }
            let [small, giant] = [1_000_000, 10_000_000].map(|n| model.nominal(CompiledTier::Optimized, n));
            assert!(giant > 10 * small, "a giant unit takes longer for each instruction");
            let [quick, slow] = CompiledTier::ALL.map(|tier| model.nominal(tier, 5_000));
            assert!(quick < slow);
        }
    }

    #[test]
    fn the_first_optimized_unit_costs_more() {
        let [cold, warm] = [false, true].map(|warm| CostModel::of(&Settings::default(), warm));
        let of = |model: CostModel, tier| model.nominal(tier, 20);
        assert!(of(cold, CompiledTier::Optimized) > of(warm, CompiledTier::Optimized));
        assert_eq!(of(cold, CompiledTier::Baseline), of(warm, CompiledTier::Baseline));
    }

    #[test]
    fn what_is_measured_corrects_the_constants() {
        let measured = Measured::new();
        assert_eq!(measured.scale(700), 700);
        measured.add(1_000_000, Duration::from_millis(3));
        assert_eq!(measured.scale(700), 1_400, "two nominal milliseconds took four");
    }

    #[test]
    fn a_single_pass_is_made_at_once_unless_the_unit_is_giant() {
        let of = |baseline| CostModel::of(&Settings { baseline, ..Settings::default() }, true);
        let pays = |baseline, tier, instructions| {
            let work = expected(0, instructions);
            saving(Tier::Interpreter, tier, work) >= of(baseline).compilation(tier, instructions)
        };
        for instructions in [3, 50, 4_000] {
            assert!(pays(BaselineCompiler::SinglePass, CompiledTier::Baseline, instructions));
            assert!(!pays(BaselineCompiler::Cranelift, CompiledTier::Baseline, instructions));
            assert!(!pays(BaselineCompiler::SinglePass, CompiledTier::Optimized, instructions));
        }
        assert!(!pays(BaselineCompiler::SinglePass, CompiledTier::Baseline, 100_000));
    }

    #[test]
    fn better_tiers_save() {
        let work = 1_000_000;
        let [baseline, optimized] = CompiledTier::ALL.map(|tier| saving(Tier::Interpreter, tier, work));
        assert!(0 < baseline && baseline < optimized);
        assert_eq!(saving(Tier::Optimized, CompiledTier::Baseline, work), 0);
    }
}
