//! The cases: each is measured once a round.

use std::rc::Rc;
use std::time::Duration;

use osr_engine::{CompiledTier, Destination};

use super::guest::{Descent, Guest};

/// Where frames land.
#[derive(Clone, Copy, Debug)]
pub(super) struct Landing {
    pub(super) name: &'static str,
    pub(super) destination: Destination,
}

/// All.
pub(super) const LANDINGS: [Landing; 3] = [
    Landing { name: "interpreter", destination: Destination::Interpreter },
    Landing { name: "baseline", destination: Destination::Compiled(CompiledTier::Baseline) },
    Landing { name: "optimized", destination: Destination::Compiled(CompiledTier::Optimized) },
];

/// Frames that a sample is of, at least: what is shorter drowns in the clock.
const FRAMES: u64 = 2_000;

/// A depth of a guest, being measured.
pub(super) struct Case {
    pub(super) live: u16,
    pub(super) landing: Landing,
    pub(super) depth: u64,
    guest: Rc<Guest>,
    /// What a descent returns.
    result: u64,
    /// Nanoseconds by frame.
    pub(super) hijack: Vec<f64>,
    pub(super) plain: Vec<f64>,
    /// What the way back takes more when frames land.
    pub(super) landed: Vec<f64>,
}

impl Case {
    /// The case at `depth`, where all code is there when this returns.
    pub(super) fn new(live: u16, landing: Landing, depth: u64, guest: &Rc<Guest>) -> Result<Case, String> {
        let result = guest.descend(depth, false)?.result;
        let guest = Rc::clone(guest);
        let (hijack, plain, landed) = (Vec::new(), Vec::new(), Vec::new());
        let case = Case { live, landing, depth, guest, result, hijack, plain, landed };
        case.descend(true)?;
        case.descend(true)?;
        Ok(case)
    }

    /// Descents that a sample is the mean of.
    pub(super) fn descents(&self) -> u32 {
        (FRAMES / (self.depth + 1)).max(1) as u32
    }

    /// Measures once: plain and hijacked descents by turns.
    pub(super) fn sample(&mut self) -> Result<(), String> {
        let [mut hijack, mut plain, mut hijacked] = [Duration::ZERO; 3];
        for _ in 0..self.descents() {
            plain += self.descend(false)?.back;
            let descent = self.descend(true)?;
            hijack += descent.hijack;
            hijacked += descent.back;
        }
        let frames = (u64::from(self.descents()) * (self.depth + 1)) as f64;
        let by_frame = |time: Duration| time.as_nanos() as f64 / frames;
        self.hijack.push(by_frame(hijack));
        self.plain.push(by_frame(plain));
        self.landed.push(by_frame(hijacked) - by_frame(plain));
        Ok(())
    }

    /// One descent, in which every frame was hijacked and has landed, or none.
    fn descend(&self, hijacks: bool) -> Result<Descent, String> {
        let before = self.guest.landings();
        let descent = self.guest.descend(self.depth, hijacks)?;
        let landings = self.guest.landings() - before;
        let expected = if hijacks { self.depth + 1 } else { 0 };
        let Case { depth, live, landing: Landing { name, .. }, .. } = self;
        if (descent.frames, landings) != (expected, expected) {
            let frames = descent.frames;
            return Err(format!(
                "depth {depth}, {live} live, {name}: {frames} frames were hijacked, {landings} landed, not {expected}"
            ));
        }
        if descent.result != self.result {
            let (found, expected) = (descent.result, self.result);
            return Err(format!("depth {depth}, {live} live, {name}: it returns {found}, not {expected}"));
        }
        Ok(descent)
    }
}
