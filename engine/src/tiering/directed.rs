//! A policy whose landings the mechanism directs.

use std::sync::Arc;

use osr_ir::Point;

use super::policy::{Candidate, TieringPolicy};
use crate::code::CodeVersion;
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

    fn head_start(&self) -> u32 {
        self.policy.head_start()
    }

    fn tier_up(&self, candidate: &Candidate) -> Option<CompiledTier> {
        self.policy.tier_up(candidate)
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

    fn landing(&self) -> Option<Destination> {
        let interpreted = self.frames == ActiveFrames::HijackToInterpreter;
        interpreted.then_some(Destination::Interpreter)
    }
}
