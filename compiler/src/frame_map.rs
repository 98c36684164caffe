//! Frame maps: for a return PC of compiled code, where each value of the frame state is.

mod builder;
mod mirrored;
mod sources;
mod virtual_frames;

use std::cmp::Ordering;
use std::ptr;
use std::sync::Arc;

use osr_ir::{Liveness, Point, PointKind, Register};

pub use builder::FrameMapBuilder;
pub(crate) use mirrored::{Mirrored, MirroredSites};
pub use sources::{Source, Sources};
pub use virtual_frames::{VirtualActivation, VirtualFrames};

use crate::calling_convention::Place;
use mirrored::SiteResult;
use sources::Rule;

/// A machine register that can hold a value of a frame state when it is rebuilt. Their numbers are those of the words in
/// which a landing has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MachineRegister {
    /// First integer result.
    Rax,
    /// Second integer result.
    Rdx,
    /// First float result.
    Xmm0,
    /// Second float result.
    Xmm1,
    /// Preserved by callees.
    Rbx,
    /// Preserved by callees.
    R12,
    /// Preserved by callees.
    R13,
    /// Preserved by callees.
    R14,
    /// Preserved by callees.
    R15,
    /// Preserved by polls, as all that follow.
    Rcx = MachineRegister::FIRST_OF_POLLS as u8,
    /// Preserved by polls.
    Rsi,
    /// Preserved by polls.
    Rdi,
    /// Preserved by polls.
    R8,
    /// Preserved by polls.
    R9,
    /// Preserved by polls.
    R10,
    /// Preserved by polls.
    R11,
    /// Preserved by polls.
    Xmm2,
    /// Preserved by polls.
    Xmm3,
    /// Preserved by polls.
    Xmm4,
    /// Preserved by polls.
    Xmm5,
    /// Preserved by polls.
    Xmm6,
    /// Preserved by polls.
    Xmm7,
    /// Preserved by polls.
    Xmm8,
    /// Preserved by polls.
    Xmm9,
    /// Preserved by polls.
    Xmm10,
    /// Preserved by polls.
    Xmm11,
    /// Preserved by polls.
    Xmm12,
    /// Preserved by polls.
    Xmm13,
    /// Preserved by polls.
    Xmm14,
    /// Preserved by polls.
    Xmm15,
}

impl MachineRegister {
    /// The number after those that calls leave or preserve.
    pub const PAD: usize = 9;

    /// The number of the first that only polls preserve.
    pub const FIRST_OF_POLLS: usize = 16;

    /// All, in order.
    pub const ALL: [MachineRegister; 30] = {
        use MachineRegister::*;
        [
            Rax, Rdx, Xmm0, Xmm1, Rbx, R12, R13, R14, R15, Rcx, Rsi, Rdi, R8, R9, R10, R11, Xmm2, Xmm3, Xmm4,
            Xmm5, Xmm6, Xmm7, Xmm8, Xmm9, Xmm10, Xmm11, Xmm12, Xmm13, Xmm14, Xmm15,
        ]
    };

    /// The general register of that hardware encoding. The stack and frame pointers hold no values.
    pub fn general(encoding: usize) -> Option<MachineRegister> {
        use MachineRegister::*;
        match encoding {
            0 => Some(Rax),
            1 => Some(Rcx),
            2 => Some(Rdx),
            3 => Some(Rbx),
            6 => Some(Rsi),
            7 => Some(Rdi),
            8 => Some(R8),
            9 => Some(R9),
            10 => Some(R10),
            11 => Some(R11),
            12 => Some(R12),
            13 => Some(R13),
            14 => Some(R14),
            15 => Some(R15),
            _ => None,
        }
    }

    /// The vector register of that hardware encoding.
    pub fn vector(encoding: usize) -> Option<MachineRegister> {
        match encoding {
            0 => Some(MachineRegister::Xmm0),
            1 => Some(MachineRegister::Xmm1),
            _ => MachineRegister::ALL[16..].get(encoding.checked_sub(2)?).copied(),
        }
    }

    /// The general register of that hardware encoding, if callees preserve it.
    pub fn preserved(encoding: u8) -> Option<MachineRegister> {
        MachineRegister::general(encoding.into()).filter(|register| register.is_preserved())
    }

