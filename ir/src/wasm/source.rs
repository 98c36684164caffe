//! Sources: function bodies as the module has them, kept until they are translated.

use std::ops::Range;
use std::sync::Arc;

use wasmparser::{BinaryReader, FunctionBody};

use super::function;
use crate::body::Body;
use crate::index::{FunctionIndex, SignatureIndex};
use crate::module::{Function, Module, Signature};
use crate::value::Type;

/// What a module declares: all that its function bodies may refer to.
#[derive(Debug, PartialEq)]
pub(super) struct Declarations {
    pub(super) signatures: Vec<Signature>,
    /// The signature of each function.
    functions: Vec<SignatureIndex>,
    /// The type of each global, and whether it is mutable.
    globals: Vec<(Type, bool)>,
    has_memory: bool,
    /// How many there are of each.
    tables: usize,
    data: usize,
    elements: usize,
}

impl Declarations {
    pub(super) fn of(module: &Module) -> Declarations {
        Declarations {
            signatures: module.signatures.clone(),
            functions: module.functions.iter().map(|function| function.signature).collect(),
            globals: module.globals.iter().map(|global| (global.ty, global.mutable)).collect(),
            has_memory: module.memory.is_some(),
            tables: module.tables.len(),
            data: module.data.len(),
            elements: module.elements.len(),
        }
    }

    /// The signature at `index`.
    pub(super) fn signature(&self, index: SignatureIndex) -> &Signature {
        &self.signatures[index.index()]
    }

    /// The signature of a function.
    pub(super) fn signature_of(&self, function: FunctionIndex) -> SignatureIndex {
        self.functions[function.index()]
    }

    /// The type of a global.
    pub(super) fn global(&self, index: u32) -> Type {
        self.globals[index as usize].0
    }

    /// The most results that a function or construct has, if not less than one.
    fn most_results(&self) -> usize {
        self.signatures.iter().map(|signature| signature.results.len()).fold(1, usize::max)
    }
}

/// The code section of a validated module, and what its bodies refer to.
#[derive(Debug)]
pub(super) struct SourceModule {
    pub(super) declarations: Declarations,
    /// The module's types, as interned signatures: types are numbered otherwise than signatures.
    pub(super) types: Vec<SignatureIndex>,
    code: Vec<u8>,
    /// Where `code` begins in the module.
    offset: u64,
    most_results: usize,
}

impl SourceModule {
    /// `code` is that of `module`, in which it begins at `offset`.
    pub(super) fn new(module: &Module, types: Vec<SignatureIndex>, code: &[u8], offset: u64) -> SourceModule {
        let declarations = Declarations::of(module);
        let most_results = declarations.most_results();
        SourceModule { declarations, types, code: code.to_vec(), offset, most_results }
    }
}

/// A body that is not translated yet.
#[derive(Clone, Debug)]
pub(crate) struct SourceBody {
    pub(super) module: Arc<SourceModule>,
    pub(super) function: FunctionIndex,
    /// Where it is in the module.
    range: Range<u64>,
}

impl SourceBody {
    /// The body in `range` of the whole module's bytes.
    pub(super) fn new(module: &Arc<SourceModule>, function: FunctionIndex, range: Range<u64>) -> SourceBody {
        SourceBody { module: Arc::clone(module), function, range }
    }

    /// Locals and operators.
    pub(super) fn code(&self) -> FunctionBody<'_> {
        let at = |offset: u64| (offset - self.module.offset) as usize;
        let bytes = &self.module.code[at(self.range.start)..at(self.range.end)];
        FunctionBody::new(BinaryReader::new(bytes, self.range.start))
    }

    /// The body, translated.
    pub(crate) fn translate(&self) -> Body {
        function::translate(self).expect("validation refuses what is not supported")
    }

    /// No fewer than the body will have. Beside the locals there is at most one register for each height
    /// of the operand stack and type; and what makes the stack higher takes two bytes.
    pub(crate) fn register_bound(&self) -> usize {
        let heights = (self.range.end - self.range.start) as usize / 2 * self.module.most_results;
        let declarations = &self.module.declarations;
        let parameters = declarations.signature(declarations.signature_of(self.function)).parameters.len();
        parameters + self.declared_locals() + Type::ALL.len() * heights
    }

    fn declared_locals(&self) -> usize {
        let reader = self.code().get_locals_reader();
        let groups = reader.into_iter().flatten().map_while(Result::ok);
        groups.map(|(count, _)| count as usize).sum()
    }
}

/// Finds out which sources were validated against the declarations that a module has now: its parts are
/// public, and may have been changed since.
pub(crate) struct SourceCheck {
    declarations: Declarations,
    /// The code section whose declarations were compared last, and are the same.
    passed: Option<Arc<SourceModule>>,
}

impl SourceCheck {
    pub(crate) fn of(module: &Module) -> SourceCheck {
        SourceCheck { declarations: Declarations::of(module), passed: None }
    }

    /// Whether `source` is good for `function`, one of the module.
    pub(crate) fn passes(&mut self, source: &SourceBody, function: &Function) -> bool {
        let is_known = self.passed.as_ref().is_some_and(|passed| Arc::ptr_eq(passed, &source.module));
        if !is_known && source.module.declarations == self.declarations {
            self.passed = Some(Arc::clone(&source.module));
        } else if !is_known {
            return false;
        }
        function.signature == self.declarations.signature_of(source.function)
    }
}
