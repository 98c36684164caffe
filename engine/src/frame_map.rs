//! Frame maps: for a return PC of compiled code, where each value of the frame state is.

use std::collections::HashMap;

use osr_ir::{Point, PointKind, Register};

use crate::calling_convention::Place;

/// A machine register that can hold a value of a frame state at a landing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MachineRegister {
    /// First integer result.
    Rax,
    /// Second integer result.
    Rdx,
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
    /// First float result.
    Xmm0,
    /// Second float result.
    Xmm1,
}

impl MachineRegister {
    /// All, in order.
    const ALL: [MachineRegister; 9] = [
        MachineRegister::Rax,
        MachineRegister::Rdx,
        MachineRegister::Rbx,
        MachineRegister::R12,
        MachineRegister::R13,
        MachineRegister::R14,
        MachineRegister::R15,
        MachineRegister::Xmm0,
        MachineRegister::Xmm1,
    ];

    /// The general register of that hardware encoding, if callees preserve it. The frame pointer holds no
    /// values.
    pub(crate) fn preserved(encoding: u8) -> Option<MachineRegister> {
        match encoding {
            3 => Some(MachineRegister::Rbx),
            12 => Some(MachineRegister::R12),
            13 => Some(MachineRegister::R13),
            14 => Some(MachineRegister::R14),
            15 => Some(MachineRegister::R15),
            _ => None,
        }
    }
}

/// Where a value is when control returns to the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// In a machine register.
    Register(MachineRegister),
    /// In the frame, that many bytes from the frame base (negative: below it).
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
    pub(crate) fn is_allocated(self) -> bool {
        use MachineRegister::{R12, R13, R14, R15, Rbx};
        matches!(self, Location::FrameSlot(_) | Location::Register(Rbx | R12 | R13 | R14 | R15))
    }

    /// Where a callee returns the result that travels at `place`.
    pub(crate) fn of_result(place: Place) -> Location {
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
    /// The register of the body.
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
    /// Where its entries begin.
    first: u32,
}

/// All frame maps of a version: sites by return offset, and lists of entries, which sites may share.
///
/// ```text
///   site    | return offset: 32 | kind: 2, point: 30 | first entry: 32 |
///   entry   | last: 1 | wide: 1 | kind: 2, number: 12 | register: 16 |
///                                   0  the slot 8 * number bytes below the frame base
///                                   1  that machine register
///                                   2  that constant
///                                   3  that one of the locations that do not fit here
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrameMaps {
    sites: Box<[PackedSite]>,
    entries: Box<[u32]>,
    constants: Box<[u64]>,
    /// Locations that do not fit an entry.
    others: Box<[Location]>,
}

/// See [`FrameMaps`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PackedSite {
    return_offset: u32,
    point: u32,
    first: u32,
}

/// Where the entries of a site begin that has none.
const NO_ENTRIES: u32 = u32::MAX;
const LAST: u32 = 1 << 31;
const WIDE: u32 = 1 << 30;
/// The largest number that fits an entry.
const NUMBER: u32 = (1 << 12) - 1;

const KINDS: [PointKind; 4] =
    [PointKind::Entry, PointKind::LoopHeader, PointKind::AfterCall, PointKind::Trap];

impl PackedSite {
    fn of(site: Site) -> PackedSite {
        let kind = KINDS.iter().position(|&kind| kind == site.kind).expect("all kinds are listed");
        let point = site.point.as_u32();
        assert!(point < 1 << 30, "a body has fewer points than its code has bytes");
        PackedSite {
            return_offset: site.return_offset,
            point: point | (kind as u32) << 30,
            first: site.first,
        }
    }

    #[inline(always)]
    fn unpack(self) -> Site {
        let point = Point::new((self.point & ((1 << 30) - 1)) as usize);
        let kind = KINDS[(self.point >> 30) as usize];
        Site { return_offset: self.return_offset, point, kind, first: self.first }
    }
}

impl FrameMaps {
    /// How many sites there are.
    pub fn len(&self) -> usize {
        self.sites.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sites.is_empty()
    }

    /// The `n`th site.
    #[inline(always)]
    pub fn site(&self, n: u32) -> Site {
        self.sites[n as usize].unpack()
    }

    /// The sites, by ascending return offset.
    pub fn sites(&self) -> impl ExactSizeIterator<Item = Site> {
        self.sites.iter().map(|site| site.unpack())
    }

    /// The number of the site that control returns to at `return_offset`.
    pub fn find(&self, return_offset: u32) -> Option<usize> {
        self.sites.binary_search_by_key(&return_offset, |site| site.return_offset).ok()
    }

    /// The entries of `site`, by ascending register: one for each register that is live there.
    #[inline(always)]
    pub fn entries(&self, site: &Site) -> Entries<'_> {
        let is_empty = site.first == NO_ENTRIES;
        Entries { maps: self, packed: if is_empty { &[] } else { &self.entries[site.first as usize..] } }
    }

    /// The `n`th constant.
    pub fn constant(&self, n: u32) -> u64 {
        self.constants[n as usize]
    }

    /// Makes the maps wrong: `register` is said to be `bits` wherever it is live.
    pub(crate) fn misplace(&mut self, register: Register, bits: u64) {
        let n = self.constants.len() as u32;
        self.constants = self.constants.iter().copied().chain([bits]).collect();
        for entry in &mut self.entries {
            if *entry & 0xffff == register.index() as u32 {
                *entry = *entry & (LAST | WIDE | 0xffff) | n.min(NUMBER) << 16 | 2 << 28;
            }
        }
    }

    /// Bytes that the maps take in memory.
    pub fn bytes(&self) -> u64 {
        let maps = size_of_val(&*self.sites) + size_of_val(&*self.entries);
        (maps + size_of_val(&*self.constants) + size_of_val(&*self.others)) as u64
    }
}

