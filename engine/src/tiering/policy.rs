//! Policies: when a function continues in better code, and where hijacked frames land.

use std::fmt;
use std::sync::Arc;

use osr_ir::{FunctionIndex, Point};

use super::cost;
use super::directed::Directed;
use crate::code::CodeVersion;
use crate::event::Estimate;
use crate::event::statistics::Place;
use crate::settings::compilation::Compilation;
use crate::settings::destination::Destination;
use crate::settings::mechanism::ActiveFrames;
use crate::settings::{CompiledTier, Settings, Tier, Tiers};

/// Decides where functions continue.
///
/// It is asked in the middle of a transition, and decides from what it is given and what it knows. Whatever it
/// asks a thread to do is refused. If it panics, the function stays in its tier, or the frame lands in the
/// interpreter, and the guest's call ends as after the panic of an [`Observer`](crate::Observer).
pub trait TieringPolicy: fmt::Debug + Send + Sync {
    /// After how many entries plus back-edges in `tier` the policy is asked whether a function
    /// [tiers up](Self::tier_up). 0: at once, at the first; `u32::MAX`: never. Asked once for each tier, when
    /// the instance is made.
    fn threshold(&self, tier: Tier) -> u32;

    /// What the interpreter's count of a function begins with, when there is no code of it: the policy is asked for the
    /// first time so much sooner. Asked once, when the instance is made.
    fn head_start(&self) -> u32 {
        0
    }

    /// A function has reached the threshold of the tier that it is in: the tier that it continues in, which is compiled if
    /// need be. None: it stays, and its count restarts.
    fn tier_up(&self, candidate: &Candidate) -> Option<CompiledTier>;

    /// A hijacked frame of `version` arrives in the landing stub; it resumes at `point`.
    fn land(&self, version: &CodeVersion, point: Point) -> Destination;

    /// Where frames land, if that is the same for all: then the policy is not asked for [each](Self::land). Asked once, when
    /// the instance is made.
    fn landing(&self) -> Option<Destination> {
        None
    }
}

/// A function that may tier up: what is known of it. Times are estimates, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The function.
    pub function: FunctionIndex,
    /// The tier that it is in.
    pub from: Tier,
    /// Where in the body it is. Code for this place is what is compiled: the function at its entry, else a continuation.
    pub place: Place,
    /// Instructions of the IR that it has executed, in the interpreter and in baseline code, in all its activations.
    /// Optimized code does not count.
    pub work: u64,
    /// What its compilations have cost so far.
    pub paid_ns: u64,
    /// By compiled tier.
    pub estimates: [Estimate; 2],
}

impl Candidate {
    /// What is expected of compiling it in `tier`.
    pub fn estimate(&self, tier: CompiledTier) -> Estimate {
        self.estimates[tier as usize]
    }

    /// What continuing in `tier` gains, in nanoseconds, when everything that its compilations have cost is paid back: a
    /// loss if it is negative. Where the code is there, the saving.
    pub fn gain(&self, tier: CompiledTier) -> i64 {
        let Estimate { cost_ns, saving_ns, .. } = self.estimate(tier);
        let paid = if cost_ns == 0 { 0 } else { self.paid_ns };
        let signed = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX);
        signed(saving_ns).saturating_sub(signed(cost_ns.saturating_add(paid)))
    }

    /// Whether continuing in `tier` pays: it costs no more than it saves, if the function runs for as long again as it
    /// has run (Arnold et al., OOPSLA 2000). Of a small function that is met for the first time in the interpreter more is
    /// expected: what a single pass makes pays at once.
    pub fn pays(&self, tier: CompiledTier) -> bool {
        let Estimate { cost_ns, saving_ns, .. } = self.estimate(tier);
        saving_ns > 0 && cost_ns != Estimate::NEVER && self.gain(tier) >= 0
    }
}

