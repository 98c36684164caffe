//! Stress: transitions that are forced, by a rule or by a recorded schedule.
//!
//! Everything that is forced is a function of ordinals: the number of a safepoint reached in compiled
//! code, the number of a landing. A deterministic guest under the same settings reaches the same
//! safepoints, so that a schedule, or a seed, reproduces a run.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::settings::Tier;

/// What is forced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stress {
    /// Nothing.
    #[default]
    None,
    /// Every `n` safepoints.
    Periodic(Periodic),
    /// Anything at any safepoint, as the seed has it; how often, too.
    Random(u64),
    /// At every safepoint, frames are hijacked that wait at a site which has not yet landed in every tier;
    /// they land in one of those that are left. Sites are counted with
    /// [`Settings::coverage`](crate::Settings::coverage), without which nothing is done.
    Uncovered,
    /// What was recorded.
    Replay(#[serde(with = "shared")] Arc<Schedule>),
}

/// What is done periodically. Periods count safepoints reached in compiled code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Periodic {
    /// Every that many, all versions active on the stack are invalidated. `None`: never.
    pub invalidate: Option<u64>,
    /// Every that many, all compiled frames are hijacked; their versions stay current, and are entered
    /// again. Lands often without compiling. `None`: never.
    pub hijack: Option<u64>,
    /// Every that many guards that hold in optimized code, one fails all the same. `None`: never.
    pub guard: Option<u64>,
    /// Where frames land that were hijacked, or that a guard has left. `None`: where the policy says.
    pub land: Option<Land>,
}

/// Where hijacked frames land.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Land {
    /// All in that tier.
    In(Tier),
    /// Each in a tier that the seed picks.
    Random(u64),
}

/// What is done at a safepoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// All versions active on the stack are invalidated.
    Invalidate,
    /// All compiled frames are hijacked; their versions stay.
    Hijack,
    /// Compiled frames are hijacked that wait where too few have landed; their versions stay.
    Cover,
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Action::Invalidate => "invalidate",
            Action::Hijack => "hijack",
            Action::Cover => "cover",
        })
    }
}

/// What was done where: a run's forced transitions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Safepoints, counted from 1, with what was done there; ascending.
    pub safepoints: Vec<(u64, Action)>,
    /// Landings, counted from 1, with the tier that was landed in; ascending. Others land in the
    /// interpreter.
    pub landings: Vec<(u64, Tier)>,
    /// Guards that were made to fail: guards that held in optimized code, counted from 1; ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<u64>,
}

/// A schedule that is shared is written out as any other.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Schedule;

    pub(super) fn serialize<S: Serializer>(schedule: &Arc<Schedule>, to: S) -> Result<S::Ok, S::Error> {
        schedule.as_ref().serialize(to)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Arc<Schedule>, D::Error> {
        Schedule::deserialize(from).map(Arc::new)
    }
}

impl Schedule {
    /// Whether ordinals count from 1, and ascend.
    pub fn is_ordered(&self) -> bool {
        fn ascend<T>(entries: &[(u64, T)]) -> bool {
            entries.first().is_none_or(|(first, _)| *first > 0) && entries.is_sorted_by(|a, b| a.0 < b.0)
        }
        let guards: Vec<(u64, ())> = self.guards.iter().map(|&guard| (guard, ())).collect();
        ascend(&self.safepoints) && ascend(&self.landings) && ascend(&guards)
    }
}

impl Stress {
    /// Every `n`th safepoint invalidates what is active.
    pub fn invalidate(n: u64) -> Stress {
        Stress::Periodic(Periodic { invalidate: Some(n), ..Periodic::default() })
    }

    /// Every `n`th safepoint hijacks what is active; its code stays.
    pub fn hijack(n: u64) -> Stress {
        Stress::Periodic(Periodic { hijack: Some(n), ..Periodic::default() })
    }

    /// Every `n`th guard that holds in optimized code fails all the same.
    pub fn guard(n: u64) -> Stress {
        Stress::Periodic(Periodic { guard: Some(n), ..Periodic::default() })
    }

    /// The same, but hijacked frames land in `land`.
    #[must_use]
    pub fn landing(self, land: Land) -> Stress {
        match self {
            Stress::Periodic(periodic) => Stress::Periodic(Periodic { land: Some(land), ..periodic }),
            Stress::None => Stress::Periodic(Periodic { land: Some(land), ..Periodic::default() }),
            other => other,
        }
    }

