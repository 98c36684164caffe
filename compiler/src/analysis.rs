//! Analyses of a body that the interpreter, the compiler and landings share.

use osr_ir::{Body, Liveness, Points};

/// Points and liveness of a body.
#[derive(Debug)]
pub struct Analysis {
    /// The points.
    pub points: Points,
    /// The live registers at each.
    pub liveness: Liveness,
}

impl Analysis {
    /// Those of `body`.
    pub fn of(body: &Body) -> Analysis {
        let points = Points::of(body);
        let liveness = Liveness::of(body, &points);
        Analysis { points, liveness }
    }
}