/// The entries of a site.
#[derive(Clone, Debug)]
pub struct Entries<'m> {
    maps: &'m FrameMaps,
    /// From the next entry on; empty after the last.
    packed: &'m [u32],
}

impl Iterator for Entries<'_> {
    type Item = FrameMapEntry;

    #[inline(always)]
    fn next(&mut self) -> Option<FrameMapEntry> {
        let (&packed, rest) = self.packed.split_first()?;
        self.packed = if packed & LAST == 0 { rest } else { &[] };
        let number = packed >> 16 & NUMBER;
        let location = match packed >> 28 & 3 {
            0 => Location::FrameSlot(-8 * number as i32),
            1 => Location::Register(MachineRegister::ALL[number as usize]),
            2 => Location::Constant(number),
            _ => self.maps.others[number as usize],
        };
        let register = Register::new((packed & 0xffff) as usize);
        Some(FrameMapEntry { register, location, wide: packed & WIDE != 0 })
    }
}

/// Collects the frame maps of a version.
#[derive(Debug, Default)]
pub(crate) struct FrameMapBuilder {
    sites: Vec<Site>,
    entries: Vec<u32>,
    constants: Vec<u64>,
    others: Vec<Location>,
    /// The lists so far, with where they begin.
    lists: HashMap<Box<[u32]>, u32>,
}

impl FrameMapBuilder {
    /// Adds a site with its entries.
    pub(crate) fn site(
        &mut self,
        return_offset: u32,
        (point, kind): (Point, PointKind),
        mut entries: Vec<FrameMapEntry>,
    ) {
        entries.sort_by_key(|entry| entry.register);
        let mut packed: Vec<u32> = entries.into_iter().map(|entry| self.pack(entry)).collect();
        let first = match packed.last_mut() {
            None => NO_ENTRIES,
            Some(last) => {
                *last |= LAST;
                self.list(packed)
            }
        };
        self.sites.push(Site { return_offset, point, kind, first });
    }

    /// Where the list `packed` begins: one that is there already, if it can be.
    fn list(&mut self, packed: Vec<u32>) -> u32 {
        let first = self.entries.len() as u32;
        let known = *self.lists.entry(packed.as_slice().into()).or_insert(first);
        if known == first {
            self.entries.extend(packed);
        }
        known
    }

    fn pack(&mut self, FrameMapEntry { register, location, wide }: FrameMapEntry) -> u32 {
        let fits = |number: u32| (number <= NUMBER).then_some(number);
        let slot = |offset: i32| (offset <= 0 && offset % 8 == 0).then(|| offset.unsigned_abs() / 8);
        let packed = match location {
            Location::FrameSlot(offset) => slot(offset).and_then(fits).map(|number| (0, number)),
            Location::Register(register) => Some((1, register as u32)),
            Location::Constant(n) => fits(n).map(|number| (2, number)),
            Location::Result(_) | Location::Pad => None,
        };
        let (kind, number) = packed.unwrap_or_else(|| (3, self.other(location)));
        let register = register.index() as u32;
        assert!(register <= 0xffff && number <= NUMBER, "a function has at most {NUMBER} odd locations");
        register | number << 16 | kind << 28 | if wide { WIDE } else { 0 }
    }

    /// The number of a location that does not fit an entry.
    fn other(&mut self, location: Location) -> u32 {
        let known = self.others.iter().position(|&other| other == location);
        known.unwrap_or_else(|| {
            self.others.push(location);
            self.others.len() - 1
        }) as u32
    }

    /// The location of the constant `bits`.
    pub(crate) fn constant(&mut self, bits: u64) -> Location {
        let known = self.constants.iter().position(|&constant| constant == bits);
        Location::Constant(known.unwrap_or_else(|| {
            self.constants.push(bits);
            self.constants.len() - 1
        }) as u32)
    }

    /// The maps.
    pub(crate) fn finish(mut self) -> FrameMaps {
        self.sites.sort_by_key(|site| site.return_offset);
        FrameMaps {
            sites: self.sites.into_iter().map(PackedSite::of).collect(),
            entries: self.entries.into(),
            constants: self.constants.into(),
            others: self.others.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_again() {
        let locations = [
            Location::FrameSlot(-8),
            Location::FrameSlot(-8 * NUMBER as i32),
            Location::FrameSlot(-8 * NUMBER as i32 - 8),
            Location::FrameSlot(-12),
            Location::FrameSlot(16),
            Location::Register(MachineRegister::Rax),
            Location::Register(MachineRegister::Xmm1),
            Location::Constant(NUMBER),
            Location::Constant(NUMBER + 1),
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
        assert_eq!(maps.entries.len(), entries.len(), "the two sites share their list");
    }
}
