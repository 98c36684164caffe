//! What happened, in numbers.

use std::cell::Cell;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::settings::Tier;

/// Transitions of one thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Transitions {
    /// Times that an interpreted activation continued in compiled code, at a loop header or as a call.
    pub tier_up: u64,
    /// Return slots that were swapped for the landing stub's.
    pub hijacked_frames: u64,
    /// Times that control arrived in the landing stub.
    pub landings: u64,
    /// Activations that have landed with an activation that was inlined into them, and was counted there.
    pub virtual_frames: u64,
    /// Landings in code that is specialized as the code was that the frame has left
    /// ([`FailingGuards::Dispatch`](crate::FailingGuards::Dispatch)).
    pub dispatched_landings: u64,
    /// Times that a guard of optimized code failed, and its frame landed: among the landings above.
    pub failed_guards: u64,
    /// Times that a frame was chosen whose slot was hijacked already.
    pub rehijacked: u64,
    /// Times that functions were redefined: groups that changed together.
    pub redefinitions: u64,
    /// Activations that were carried from one body of their function to another.
    pub carried: u64,
    /// Activations that became others, as their code says.
    pub deoptimized: u64,
    /// Safepoints reached in compiled code. Counted only while
    /// [something](crate::Settings::counts_safepoints) is forced by their number.
    #[serde(skip)]
    pub safepoints: u64,
    /// Guards of optimized code that held. Counted only while guards are made to fail.
    #[serde(skip)]
    pub guards: u64,
}

/// Where in a body an activation goes over to other code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// At the function's entry.
    Entry,
    /// At a loop header.
    LoopHeader,
    /// After a call, when control comes back from it.
    PendingReturn,
    /// At a guard that has failed.
    Guard,
}

impl Place {
    /// All.
    pub const ALL: [Place; 4] = [Place::Entry, Place::LoopHeader, Place::PendingReturn, Place::Guard];
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Place::Entry => "at its entry",
            Place::LoopHeader => "at a loop header",
            Place::PendingReturn => "after a call",
            Place::Guard => "at a guard",
        })
    }
}

impl From<osr_ir::PointKind> for Place {
    fn from(kind: osr_ir::PointKind) -> Place {
        match kind {
            osr_ir::PointKind::Entry => Place::Entry,
            osr_ir::PointKind::LoopHeader => Place::LoopHeader,
            osr_ir::PointKind::AfterCall => Place::PendingReturn,
            osr_ir::PointKind::Guard => Place::Guard,
            osr_ir::PointKind::Trap => unreachable!("execution does not resume at traps"),
        }
    }
}

/// How often activations went over from one tier to another (or to newer code of the same), by place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Moves {
    /// The tier that was left.
    pub from: Tier,
    /// The tier that was entered.
    pub to: Tier,
    /// Where in the body.
    pub place: Place,
    /// Times.
    pub count: u64,
}

/// Counts [`Moves`].
#[derive(Debug, Default)]
pub(crate) struct MoveCounts([[[Cell<u64>; Place::ALL.len()]; 3]; 3]);

impl MoveCounts {
    fn cell(&self, from: Tier, to: Tier, place: Place) -> &Cell<u64> {
        &self.0[from as usize][to as usize][place as usize]
    }

    /// Counts so many.
    #[inline(always)]
    pub(crate) fn count(&self, from: Tier, to: Tier, place: Place, moves: u64) {
        let cell = self.cell(from, to, place);
        cell.set(cell.get() + moves);
    }

    /// Those that happened.
    pub(crate) fn list(&self) -> Vec<Moves> {
        let mut list = Vec::new();
        for from in Tier::ALL {
            for to in Tier::ALL {
                for place in Place::ALL {
                    let count = self.cell(from, to, place).get();
                    list.push(Moves { from, to, place, count });
                }
            }
        }
        list.retain(|moves| moves.count > 0);
        list
    }
}
