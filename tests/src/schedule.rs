//! Random schedules: which tiers execute, when they are left, what is forced, where frames land. A seed
//! determines everything.

use std::collections::BTreeSet;

use fastrand::Rng;
use osr_engine::{
    Compilation, CompiledTier, Destination, FailingGuards, Land, Mechanism, Periodic, Settings,
    SpeculationKind, StateRecording, Stress, Tier, Tiers,
};

use crate::configuration::Configuration;

/// How much a guest executes: what may be done to it how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Up to some thousand entries and back-edges: code may be invalidated, and recompiled, at each.
    Small,
    /// Up to some millions: frames may be hijacked at each, and code invalidated now and then.
    Large,
}

/// The settings of `seed` for a guest of that size.
pub fn random_settings(seed: u64, size: Size) -> Settings {
    let mut random = Rng::with_seed(seed);
    let limit = match size {
        Size::Small => 8,
        Size::Large => 600,
    };
    let settings = Settings {
        tiers: one_of(
            &mut random,
            &[Tiers::Auto, Tiers::Auto, Tiers::Auto, Tiers::Baseline, Tiers::Optimized],
        ),
        threshold: Some(random.u32(0..limit)),
        optimize_threshold: Some(random.u32(0..limit)),
        compilation: one_of(&mut random, &[Compilation::Sync, Compilation::Simulated(seed)]),
        landing: landing(&mut random),
        mechanism: Mechanism::recorded_by(one_of(&mut random, &StateRecording::ALL[1..])),
        stress: stress(&mut random, size),
        checked: random.bool(),
        inlining: random.bool().then_some(Configuration::MUCH),
        code_bytes: 64 << 20,
        value_stack_bytes: 16 << 20,
        ..Settings::default()
    };
    let settings = speculating(&mut random, settings);
    if random.bool() { unwatched(settings) } else { settings }
}

/// `settings` in which nothing is done at landings but landing: what watches them takes another path for frames that stand
/// for several activations.
fn unwatched(settings: Settings) -> Settings {
    let stress = match settings.stress {
        Stress::Periodic(periodic) => Stress::Periodic(Periodic { land: None, ..periodic }),
        Stress::Random(seed) => Stress::invalidate(1 + seed % 8),
        other => other,
    };
    Settings { checked: false, stress, ..settings }
}

/// `settings` with speculation, what becomes of guards that fail, and guards that are made to, each with some probability.
fn speculating(random: &mut Rng, settings: Settings) -> Settings {
    let speculates = random.bool();
    let chosen = |_: &&SpeculationKind| speculates && random.u8(0..4) > 0;
    let speculate = SpeculationKind::ALL.iter().filter(chosen).copied().collect();
    let every = (random.u8(0..4) == 0).then(|| random.u64(1..50));
    let stress = match settings.stress {
        Stress::Periodic(periodic) => Stress::Periodic(Periodic { guard: every, ..periodic }),
        other => other,
    };
    Settings {
        speculate,
        speculation_threshold: random.u32(0..20),
        guard_failures: one_of(random, &[1, 1, 2, 5, 20, u32::MAX]),
        failing_guards: one_of(random, FailingGuards::ALL),
        contexts: random.u8(0..6),
        stress,
        ..settings
    }
}

/// `settings` under `mechanism`, as far as it can be: what replaces no frames is only invalidated, and what nothing
/// replaces is left alone.
pub fn under(mechanism: Mechanism, settings: Settings) -> Settings {
    let is_final = mechanism.is_final();
    let stress = match settings.stress {
        _ if is_final => Stress::None,
        stress if mechanism.hijacks() => stress,
        Stress::Periodic(Periodic { invalidate, land, guard, .. }) => {
            let land = land.filter(|_| mechanism.replaces_frames());
            Stress::Periodic(Periodic { invalidate, hijack: None, guard, land })
        }
        Stress::Random(seed) if mechanism.replaces_frames() => {
            Stress::invalidate(1 + seed % 8).landing(Land::Random(seed))
        }
        Stress::Random(seed) => Stress::invalidate(1 + seed % 8),
        other => other,
    };
    let tiers = if is_final { Tiers::Optimized } else { settings.tiers };
    let settings = Settings { mechanism, stress, tiers, ..settings };
    if mechanism.can_leave() { settings } else { never_left(settings) }
}

/// `settings` in which no guard is left.
fn never_left(settings: Settings) -> Settings {
    let stress = match settings.stress {
        Stress::Periodic(periodic) => Stress::Periodic(Periodic { guard: None, ..periodic }),
        other => other,
    };
    let failing_guards = FailingGuards::Remake;
    Settings { speculate: BTreeSet::new(), failing_guards, stress, ..settings }
}

fn one_of<T: Copy>(random: &mut Rng, these: &[T]) -> T {
    these[random.usize(0..these.len())]
}

/// Where frames land if that is not forced.
fn landing(random: &mut Rng) -> Destination {
    let tier = one_of(random, &CompiledTier::ALL);
    one_of(random, &[Destination::Interpreter, Destination::Cached(tier), Destination::Compiled(tier)])
}

fn stress(random: &mut Rng, size: Size) -> Stress {
    let (often, seldom) = match size {
        Size::Small if random.u8(0..3) == 0 => return Stress::Random(random.u64(..)),
        Size::Small => (1..9, 1..9),
        Size::Large => (1..40, 4_000..20_000),
    };
    let hijack = (random.u8(0..4) > 0).then(|| random.u64(often));
    let invalidate = random.bool().then(|| random.u64(seldom));
    let land = match random.u8(0..4) {
        0 => None,
        1 => Some(Land::In(one_of(random, &Tier::ALL))),
        _ => Some(Land::Random(random.u64(..))),
    };
    Stress::Periodic(Periodic { invalidate, hijack, guard: None, land })
}