    /// What is forced at the first so many safepoints, landings and guards, as a schedule that forces the same.
    /// [`Stress::Uncovered`] depends on more than ordinals: then it is empty.
    pub fn schedule(&self, safepoints: u64, landings: u64, guards: u64) -> Schedule {
        let action = |safepoint| Some((safepoint, self.action(safepoint)?));
        let land = |landing| Some((landing, self.land(landing)?));
        match self {
            Stress::Uncovered => Schedule::default(),
            _ => Schedule {
                safepoints: (1..=safepoints).filter_map(action).collect(),
                landings: (1..=landings)
                    .filter_map(land)
                    .filter(|(_, tier)| *tier != Tier::Interpreter)
                    .collect(),
                guards: std::iter::successors(self.next_guard(0), |&guard| self.next_guard(guard))
                    .take_while(|&guard| guard <= guards)
                    .collect(),
            },
        }
    }

    /// Whether safepoints matter.
    pub fn wants_safepoints(&self) -> bool {
        match self {
            Stress::None => false,
            Stress::Periodic(periodic) => periodic.invalidate.is_some() || periodic.hijack.is_some(),
            Stress::Random(_) | Stress::Uncovered | Stress::Replay(_) => true,
        }
    }

    /// Whether it says where frames land.
    pub(crate) fn forces_landings(&self) -> bool {
        match self {
            Stress::None => false,
            Stress::Periodic(periodic) => periodic.land.is_some(),
            Stress::Random(_) | Stress::Uncovered | Stress::Replay(_) => true,
        }
    }

    /// Whether guards are made to fail that hold.
    pub(crate) fn fails_guards(&self) -> bool {
        self.next_guard(0).is_some()
    }

    /// Which guard is the next to fail when `executed` guards have held.
    pub(crate) fn next_guard(&self, executed: u64) -> Option<u64> {
        match self {
            Stress::Periodic(Periodic { guard: Some(every), .. }) => Some((executed / every + 1) * every),
            Stress::Replay(schedule) => {
                let next = schedule.guards.partition_point(|&guard| guard <= executed);
                schedule.guards.get(next).copied()
            }
            _ => None,
        }
    }

    /// Whether nothing is forced but invalidations: that can be done where frames run out, too.
    pub(crate) fn only_invalidates(&self) -> bool {
        match self {
            Stress::None | Stress::Periodic(Periodic { hijack: None, .. }) => true,
            Stress::Replay(schedule) => {
                schedule.safepoints.iter().all(|&(_, action)| action == Action::Invalidate)
            }
            Stress::Periodic(_) | Stress::Random(_) | Stress::Uncovered => false,
        }
    }

    /// What is done at the `safepoint`th safepoint.
    pub(crate) fn action(&self, safepoint: u64) -> Option<Action> {
        match self {
            Stress::None => None,
            Stress::Uncovered => Some(Action::Cover),
            Stress::Periodic(periodic) => periodic.action(safepoint),
            Stress::Random(seed) => random_action(*seed, safepoint),
            Stress::Replay(schedule) => find(&schedule.safepoints, safepoint),
        }
    }

    /// The tier that the `landing`th landing ends in, if it is forced.
    #[inline(always)]
    pub(crate) fn land(&self, landing: u64) -> Option<Tier> {
        match self {
            Stress::None | Stress::Uncovered => None,
            Stress::Periodic(periodic) => periodic.land.map(|land| land.tier(landing)),
            Stress::Random(seed) => Some(Land::Random(*seed).tier(landing)),
            Stress::Replay(schedule) => Some(find(&schedule.landings, landing).unwrap_or(Tier::Interpreter)),
        }
    }
}

impl Periodic {
    fn action(&self, safepoint: u64) -> Option<Action> {
        let is_due = |every: Option<u64>| every.is_some_and(|every| safepoint.is_multiple_of(every));
        if is_due(self.invalidate) {
            Some(Action::Invalidate)
        } else {
            is_due(self.hijack).then_some(Action::Hijack)
        }
    }
}

impl Land {
    fn tier(self, landing: u64) -> Tier {
        match self {
            Land::In(tier) => tier,
            Land::Random(seed) => Tier::ALL[(mix(seed ^ mix(landing)) % 3) as usize],
        }
    }
}

/// One safepoint in 1 to 64, as the seed has it, does something.
fn random_action(seed: u64, safepoint: u64) -> Option<Action> {
    let period = 1 << (mix(seed) % 7);
    let random = mix(!seed ^ mix(safepoint));
    let is_due = random.is_multiple_of(period);
    let action = if random >> 32 & 1 == 0 { Action::Invalidate } else { Action::Hijack };
    is_due.then_some(action)
}

fn find<T: Copy>(sorted: &[(u64, T)], ordinal: u64) -> Option<T> {
    let found = sorted.binary_search_by_key(&ordinal, |(at, _)| *at).ok()?;
    Some(sorted[found].1)
}

/// A pseudo-random number from `x` (splitmix64's finalizer).
pub(crate) fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}
