//! Packing frame maps.

use std::collections::HashMap;

use osr_ir::{Point, PointKind};

use super::sources::LAST;
use super::{
    ENTRY_FORMATS, EntryFormat, FrameMapEntry, FrameMaps, KINDS, Layout, Location, SITE_FORMATS, Site,
    SiteFormat, Source,
};

/// Collects the frame maps of a version.
#[derive(Debug, Default)]
pub struct FrameMapBuilder {
    sites: Vec<Site>,
    /// All lists, one after the other.
    entries: Vec<Entry>,
    constants: Vec<u64>,
    /// The lists so far, with where they begin.
    lists: HashMap<Box<[Entry]>, u32>,
}

/// An entry with its place in numbers; slots count words below the frame base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Entry {
    register: u32,
    number: u32,
    /// As in a [`Source`].
    kind: u8,
    last: bool,
}

impl Entry {
    fn of(entry: FrameMapEntry) -> Entry {
        let (kind, number) = match entry.location {
            Location::FrameSlot(offset) => {
                assert!(offset <= 0 && offset % 8 == 0, "slots are words below the frame base");
                (Source::SLOT, offset.unsigned_abs() / 8)
            }
            Location::Register(register) => (Source::MACHINE_REGISTER, register as u32),
            Location::Pad => (Source::MACHINE_REGISTER, Source::PAD as u32),
            Location::Constant(n) => (Source::CONSTANT, n),
            Location::Result(n) => (Source::RESULT, n),
        };
        let kind = kind | if entry.wide { Source::WIDE } else { 0 };
        Entry { register: entry.register.index() as u32, number, kind: kind as u8, last: false }
    }

    /// The entry in `format`, if it fits.
    fn pack(self, EntryFormat { bytes, number_bits }: EntryFormat) -> Option<u64> {
        let most = (1 << number_bits) - 1;
        let fits =
            self.number <= most && u64::from(self.register) < 1 << (8 * bytes as u32 - 4 - number_bits);
        let is_slot = usize::from(self.kind) & !Source::WIDE == Source::SLOT;
        let number = if is_slot { most.wrapping_sub(self.number) } else { self.number };
        let places = u64::from(self.register) << number_bits | u64::from(number);
        fits.then_some(places << 4 | u64::from(self.kind) << 1 | if self.last { LAST } else { 0 })
    }
}

impl Site {
    /// The site in `format`, if it fits.
    fn pack(&self, SiteFormat { bytes, point_bits, first_bits }: SiteFormat) -> Option<u128> {
        let kind = KINDS.iter().position(|&kind| kind == self.kind).expect("all kinds are listed");
        let offset_bits = 8 * bytes as u32 - 2 - point_bits - first_bits;
        let mut packed = 0;
        for (number, bits) in
            [(self.return_offset, offset_bits), (self.first, first_bits), (self.point.as_u32(), point_bits)]
        {
            if u64::from(number) >> bits != 0 {
                return None;
            }
            packed = packed << bits | u128::from(number);
        }
        Some(packed << 2 | kind as u128)
    }
}

impl FrameMapBuilder {
    /// Adds a site with its entries.
    pub fn site(
        &mut self,
        return_offset: u32,
        (point, kind): (Point, PointKind),
        mut entries: Vec<FrameMapEntry>,
    ) {
        entries.sort_by_key(|entry| entry.register);
        let mut list: Vec<Entry> = entries.into_iter().map(Entry::of).collect();
        let first = match list.last_mut() {
            None => 0,
            Some(last) => {
                last.last = true;
                self.list(list) + 1
            }
        };
        self.sites.push(Site { return_offset, point, kind, first });
    }

    /// Where `list` begins: one that is there already, if it can be.
    fn list(&mut self, list: Vec<Entry>) -> u32 {
        if let Some(&known) = self.lists.get(&*list) {
            return known;
        }
        let first = self.entries.len() as u32;
        self.entries.extend(&list);
        self.lists.insert(list.into(), first);
        first
    }

    /// The location of the constant `bits`.
    pub fn constant(&mut self, bits: u64) -> Location {
        let known = self.constants.iter().position(|&constant| constant == bits);
        Location::Constant(known.unwrap_or_else(|| {
            self.constants.push(bits);
            self.constants.len() - 1
        }) as u32)
    }

    /// The maps.
    pub fn finish(mut self) -> FrameMaps {
        if self.sites.is_empty() {
            return FrameMaps::default();
        }
        self.sites.sort_by_key(|site| site.return_offset);
        let mut packed = vec![0; Layout::BYTES];
        packed.extend(self.constants.iter().flat_map(|constant| constant.to_le_bytes()));
        let site_format = pack_sites(&self.sites, &mut packed);
        let entry_format = pack_entries(&self.entries, &mut packed);
        let constants = self.constants.len() as u32;
        let layout = Layout { sites: self.sites.len() as u32, constants, site_format, entry_format };
        packed[..Layout::BYTES].copy_from_slice(&layout.to_bytes());
        FrameMaps { packed: packed.into(), liveness: None }
    }
}

/// Appends `sites` in the first format that holds them all. Returns its number.
pub(super) fn pack_sites(sites: &[Site], packed: &mut Vec<u8>) -> u8 {
    let most = |number: fn(&Site) -> u32| sites.iter().map(number).max().unwrap_or(0);
    let largest = Site {
        return_offset: most(|site| site.return_offset),
        point: Point::new(most(|site| site.point.as_u32()) as usize),
        kind: PointKind::Entry,
        first: most(|site| site.first),
    };
    let format = SITE_FORMATS.iter().position(|format| largest.pack(*format).is_some());
    let format = format.expect("the last format holds everything");
    for site in sites {
        let bits = site.pack(SITE_FORMATS[format]).expect("it holds the largest numbers");
        packed.extend(&bits.to_le_bytes()[..SITE_FORMATS[format].bytes]);
    }
    format as u8
}

/// Appends `entries` in the first format that holds them all. Returns its number.
fn pack_entries(entries: &[Entry], packed: &mut Vec<u8>) -> u8 {
    let most = |number: fn(&Entry) -> u32| entries.iter().map(number).max().unwrap_or(0);
    let largest = Entry {
        register: most(|entry| entry.register),
        number: most(|entry| entry.number),
        kind: Source::RESULT as u8,
        last: false,
    };
    let format = ENTRY_FORMATS.iter().position(|format| largest.pack(*format).is_some());
    let format = format.expect("the last format holds everything");
    for entry in entries {
        let bits = entry.pack(ENTRY_FORMATS[format]).expect("it holds the largest numbers");
        packed.extend(&bits.to_le_bytes()[..ENTRY_FORMATS[format].bytes]);
    }
    format as u8
}
