//! Landing tables: code behind a version's code, where returns through hijacked slots of its frames arrive, if what a slot
//! holds is to say which frame it is of. Such a slot needs no record.
//!
//! ```text
//!   bookkeeping   entries             the original return PC of a hijacked slot
//!   frame-slot    one                 is in a word that each frame of the version has for it (HotSpot)
//!   pcs-in-map    one for each site   is that of the entry's site (V8)
//!
//!   | code of the version | int3 | jmp end | jmp end | ... | end: jmp [landing stub] |
//! ```
//!
//! The table goes with the code: neither may be released while a slot leads there.

use osr_stackwalk::ReturnPc;

use super::version::CodeVersion;
use super::x86_64::landing_entries;
use crate::settings::mechanism::Bookkeeping;

/// Where a version has its landing table, and what that is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LandingTable {
    /// Where it begins, from the start of the code. A call that ends the code returns to the byte before.
    offset: u32,
    /// Where frames keep the original return PC, from the frame base; none if each site has an entry.
    kept: Option<i32>,
}

impl LandingTable {
    /// That of a version with so many bytes of code, whose frames keep their return PC there, if they do.
    pub(super) fn new(
        bookkeeping: Bookkeeping,
        code_bytes: usize,
        kept: Option<i32>,
    ) -> Option<LandingTable> {
        let kept = match bookkeeping {
            Bookkeeping::Ledger => return None,
            Bookkeeping::FrameSlot => Some(kept.expect("code was compiled to keep return PCs")),
            Bookkeeping::PcsInMap => None,
        };
        Some(LandingTable { offset: code_bytes as u32 + 1, kept })
    }

    /// What follows the code of a version with so many sites.
    pub(super) fn code(self, sites: usize) -> Vec<u8> {
        landing_entries::code(self.entries(sites))
    }

    fn entries(self, sites: usize) -> usize {
        if self.kept.is_some() { 1 } else { sites }
    }

    /// Bytes of it behind the code of a version with so many sites.
    pub(super) fn bytes(self, sites: usize) -> usize {
        landing_entries::bytes(self.entries(sites))
    }

    /// What the slot of a hijacked frame at `site` of `version` holds.
    pub(crate) fn entry(self, version: &CodeVersion, site: u32) -> ReturnPc {
        let entry = if self.kept.is_some() { 0 } else { u64::from(site) };
        ReturnPc::new(self.start(version) + entry * landing_entries::BYTES as u64)
    }

    /// Where frames keep the original return PC, from the frame base, if they do.
    pub(crate) fn kept(self) -> Option<i32> {
        self.kept
    }

    /// Whether `pc`, which is in the allocation of `version`, is in the table.
    #[inline(always)]
    pub(super) fn holds(self, version: &CodeVersion, pc: ReturnPc) -> bool {
        pc.address() >= self.start(version)
    }

    /// The site of the frame at `frame_base` of `version`, whose slot holds the PC of `entry`.
    ///
    /// # Safety
    /// The frame is there, and its slot was hijacked by this table.
    pub(crate) unsafe fn site(self, version: &CodeVersion, entry: ReturnPc, frame_base: u64) -> u32 {
        let Some(kept) = self.kept else {
            return ((entry.address() - self.start(version)) / landing_entries::BYTES as u64) as u32;
        };
        // SAFETY: the frame has a word there, in which the original PC was stored before the slot was hijacked.
        let original = unsafe { *kept_at(frame_base, kept) };
        let site = version.frame_maps.find(version.offset(original));
        site.expect("a frame keeps the return PC of one of its sites") as u32
    }

    fn start(self, version: &CodeVersion) -> u64 {
        version.start + u64::from(self.offset)
    }
}

/// The word in which the frame at `frame_base` keeps its return PC.
pub(crate) fn kept_at(frame_base: u64, kept: i32) -> *mut u64 {
    std::ptr::with_exposed_provenance_mut(frame_base.wrapping_add_signed(i64::from(kept)) as usize)
}
