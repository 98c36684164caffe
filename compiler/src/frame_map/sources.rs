//! The entries of a frame map as a landing takes them: numbers, read from where the maps are.

use osr_ir::Register;

use super::mirrored::{Place, SiteResult};
use super::{ENTRY_FORMATS, EntryFormat, FrameMapEntry, Location, MachineRegister};

/// Set in the last entry of a list.
pub(super) const LAST: u64 = 1;

/// An entry of a frame map in numbers, as a landing takes it.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// What the number is of, times two; plus one if the value has 64 bits: less than [`Source::KINDS`].
    pub kind: usize,
    /// The number of words from the first place of its kind.
    pub number: usize,
    /// The register of the body.
    pub register: usize,
}

impl Source {
    /// Slots, from the [lowest](Sources::lowest_slot) up.
    pub const SLOT: usize = 0;
    /// Machine registers; between those that calls leave or preserve and the rest, the pad.
    pub const MACHINE_REGISTER: usize = 2;
    /// Constants.
    pub const CONSTANT: usize = 4;
    /// Results that do not fit the return registers.
    pub const RESULT: usize = 6;
    /// How many kinds there are, narrow and wide ones.
    pub const KINDS: usize = 8;
    pub(super) const WIDE: usize = 1;
    pub(super) const PAD: usize = MachineRegister::PAD;

    /// Whether the call that the frame waits for returns it.
    #[inline(always)]
    pub fn is_returned(self) -> bool {
        match self.kind & !Self::WIDE {
            Self::MACHINE_REGISTER => self.number <= MachineRegister::Xmm1 as usize,
            kind => kind == Self::RESULT,
        }
    }

    pub(super) fn entry(self, lowest_slot: i32) -> FrameMapEntry {
        let location = match self.kind & !Self::WIDE {
            Self::SLOT => Location::FrameSlot(lowest_slot + 8 * self.number as i32),
            Self::MACHINE_REGISTER => {
                MachineRegister::numbered(self.number).map_or(Location::Pad, Location::Register)
            }
            Self::CONSTANT => Location::Constant(self.number as u32),
            _ => Location::Result(self.number as u32),
        };
        FrameMapEntry { register: Register::new(self.register), location, wide: self.kind & Self::WIDE != 0 }
    }
}

/// The entries of a site, found. Valid as long as the frame maps are.
#[derive(Clone, Copy, Debug)]
pub struct Sources {
    /// Null if there are none. Where places are by rule, the first of the registers that are live.
    pub(super) first: *const u8,
    /// Where the constants are, one after the other. They need not be aligned.
    pub constants: *const u8,
    /// Where slot number 0 is, in bytes from the frame base.
    pub lowest_slot: i32,
    pub(super) format: u32,
    pub(super) rule: Rule,
}

/// What places follow from, if they do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// Per register, its place.
    pub(super) places: *const Place,
    /// How many there are.
    pub(super) registers: u32,
    /// How many are live.
    pub(super) live: u32,
    pub(super) result: SiteResult,
}

impl Sources {
    /// Visits the entries by ascending register.
    ///
    /// # Safety
    /// The frame maps are still there.
    #[inline(always)]
    pub unsafe fn each(&self, visit: impl FnMut(Source)) {
        if self.first.is_null() {
            return;
        }
        // SAFETY: the caller says that the maps are there.
        unsafe {
            match self.format {
                0 => self.each_in::<0>(visit),
                1 => self.each_in::<1>(visit),
                2 => self.each_in::<2>(visit),
                _ => self.each_by_rule(visit),
            }
        }
    }

    /// # Safety
    /// The frame maps are still there, and they are by rule.
    #[inline(always)]
    unsafe fn each_by_rule(&self, mut visit: impl FnMut(Source)) {
        let Rule { places, registers, live, result } = self.rule;
        for position in 0..live as usize {
            // SAFETY: so many registers are live; they are of the body, whose registers all have a place. The maps keep both
            // lists.
            let (register, place) = unsafe {
                let register = self.first.cast::<Register>().add(position).read().index();
                (register, places.add(register).read())
            };
            visit(match result.is(register) {
                true => place.returned(register, result),
                false => place.source(register, registers as usize),
            });
        }
    }

    /// # Safety
    /// The frame maps are still there, and there is an entry.
    #[inline(always)]
    unsafe fn each_in<const FORMAT: usize>(&self, mut visit: impl FnMut(Source)) {
        let EntryFormat { bytes, number_bits } = ENTRY_FORMATS[FORMAT];
        let mut next = self.first;
        loop {
            // SAFETY: every list has a last entry, up to which the bytes are there: see `FrameMapBuilder`.
            let bits = unsafe {
                match bytes {
                    2 => u64::from(next.cast::<u16>().read_unaligned()),
                    4 => u64::from(next.cast::<u32>().read_unaligned()),
                    _ => next.cast::<u64>().read_unaligned(),
                }
            };
            visit(Source {
                kind: (bits >> 1 & 7) as usize,
                number: (bits >> 4 & ((1 << number_bits) - 1)) as usize,
                register: (bits >> 4 >> number_bits) as usize,
            });
            if bits & LAST != 0 {
                return;
            }
            next = next.wrapping_add(bytes);
        }
    }
}
