//! Small random modules for property tests.
//!
//! A module is a function of a *tape* of bytes, each a choice, so that a shorter tape is a simpler
//! module and proptest can shrink it. An exhausted tape chooses the first of everything.

mod code;

use osr_ir::{
    BinaryOp, ConstantExpression, ConstantStep, DataIndex, DataSegment, ElementSegment, ExactType, Export,
    ExportItem, Function, FunctionIndex, FunctionKind, Global, GlobalIndex, GlobalInitial, ImportName,
    Memory, MemoryIndex, Module, ReferenceType, Referent, SegmentMode, Signature, SignatureIndex, Table,
    TableIndex, Type, Value,
};

/// What may be relied on in a generated module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The verifier passes it.
    Valid,
    /// The verifier passes it, but for registers that may be read before they are assigned.
    Unassigned,
    /// Indices, types and counts are often wrong.
    Wild,
}

/// The module that `tape` stands for.
pub(crate) fn module(tape: &[u8], shape: Shape) -> Module {
    let mut generator = Generator { tape: Tape { bytes: tape }, shape, module: Module::default() };
    generator.signatures();
    generator.function_headers();
    generator.state();
    generator.segments();
    generator.exports();
    generator.bodies();
    generator.module
}

/// Choices that are left.
struct Tape<'a> {
    bytes: &'a [u8],
}

impl Tape<'_> {
    fn byte(&mut self) -> u8 {
        match self.bytes.split_first() {
            Some((first, rest)) => {
                self.bytes = rest;
                *first
            }
            None => 0,
        }
    }

    /// A number below `bound`, which is not zero.
    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    fn bits(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

struct Generator<'a> {
    tape: Tape<'a>,
    shape: Shape,
    module: Module,
}

/// Beginnings of names, among them some that the textual form has to quote.
const NAMES: [&str; 12] = [
    "fib",
    "null",
    "odd name",
    "inf",
    "a\"b\\\n",
    "\u{fc}mlaut",
    "\u{202e}",
    "nan",
    "import",
    "r0",
    "at",
    "memory",
];