    /// Whether callees preserve it.
    pub fn is_preserved(self) -> bool {
        use MachineRegister::{R12, R13, R14, R15, Rbx};
        matches!(self, Rbx | R12 | R13 | R14 | R15)
    }

    /// That of that number.
    pub(crate) fn numbered(number: usize) -> Option<MachineRegister> {
        let beyond = MachineRegister::FIRST_OF_POLLS - MachineRegister::PAD;
        let position = if number < MachineRegister::PAD { number } else { number.checked_sub(beyond)? };
        MachineRegister::ALL.get(position).copied().filter(|&register| register as usize == number)
    }
}

/// Where a value is when control returns to the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// In a machine register.
    Register(MachineRegister),
    /// In the frame, that many bytes from the frame base: whole words below it.
    FrameSlot(i32),
    /// It is this constant, the `n`th of the version.
    Constant(u32),
    /// The callee returned it through the thread's context: result number `n`.
    Result(u32),
    /// The pad of the call site knows.
    Pad,
}

impl Location {
    /// Whether the value is where the register allocator keeps it.
    pub fn is_allocated(self) -> bool {
        use MachineRegister::{R12, R13, R14, R15, Rbx};
        matches!(self, Location::FrameSlot(_) | Location::Register(Rbx | R12 | R13 | R14 | R15))
    }

    /// Where a callee returns the result that travels at `place`.
    pub fn of_result(place: Place) -> Location {
        match place {
            Place::Integer(0) => Location::Register(MachineRegister::Rax),
            Place::Integer(_) => Location::Register(MachineRegister::Rdx),
            Place::Float(0) => Location::Register(MachineRegister::Xmm0),
            Place::Float(_) => Location::Register(MachineRegister::Xmm1),
            Place::Memory(n) => Location::Result(n),
        }
    }
}

/// One entry of a frame map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameMapEntry {
    /// The word of the frame state, as a register: in a body without vectors the register of that number
    /// ([`WordLayout`](osr_ir::WordLayout)); of several [virtual frames](VirtualFrames) the word of their state.
    pub register: Register,
    /// Where its value is.
    pub location: Location,
    /// Whether the value has 64 bits. If not, the high half of the location is undefined.
    pub wide: bool,
}

/// A call site of compiled code, seen from its return PC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// The return PC, in bytes from the start of the version's code.
    pub return_offset: u32,
    /// Where execution resumes when control returns.
    pub point: Point,
    /// What kind of point that is.
    pub kind: PointKind,
    /// The number of its first entry plus one; 0 if it has none. Where places are by rule, its [`SiteResult`].
    first: u32,
}

/// All frame maps of a version: sites by return offset, and lists of entries, which sites may share.
///
/// ```text
///   | layout: 8 bytes | constant 0, 1, ..: 8 bytes each | site .. site | entry .. entry |
///
///   site    | return offset: 13 | first entry: 9 | point: 8 | kind: 2 |         or 8 or 16 bytes
///   entry   | register: 6 | number: 6 | kind: 2 | wide: 1 | last: 1 |           or 4 or 8 bytes
///                                        0  the slot; 0 is the lowest that there is a number for
///                                        1  that machine register, or, after those of calls, the pad
///                                        2  that constant
///                                        3  that result
/// ```
///
/// A version of average size has three sites and six entries. All sites of a version take equally many bytes,
/// the fewest that do, and so do its entries; with the format chosen, everything is at constant bits.
///
/// Baseline code of the single-pass compiler has no entries: its frame maps follow from a rule (`frame_map/mirrored.rs`).
#[derive(Clone, Debug, Default)]
pub struct FrameMaps {
    /// Empty if there are no sites.
    packed: Box<[u8]>,
    /// Where places are by rule, which registers are live.
    liveness: Option<Arc<Liveness>>,
}

/// How the maps of a version are packed. It is their first eight bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Layout {
    sites: u32,
    constants: u32,
    /// Numbers of formats.
    site_format: u8,
    entry_format: u8,
}

/// How sites are packed. What is left of the bits holds the return offset.
#[derive(Clone, Copy, Debug)]
struct SiteFormat {
    bytes: usize,
    point_bits: u32,
    first_bits: u32,
}

