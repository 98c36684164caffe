//! Frame maps: for a return PC of compiled code, where each value of the frame state is.

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
    first: u32,
    count: u32,
}

/// All frame maps of a version: sites by return offset, their entries in one array.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrameMaps {
    sites: Box<[Site]>,
    entries: Box<[FrameMapEntry]>,
    constants: Box<[u64]>,
}

impl FrameMaps {
    /// The sites, by ascending return offset.
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// The number of the site that control returns to at `return_offset`.
    pub fn find(&self, return_offset: u32) -> Option<usize> {
        self.sites.binary_search_by_key(&return_offset, |site| site.return_offset).ok()
    }

    /// The entries of `site`, by ascending register: one for each register that is live there.
    pub fn entries(&self, site: &Site) -> &[FrameMapEntry] {
        &self.entries[site.first as usize..(site.first + site.count) as usize]
    }

    /// All entries of all sites.
    pub fn all_entries(&self) -> &[FrameMapEntry] {
        &self.entries
    }

    /// The number of `site`'s first entry among [all](Self::all_entries).
    pub fn first_entry(&self, site: &Site) -> usize {
        site.first as usize
    }

    /// The `n`th constant.
    pub fn constant(&self, n: u32) -> u64 {
        self.constants[n as usize]
    }

    /// Makes the maps wrong: `register` is said to be `bits` wherever it is live.
    pub(crate) fn misplace(&mut self, register: Register, bits: u64) {
        let n = self.constants.len() as u32;
        self.constants = self.constants.iter().copied().chain([bits]).collect();
        for entry in self.entries.iter_mut().filter(|entry| entry.register == register) {
            entry.location = Location::Constant(n);
        }
    }

    /// Bytes that the maps take in memory.
    pub fn bytes(&self) -> u64 {
        (size_of_val(&*self.sites) + size_of_val(&*self.entries) + size_of_val(&*self.constants)) as u64
    }
}

/// Collects the frame maps of a version.
#[derive(Debug, Default)]
pub(crate) struct FrameMapBuilder {
    sites: Vec<Site>,
    entries: Vec<FrameMapEntry>,
    constants: Vec<u64>,
}

impl FrameMapBuilder {
    /// Adds a site with its entries.
    pub(crate) fn site(
        &mut self,
        return_offset: u32,
        (point, kind): (Point, PointKind),
        entries: impl Iterator<Item = FrameMapEntry>,
    ) {
        let first = self.entries.len();
        self.entries.extend(entries);
        self.entries[first..].sort_by_key(|entry| entry.register);
        let (first, count) = (first as u32, (self.entries.len() - first) as u32);
        self.sites.push(Site { return_offset, point, kind, first, count });
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
        FrameMaps { sites: self.sites.into(), entries: self.entries.into(), constants: self.constants.into() }
    }
}
