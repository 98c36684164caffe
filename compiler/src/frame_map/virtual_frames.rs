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
///
/// ```text
///   | width: 1 | 0 | frames: 2 | sites: 4 | frame 0 .. frame | site .. site | trap site .. trap site |
///
///   frame   | function | caller | point after its call | registers |     each of `width` bytes: 1, 2 or 4
///   site    | the innermost frame |                                      1 byte if there are at most 256 frames, or 2
/// ```
///
/// The outermost frame is its own caller. Where the words of a frame begin in the state of a chain follows from the registers
/// of its callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualFrames {
    packed: Box<[u8]>,
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

/// The first bytes.
#[derive(Clone, Copy, Debug)]
struct Layout {
    width: usize,
    frames: usize,
    sites: usize,
}

impl Layout {
    const BYTES: usize = 8;

    fn to_bytes(self) -> [u8; Layout::BYTES] {
        let [a, b] = u16::try_from(self.frames).expect("a merged body has fewer").to_le_bytes();
        let [c, d, e, f] = (self.sites as u32).to_le_bytes();
        [self.width as u8, 0, a, b, c, d, e, f]
    }

    #[inline(always)]
    fn of(packed: &[u8]) -> Layout {
        let &[width, _, a, b, c, d, e, f] = packed.first_chunk().expect("they begin with that");
        Layout {
            width: width.into(),
            frames: u16::from_le_bytes([a, b]).into(),
            sites: u32::from_le_bytes([c, d, e, f]) as usize,
        }
    }

    /// Where the sites begin.
    fn first_site(self) -> usize {
        Layout::BYTES + self.frames * Packed::NUMBERS * self.width
    }

    /// The bytes of a site.
    fn site_width(self) -> usize {
        if self.frames <= 256 { 1 } else { 2 }
    }
}

/// A virtual frame, as it is packed.
#[derive(Clone, Copy, Debug)]
struct Packed {
    function: u32,
    caller: u32,
    after: u32,
    registers: u32,
}

impl Packed {
    const NUMBERS: usize = 4;

    fn of(frame: &VirtualFrame) -> Packed {
        let (caller, after) =
            frame.caller.map_or((0, 0), |(caller, after)| (caller.index() as u32, after.as_u32()));
        Packed { function: frame.function.as_u32(), caller, after, registers: frame.registers }
    }

    fn numbers(self) -> [u32; Packed::NUMBERS] {
        [self.function, self.caller, self.after, self.registers]
    }
}

impl VirtualFrames {
    /// Those of `tree`, where the innermost one at each site and at each trap site is known.
    pub(crate) fn new(tree: &InlineTree, sites: &[FrameIndex], traps: &[FrameIndex]) -> VirtualFrames {
        VirtualFrames::pack(tree.frames(), sites, traps)
    }

    fn pack(frames: &[VirtualFrame], sites: &[FrameIndex], traps: &[FrameIndex]) -> VirtualFrames {
        let numbers = || frames.iter().flat_map(|frame| Packed::of(frame).numbers());
        let width = match numbers().max().unwrap_or(0) {
            0..=0xff => 1,
            0x100..=0xffff => 2,
            _ => 4,
        };
        let layout = Layout { width, frames: frames.len(), sites: sites.len() };
        let mut packed = layout.to_bytes().to_vec();
        numbers().for_each(|number| packed.extend(&number.to_le_bytes()[..width]));
        for frame in sites.iter().chain(traps) {
            packed.extend(&frame.as_u32().to_le_bytes()[..layout.site_width()]);
        }
        VirtualFrames { packed: packed.into() }
    }

    fn layout(&self) -> Layout {
        Layout::of(&self.packed)
    }