const SITE_FORMATS: [SiteFormat; 3] = [
    SiteFormat { bytes: 4, point_bits: 8, first_bits: 9 },
    SiteFormat { bytes: 8, point_bits: 18, first_bits: 18 },
    SiteFormat { bytes: 16, point_bits: 32, first_bits: 32 },
];

/// How entries are packed. What is left of the bits holds the register.
#[derive(Clone, Copy, Debug)]
struct EntryFormat {
    bytes: usize,
    number_bits: u32,
}

const ENTRY_FORMATS: [EntryFormat; 3] = [
    EntryFormat { bytes: 2, number_bits: 6 },
    EntryFormat { bytes: 4, number_bits: 14 },
    EntryFormat { bytes: 8, number_bits: 28 },
];

/// The entry format of maps that have no entries, but a rule.
const MIRRORED: u8 = ENTRY_FORMATS.len() as u8;

const KINDS: [PointKind; 4] =
    [PointKind::Entry, PointKind::LoopHeader, PointKind::AfterCall, PointKind::Guard];

impl Layout {
    const BYTES: usize = 8;

    fn to_bytes(self) -> [u8; Layout::BYTES] {
        assert!(self.constants < 1 << 24, "a body has fewer constants");
        let [a, b, c, _] = self.constants.to_le_bytes();
        let [d, e, f, g] = self.sites.to_le_bytes();
        [self.site_format << 4 | self.entry_format, a, b, c, d, e, f, g]
    }

    #[inline(always)]
    fn of(packed: &[u8]) -> Layout {
        let Some(&[formats, a, b, c, d, e, f, g]) = packed.first_chunk() else { return Layout::default() };
        Layout {
            sites: u32::from_le_bytes([d, e, f, g]),
            constants: u32::from_le_bytes([a, b, c, 0]),
            site_format: formats >> 4,
            entry_format: formats & 15,
        }
    }

    /// Where the sites begin.
    #[inline(always)]
    fn first_site(self) -> usize {
        Layout::BYTES + 8 * self.constants as usize
    }

    /// Where the entries begin.
    #[inline(always)]
    fn first_entry(self) -> usize {
        self.first_site() + self.sites as usize * SITE_FORMATS[usize::from(self.site_format)].bytes
    }
}

impl FrameMaps {
    #[inline(always)]
    fn layout(&self) -> Layout {
        Layout::of(&self.packed)
    }

    /// How many sites there are.
    pub fn len(&self) -> usize {
        self.layout().sites as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `n`th site.
    #[inline(always)]
    pub fn site(&self, n: u32) -> Site {
        let layout = self.layout();
        assert!(n < layout.sites, "site {n} of {}", layout.sites);
        match layout.site_format {
            0 => self.unpack_site::<0>(layout, n),
            1 => self.unpack_site::<1>(layout, n),
            _ => self.unpack_site::<2>(layout, n),
        }
    }

    #[inline(always)]
    fn unpack_site<const FORMAT: usize>(&self, layout: Layout, n: u32) -> Site {
        let SiteFormat { bytes, point_bits, first_bits } = SITE_FORMATS[FORMAT];
        let mut word = [0; 16];
        word[..bytes].copy_from_slice(&self.packed[layout.first_site() + n as usize * bytes..][..bytes]);
        let bits = u128::from_le_bytes(word);
        let field = |from: u32, bits_of: u32| (bits >> from) as u32 & (u32::MAX >> (32 - bits_of));
        Site {
            kind: KINDS[field(0, 2) as usize],
            point: Point::new(field(2, point_bits) as usize),
            first: field(2 + point_bits, first_bits),
            return_offset: (bits >> (2 + point_bits + first_bits)) as u32,
        }
    }

    /// The sites, by ascending return offset.
    pub fn sites(&self) -> impl ExactSizeIterator<Item = Site> {
        (0..self.layout().sites).map(|n| self.site(n))
    }

    /// The number of the site that control returns to at `return_offset`.
    pub fn find(&self, return_offset: u32) -> Option<usize> {
        let (mut low, mut high) = (0, self.layout().sites);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.site(middle).return_offset.cmp(&return_offset) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Some(middle as usize),
                Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// The entries of `site`, by ascending register: one for each word of the registers that are live there.
    pub fn entries<'m>(&'m self, site: &Site) -> impl Iterator<Item = FrameMapEntry> + use<'m> {
        let mut entries = Vec::new();
        let sources = self.sources(site);
        // SAFETY: the maps are there.
        unsafe { sources.each(|source| entries.push(source.entry(sources.lowest_slot))) };
        entries.into_iter()
    }

