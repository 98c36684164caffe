//! A policy whose landings the mechanism directs.

use std::sync::Arc;

use osr_ir::{FunctionIndex, Point};

use super::TieringPolicy;
use crate::code::CodeVersion;
use crate::event::statistics::Place;
use crate::settings::destination::Destination;
use crate::settings::mechanism::ActiveFrames;
use crate::settings::{CompiledTier, Tier};

/// Asks another policy, but for where frames land, as far as that is decided by the mechanism.
#[derive(Debug)]
pub(super) struct Directed {
    pub(super) policy: Arc<dyn TieringPolicy>,
    pub(super) frames: ActiveFrames,
}

impl TieringPolicy for Directed {
    fn threshold(&self, tier: Tier) -> u32 {
        self.policy.threshold(tier)
    }

    fn tier_up(&self, function: FunctionIndex, from: Tier, place: Place) -> Option<CompiledTier> {
        self.policy.tier_up(function, from, place)
    }

    fn land(&self, version: &CodeVersion, point: Point) -> Destination {
        if self.frames == ActiveFrames::HijackToInterpreter {
            return Destination::Interpreter;
        }
        match self.policy.land(version, point) {
            Destination::Interpreter => Destination::Compiled(version.tier),
            Destination::Cached(tier) | Destination::Compiled(tier) => Destination::Compiled(tier),
        }
    }
}