/// The default policy: from the interpreter to baseline code to optimized code, when it pays, or by counts; hijacked
/// frames land where the settings say.
#[derive(Clone, Copy, Debug)]
pub struct Ladder {
    tiers: Tiers,
    threshold: Option<u32>,
    optimize_threshold: Option<u32>,
    /// Functions continue in the tier that they are in while they are compiled.
    continues: bool,
    landing: Destination,
}

/// Arrivals after which it is looked whether leaving a tier pays.
const LOOKED_AFTER: [u32; 2] = [200, 1_000];

impl Ladder {
    /// The policy that `settings` ask for.
    pub fn of(settings: &Settings) -> Ladder {
        let Settings { tiers, threshold, optimize_threshold, compilation, landing, .. } = *settings;
        Ladder { tiers, threshold, optimize_threshold, continues: compilation != Compilation::Sync, landing }
    }

    /// Where a function that is interpreted continues, with [`Tiers::Auto`].
    fn leaving_interpreter(&self, candidate: &Candidate) -> Option<CompiledTier> {
        let tiers: &[CompiledTier] = match (self.optimize_threshold, self.threshold) {
            (Some(0), _) => &[CompiledTier::Optimized],
            (_, Some(_)) | (Some(_), None) => &[CompiledTier::Baseline],
            // What is quickly compiled is soon there.
            (None, None) if self.continues && candidate.pays(CompiledTier::Baseline) => {
                &[CompiledTier::Baseline]
            }
            (None, None) => &CompiledTier::ALL,
        };
        let counted = self.threshold.is_some();
        tiers
            .iter()
            .copied()
            .filter(|&tier| counted || candidate.pays(tier))
            .max_by_key(|&tier| candidate.gain(tier))
    }
}

impl TieringPolicy for Ladder {
    fn threshold(&self, tier: Tier) -> u32 {
        match (tier, self.tiers) {
            (_, Tiers::Interpreter) | (Tier::Optimized, _) => u32::MAX,
            (Tier::Interpreter, Tiers::Baseline | Tiers::Optimized) => 0,
            (Tier::Interpreter, Tiers::Auto) => self.threshold.unwrap_or(LOOKED_AFTER[0]),
            (Tier::Baseline, Tiers::Auto) => self.optimize_threshold.unwrap_or(LOOKED_AFTER[1]),
            (Tier::Baseline, Tiers::Baseline | Tiers::Optimized) => u32::MAX,
        }
    }

    /// Where costs decide, it is asked at the first arrival.
    fn head_start(&self) -> u32 {
        match (self.tiers, self.threshold) {
            (Tiers::Auto, None) => LOOKED_AFTER[0] - 1,
            _ => 0,
        }
    }

    fn tier_up(&self, candidate: &Candidate) -> Option<CompiledTier> {
        match (candidate.from, self.tiers) {
            (_, Tiers::Interpreter) | (Tier::Optimized, _) => None,
            (Tier::Interpreter, Tiers::Baseline) => Some(CompiledTier::Baseline),
            (Tier::Interpreter, Tiers::Optimized) => Some(CompiledTier::Optimized),
            (Tier::Interpreter, Tiers::Auto) => self.leaving_interpreter(candidate),
            (Tier::Baseline, Tiers::Auto) => {
                let optimized = CompiledTier::Optimized;
                (self.optimize_threshold.is_some() || candidate.pays(optimized)).then_some(optimized)
            }
            (Tier::Baseline, _) => None,
        }
    }

    fn land(&self, _version: &CodeVersion, _point: Point) -> Destination {
        self.landing
    }

    fn landing(&self) -> Option<Destination> {
        Some(self.landing)
    }
}

/// `policy`, or what `settings` ask for; where frames land, the mechanism may decide.
pub(crate) fn policy(policy: Option<Arc<dyn TieringPolicy>>, settings: &Settings) -> Arc<dyn TieringPolicy> {
    let policy = policy.unwrap_or_else(|| Arc::new(Ladder::of(settings)));
    match settings.mechanism.frames {
        frames @ (ActiveFrames::HijackToInterpreter | ActiveFrames::HijackToVersion) => {
            Arc::new(Directed { policy, frames })
        }
        _ => policy,
    }
}

