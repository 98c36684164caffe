//! The rows of one code version, kept after its code and its section are gone.
//!
//! The rows come from the description that the compiler wrote (a CIE and an FDE), by writing the two as
//! `.eh_frame` bytes and evaluating those: what is checked is what an unwinder would read.

use gimli::write::{CommonInformationEntry, FrameDescriptionEntry};
use gimli::{UnwindContext, UnwindSection as _, UnwindTable};

use super::cfi_row::CfiRow;
use crate::fde_index::{bases_at, fdes, section};
use crate::{Error, UnwindSection};

/// The unwind rows of one code range, by offset from its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CfiRows {
    /// The first offset each row covers, ascending from zero; a row ends where the next begins.
    rows: Vec<(u32, CfiRow)>,
    length: u32,
}

impl CfiRows {
    /// The rows that `cie` and `fde` describe. At least one.
    ///
    /// # Errors
    /// [`Error::UnwritableCfi`], [`Error::MalformedCfi`], [`Error::UnsupportedCfi`].
    pub fn new(cie: &CommonInformationEntry, fde: FrameDescriptionEntry) -> Result<Self, Error> {
        let mut writer = UnwindSection::new();
        writer.add(cie, fde);
        Self::parse(&writer.to_bytes()?)
    }

    /// The rows of the first FDE in `.eh_frame` bytes whose addresses are absolute.
    ///
    /// # Errors
    /// [`Error::MalformedCfi`], also if there is none; [`Error::UnsupportedCfi`].
    pub fn parse(eh_frame: &[u8]) -> Result<Self, Error> {
        let none = Error::MalformedCfi { address: 0, source: gimli::Error::NoUnwindInfoForAddress };
        let first = fdes(eh_frame, 0)?.into_iter().next().ok_or(none)?;
        let (section, bases) = (section(eh_frame), bases_at(0));
        let malformed = |source| Error::MalformedCfi { address: first.start, source };
        let fde = section
            .fde_from_offset(&bases, first.offset.into(), gimli::EhFrame::cie_from_offset)
            .map_err(malformed)?;
        let mut context = UnwindContext::new();
        let mut table = UnwindTable::new(&section, &bases, &mut context, &fde).map_err(malformed)?;
        let refuse = |what| Error::UnsupportedCfi { address: first.start, what };
        let too_long = |_| refuse("a code range beyond 32 bits");
        let length = u32::try_from(first.end - first.start).map_err(too_long)?;
        let mut rows = Vec::new();
        while let Some(row) = table.next_row().map_err(malformed)? {
            let offset = u32::try_from(row.start_address() - first.start).map_err(too_long)?;
            rows.push((offset, CfiRow::new(row)?));
        }
        rows.first().ok_or_else(|| refuse("a description without rows"))?;
        Ok(Self { rows, length })
    }

    /// The rows, each with the first offset that it covers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &CfiRow)> {
        self.rows.iter().map(|(offset, row)| (*offset, row))
    }

    /// The row that covers the byte at `offset`.
    #[must_use]
    pub fn at(&self, offset: u32) -> Option<&CfiRow> {
        if offset >= self.length {
            return None;
        }
        let after = self.rows.partition_point(|(start, _)| *start <= offset);
        Some(&self.rows[after.checked_sub(1)?].1)
    }

    /// The row of a frame suspended at a call that returns to `offset`: the one that covers the call,
    /// which ends one byte earlier.
    #[must_use]
    pub fn at_return(&self, offset: u32) -> Option<&CfiRow> {
        self.at(offset.checked_sub(1)?)
    }

    /// The last row. Cranelift describes its prologues and not its epilogues, so in its code this is the
    /// row of everything after the prologue, and right at every call and poll.
    #[must_use]
    pub fn body(&self) -> &CfiRow {
        &self.rows.last().expect("there is at least one row").1
    }

    /// The number of bytes of code described.
    #[must_use]
    pub fn length(&self) -> u32 {
        self.length
    }
}
