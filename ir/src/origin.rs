//! Origins: where in the file that a module was made from its code is.
//!
//! ```text
//!   function, position ── SourceMap ──> offset in the module ── its `.debug_*` sections ──> file, line, column
//!   b3:2                  (made on demand)    0x1f4                                         sort.c:27:9
//! ```
//!
//! Bodies do not carry this. Who wants to know asks for the [`SourceMap`] of a function, and the function is translated once
//! more for it; a module that nobody asks costs nothing but the sections that it has.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::body_source::BodySource;
use crate::index::FunctionIndex;
use crate::module::Module;
use crate::point::{Point, Points, Position};
use crate::shown::Shown;

/// What a module was made from, if that is a binary module. Modules are equal whatever they were made from.
#[derive(Clone, Debug, Default)]
pub struct Origin(Option<Arc<dyn BodySource>>);

impl PartialEq for Origin {
    fn eq(&self, _: &Origin) -> bool {
        true
    }
}

impl Origin {
    pub(crate) fn of(source: Arc<dyn BodySource>) -> Origin {
        Origin(Some(source))
    }

    /// Where the instructions of `function` are, whose number is that of the module; none if it is not one that the
    /// binary module defines.
    ///
    /// The function is translated for it.
    pub fn source_map(&self, function: FunctionIndex) -> Option<SourceMap> {
        self.0.as_ref()?.offsets(function).map(SourceMap)
    }

    /// The line that the code at `offset` of the binary module was made from, as its DWARF sections say; none if there are
    /// none, or they do not say.
    pub fn line(&self, offset: u32) -> Option<SourceLine> {
        self.0.as_ref()?.line(offset)
    }
}

/// Where in a binary module the instructions of a body are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceMap(pub(crate) Vec<Vec<u32>>);

impl SourceMap {
    /// The offset in the module of the instruction, or terminator, at `position`.
    pub fn offset(&self, position: Position) -> Option<u32> {
        self.0.get(position.block.index())?.get(position.index).copied()
    }
}

/// A line of a program's source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceLine {
    /// The file, as the compiler has named it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1; 0 if that is not known.
    pub column: u32,
}

impl SourceLine {
    /// The file without its folders.
    pub fn file_name(&self) -> &str {
        self.file.rsplit(['/', '\\']).next().unwrap_or(&self.file)
    }
}

/// `sort.c:27:9`, without folders.
impl fmt::Display for SourceLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", Shown(self.file_name()), self.line)?;
        if self.column > 0 { write!(formatter, ":{}", self.column) } else { Ok(()) }
    }
}

/// Where code is: in the binary module, and in the program's source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePlace {
    /// The offset in the module.
    pub offset: u32,
    /// The line.
    pub line: Option<SourceLine>,
}

/// `0x1f4 sort.c:27:9`.
impl fmt::Display for SourcePlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#x}", self.offset)?;
        self.line.as_ref().map_or(Ok(()), |line| write!(formatter, " {line}"))
    }
}

/// Finds the places of code of one module; what it has found out of a function it keeps.
#[derive(Debug, Default)]
pub struct Locator(Mutex<HashMap<FunctionIndex, Option<Arc<LocatedFunction>>>>);

#[derive(Debug)]
struct LocatedFunction {
    map: SourceMap,
    points: Points,
}

impl Locator {
    /// Where `point` of `function` of `module` is: for a point after a call, the call. None if that is not known, or there
    /// is no such point.
    pub fn place(&self, module: &Module, function: FunctionIndex, point: Point) -> Option<SourcePlace> {
        let points = &self.located(module, function)?.points;
        let position = points.contains(point).then(|| points.position(point))?;
        self.place_at(module, function, position)
    }

    /// Where the instruction, or terminator, at `position` of `function` of `module` is. None if that is not known, or there
    /// is none.
    pub fn place_at(
        &self,
        module: &Module,
        function: FunctionIndex,
        position: Position,
    ) -> Option<SourcePlace> {
        let offset = self.located(module, function)?.map.offset(position)?;
        Some(SourcePlace { offset, line: module.origin.line(offset) })
    }

    fn located(&self, module: &Module, function: FunctionIndex) -> Option<Arc<LocatedFunction>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let locate = || {
            let map = module.origin.source_map(function)?;
            let points = Points::speculative(module.functions.get(function.index())?.body()?);
            Some(Arc::new(LocatedFunction { map, points }))
        };
        known.entry(function).or_insert_with(locate).clone()
    }
}