/// What is expected of code of `to` for a function that has executed `work` instructions and is in `from`.
pub(super) fn estimate(
    (from, to): (Tier, CompiledTier),
    work: u64,
    instructions: u32,
    cost_ns: u64,
) -> Estimate {
    let work = if from == Tier::Interpreter { cost::expected(work, instructions) } else { work };
    Estimate { instructions, cost_ns, saving_ns: cost::saving(from, to, work) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(from: Tier, work: u64, paid_ns: u64, costs: [u64; 2]) -> Candidate {
        let of = |tier: CompiledTier| estimate((from, tier), work, 100, costs[tier as usize]);
        Candidate {
            function: FunctionIndex::new(0),
            from,
            place: Place::LoopHeader,
            work,
            paid_ns,
            estimates: CompiledTier::ALL.map(of),
        }
    }

    fn ladder(threshold: Option<u32>, optimize_threshold: Option<u32>) -> Ladder {
        Ladder::of(&Settings { threshold, optimize_threshold, ..Settings::default() })
    }

    #[test]
    fn a_tier_is_entered_when_it_pays() {
        let auto = ladder(None, None);
        let costs = [1_000_000, 10_000_000];
        assert_eq!(auto.tier_up(&candidate(Tier::Interpreter, 1_000, 0, costs)), None);
        let baseline = auto.tier_up(&candidate(Tier::Interpreter, 3_000_000, 0, costs));
        assert_eq!(baseline, Some(CompiledTier::Baseline));
        let optimized = auto.tier_up(&candidate(Tier::Interpreter, 1_000_000_000, 0, costs));
        assert_eq!(
            optimized,
            Some(CompiledTier::Optimized),
            "what has run for long does not go step by step"
        );
    }

    #[test]
    fn what_was_paid_before_has_to_be_earned_again_but_code_that_is_there_is_free() {
        let auto = ladder(None, None);
        let costs = [1_000_000, 10_000_000];
        let paid = candidate(Tier::Interpreter, 3_000_000, 50_000_000, costs);
        assert_eq!(auto.tier_up(&paid), None);
        let there = candidate(Tier::Interpreter, 200, 50_000_000, [0, 10_000_000]);
        assert_eq!(auto.tier_up(&there), Some(CompiledTier::Baseline));
    }

    #[test]
    fn what_one_tier_refuses_the_other_may_compile() {
        let auto = ladder(None, None);
        let refused = |from| candidate(from, u64::MAX / 4_096, 0, [1_000_000, Estimate::NEVER]);
        assert_eq!(auto.tier_up(&refused(Tier::Interpreter)), Some(CompiledTier::Baseline));
        assert_eq!(auto.tier_up(&refused(Tier::Baseline)), None);
    }

    #[test]
    fn where_functions_continue_while_they_are_compiled_what_is_quickly_there_comes_first() {
        let settings = Settings { compilation: Compilation::Background, ..Settings::default() };
        let hot = candidate(Tier::Interpreter, 1_000_000_000, 0, [1_000_000, 10_000_000]);
        assert_eq!(Ladder::of(&settings).tier_up(&hot), Some(CompiledTier::Baseline));
    }

    #[test]
    fn thresholds_ask_for_no_costs() {
        let counted = ladder(Some(5), Some(9));
        let dear = |from| candidate(from, 5, 0, [u64::MAX; 2]);
        assert_eq!((counted.threshold(Tier::Interpreter), counted.threshold(Tier::Baseline)), (5, 9));
        assert_eq!(counted.tier_up(&dear(Tier::Interpreter)), Some(CompiledTier::Baseline));
        assert_eq!(counted.tier_up(&dear(Tier::Baseline)), Some(CompiledTier::Optimized));
        assert_eq!(ladder(Some(5), Some(0)).tier_up(&dear(Tier::Interpreter)), Some(CompiledTier::Optimized));
        assert_eq!(ladder(Some(5), None).tier_up(&dear(Tier::Baseline)), None);
    }
}