    /// The number of that `width` at `at`.
    #[inline(always)]
    fn number(&self, at: usize, width: usize) -> u32 {
        let bytes = &self.packed[at..];
        match (width, bytes) {
            (1, &[a, ..]) => a.into(),
            (2, &[a, b, ..]) => u16::from_le_bytes([a, b]).into(),
            (_, &[a, b, c, d, ..]) => u32::from_le_bytes([a, b, c, d]),
            _ => unreachable!("numbers are whole"),
        }
    }

    #[inline(always)]
    fn frame(&self, layout: Layout, frame: u32) -> Packed {
        let bytes = Packed::NUMBERS * layout.width;
        let packed = &self.packed[Layout::BYTES + frame as usize * bytes..][..bytes];
        let [function, caller, after, registers] = match *packed {
            [a, b, c, d] => [a, b, c, d].map(u32::from),
            [a, b, c, d, e, f, g, h] => {
                [[a, b], [c, d], [e, f], [g, h]].map(|number| u16::from_le_bytes(number).into())
            }
            _ => [0, 4, 8, 12]
                .map(|at| packed[at..].first_chunk().map_or(0, |&number| u32::from_le_bytes(number))),
        };
        Packed { function, caller, after, registers }
    }

    /// The innermost frame at site number `site`; trap sites come after all others.
    #[inline(always)]
    fn innermost(&self, layout: Layout, site: usize) -> u32 {
        let width = layout.site_width();
        self.number(layout.first_site() + site * width, width)
    }

    /// Visits the virtual frames of a frame at site number `site`, whose point is `point`: innermost first.
    pub fn each(&self, site: u32, mut point: Point, mut visit: impl FnMut(VirtualActivation)) {
        let layout = self.layout();
        let mut frame = self.innermost(layout, site as usize);
        let mut end = self.words_to(layout, frame);
        loop {
            let Packed { function, caller, after, registers } = self.frame(layout, frame);
            let (function, registers) = (FunctionIndex::new(function as usize), registers as usize);
            end -= registers;
            visit(VirtualActivation { function, point, offset: end, registers });
            if frame == 0 {
                return;
            }
            (frame, point) = (caller, Point::new(after as usize));
        }
    }

