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
///   | frame format: 1 | site format: 1 | frames: 2 | sites: 4 | frame 0 .. frame | site .. site | trap site .. trap site |
///
///   frame   | caller: 5 | end: 6 | point after its call: 5 | function: 8 |     3 bytes, or 4, 6, 8 or 16
///   site    | the innermost frame |                                            1 bit, or 2, 4, 8 or 16
/// ```
///
/// All frames of a version take equally many bytes, the fewest that do, and so do its sites.
///
/// The outermost frame is its own caller. A frame's end is where its words end in the state of a chain; they begin where
/// those of its caller end, so each step outwards reads one frame.
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
    /// Its number.
    frame_format: u8,
    /// The binary logarithm of the bits of a site.
    site_format: u8,
    frames: usize,
    sites: usize,
}

/// How frames are packed. What is left of the bits holds the caller.
#[derive(Clone, Copy, Debug)]
struct FrameFormat {
    bytes: usize,
    function_bits: u32,
    after_bits: u32,
    end_bits: u32,
}

const FRAME_FORMATS: [FrameFormat; 5] = [
    FrameFormat { bytes: 3, function_bits: 8, after_bits: 5, end_bits: 6 },
    FrameFormat { bytes: 4, function_bits: 9, after_bits: 8, end_bits: 9 },
    FrameFormat { bytes: 6, function_bits: 14, after_bits: 12, end_bits: 12 },
    FrameFormat { bytes: 8, function_bits: 20, after_bits: 16, end_bits: 16 },
    FrameFormat { bytes: 16, function_bits: 32, after_bits: 32, end_bits: 32 },
];

impl Layout {
    const BYTES: usize = 8;

    fn to_bytes(self) -> [u8; Layout::BYTES] {
        let [a, b] = u16::try_from(self.frames).expect("a merged body has fewer").to_le_bytes();
        let [c, d, e, f] = (self.sites as u32).to_le_bytes();
        [self.frame_format, self.site_format, a, b, c, d, e, f]
    }

    #[inline(always)]
    fn of(packed: &[u8]) -> Layout {
        let &[frame_format, site_format, a, b, c, d, e, f] =
            packed.first_chunk().expect("they begin with that");
        Layout {
            frame_format,
            site_format,
            frames: u16::from_le_bytes([a, b]).into(),
            sites: u32::from_le_bytes([c, d, e, f]) as usize,
        }
    }

    /// Where the sites begin.
    #[inline(always)]
    fn first_site(self) -> usize {
        Layout::BYTES + self.frames * FRAME_FORMATS[usize::from(self.frame_format)].bytes
    }
}

/// A virtual frame, as it is packed.
#[derive(Clone, Copy, Debug)]
struct Packed {
    function: u32,
    after: u32,
    end: u32,
    caller: u32,
}

impl Packed {
    fn of(frame: &VirtualFrame) -> Packed {
        let (caller, after) =
            frame.caller.map_or((0, 0), |(caller, after)| (caller.index() as u32, after.as_u32()));
        let end = frame.offset + frame.registers;
        Packed { function: frame.function.as_u32(), after, end, caller }
    }

    /// The frame in `format`, if it fits.
    fn pack(self, format: FrameFormat) -> Option<u128> {
        let FrameFormat { bytes, function_bits, after_bits, end_bits } = format;
        let caller_bits = 8 * bytes as u32 - function_bits - after_bits - end_bits;
        let numbers = [
            (self.caller, caller_bits),
            (self.end, end_bits),
            (self.after, after_bits),
            (self.function, function_bits),
        ];
        let fits = numbers.iter().all(|&(number, bits)| u64::from(number) >> bits == 0);
        fits.then(|| numbers.iter().fold(0, |packed, &(number, bits)| packed << bits | u128::from(number)))
    }
}

/// Appends `frames` in the first format that holds them all. Returns its number.
fn pack_frames(frames: &[VirtualFrame], packed: &mut Vec<u8>) -> u8 {
    let in_format =
        |&format| frames.iter().map(|frame| Packed::of(frame).pack(format)).collect::<Option<Vec<_>>>();
    let mut all = FRAME_FORMATS.iter().map(in_format).enumerate();
    let first = all.find_map(|(format, words)| Some((format, words?)));
    let (format, words) = first.expect("the last format holds everything");
    words.iter().for_each(|word| packed.extend(&word.to_le_bytes()[..FRAME_FORMATS[format].bytes]));
    format as u8
}

/// Appends `innermost` in the first format that holds the numbers of `frames` frames. Returns its number.
fn pack_sites(
    frames: usize,
    innermost: impl ExactSizeIterator<Item = FrameIndex>,
    packed: &mut Vec<u8>,
) -> u8 {
    let format = (0..4).find(|&format| frames <= 1 << (1 << format)).unwrap_or(4);
    let first = packed.len();
    packed.resize(first + (innermost.len() << format).div_ceil(8), 0);
    for (site, frame) in innermost.enumerate() {
        let bit = site << format;
        // Sites of 16 bits are whole bytes.
        let [low, high] = ((frame.as_u32() as u16) << (bit % 8)).to_le_bytes();
        packed[first + bit / 8] |= low;
        if format == 4 {
            packed[first + bit / 8 + 1] = high;
        }
    }
    format
}

