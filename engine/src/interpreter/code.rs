//! A function's code as the interpreter executes it.

use std::cell::UnsafeCell;

use osr_ir::{FunctionIndex, Instruction, Point};

use super::machine::Step;

/// Words between two windows: where to resume, the caller's window and function, and the register for
/// a single result.
pub(super) const HEADER_WORDS: usize = 4;

/// A function's code, pre-decoded.
#[derive(Debug)]
pub(crate) struct Code {
    pub(super) function: FunctionIndex,
    /// Written when functions are [redefined](super::patch), while none of it executes.
    pub(super) steps: Box<[UnsafeCell<Step>]>,
    /// Words of a window: registers, and scratch words for returning several results.
    pub(super) frame_words: usize,
    /// Per point, the operation at which execution resumes; [`Code::NOWHERE`] if it cannot.
    pub(super) starts: Box<[u32]>,
    /// The points of operations that may trap, by operation.
    pub(super) traps: Box<[(u32, Point)]>,
    /// What [`Op::Runtime`] refers to.
    pub(super) instructions: Box<[Instruction]>,
}

impl Code {
    /// Not an operation.
    pub(super) const NOWHERE: u32 = u32::MAX;

    /// The operation at which execution that starts at `point` begins.
    ///
    /// # Panics
    /// If `point` is not resumable.
    pub(super) fn start(&self, point: Point) -> *const Step {
        let start = self.starts[point.index()];
        assert!(start != Code::NOWHERE, "{point} of {} is not resumable", self.function);
        self.steps[start as usize].get().cast_const()
    }

    /// The entry.
    #[inline(always)]
    pub(super) fn entry(&self) -> *const Step {
        self.steps.as_ptr().cast()
    }

    /// The point of the operation at `ip`, which may trap.
    pub(super) fn trap_point(&self, ip: *const Step) -> Point {
        let number = self.number_of(ip);
        let found = self.traps.binary_search_by_key(&number, |&(op, _)| op);
        self.traps[found.expect("an operation that traps has a point")].1
    }

    /// The point at which execution resumes at the operation at `ip`, if that is one.
    pub(super) fn resume_point(&self, ip: *const Step) -> Option<Point> {
        let number = self.number_of(ip);
        self.starts.iter().position(|&start| start == number).map(Point::new)
    }

    /// The number of the operation at `ip`.
    fn number_of(&self, ip: *const Step) -> u32 {
        ((ip as usize - self.steps.as_ptr() as usize) / size_of::<Step>()) as u32
    }
}