    /// The virtual frames of a frame at site number `site`, whose point is `point`: innermost first.
    pub fn chain(&self, site: u32, point: Point) -> impl Iterator<Item = VirtualActivation> + '_ {
        let layout = self.layout();
        self.chain_from(layout, self.innermost(layout, site as usize), point)
    }

    /// The same at trap site number `trap`.
    pub fn chain_at_trap(&self, trap: usize, point: Point) -> impl Iterator<Item = VirtualActivation> + '_ {
        let layout = self.layout();
        self.chain_from(layout, self.innermost(layout, layout.sites + trap), point)
    }

    fn chain_from(
        &self,
        layout: Layout,
        innermost: u32,
        point: Point,
    ) -> impl Iterator<Item = VirtualActivation> + '_ {
        // With where its words end.
        let innermost = (innermost, point, self.words_to(layout, innermost));
        let frames = std::iter::successors(Some(innermost), move |&(frame, _, end)| {
            let Packed { caller, after, registers, .. } = self.frame(layout, frame);
            (frame > 0).then(|| (caller, Point::new(after as usize), end - registers as usize))
        });
        frames.map(move |(frame, point, end)| {
            let Packed { function, registers, .. } = self.frame(layout, frame);
            let (function, registers) = (FunctionIndex::new(function as usize), registers as usize);
            VirtualActivation { function, point, offset: end - registers, registers }
        })
    }

    /// The words of `frame` and of its callers.
    fn words_to(&self, layout: Layout, mut frame: u32) -> usize {
        let mut words = 0;
        loop {
            let Packed { caller, registers, .. } = self.frame(layout, frame);
            words += registers as usize;
            if frame == 0 {
                return words;
            }
            frame = caller;
        }
    }

    /// Whether a frame at site number `site` stands for several activations.
    pub fn has_chain(&self, site: u32) -> bool {
        self.innermost(self.layout(), site as usize) > 0
    }

    /// How many words the state of a frame at site number `site` has.
    pub fn words(&self, site: u32) -> usize {
        let layout = self.layout();
        self.words_to(layout, self.innermost(layout, site as usize))
    }

    /// The function of the innermost virtual frame at site number `site`.
    pub fn function_at(&self, site: u32) -> FunctionIndex {
        let layout = self.layout();
        self.function(layout, self.innermost(layout, site as usize))
    }

    /// The function of the innermost virtual frame at trap site number `trap`.
    pub fn function_at_trap(&self, trap: usize) -> FunctionIndex {
        let layout = self.layout();
        self.function(layout, self.innermost(layout, layout.sites + trap))
    }

    fn function(&self, layout: Layout, frame: u32) -> FunctionIndex {
        FunctionIndex::new(self.frame(layout, frame).function as usize)
    }

    /// The functions that are inlined, each as often as it is.
    pub fn inlined(&self) -> impl Iterator<Item = FunctionIndex> + '_ {
        let layout = self.layout();
        (1..layout.frames as u32).map(move |frame| self.function(layout, frame))
    }

    /// Bytes that they take in memory.
    pub fn bytes(&self) -> u64 {
        (size_of::<VirtualFrames>() + size_of_val(&*self.packed)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// f, g which it calls at p1, h which that calls at `after`, and f's of a number of other calls.
    fn frames(function: usize, after: usize, others: usize) -> Vec<VirtualFrame> {
        let frame = |function, caller: Option<(usize, usize)>, offset| VirtualFrame {
            function: FunctionIndex::new(function),
            caller: caller.map(|(caller, after)| (FrameIndex::new(caller), Point::new(after))),
            first: 0,
            registers: 5,
            offset,
        };
        let mut frames =
            vec![frame(3, None, 0), frame(function, Some((0, 1)), 5), frame(7, Some((1, after)), 10)];
        frames.resize(3 + others, frame(3, Some((0, 2)), 5));
        frames
    }

    #[test]
    fn what_is_packed_comes_out_again() {
        let formats = [(4, 2, 0, 8 + 12 + 4), (300, 2, 0, 8 + 24 + 4), (4, 70_000, 0, 8 + 48 + 4)];
        let many = (4, 2, 298, 8 + 301 * 4 + 2 * 4);
        for (function, after, others, bytes) in formats.into_iter().chain([many]) {
            let frames = frames(function, after, others);
            let last = frames.len() - 1;
            let packed =
                VirtualFrames::pack(&frames, &[2, 0, last].map(FrameIndex::new), &[FrameIndex::new(1)]);
            assert_eq!(packed.packed.len(), bytes);
            assert_eq!([0, 1, 2].map(|site| packed.has_chain(site)), [true, false, true]);
            let activation = |frame: usize, point| VirtualActivation {
                function: frames[frame].function,
                point: Point::new(point),
                offset: frames[frame].offset as usize,
                registers: 5,
            };
            let chain: Vec<_> = packed.chain(0, Point::new(9)).collect();
            assert_eq!(chain, [activation(2, 9), activation(1, after), activation(0, 1)]);
            let mut each = Vec::new();
            packed.each(0, Point::new(9), |activation| each.push(activation));
            assert_eq!(each, chain);
            assert_eq!((packed.words(0), packed.words(1)), (15, 5));
            assert_eq!(packed.chain(1, Point::new(4)).collect::<Vec<_>>(), [activation(0, 4)]);
            let at_trap: Vec<_> = packed.chain_at_trap(0, Point::new(6)).collect();
            assert_eq!(at_trap, [activation(1, 6), activation(0, 1)]);
            assert_eq!(packed.function_at_trap(0), frames[1].function);
            assert_eq!(packed.function_at(2), frames[last].function);
            assert!(packed.inlined().eq(frames[1..].iter().map(|frame| frame.function)));
        }
    }
}
