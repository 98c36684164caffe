//! Where in a text the code of its module is.

use crate::index::FunctionIndex;
use crate::origin::{SourceFile, SourceLine, SourcePlace};

/// Where the instructions of a body begin: by block, the terminator last.
pub(super) type Offsets = Vec<Vec<u32>>;

/// A text that a module was read from.
#[derive(Debug)]
pub(super) struct SourceText {
    name: String,
    text: String,
    /// The index of the first function.
    first: usize,
    /// By function; those that are imported have none.
    offsets: Vec<Option<Offsets>>,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl SourceText {
    /// The text of the file `name`, whose functions have indices from `first` on.
    pub(super) fn new(name: &str, text: &str, first: usize, offsets: Vec<Option<Offsets>>) -> SourceText {
        let lines = text.split_inclusive('\n').scan(0, |next, line| {
            let start = *next;
            *next += line.len();
            Some(start)
        });
        SourceText { lines: lines.collect(), name: name.to_owned(), text: text.to_owned(), first, offsets }
    }
}

impl SourceFile for SourceText {
    fn offsets(&self, function: FunctionIndex) -> Option<Offsets> {
        self.offsets.get(function.index().checked_sub(self.first)?)?.clone()
    }

    fn place(&self, offset: u32) -> SourcePlace {
        let offset = offset as usize;
        let line = self.lines.partition_point(|&start| start <= offset);
        let start = line.checked_sub(1).map_or(0, |before| self.lines[before]);
        let column = self.text[start..offset].chars().count() + 1;
        let line = SourceLine { file: self.name.clone(), line: line as u32, column: column as u32 };
        SourcePlace { offset: None, line: Some(line) }
    }
}
