//! What stands at the top of a file.

use super::super::error::{Failure, ParseErrorKind, Span};
use super::super::lexer::Token;
use super::super::literal;
use super::super::source::Offsets;
use super::Parser;
use super::code::Code;
use crate::index::{FunctionIndex, GlobalIndex, MemoryIndex, SignatureIndex, TableIndex, TagIndex};
use crate::module::{
    ConstantExpression, ConstantStep, DataSegment, ElementSegment, Export, ExportItem, Function,
    FunctionKind, Global, GlobalInitial, ImportName, Memory, Module, SegmentMode, Signature, Table, Tag,
};
use crate::reference_type::{ExactType, ReferenceType, Referent};
use crate::value::{Type, Value};

impl Parser<'_> {
    /// Reads the whole source. Returns the module, and by function where its code is.
    pub(in crate::text) fn module(mut self) -> Result<(Module, Vec<Option<Offsets>>), Failure> {
        while self.token != Token::End {
            self.item()?;
        }
        self.uses.check(&self.module)?;
        self.functions.resolve(&mut self.module)?;
        Ok((self.module, self.offsets))
    }

    fn item(&mut self) -> Result<(), Failure> {
        let expected = "signature, memory, global, table, tag, caught, data, element, import, export, start, function, body, map or at";
        let Token::Word(keyword) = self.token else { return Err(self.unexpected(expected)) };
        match keyword {
            "signature" => self.signature_item(),
            "memory" => self.memory_item(),
            "global" => self.global_item(),
            "table" => self.table_item(),
            "tag" => self.tag_item(),
            "caught" => self.caught_item(),
            "data" => self.data_item(),
            "element" => self.element_item(),
            "import" => self.import_item(),
            "export" => self.export_item(),
            "start" => self.start_item(),
            "function" => self.function_item(),
            "body" => self.body_item(),
            "map" => self.map_item(),
            "at" => self.step_item(),
            _ => Err(self.unexpected(expected)),
        }
    }

    fn signature_item(&mut self) -> Result<(), Failure> {
        self.advance()?;
        let next = self.module.signatures.len();
        self.definition('s', next, "a signature such as `s0`")?;
        let span = self.span;
        let signature = self.signature()?;
        let index = self.module.intern_signature(signature);
        if index.index() != next {
            return Err(span.error(ParseErrorKind::DuplicateSignature(index.to_string())));
        }
        Ok(())
    }

    fn memory_item(&mut self) -> Result<(), Failure> {
        let (_, span) = self.advance()?;
        let next = self.module.memories.len();
        if self.peek_index('m').is_some() {
            self.definition('m', next, "a memory such as `m0`")?;
            self.expect(":")?;
        } else if next > 0 {
            return Err(span.error(ParseErrorKind::Duplicate("memory")));
        }
        let (import, is_shared) = (self.origin()?, self.accept_word("shared")?);
        let is_64 = self.accept_word("i64")?;
        let (minimum, maximum) = self.size()?;
        self.module.memories.push(Memory { minimum, maximum, is_64, is_shared, import });
        Ok(())
    }

    fn global_item(&mut self) -> Result<(), Failure> {
        self.advance()?;
        self.definition('g', self.module.globals.len(), "a global such as `g0`")?;
        self.expect(":")?;
        let mutable = self.accept_word("mut")?;
        let (ty, reference) = self.exact_type()?;
        self.expect("=")?;
        let initial = match self.origin()? {
            Some(import) => GlobalInitial::Import(import),
            None => GlobalInitial::Expression(self.constant(ty)?),
        };
        self.module.globals.push(Global { ty, reference, mutable, initial });
        Ok(())
    }

    fn table_item(&mut self) -> Result<(), Failure> {
        self.advance()?;
        self.definition('t', self.module.tables.len(), "a table such as `t0`")?;
        self.expect(":")?;
        let (ty, reference) = (self.reference_type()?, self.referent()?);
        let (import, is_64) = (self.origin()?, self.accept_word("i64")?);
        let (minimum, maximum) = self.size()?;
        let initial = if self.accept("=")? { Some(self.constant(ty)?) } else { None };
        self.module.tables.push(Table { ty, reference, minimum, maximum, is_64, initial, import });
        Ok(())
    }

    fn tag_item(&mut self) -> Result<(), Failure> {
        self.advance()?;
        self.definition('x', self.module.tags.len(), "a tag such as `x0`")?;
        self.expect(":")?;
        let import = self.origin()?;
        self.expect("(")?;
        let values = self.list_until(")", Self::global)?;
        self.module.tags.push(Tag { values, import });
        Ok(())
    }

    fn caught_item(&mut self) -> Result<(), Failure> {
        let (_, span) = self.advance()?;
        if self.module.caught.is_some() {
            return Err(span.error(ParseErrorKind::Duplicate("caught")));
        }
        self.module.caught = Some(self.global()?);
        Ok(())
    }

    fn data_item(&mut self) -> Result<(), Failure> {
        self.advance()?;
        self.definition('d', self.module.data.len(), "a data segment such as `d0`")?;
        let mode = match self.token {
            Token::Word("passive") => self.advance().map(|_| SegmentMode::Passive)?,
            Token::Word("at") => self.active_data(MemoryIndex::FIRST)?,
            _ if self.peek_index('m').is_some() => {
                let memory = self.memory()?;
                self.active_data(memory)?
            }
            _ => return Err(self.unexpected("`at`, a memory or `passive`")),
        };
        let (mut bytes, _) = self.bytes()?;
        while matches!(self.token, Token::Bytes(_)) {
            bytes.append(&mut self.bytes()?.0);
        }
        self.module.data.push(DataSegment { mode, bytes });
        Ok(())
    }

    /// Where in `target` a data segment is written.
    fn active_data(&mut self, target: MemoryIndex) -> Result<SegmentMode<MemoryIndex>, Failure> {
        let memory = self.module.memories.get(target.index());
        let ty = memory.map_or(Type::I32, Memory::address_type);
        Ok(SegmentMode::Active { target, offset: self.offset(ty)? })
    }

    fn element_item(&mut self) -> Result<(), Failure> {
        self.advance()?;
        self.definition('e', self.module.elements.len(), "an element segment such as `e0`")?;
        let mode = match self.token {
            Token::Word("passive") => self.advance().map(|_| SegmentMode::Passive)?,
            Token::Word("declared") => self.advance().map(|_| SegmentMode::Declared)?,
            _ if self.peek_index('t').is_some() => {
                let target = self.table()?;
                let table = self.module.tables.get(target.index());
                let ty = table.map_or(Type::I32, Table::address_type);
                SegmentMode::Active { target, offset: self.offset(ty)? }
            }
            _ => return Err(self.unexpected("a table, `passive` or `declared`")),
        };
        let ty = self.reference_type()?;
        self.expect("[")?;
        let items = self.list_until("]", |parser| parser.constant(ty))?;
        self.module.elements.push(ElementSegment { mode, ty, items });
        Ok(())
    }

    /// The type of what a table or segment holds: function references, unless it says otherwise.
    fn reference_type(&mut self) -> Result<Type, Failure> {
        for ty in [Type::Externref, Type::Exnref] {
            if self.accept_word(ty.name())? {
                return Ok(ty);
            }
        }
        Ok(Type::Funcref)
    }

    /// A type, and what it says of references.
    fn exact_type(&mut self) -> Result<ExactType, Failure> {
        Ok((self.ty()?, self.referent()?))
    }

    /// What references are to, if that is said.
    pub(super) fn referent(&mut self) -> Result<ReferenceType, Failure> {
        let is_non_null = self.accept_word("nonnull")?;
        let referent = match self.accept_word("to")? {
            false => Referent::Any,
            true if self.accept_word("nothing")? => Referent::Nothing,
            true => {
                let (index, span) = self.index('s', "a signature such as `s0`, or `nothing`")?;
                self.uses.signatures.note(index, span);
                Referent::Function(SignatureIndex::new(index))
            }
        };
        Ok(ReferenceType { is_non_null, referent })
    }

    fn import_item(&mut self) -> Result<(), Failure> {
        self.advance()?;
        let (name, _) = self.defined_name()?;
        let signature = self.signature()?;
        let signature = self.module.intern_signature(signature);
        self.expect("=")?;
        let import = self.import_name()?;
        self.offsets.push(None);
        self.module.functions.push(Function { name, signature, kind: FunctionKind::Import(import) });
        Ok(())
    }

    fn export_item(&mut self) -> Result<(), Failure> {
        self.advance()?;
        let name = self.name()?;
        let item = match self.token {
            Token::Word("function") => {
                self.advance()?;
                ExportItem::Function(self.function()?)
            }
            Token::Word("global") => {
                self.advance()?;
                ExportItem::Global(self.global()?)
            }
            Token::Word("table") => {
                self.advance()?;
                ExportItem::Table(self.table()?)
            }
            Token::Word("memory") => {
                self.advance()?;
                let is_named = self.peek_index('m').is_some();
                ExportItem::Memory(if is_named { self.memory()? } else { MemoryIndex::FIRST })
            }
            Token::Word("tag") => {
                self.advance()?;
                ExportItem::Tag(self.tag()?)
            }
            _ => return Err(self.unexpected("function, global, table, memory or tag")),
        };
        self.module.exports.push(Export { name, item });
        Ok(())
    }

    fn start_item(&mut self) -> Result<(), Failure> {
        let (_, span) = self.advance()?;
        if self.module.start.is_some() {
            return Err(span.error(ParseErrorKind::Duplicate("start")));
        }
        self.module.start = Some(self.function()?);
        Ok(())
    }

    fn function_item(&mut self) -> Result<(), Failure> {
        self.advance()?;
        let (name, _) = self.defined_name()?;
        self.definition_of(name)
    }

    /// What follows the name of a function: parameters, results, and the body.
    pub(super) fn definition_of(&mut self, name: String) -> Result<(), Failure> {
        self.expect("(")?;
        let mut code = Code::new(self);
        let start = code.parser.span.start;
        let parameters = code.parameters()?;
        let signature = Signature::exact(parameters, code.parser.results()?);
        let span = Span { start, end: code.parser.span.start };
        // Interned before the body's own signatures: the printer relies on that order.
        let signature = code.parser.intern(signature, span)?;
        code.blocks()?;
        let Code { body, offsets, .. } = code;
        self.offsets.push(Some(offsets));
        let kind = FunctionKind::Defined(body.into());
        self.module.functions.push(Function { name, signature, kind });
        Ok(())
    }

    /// The name of the function that is being defined.
    pub(super) fn defined_name(&mut self) -> Result<(String, Span), Failure> {
        let (name, span) = self.function_name()?;
        let index = self.next_function();
        self.functions.define(&name, span, index)?;
        Ok((name, span))
    }

    fn signature(&mut self) -> Result<Signature, Failure> {
        self.expect("(")?;
        let parameters = self.list_until(")", Self::exact_type)?;
        Ok(Signature::exact(parameters, self.results()?))
    }

    /// A signature that is used by a body.
    pub(super) fn interned_signature(&mut self) -> Result<SignatureIndex, Failure> {
        let start = self.span.start;
        let signature = self.signature()?;
        self.intern(signature, Span { start, end: self.span.start })
    }

    fn results(&mut self) -> Result<Vec<ExactType>, Failure> {
        if !self.accept("->")? {
            return Ok(Vec::new());
        }
        self.expect("(")?;
        self.list_until(")", Self::exact_type)
    }

    /// `import "module" "name"`, if that is what follows.
    fn origin(&mut self) -> Result<Option<ImportName>, Failure> {
        if self.accept_word("import")? { self.import_name().map(Some) } else { Ok(None) }
    }

    fn import_name(&mut self) -> Result<ImportName, Failure> {
        Ok(ImportName { module: self.name()?, name: self.name()? })
    }

    fn size(&mut self) -> Result<(u32, Option<u32>), Failure> {
        let minimum = self.u32()?;
        let maximum = if matches!(self.token, Token::Number(_)) { Some(self.u32()?) } else { None };
        Ok((minimum, maximum))
    }

    /// `at` and an offset, of type `ty`.
    fn offset(&mut self, ty: Type) -> Result<ConstantExpression, Failure> {
        if !self.accept_word("at")? {
            return Err(self.unexpected("`at`"));
        }
        self.constant(ty)
    }

    /// A constant expression; numbers in it are of type `ty`.
    fn constant(&mut self, ty: Type) -> Result<ConstantExpression, Failure> {
        if let Token::Number(text) = self.token {
            let (_, span) = self.advance()?;
            let value = literal::read_value(text, ty).map_err(|kind| span.error(kind))?;
            return Ok(ConstantExpression::Value(value));
        }
        if self.accept_word("null")? {
            return Ok(ConstantExpression::Value(Value::null(ty)));
        }
        if self.peek_index('g').is_some() {
            return Ok(ConstantExpression::Global(self.global()?));
        }
        if self.accept("(")? {
            return self.arithmetic(ty);
        }
        if !matches!(self.token, Token::Word(_) | Token::Bytes(_)) {
            return Err(self.unexpected("a constant"));
        }
        Ok(ConstantExpression::Function(self.function()?))
    }

    /// The steps of arithmetic, and what closes them.
    fn arithmetic(&mut self, ty: Type) -> Result<ConstantExpression, Failure> {
        let mut steps = Vec::new();
        while !self.accept(")")? {
            let step = match self.token {
                Token::Number(text) => {
                    let (_, span) = self.advance()?;
                    ConstantStep::Value(literal::read_value(text, ty).map_err(|kind| span.error(kind))?)
                }
                Token::Word("null") => {
                    self.advance()?;
                    ConstantStep::Value(Value::null(ty))
                }
                Token::Word(_) if self.peek_index('g').is_some() => ConstantStep::Global(self.global()?),
                Token::Word(name) => {
                    let known =
                        ConstantStep::OPERATIONS.into_iter().find(|operation| operation.name() == name);
                    let operation = known.ok_or_else(|| self.unexpected("an operation such as `i32.add`"))?;
                    self.advance()?;
                    ConstantStep::Operation(operation)
                }
                _ => return Err(self.unexpected("a constant or an operation")),
            };
            steps.push(step);
        }
        Ok(ConstantExpression::Arithmetic(steps.into()))
    }

    /// A mention of a function; the index is provisional.
    pub(super) fn function(&mut self) -> Result<FunctionIndex, Failure> {
        let (name, span) = self.function_name()?;
        Ok(self.functions.mention(name, span))
    }

    /// A mention of a global.
    pub(super) fn global(&mut self) -> Result<GlobalIndex, Failure> {
        let (index, span) = self.index('g', "a global such as `g0`")?;
        self.uses.globals.note(index, span);
        Ok(GlobalIndex::new(index))
    }

    /// A mention of a tag.
    pub(super) fn tag(&mut self) -> Result<TagIndex, Failure> {
        let (index, span) = self.index('x', "a tag such as `x0`")?;
        self.uses.tags.note(index, span);
        Ok(TagIndex::new(index))
    }

    /// A mention of a memory.
    pub(super) fn memory(&mut self) -> Result<MemoryIndex, Failure> {
        let (index, span) = self.index('m', "a memory such as `m0`")?;
        self.uses.memories.note(index, span);
        Ok(MemoryIndex::new(index))
    }

    /// A mention of a table.
    pub(super) fn table(&mut self) -> Result<TableIndex, Failure> {
        let (index, span) = self.index('t', "a table such as `t0`")?;
        self.uses.tables.note(index, span);
        Ok(TableIndex::new(index))
    }
}