impl VirtualFrames {
    /// Those of `tree`, where the innermost one at each site and at each trap site is known.
    pub(crate) fn new(tree: &InlineTree, sites: &[FrameIndex], traps: &[FrameIndex]) -> VirtualFrames {
        VirtualFrames::pack(tree.frames(), sites, traps)
    }

    fn pack(frames: &[VirtualFrame], sites: &[FrameIndex], traps: &[FrameIndex]) -> VirtualFrames {
        let mut packed = vec![0; Layout::BYTES];
        let frame_format = pack_frames(frames, &mut packed);
        let innermost: Vec<FrameIndex> = sites.iter().chain(traps).copied().collect();
        let site_format = pack_sites(frames.len(), innermost.into_iter(), &mut packed);
        let layout = Layout { frame_format, site_format, frames: frames.len(), sites: sites.len() };
        packed[..Layout::BYTES].copy_from_slice(&layout.to_bytes());
        VirtualFrames { packed: packed.into() }
    }

    #[inline(always)]
    fn layout(&self) -> Layout {
        Layout::of(&self.packed)
    }

    #[inline(always)]
    fn frame(&self, layout: Layout, frame: u32) -> Packed {
        match layout.frame_format {
            0 => self.unpack::<0>(frame),
            1 => self.unpack::<1>(frame),
            2 => self.unpack::<2>(frame),
            3 => self.unpack::<3>(frame),
            _ => self.unpack::<4>(frame),
        }
    }

    #[inline(always)]
    fn unpack<const FORMAT: usize>(&self, frame: u32) -> Packed {
        let FrameFormat { bytes, function_bits, after_bits, end_bits } = FRAME_FORMATS[FORMAT];
        let behind = &self.packed[..Layout::BYTES + (frame as usize + 1) * bytes];
        // Its bytes are the last of so many that a word has: there are always as many, since the layout is before.
        let word = match bytes {
            16 => u128::from_le_bytes(*behind.last_chunk().expect("a whole frame")),
            _ => {
                let word = u64::from_le_bytes(*behind.last_chunk().expect("the layout is before"));
                u128::from(word >> (64 - 8 * bytes))
            }
        };
        let field = |from: u32, bits: u32| (word >> from) as u32 & (u32::MAX >> (32 - bits));
        Packed {
            function: field(0, function_bits),
            after: field(function_bits, after_bits),
            end: field(function_bits + after_bits, end_bits),
            caller: (word >> (function_bits + after_bits + end_bits)) as u32,
        }
    }

    /// The innermost frame at site number `site`; trap sites come after all others.
    #[inline(always)]
    fn innermost(&self, layout: Layout, site: usize) -> u32 {
        let bit = site << layout.site_format;
        let bytes = &self.packed[layout.first_site() + bit / 8..];
        match (layout.site_format, bytes) {
            (4, &[low, high, ..]) => u16::from_le_bytes([low, high]).into(),
            (format, &[byte, ..]) => u32::from(byte) >> (bit % 8) & ((1 << (1 << format)) - 1),
            _ => unreachable!("sites are whole"),
        }
    }

    /// Visits the virtual frames of a frame at site number `site`, whose point is `point`: innermost first.
    pub fn each(&self, site: u32, point: Point, visit: impl FnMut(VirtualActivation)) {
        self.chain(site, point).for_each(visit);
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

    #[inline(always)]
    fn chain_from(
        &self,
        layout: Layout,
        innermost: u32,
        mut point: Point,
    ) -> impl Iterator<Item = VirtualActivation> + '_ {
        let mut next = Some((innermost, self.frame(layout, innermost)));
        std::iter::from_fn(move || {
            let (number, Packed { function, after, end, caller }) = next?;
            next = (number > 0).then(|| (caller, self.frame(layout, caller)));
            let offset = next.map_or(0, |(_, caller)| caller.end);
            let activation = VirtualActivation {
                function: FunctionIndex::new(function as usize),
                point,
                offset: offset as usize,
                registers: (end - offset) as usize,
            };
            point = Point::new(after as usize);
            Some(activation)
        })
    }

    /// Whether a frame at site number `site` stands for several activations.
    pub fn has_chain(&self, site: u32) -> bool {
        self.innermost(self.layout(), site as usize) > 0
    }

    /// How many words the state of a frame at site number `site` has.
    pub fn words(&self, site: u32) -> usize {
        let layout = self.layout();
        self.frame(layout, self.innermost(layout, site as usize)).end as usize
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
        let formats = [
            (4, 2, 0, 3 * 3 + 1),
            (300, 2, 0, 3 * 4 + 1),
            (4, 256, 0, 3 * 6 + 1),
            (1 << 19, 2, 0, 3 * 8 + 1),
            (4, 70_000, 0, 3 * 16 + 1),
            (u32::MAX as usize - 1, 1 << 31, 2, 5 * 16 + 2),
            (4, 2, 14, 17 * 3 + 4),
            (4, 2, 298, 301 * 3 + 4 * 2),
        ];
        for (function, after, others, bytes) in formats {
            let frames = frames(function, after, others);
            let last = frames.len() - 1;
            let packed =
                VirtualFrames::pack(&frames, &[2, 0, last].map(FrameIndex::new), &[FrameIndex::new(1)]);
            assert_eq!(packed.packed.len(), 8 + bytes);
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