impl Generator<'_> {
    /// Whether to do something wrong now: rare, so that much is right before it.
    fn strays(&mut self) -> bool {
        self.shape == Shape::Wild && self.tape.below(32) == 31
    }

    /// An index below `count`; in a wild module sometimes not below. None if there is none.
    fn index(&mut self, count: usize) -> Option<usize> {
        let bound = if self.strays() { count + 1 } else { count };
        (bound > 0).then(|| self.tape.below(bound))
    }

    /// The index of a memory, of which there is one unless strays are wanted.
    fn memory_index(&mut self) -> MemoryIndex {
        MemoryIndex::new(self.index(self.module.memories.len()).unwrap_or(0))
    }

    /// The index of one of `types` that is `ty`; of any, if strays are wanted.
    fn index_of(&mut self, types: &[Type], ty: Type) -> Option<usize> {
        if self.strays() {
            return self.index(types.len());
        }
        let fitting: Vec<usize> = (0..types.len()).filter(|&index| types[index] == ty).collect();
        (!fitting.is_empty()).then(|| self.tape.pick(&fitting))
    }

    fn ty(&mut self) -> Type {
        self.tape.pick(&Type::ALL)
    }

    fn reference_type(&mut self) -> Type {
        if self.strays() {
            self.ty()
        } else {
            self.tape.pick(&[Type::Funcref, Type::Externref, Type::Exnref])
        }
    }

    fn exact_types(&mut self) -> Vec<ExactType> {
        let exact = |generator: &mut Self| {
            let ty = generator.ty();
            (ty, generator.reference(ty))
        };
        (0..self.tape.below(4)).map(|_| exact(self)).collect()
    }

    fn value(&mut self, ty: Type) -> Value {
        let ty = if self.strays() { self.ty() } else { ty };
        let bits = self.tape.bits();
        match ty {
            Type::I32 => Value::I32(bits as i32),
            Type::I64 => Value::I64(bits as i64),
            Type::F32 => Value::F32(bits as u32),
            Type::F64 => Value::F64(bits),
            Type::V128 => Value::V128([bits, self.tape.bits()]),
            Type::Funcref => Value::NullFuncref,
            Type::Externref => Value::Externref(bits),
            Type::Exnref => Value::NullExnref,
        }
    }

    fn signatures(&mut self) {
        for _ in 0..self.tape.below(4) {
            let parameters = self.exact_types();
            let signature = Signature::exact(parameters, self.exact_types());
            if self.strays() {
                self.module.signatures.push(signature);
            } else {
                self.module.intern_signature(signature);
            }
        }
        self.module.intern_signature(Signature::default());
    }

    fn function_headers(&mut self) {
        for i in 0..1 + self.tape.below(4) {
            let name = self.tape.pick(&NAMES);
            let name = if i == 0 || self.strays() { name.to_owned() } else { format!("{name}{i}") };
            let signature = self.index(self.module.signatures.len()).expect("there is a signature");
            let kind = match self.tape.below(4) {
                3 => FunctionKind::Import(self.import_name()),
                _ => FunctionKind::Defined(Default::default()),
            };
            self.module.functions.push(Function { name, signature: SignatureIndex::new(signature), kind });
        }
    }

    fn import_name(&mut self) -> ImportName {
        let (module, name) = (self.tape.pick(&NAMES), self.tape.pick(&NAMES));
        ImportName { module: module.to_owned(), name: name.to_owned() }
    }

    fn import(&mut self) -> Option<ImportName> {
        if self.tape.flag() { Some(self.import_name()) } else { None }
    }

    fn size(&mut self) -> (u32, Option<u32>) {
        let minimum = self.tape.below(5) as u32;
        let above = if self.strays() { 0 } else { minimum };
        let maximum = self.tape.flag().then(|| above + self.tape.below(5) as u32);
        (minimum, maximum)
    }

    fn state(&mut self) {
        for _ in 0..self.tape.below(3) {
            let ((minimum, maximum), import) = (self.size(), self.import());
            let (is_64, is_shared) = (self.tape.flag(), self.tape.flag());
            self.module.memories.push(Memory { minimum, maximum, is_64, is_shared, import });
        }
        for _ in 0..self.tape.below(3) {
            let ((minimum, maximum), import) = (self.size(), self.import());
            let ty = self.reference_type();
            let reference = self.reference(ty);
            let is_64 = self.tape.flag();
            self.module.tables.push(Table { ty, reference, minimum, maximum, is_64, initial: None, import });
        }
        for _ in 0..self.tape.below(5) {
            let (ty, mutable) = (self.ty(), self.tape.flag());
            let reference = self.reference(ty);
            let initial = match self.import() {
                Some(import) => GlobalInitial::Import(import),
                None => GlobalInitial::Expression(self.constant(ty)),
            };
            self.module.globals.push(Global { ty, reference, mutable, initial });
        }
    }

    fn reference(&mut self, ty: Type) -> ReferenceType {
        if !ty.is_reference() && !self.strays() {
            return ReferenceType::default();
        }
        let signatures = self.module.signatures.len();
        let referent = match self.tape.below(4) {
            0 => Referent::Nothing,
            1 if ty == Type::Funcref || self.strays() => self
                .index(signatures)
                .map_or(Referent::Any, |index| Referent::Function(SignatureIndex::new(index))),
            _ => Referent::Any,
        };
        ReferenceType { is_non_null: self.tape.below(4) == 0, referent }
    }

    fn constant(&mut self, ty: Type) -> ConstantExpression {
        let wild = self.strays();
        let globals = self.module.globals.iter().enumerate();
        let readable: Vec<usize> =
            globals.filter(|(_, g)| wild || (g.ty == ty && !g.mutable)).map(|(i, _)| i).collect();
        match self.tape.below(4) {
            3 if wild || matches!(ty, Type::I32 | Type::I64) => self.arithmetic(ty, wild),
            1 if !readable.is_empty() => {
                ConstantExpression::Global(GlobalIndex::new(self.tape.pick(&readable)))
            }
            2 if wild || ty == Type::Funcref => {
                let function = self.index(self.module.functions.len()).expect("there is a function");
                ConstantExpression::Function(FunctionIndex::new(function))
            }
            _ => ConstantExpression::Value(self.value(ty)),
        }
    }

    /// Arithmetic of type `ty`; of `wild` operations and any shape, if strays are wanted.
    fn arithmetic(&mut self, ty: Type, wild: bool) -> ConstantExpression {
        let of_type = |operation: &&BinaryOp| wild || operation.result() == ty;
        let operations: Vec<BinaryOp> = ConstantStep::OPERATIONS.iter().filter(of_type).copied().collect();
        let mut steps = vec![ConstantStep::Value(self.value(ty))];
        for _ in 0..self.tape.below(4) {
            if !(wild && self.tape.below(8) == 0) {
                steps.push(ConstantStep::Value(self.value(ty)));
            }
            steps.push(ConstantStep::Operation(self.tape.pick(&operations)));
        }
        ConstantExpression::Arithmetic(steps.into())
    }

    fn segments(&mut self) {
        for _ in 0..self.tape.below(3) {
            let bytes = (0..self.tape.below(100)).map(|_| self.tape.byte()).collect();
            let mode = match self.tape.below(3) {
                1 if self.strays() => SegmentMode::Declared,
                2 if self.strays() || !self.module.memories.is_empty() => {
                    let target = self.memory_index();
                    let memory = self.module.memories.get(target.index());
                    let ty = memory.map_or(Type::I32, Memory::address_type);
                    SegmentMode::Active { target, offset: self.constant(ty) }
                }
                _ => SegmentMode::Passive,
            };
            self.module.data.push(DataSegment { mode, bytes });
        }
        for _ in 0..self.tape.below(3) {
            let mut ty = self.reference_type();
            let mode = match (self.tape.below(3), self.index(self.module.tables.len())) {
                (1, _) => SegmentMode::Declared,
                (2, Some(table)) => {
                    let known = self.module.tables.get(table);
                    ty = known.map_or(ty, |table| table.ty);
                    let index_type = known.map_or(Type::I32, Table::address_type);
                    SegmentMode::Active { target: TableIndex::new(table), offset: self.constant(index_type) }
                }
                _ => SegmentMode::Passive,
            };
            let items = (0..self.tape.below(4)).map(|_| self.constant(ty)).collect();
            self.module.elements.push(ElementSegment { mode, ty, items });
        }
    }

    fn exports(&mut self) {
        for i in 0..self.tape.below(4) {
            let function = self.index(self.module.functions.len()).expect("there is a function");
            let item = match (self.tape.below(4), self.index(self.module.globals.len())) {
                (1, Some(global)) => ExportItem::Global(GlobalIndex::new(global)),
                (2, _) if self.strays() || !self.module.memories.is_empty() => {
                    ExportItem::Memory(self.memory_index())
                }
                _ => ExportItem::Function(FunctionIndex::new(function)),
            };
            let name = if self.strays() { String::new() } else { format!("{}{i}", self.tape.pick(&NAMES)) };
            self.module.exports.push(Export { name, item });
        }
        let wild = self.strays();
        let none = self.module.signatures.iter().position(|signature| *signature == Signature::default());
        let mut functions = self.module.functions.iter();
        let start = functions.position(|f| wild || Some(f.signature.index()) == none);
        self.module.start = start.filter(|_| self.tape.flag()).map(FunctionIndex::new);
    }

    fn bodies(&mut self) {
        for i in 0..self.module.functions.len() {
            let signature = self.module.functions[i].signature;
            if let FunctionKind::Defined(_) = self.module.functions[i].kind {
                let signature = self.module.signatures.get(signature.index()).cloned().unwrap_or_default();
                self.module.functions[i].kind = FunctionKind::Defined(self.body(&signature).into());
            }
        }
    }

    fn data_index(&mut self) -> Option<DataIndex> {
        self.index(self.module.data.len()).map(DataIndex::new)
    }
}
