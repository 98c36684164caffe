//! Reading `.eh_frame` bytes: which code ranges they describe, and where each description is.

use gimli::{BaseAddresses, CieOrFde, EhFrame, EndianSlice, LittleEndian, UnwindSection as _};

use crate::Error;

/// What the parsers here read from.
pub(crate) type Bytes<'a> = EndianSlice<'a, LittleEndian>;

/// One description: the code range it covers and its offset in the section.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FdeRange {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) offset: usize,
}

/// `bytes` as an `.eh_frame` section of 64-bit code.
pub(crate) fn section(bytes: &[u8]) -> EhFrame<Bytes<'_>> {
    let mut section = EhFrame::new(bytes, LittleEndian);
    section.set_address_size(8);
    section
}

/// Base addresses for a section that is at `address`.
pub(crate) fn bases_at(address: u64) -> BaseAddresses {
    BaseAddresses::default().set_eh_frame(address)
}

/// All descriptions in the section, which is at `address` (zero will do if it has no relative pointers),
/// sorted by code address. No two may overlap.
pub(crate) fn fdes(bytes: &[u8], address: u64) -> Result<Vec<FdeRange>, Error> {
    let (section, bases) = (section(bytes), bases_at(address));
    let malformed = |source| Error::MalformedCfi { address, source };
    let mut found = Vec::new();
    let mut entries = section.entries(&bases);
    while let Some(entry) = entries.next().map_err(malformed)? {
        let CieOrFde::Fde(partial) = entry else { continue };
        let fde = partial.parse(EhFrame::cie_from_offset).map_err(malformed)?;
        found.push(FdeRange { start: fde.initial_address(), end: fde.end_address(), offset: fde.offset() });
    }
    found.sort_by_key(|range| range.start);
    match found.windows(2).find(|pair| pair[1].start < pair[0].end) {
        Some(pair) => Err(Error::OverlappingCfi { address: pair[1].start }),
        None => Ok(found),
    }
}

/// The description that covers `address`.
pub(crate) fn covering(sorted: &[FdeRange], address: u64) -> Option<FdeRange> {
    let after = sorted.partition_point(|range| range.start <= address);
    let range = sorted[after.checked_sub(1)?];
    (address < range.end).then_some(range)
}
