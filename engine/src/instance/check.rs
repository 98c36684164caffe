//! Which settings an instance can be made with.

use osr_compiler::CallBinding;

use crate::code::memory::NEAR_BYTES;
use crate::error::InstantiationError;
use crate::settings::compilation::{Compilation, Costs};
use crate::settings::mechanism::ActiveFrames;
use crate::settings::speculate::SpeculationKind;
use crate::settings::stress::Stress;
use crate::settings::{Settings, Tiers};

/// Refuses settings that ask for what code made as they say cannot do.
pub(super) fn check(settings: &Settings) -> Result<(), InstantiationError> {
    if settings.stack_reserve_bytes < Settings::MINIMUM_STACK_RESERVE {
        let (bytes, minimum) = (settings.stack_reserve_bytes, Settings::MINIMUM_STACK_RESERVE);
        return Err(InstantiationError::SmallStackReserve { bytes, minimum });
    }
    if let Stress::Replay(schedule) = &settings.stress
        && !schedule.is_ordered()
    {
        return Err(InstantiationError::UnorderedSchedule);
    }
    let is_timed = settings.compilation == Compilation::Background || settings.costs == Costs::Measured;
    if is_timed && settings.counts_safepoints() {
        return Err(InstantiationError::DependsOnTime);
    }
    settings.mechanism.check()?;
    let is_near = settings.mechanism.binding != CallBinding::Cell
        || settings.mechanism.frames == ActiveFrames::InvalidationPoint;
    if is_near && settings.code_bytes > NEAR_BYTES {
        return Err(InstantiationError::FarCalls { bytes: settings.code_bytes, limit: NEAR_BYTES });
    }
    let can_be_forced = settings.mechanism.hijacks()
        || (!settings.mechanism.is_final() && settings.stress.only_invalidates());
    if !can_be_forced && settings.stress.wants_safepoints() {
        return Err(match settings.mechanism.replaces_frames() {
            true => InstantiationError::NothingIsHijacked,
            false => InstantiationError::FramesRunOut { what: "transitions cannot be forced" },
        });
    }
    if settings.needs_guard_points() && !settings.mechanism.can_leave() {
        return Err(InstantiationError::FramesRunOut {
            what: "guards cannot be left, and nothing be speculated",
        });
    }
    let keeps_globals = settings.speculate.contains(&SpeculationKind::Global);
    if keeps_globals && !settings.mechanism.replaces_frames() {
        return Err(InstantiationError::FramesRunOut { what: "globals cannot be taken for constants" });
    }
    if settings.points && (settings.mechanism.is_final() || !settings.mechanism.polls()) {
        return Err(InstantiationError::PointsNotSafepoints {
            why: match settings.mechanism.polls() {
                true => "compiles all code once: use another binding than `direct`",
                false => "does not poll in loops: use another poll than `none` and `stack-check`",
            },
        });
    }
    if settings.guest_frames && settings.inlining.is_some() {
        return Err(InstantiationError::FramesNotListed);
    }
    if settings.is_made_at_once() && settings.tiers != Tiers::Optimized {
        return Err(InstantiationError::OnlyOptimized);
    }
    Ok(())
}
