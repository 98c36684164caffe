//! The bodies of a module as it has them, kept until they are translated.

use std::ops::Range;

use wasmparser::{BinaryReader, FunctionBody};

use super::debug_lines::DebugLines;
use super::function;
use crate::body::Body;
use crate::body_source::BodySource;
use crate::declarations::Declarations;
use crate::index::{FunctionIndex, SignatureIndex, TableIndex};
use crate::module::Module;
use crate::origin::{SourceFile, SourcePlace};
use crate::value::Type;

/// Registers of each type that operators may have between their instructions.
pub(super) const SCRATCH_REGISTERS: usize = 2;

const VALIDATED: &str = "validation refuses what is not supported";

/// The code section of a validated module, and what its bodies refer to.
#[derive(Debug)]
pub(super) struct SourceModule {
    pub(super) declarations: Declarations,
    /// The module's types, as interned signatures: types are numbered otherwise than signatures.
    pub(super) types: Vec<SignatureIndex>,
    /// The table through which references are called, if any may be.
    pub(super) called: Option<TableIndex>,
    code: Vec<u8>,
    /// Where `code` begins in the module.
    offset: u64,
    /// Where each body is in the module. Imported functions have none, and come first.
    bodies: Vec<Range<u64>>,
    /// How high the operand stack of each is, at most.
    heights: Vec<u32>,
    imported: usize,
    /// The most results that a function or construct has; at least one.
    most_results: usize,
    lines: DebugLines,
}

impl SourceModule {
    /// The bodies of `module` that are at `bodies` in its bytes, in its code section, which is `code` and begins
    /// at `offset`; their operand stacks are as high as `heights` say. Its `lines` are those of that section.
    pub(super) fn new(
        module: &Module,
        types: Vec<SignatureIndex>,
        called: Option<TableIndex>,
        (code, offset): (&[u8], u64),
        (bodies, heights): (Vec<Range<u64>>, Vec<u32>),
        lines: DebugLines,
    ) -> SourceModule {
        let declarations = Declarations::of(module);
        let results = declarations.signatures.iter().map(|signature| signature.results.len());
        let most_results = results.fold(1, usize::max);
        let imported = module.functions.len() - bodies.len();
        SourceModule {
            declarations,
            types,
            called,
            code: code.to_vec(),
            offset,
            bodies,
            heights,
            imported,
            most_results,
            lines,
        }
    }

    /// The functions that have a body here.
    pub(super) fn functions(&self) -> impl Iterator<Item = FunctionIndex> + use<> {
        (self.imported..self.imported + self.bodies.len()).map(FunctionIndex::new)
    }

    fn range(&self, function: FunctionIndex) -> &Range<u64> {
        &self.bodies[function.index() - self.imported]
    }

    /// Locals and operators of `function`.
    pub(super) fn code(&self, function: FunctionIndex) -> FunctionBody<'_> {
        let Range { start, end } = *self.range(function);
        let at = |offset: u64| (offset - self.offset) as usize;
        FunctionBody::new(BinaryReader::new(&self.code[at(start)..at(end)], start))
    }

    fn declared_locals(&self, function: FunctionIndex) -> usize {
        let reader = self.code(function).get_locals_reader();
        let groups = reader.into_iter().flatten().map_while(Result::ok);
        groups.map(|(count, _)| count as usize).sum()
    }
}

impl BodySource for SourceModule {
    fn make(&self, function: FunctionIndex) -> Body {
        let (body, _) = function::translate(self, function, false).expect(VALIDATED);
        body
    }

    /// Beside the locals there is at most one register for each height of the operand stack and type. An operator may use
    /// some more heights before it is done. And what makes the stack higher takes two bytes. What catches has three registers
    /// for that, and one for each `catch` whose exception is thrown once more, which takes four bytes. Some operators have
    /// registers between their instructions, which all of them share.
    fn register_bound(&self, function: FunctionIndex) -> usize {
        let range = self.range(function);
        let bytes = (range.end - range.start) as usize;
        let height = self.heights[function.index() - self.imported] as usize;
        let heights = (height + 2 * self.most_results).min(bytes / 2 * self.most_results);
        let exceptions = if self.declarations.caught.is_some() { 3 + bytes / 4 } else { 0 };
        let signature = self.declarations.signature(self.declarations.signature_of(function));
        let locals = signature.parameters.len() + self.declared_locals(function);
        locals + Type::ALL.len() * (heights + SCRATCH_REGISTERS) + exceptions
    }

    fn declarations(&self) -> &Declarations {
        &self.declarations
    }
}

impl SourceFile for SourceModule {
    fn offsets(&self, function: FunctionIndex) -> Option<Vec<Vec<u32>>> {
        let is_here = function.index().checked_sub(self.imported).is_some_and(|n| n < self.bodies.len());
        is_here.then(|| {
            let (_, offsets) = function::translate(self, function, true).expect(VALIDATED);
            offsets
        })
    }

    fn place(&self, offset: u32) -> SourcePlace {
        let address = u64::from(offset).checked_sub(self.offset);
        SourcePlace { offset: Some(offset), line: address.and_then(|address| self.lines.line(address)) }
    }
}
