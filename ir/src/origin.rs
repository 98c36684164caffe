//! Origins: where in the file that a module was made from its code is.
//!
//! ```text
//!   function, position ── SourceMap ──> offset in the file ── its `.debug_*` sections, or its text ──> file, line, column
//!   b3:2                                0x1f4                                                          sort.c:27:9
//! ```
//!
//! Bodies do not carry this. The [`SourceMap`] of a function of a binary module is made when it is asked for, by translating
//! the function once more: a module that nobody asks costs nothing but the sections that it has. Of textual IR it is kept
//! from reading it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::index::FunctionIndex;
use crate::module::Module;
use crate::point::{Point, Points, Position};
use crate::shown::Shown;

/// A file that knows where in it the code of a module is.
pub(crate) trait SourceFile: fmt::Debug + Send + Sync {
    /// By block of the body of `function`, where each of its instructions is, the terminator last; none if the file has no
    /// such body.
    fn offsets(&self, function: FunctionIndex) -> Option<Vec<Vec<u32>>>;

    /// The place of what is at `offset`.
    fn place(&self, offset: u32) -> SourcePlace;
}

/// What a module was made from, if that is a file that is known. Modules are equal whatever they were made from.
#[derive(Clone, Debug, Default)]
pub struct Origin(Option<Arc<dyn SourceFile>>);

impl PartialEq for Origin {
    fn eq(&self, _: &Origin) -> bool {
        true
    }
}

impl Origin {
    pub(crate) fn of(file: Arc<dyn SourceFile>) -> Origin {
        Origin(Some(file))
    }

    /// Where the instructions of `function` are, whose number is that of the module; none if it is not one that the
    /// file defines.
    ///
    /// A function of a binary module is translated for it.
    pub fn source_map(&self, function: FunctionIndex) -> Option<SourceMap> {
        self.0.as_ref()?.offsets(function).map(SourceMap)
    }

    /// The place of the code at `offset` of the file, which a [`SourceMap`] of its said; none if there is no file.
    pub fn place(&self, offset: u32) -> Option<SourcePlace> {
        Some(self.0.as_ref()?.place(offset))
    }

    /// The address of the file, which no other has while this is there.
    fn address(&self) -> Option<usize> {
        Some(Arc::as_ptr(self.0.as_ref()?).addr())
    }
}

/// Where in a file the instructions of a body are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceMap(pub(crate) Vec<Vec<u32>>);

impl SourceMap {
    /// The offset in the file of the instruction, or terminator, at `position`.
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

/// Where code is: in a binary module, and in the program's source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePlace {
    /// The offset in the module, if that is a binary one.
    pub offset: Option<u32>,
    /// The line: of a binary module as its DWARF sections say, and none if there are none, or they do not say; of textual IR
    /// its own.
    pub line: Option<SourceLine>,
}

/// `0x1f4 sort.c:27:9`.
impl fmt::Display for SourcePlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SourcePlace { offset, line } = self;
        if let Some(offset) = offset {
            write!(formatter, "{offset:#x}{}", if line.is_some() { " " } else { "" })?;
        }
        line.as_ref().map_or(Ok(()), |line| write!(formatter, "{line}"))
    }
}

/// Finds the places of code of modules; what it has found out of a function it keeps.
#[derive(Debug, Default)]
pub struct Locator(Mutex<HashMap<Key, Option<Arc<LocatedFunction>>>>);

/// The address of a module's file, and a function in it.
type Key = (usize, FunctionIndex);

#[derive(Debug)]
struct LocatedFunction {
    map: SourceMap,
    points: Points,
    /// So that its address stays its own.
    _file: Origin,
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
        module.origin_of(function).place(self.located(module, function)?.map.offset(position)?)
    }

    fn located(&self, module: &Module, function: FunctionIndex) -> Option<Arc<LocatedFunction>> {
        let origin = module.origin_of(function);
        let key = (origin.address()?, function);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let locate = || {
            let map = origin.source_map(function)?;
            let points = Points::speculative(module.known_function(function)?.body()?);
            Some(Arc::new(LocatedFunction { map, points, _file: origin.clone() }))
        };
        known.entry(key).or_insert_with(locate).clone()
    }
}
