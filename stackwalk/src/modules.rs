//! The native code of this process: our own binary and its shared libraries, with their unwind tables.
//!
//! ```text
//!   dl_iterate_phdr -> per object:  PT_LOAD, executable  -> code range
//!                                   PT_GNU_EH_FRAME      -> .eh_frame_hdr (sorted index) -> .eh_frame
//! ```
//!
//! All addresses here are those in memory. The section bytes are the mapped ones, not copies.

use std::ffi::{c_int, c_void};
use std::ops::{Deref, Range};
use std::sync::Arc;

use framehop::{ExplicitModuleSectionInfo, Module};
use gimli::{BaseAddresses, EhFrame, EhFrameHdr, LittleEndian, UnwindContext, UnwindSection as _};

use crate::fde_index::{self, FdeRange};
use crate::{CfiRow, Error};

/// The objects that were loaded when [`NativeModules::discover`] was called.
#[derive(Clone, Debug, Default)]
pub struct NativeModules {
    pub(crate) modules: Vec<CodeModule>,
}

/// Section bytes that are mapped for good, or that we generated.
#[derive(Clone, Debug)]
pub(crate) enum SectionBytes {
    Mapped(&'static [u8]),
    Built(Arc<[u8]>),
}

impl Default for SectionBytes {
    fn default() -> Self {
        Self::Mapped(&[])
    }
}

impl Deref for SectionBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(bytes) => bytes,
            Self::Built(bytes) => bytes,
        }
    }
}

/// How the description of an address is found.
#[derive(Clone, Debug)]
enum Index {
    /// The binary search table of an `.eh_frame_hdr` at `address`.
    Header { address: u64, bytes: &'static [u8] },
    /// A sorted list of our own.
    List(Vec<FdeRange>),
}

/// One range of code and its unwind information.
#[derive(Clone, Debug)]
pub(crate) struct CodeModule {
    pub(crate) code: Range<u64>,
    eh_frame_address: u64,
    eh_frame: SectionBytes,
    index: Index,
}

impl NativeModules {
    /// Finds the objects that are loaded now and have unwind tables.
    ///
    /// # Safety
    /// No object that is loaded now may be unloaded (`dlclose`) while the value or a copy of it, or a
    /// walker made from it, is in use: they read its mapped sections.
    #[must_use]
    pub unsafe fn discover() -> Self {
        let mut found = Self::default();
        // SAFETY: `visit` has the signature that the loader calls, and takes the data pointer for the
        // `NativeModules` that it is here; it does not keep it.
        unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut found).cast()) };
        found.modules.sort_by_key(|module| module.code.start);
        found
    }

    /// How many objects were found.
    #[must_use]
    pub fn len(&self) -> usize {
        self.modules.len()
    }

    /// Whether none was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.modules.is_empty()
    }
}

/// Adds one loaded object to the list; called by the loader.
unsafe extern "C" fn visit(info: *mut libc::dl_phdr_info, _size: usize, data: *mut c_void) -> c_int {
    // SAFETY: the loader passes a valid description, and `discover` passed its list as the data.
    let (info, found) = unsafe { (&*info, &mut *data.cast::<NativeModules>()) };
    let headers: &[libc::Elf64_Phdr] = if info.dlpi_phdr.is_null() {
        &[]
    } else {
        // SAFETY: the loader says that this many program headers are there.
        unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) }
    };
    // SAFETY: these are the program headers of an object that is loaded at this address, and the
    // caller of `discover` keeps it loaded.
    found.modules.extend(unsafe { CodeModule::of_object(info.dlpi_addr, headers) });
    0
}

/// The addresses that a segment is mapped at.
fn mapped(base: u64, header: &libc::Elf64_Phdr) -> Range<u64> {
    let start = base.wrapping_add(header.p_vaddr);
    start..start.wrapping_add(header.p_memsz)
}

/// The bytes mapped at `range`.
///
/// # Safety
/// They must stay mapped, readable and unchanged while the slice is used.
unsafe fn bytes_at(range: Range<u64>) -> &'static [u8] {
    let start = std::ptr::with_exposed_provenance(range.start as usize);
    // SAFETY: the caller promises that the range is mapped, readable and unchanged.
    unsafe { std::slice::from_raw_parts(start, (range.end - range.start) as usize) }
}