    /// The entries of `site` as a landing takes them.
    pub fn sources(&self, site: &Site) -> Sources {
        let layout = self.layout();
        if let Some(liveness) = &self.liveness {
            return self.sources_by_rule(liveness.at(site.point), layout, SiteResult(site.first));
        }
        let format = usize::from(layout.entry_format);
        let EntryFormat { bytes, number_bits } = ENTRY_FORMATS[format];
        let first = site.first.checked_sub(1);
        let first = first.map(|first| &self.packed[layout.first_entry() + first as usize * bytes..]);
        Sources {
            first: first.map_or(ptr::null(), <[u8]>::as_ptr),
            constants: self.packed.as_ptr().wrapping_add(Layout::BYTES),
            lowest_slot: -8 * ((1 << number_bits) - 1),
            format: format as u32,
            rule: Rule { places: ptr::null(), registers: 0, live: 0, result: SiteResult::default() },
        }
    }

    fn sources_by_rule(&self, live: &[Register], layout: Layout, result: SiteResult) -> Sources {
        let behind = &self.packed[layout.first_entry()..];
        let (lowest_slot, places) = behind.split_first_chunk().expect("it is behind the sites");
        let rule = Rule {
            places: places.as_ptr().cast(),
            registers: places.len() as u32,
            live: live.len() as u32,
            result,
        };
        Sources {
            first: if live.is_empty() { ptr::null() } else { live.as_ptr().cast() },
            constants: self.packed.as_ptr().wrapping_add(Layout::BYTES),
            lowest_slot: i32::from_le_bytes(*lowest_slot),
            format: MIRRORED.into(),
            rule,
        }
    }

    /// The `n`th constant.
    pub fn constant(&self, n: u32) -> u64 {
        let word = self.packed[Layout::BYTES + 8 * n as usize..].first_chunk();
        u64::from_le_bytes(*word.expect("a constant"))
    }

    /// Makes the maps wrong that `is_wrong` picks, by their sites and the numbers of these: `register` is said to be `bits`
    /// wherever it is live.
    pub fn misplace(&mut self, register: Register, bits: u64, is_wrong: impl Fn(u32, &Site) -> bool) {
        let mut builder = FrameMapBuilder::default();
        for (number, site) in (0..).zip(self.sites()) {
            let mut entries: Vec<FrameMapEntry> = self.entries(&site).collect();
            for entry in &mut entries {
                if entry.register == register && is_wrong(number, &site) {
                    entry.location = builder.constant(bits);
                } else if let Location::Constant(n) = entry.location {
                    entry.location = builder.constant(self.constant(n));
                }
            }
            builder.site(site.return_offset, (site.point, site.kind), entries);
        }
        *self = builder.finish();
    }

