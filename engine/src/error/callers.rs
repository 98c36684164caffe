//! The callers of traps: which activations waited for the one that trapped.
//!
//! They are collected while the trap leaves the guest, innermost first, by what it passes: compiled frames are walked
//! before the stack is cut back to the nearest entry, the interpreter adds the frames of its activation, a landing those that
//! wait for the ones further in. So a call pays nothing for its callee's backtrace, and every tier has the same one.

use std::fmt;

use osr_ir::{FunctionIndex, Point, Shown};

/// An activation that waited for its callee when that trapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrapFrame {
    /// Its function. If other instances were called, of the one that it is of.
    pub function: FunctionIndex,
    /// The function's name.
    pub function_name: String,
    /// Where it waited: after a call; of a host function, which has no code, the entry.
    pub point: Point,
}

impl fmt::Display for TrapFrame {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at {}", Shown(&self.function_name), self.point)
    }
}

/// The activations that waited for the one that trapped, innermost first, up to the embedder's call.
///
/// Shown are lines, each beginning with a newline: the callers, equal ones in a row once with how many they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Callers {
    frames: Vec<TrapFrame>,
    further: usize,
}

impl Callers {
    /// Callers that are kept, at most: the innermost ones.
    pub const KEPT: usize = 64;

    /// Those that are kept, innermost first.
    pub fn frames(&self) -> &[TrapFrame] {
        &self.frames
    }

    /// How many there were beyond those that are kept.
    pub fn further(&self) -> usize {
        self.further
    }

    /// Adds the next one outwards.
    pub(crate) fn push(&mut self, caller: impl FnOnce() -> TrapFrame) {
        if self.frames.len() < Callers::KEPT {
            self.frames.push(caller());
        } else {
            self.further += 1;
        }
    }
}

impl fmt::Display for Callers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for equal in self.frames.chunk_by(|one, other| one == other) {
            write!(formatter, "\n  called by {}", equal[0])?;
            if equal.len() > 1 {
                write!(formatter, ", {} times", equal.len())?;
            }
        }
        match self.further {
            0 => Ok(()),
            further => write!(formatter, "\n  called by {further} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use osr_ir::{FunctionIndex, Point};

    use super::{Callers, TrapFrame};

    fn frame(name: &str, point: usize) -> TrapFrame {
        TrapFrame {
            function: FunctionIndex::new(0),
            function_name: name.to_owned(),
            point: Point::new(point),
        }
    }

    #[test]
    fn equal_callers_in_a_row_are_one_line() {
        let mut callers = Callers::default();
        assert_eq!(callers.to_string(), "");
        for (name, point) in [("f", 1), ("f", 1), ("f", 2), ("ma\nin", 3)] {
            callers.push(|| frame(name, point));
        }
        let lines = "\n  called by f at p1, 2 times\n  called by f at p2\n  called by ma\\nin at p3";
        assert_eq!(callers.to_string(), lines);
    }

    #[test]
    fn the_innermost_callers_are_kept() {
        let mut callers = Callers::default();
        (0..Callers::KEPT + 5).for_each(|point| callers.push(|| frame("f", point)));
        assert_eq!((callers.frames().len(), callers.further()), (Callers::KEPT, 5));
        assert_eq!(callers.frames()[0].point, Point::new(0));
        assert!(callers.to_string().ends_with("\n  called by 5 more"));
    }
}