impl CodeModule {
    /// The object loaded at `base`, if it has code and an unwind index.
    ///
    /// # Safety
    /// `headers` must be those of an object that is loaded at `base` and stays loaded.
    unsafe fn of_object(base: u64, headers: &[libc::Elf64_Phdr]) -> Option<Self> {
        let loads = || headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
        let text = || loads().filter(|header| header.p_flags & libc::PF_X != 0);
        let start = text().map(|header| mapped(base, header).start).min()?;
        let end = text().map(|header| mapped(base, header).end).max()?;
        let header = headers.iter().find(|header| header.p_type == libc::PT_GNU_EH_FRAME)?;
        let header = mapped(base, header);
        let address = header.start;
        // SAFETY: the segment is part of a loaded object that stays loaded, and is read-only.
        let bytes = unsafe { bytes_at(header) };
        let bases = BaseAddresses::default().set_eh_frame_hdr(address);
        let parsed = EhFrameHdr::new(bytes, LittleEndian).parse(&bases, 8).ok()?;
        let eh_frame_address = parsed.eh_frame_ptr().direct().ok()?;
        // The index gives the start of the section and not its length; the section ends with a
        // terminator, and within its segment.
        let holder = loads().map(|load| mapped(base, load)).find(|load| load.contains(&eh_frame_address))?;
        // SAFETY: as above; the range is within a loaded segment.
        let eh_frame = SectionBytes::Mapped(unsafe { bytes_at(eh_frame_address..holder.end) });
        Some(Self { code: start..end, eh_frame_address, eh_frame, index: Index::Header { address, bytes } })
    }

    /// Code in `code` that is described by a generated section with absolute addresses.
    pub(crate) fn of_arena(code: Range<u64>, eh_frame: Vec<u8>) -> Result<Self, Error> {
        let list = fde_index::fdes(&eh_frame, 0)?;
        match list.iter().find(|range| range.start < code.start || range.end > code.end) {
            Some(range) => Err(Error::OutsideArena { address: range.start }),
            None => Ok(Self {
                code,
                eh_frame_address: 0,
                eh_frame: SectionBytes::Built(eh_frame.into()),
                index: Index::List(list),
            }),
        }
    }

    /// The row for the code byte at `address`; nothing if no description covers it.
    pub(crate) fn row(&self, address: u64) -> Result<Option<CfiRow>, Error> {
        let (section, mut bases) = (fde_index::section(&self.eh_frame), self.bases());
        let malformed = |source| Error::MalformedCfi { address, source };
        let fde = match &self.index {
            Index::List(list) => match fde_index::covering(list, address) {
                None => return Ok(None),
                Some(range) => section.fde_from_offset(&bases, range.offset.into(), EhFrame::cie_from_offset),
            },
            Index::Header { address: header, bytes } => {
                bases = bases.set_eh_frame_hdr(*header);
                let parsed = EhFrameHdr::new(bytes, LittleEndian).parse(&bases, 8).map_err(malformed)?;
                let Some(table) = parsed.table() else { return Ok(None) };
                table.fde_for_address(&section, &bases, address, EhFrame::cie_from_offset)
            }
        };
        let fde = match fde {
            Err(gimli::Error::NoUnwindInfoForAddress) => return Ok(None),
            other => other.map_err(malformed)?,
        };
        if fde.is_signal_trampoline() {
            return Err(Error::UnsupportedCfi { address, what: "a signal frame" });
        }
        let mut context = UnwindContext::new();
        let row = fde.unwind_info_for_address(&section, &bases, &mut context, address).map_err(malformed)?;
        CfiRow::new(row).map(Some)
    }

    fn bases(&self) -> BaseAddresses {
        fde_index::bases_at(self.eh_frame_address).set_text(self.code.start)
    }

    /// The same, for framehop.
    pub(crate) fn to_framehop(&self) -> Module<SectionBytes> {
        // Addresses here are those in memory already, so any base will do that code is less than 4 GiB from.
        let base = self.code.start;
        let mut sections = ExplicitModuleSectionInfo {
            base_svma: base,
            text_svma: Some(self.code.clone()),
            eh_frame_svma: Some(self.eh_frame_address..self.eh_frame_address),
            eh_frame: Some(self.eh_frame.clone()),
            ..ExplicitModuleSectionInfo::default()
        };
        if let Index::Header { address, bytes } = self.index {
            sections.eh_frame_hdr_svma = Some(address..address + bytes.len() as u64);
            sections.eh_frame_hdr = Some(SectionBytes::Mapped(bytes));
        }
        Module::new(String::new(), self.code.clone(), base, sections)
    }
}