    /// Bytes that the maps take in memory: the packed ones, and what holds them. What is live at points is known without
    /// them, too.
    pub fn bytes(&self) -> u64 {
        (size_of::<FrameMaps>() + size_of_val(&*self.packed)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSTANTS: usize = 300;

    #[test]
    fn what_is_packed_comes_out_again() {
        let locations = [
            Location::FrameSlot(-8),
            Location::FrameSlot(-8 * 4095),
            Location::FrameSlot(-8 * (1 << 20)),
            Location::Register(MachineRegister::Rax),
            Location::Register(MachineRegister::Xmm1),
            Location::Constant(0),
            Location::Constant(CONSTANTS as u32 - 1),
            Location::Result(999),
            Location::Pad,
        ];
        let entry = |(n, &location): (usize, &Location)| FrameMapEntry {
            register: Register::new(n * 6_000),
            location,
            wide: n % 2 == 0,
        };
        let entries: Vec<_> = locations.iter().enumerate().map(entry).collect();
        let mut builder = FrameMapBuilder::default();
        for n in 0..CONSTANTS {
            assert_eq!(builder.constant(!(n as u64)), Location::Constant(n as u32));
        }
        builder.site(90, (Point::new(7), PointKind::AfterCall), entries.clone());
        builder.site(30, (Point::new(5), PointKind::LoopHeader), Vec::new());
        builder.site(60, (Point::new(6), PointKind::AfterCall), entries.clone());
        let maps = builder.finish();
        let sites: Vec<_> = maps.sites().map(|site| (site.return_offset, site.point, site.kind)).collect();
        assert_eq!(
            sites,
            [
                (30, Point::new(5), PointKind::LoopHeader),
                (60, Point::new(6), PointKind::AfterCall),
                (90, Point::new(7), PointKind::AfterCall)
            ]
        );
        assert_eq!(maps.entries(&maps.site(0)).count(), 0);
        for site in [1, 2] {
            assert_eq!(maps.entries(&maps.site(site)).collect::<Vec<_>>(), entries);
        }
        let layout = maps.layout();
        let entry_bytes = ENTRY_FORMATS[usize::from(layout.entry_format)].bytes;
        let bytes = layout.first_entry() + entries.len() * entry_bytes;
        assert_eq!(maps.packed.len(), bytes, "the two sites share their list");
        for n in 0..CONSTANTS {
            assert_eq!(maps.constant(n as u32), !(n as u64));
        }
    }

    #[test]
    fn maps_are_as_small_as_their_numbers() {
        let slot = |register: usize, words: i32| FrameMapEntry {
            register: Register::new(register),
            location: Location::FrameSlot(-8 * words),
            wide: true,
        };
        let maps = |offset: u32, point: usize, entries: Vec<FrameMapEntry>| {
            let mut builder = FrameMapBuilder::default();
            builder.site(offset, (Point::new(point), PointKind::AfterCall), entries);
            builder.finish()
        };
        let handle = size_of::<FrameMaps>();
        for (maps, bytes) in [
            (FrameMapBuilder::default().finish(), 0),
            (maps(8_191, 255, vec![]), 8 + 4),
            (maps(8_191, 255, vec![slot(1, 0), slot(63, 63)]), 8 + 4 + 2 * 2),
            (maps(8_191, 255, vec![slot(1, 1), slot(2, 64)]), 8 + 4 + 2 * 4),
            (maps(8_192, 255, vec![slot(64, 1)]), 8 + 8 + 4),
            (maps(1, 256, vec![slot((1 << 14) - 1, (1 << 14) - 1)]), 8 + 8 + 4),
            (maps(1, 1, vec![slot(1 << 14, 1)]), 8 + 4 + 8),
            (maps(u32::MAX, 1 << 30, vec![slot(65_535, 1 << 20)]), 8 + 16 + 8),
        ] {
            assert_eq!(maps.bytes() as usize, handle + bytes, "{maps:?}");
        }
    }

    #[test]
    fn a_site_is_found_by_its_return_offset_only() {
        let mut builder = FrameMapBuilder::default();
        for offset in [70, 10, 40, 1_000] {
            builder.site(offset, (Point::new(3), PointKind::AfterCall), Vec::new());
        }
        let maps = builder.finish();
        let found = [10, 40, 70, 1_000].map(|offset| maps.find(offset));
        assert_eq!(found, [Some(0), Some(1), Some(2), Some(3)]);
        assert!([0, 9, 11, 69, 999, 1_001, u32::MAX].iter().all(|&offset| maps.find(offset).is_none()));
        assert_eq!(FrameMaps::default().find(0), None);
    }

    #[test]
    fn a_misplaced_register_is_wrong_and_nothing_else() {
        let mut builder = FrameMapBuilder::default();
        let place = |register: usize, location| FrameMapEntry {
            register: Register::new(register),
            location,
            wide: false,
        };
        let entries = vec![
            place(1, Location::Register(MachineRegister::R14)),
            place(2, builder.constant(77)),
            place(4, Location::Pad),
        ];
        builder.site(90, (Point::new(7), PointKind::AfterCall), entries.clone());
        let mut maps = builder.finish();
        maps.misplace(Register::new(1), 13, |_, _| true);
        let wrong: Vec<_> = maps.entries(&maps.site(0)).collect();
        let bits = |entry: &FrameMapEntry| match entry.location {
            Location::Constant(n) => Some(maps.constant(n)),
            _ => None,
        };
        assert_eq!([bits(&wrong[0]), bits(&wrong[1]), bits(&wrong[2])], [Some(13), Some(77), None]);
        assert_eq!(wrong[2], entries[2]);
    }
}
