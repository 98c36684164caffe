//! One `.eh_frame` section for the code in the arena.
//!
//! ```text
//!   (CIE, FDE of version 1)  \        +-----+-------+-------+-----+-------+------------+
//!   (CIE, FDE of version 2)   >  -->  | CIE | FDE 1 | FDE 2 | ... | FDE n | terminator |
//!   ...                      /        +-----+-------+-------+-----+-------+------------+
//! ```
//!
//! Every entry brings its absolute address; equal CIEs are written once. Build it when a walk needs it,
//! not at each install: installing is frequent and walks over Rust frames are rare.

use gimli::RunTimeEndian;
use gimli::write::{CommonInformationEntry, EhFrame, EndianVec, FrameDescriptionEntry, FrameTable};

use crate::Error;

/// Collects unwind descriptions and writes them as one `.eh_frame`.
#[derive(Debug, Default)]
pub struct UnwindSection {
    table: FrameTable,
}

impl UnwindSection {
    /// An empty section.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the description of one code range. The entry holds its address and length.
    pub fn add(&mut self, cie: &CommonInformationEntry, fde: FrameDescriptionEntry) {
        let cie = self.table.add_cie(cie.clone());
        self.table.add_fde(cie, fde);
    }

    /// How many descriptions it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.fde_count()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of the section, with its terminator.
    ///
    /// # Errors
    /// [`Error::UnwritableCfi`] if an entry cannot be encoded (an address that is not absolute, say).
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut section = EhFrame(EndianVec::new(RunTimeEndian::Little));
        self.table.write_eh_frame(&mut section).map_err(Error::UnwritableCfi)?;
        let mut bytes = section.0.into_vec();
        bytes.extend_from_slice(&[0; 4]);
        Ok(bytes)
    }
}
