//! The lines that code was made from, as the DWARF sections of a module say.
//!
//! Addresses in them are offsets in the code section, from its first byte on. Lines are read when they are asked for, unit by
//! unit.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use addr2line::Context;
use gimli::{Dwarf, EndianArcSlice, LittleEndian, SectionId};

use crate::origin::SourceLine;

/// The beginning of the names of sections that are kept.
const PREFIX: &str = ".debug_";

type Reader = EndianArcSlice<LittleEndian>;

/// The DWARF sections of a module.
#[derive(Default)]
pub(super) struct DebugLines {
    sections: Vec<(SectionId, Arc<[u8]>)>,
    context: OnceLock<Option<Mutex<Context<Reader>>>>,
}

impl DebugLines {
    /// Keeps the custom section `name`, if lines are read from it.
    pub(super) fn add(&mut self, name: &str, contents: &[u8]) {
        if name.starts_with(PREFIX)
            && let Some(id) = READ.into_iter().find(|id| id.name() == name)
        {
            self.sections.push((id, contents.into()));
        }
    }

    /// The line of the code at `address`.
    pub(super) fn line(&self, address: u64) -> Option<SourceLine> {
        let context = self.context.get_or_init(|| self.read()).as_ref()?;
        let context = context.lock().unwrap_or_else(PoisonError::into_inner);
        let location = context.find_location(address).ok()??;
        let (file, line) = (location.file?.to_owned(), location.line?);
        Some(SourceLine { file, line, column: location.column.unwrap_or(0) })
    }

    /// None if there are no sections, or they are broken: nothing depends on them.
    fn read(&self) -> Option<Mutex<Context<Reader>>> {
        if self.sections.is_empty() {
            return None;
        }
        let section = |id: SectionId| {
            let found = self.sections.iter().find(|(known, _)| *known == id);
            let contents = found.map_or_else(|| Arc::from([]), |(_, contents)| Arc::clone(contents));
            Ok::<_, gimli::Error>(EndianArcSlice::new(contents, LittleEndian))
        };
        let dwarf = Dwarf::load(section).ok()?;
        Context::from_dwarf(dwarf).ok().map(Mutex::new)
    }
}

/// What lines are read from.
const READ: [SectionId; 9] = [
    SectionId::DebugAbbrev,
    SectionId::DebugAddr,
    SectionId::DebugInfo,
    SectionId::DebugLine,
    SectionId::DebugLineStr,
    SectionId::DebugRanges,
    SectionId::DebugRngLists,
    SectionId::DebugStr,
    SectionId::DebugStrOffsets,
];

impl fmt::Debug for DebugLines {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.sections.iter().map(|(id, _)| id.name());
        formatter.debug_list().entries(names).finish()
    }
}
