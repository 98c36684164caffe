//! Virtual frames: which activations a frame of code with inlined bodies stands for.
//!
//! ```text
//!   version of f, into which g is inlined, and h into that:
//!
//!     v0 = f                      site 0: v0       site 2: v2, point 4
//!     v1 = g, v0 called it at 3   site 1: v1       a frame there is h at 4, called by g at 2, called by f at 3
//!     v2 = h, v1 called it at 2
//!
//!   its state:  | f's registers | g's registers | h's registers |
//! ```
//!
//! The frame maps of such a version have the point of the innermost virtual frame. What they call a register is a word of
//! the state of the chain.

use osr_ir::inlining::{FrameIndex, VirtualFrame};
use osr_ir::{FunctionIndex, InlineTree, Point};

/// The virtual frames of a version, and which of them is the innermost one where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualFrames {
    frames: Box<[VirtualFrame]>,
    /// By site, the number of the innermost one.
    sites: Box<[u16]>,
    /// By trap site, the number of the innermost one.
    traps: Box<[u16]>,
}

/// An activation, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtualActivation {
    /// What is activated.
    pub function: FunctionIndex,
    /// Where it resumes: for those that wait for one further in, after the call.
    pub point: Point,
    /// Its first word in the state of the chain.
    pub offset: usize,
    /// How many words it has there: the registers of its body.
    pub registers: usize,
}

impl VirtualFrames {
    /// Those of `tree`, where the innermost one at each site and at each trap site is known.
    pub(crate) fn new(tree: &InlineTree, sites: Vec<FrameIndex>, traps: Vec<FrameIndex>) -> VirtualFrames {
        let numbers = |frames: Vec<FrameIndex>| {
            let number = |frame: FrameIndex| u16::try_from(frame.index()).expect("there are fewer");
            frames.into_iter().map(number).collect()
        };
        VirtualFrames { frames: tree.frames().into(), sites: numbers(sites), traps: numbers(traps) }
    }

    /// The virtual frames of a frame at site number `site`, whose point is `point`: innermost first.
    pub fn chain(&self, site: u32, point: Point) -> impl Iterator<Item = VirtualActivation> + '_ {
        self.chain_from(self.sites[site as usize], point)
    }

    /// The same at trap site number `trap`.
    pub fn chain_at_trap(&self, trap: usize, point: Point) -> impl Iterator<Item = VirtualActivation> + '_ {
        self.chain_from(self.traps[trap], point)
    }

    fn chain_from(&self, innermost: u16, point: Point) -> impl Iterator<Item = VirtualActivation> + '_ {
        let innermost = (FrameIndex::new(innermost.into()), point);
        let caller = |&(frame, _): &(FrameIndex, Point)| self.frames[frame.index()].caller;
        std::iter::successors(Some(innermost), caller).map(|(frame, point)| {
            let VirtualFrame { function, offset, registers, .. } = self.frames[frame.index()];
            VirtualActivation { function, point, offset: offset as usize, registers: registers as usize }
        })
    }

    /// Whether a frame at site number `site` stands for several activations.
    pub fn has_chain(&self, site: u32) -> bool {
        self.sites[site as usize] > 0
    }

    /// How many words the state of a frame at site number `site` has.
    pub fn words(&self, site: u32) -> usize {
        let VirtualFrame { offset, registers, .. } = self.frames[usize::from(self.sites[site as usize])];
        (offset + registers) as usize
    }

    /// The function of the innermost virtual frame at site number `site`.
    pub fn function_at(&self, site: u32) -> FunctionIndex {
        self.frames[usize::from(self.sites[site as usize])].function
    }

    /// The function of the innermost virtual frame at trap site number `trap`.
    pub fn function_at_trap(&self, trap: usize) -> FunctionIndex {
        self.frames[usize::from(self.traps[trap])].function
    }

    /// The functions that are inlined, each as often as it is.
    pub fn inlined(&self) -> impl Iterator<Item = FunctionIndex> + '_ {
        self.frames[1..].iter().map(|frame| frame.function)
    }

    /// Bytes that they take in memory.
    pub fn bytes(&self) -> u64 {
        let tables = size_of_val(&*self.frames) + size_of_val(&*self.sites) + size_of_val(&*self.traps);
        (size_of::<VirtualFrames>() + tables) as u64
    }
}
