//! Functions: one pass over the operators of a body, which makes register code of them.
//!
//! Here are variables, calls, memory and tables; constructs are in [`construct`](super::construct),
//! branches in [`branch`](super::branch).

use wasmparser::{FunctionBody, Operator};

use super::branch::load;
use super::cleanup;
use super::code::Code;
use super::control::{Control, Frame, FrameKind, FrameType};
use super::error::{Feature, ImportError};
use super::exceptions::Dispatch;
use super::locals::{self, Assignments};
use super::operands::{Operand, Operands};
use super::sections::null;
use super::source::SourceModule;
use crate::body::{Body, Instruction, Terminator};
use crate::declarations::Declarations;
use crate::index::{
    DataIndex, ElementIndex, FunctionIndex, GlobalIndex, Register, SignatureIndex, TableIndex,
};
use crate::operation::{BinaryOp, LoadOp, StoreOp, UnaryOp};
use crate::value::{Type, Value};

/// Translates the body of `function`. Returns, beside it, where its instructions and terminators come from, by block, if that
/// is wanted.
pub(super) fn translate(
    source: &SourceModule,
    function: FunctionIndex,
    wants_offsets: bool,
) -> Result<(Body, Vec<Vec<u32>>), ImportError> {
    Translator::new(source, function, wants_offsets)?.body()
}

/// A function being translated.
pub(super) struct Translator<'m> {
    pub(super) module: &'m Declarations,
    pub(super) types: &'m [SignatureIndex],
    pub(super) code: Code,
    pub(super) operands: Operands,
    pub(super) control: Control,
    /// Made when they are asked for.
    pub(super) assignments: Option<Assignments>,
    /// The source of the body.
    pub(super) source: FunctionBody<'m>,
    /// Where the operator is that is being translated.
    pub(super) offset: u64,
    /// Types of the locals; local *n* is register *n*.
    locals: Vec<Type>,
    parameters: usize,
    /// How what is caught is dispatched, if anything is.
    pub(super) dispatch: Option<Dispatch>,
}

impl<'m> Translator<'m> {
    fn new(
        source: &'m SourceModule,
        function: FunctionIndex,
        wants_offsets: bool,
    ) -> Result<Translator<'m>, ImportError> {
        let (module, body) = (&source.declarations, source.code(function));
        let signature = module.signature_of(function);
        let mut locals = module.signature(signature).parameters.clone();
        let parameters = locals.len();
        locals::declared(&body, &mut locals)?;
        let mut code = Code::new(wants_offsets);
        let frame = Frame {
            kind: FrameKind::Function,
            ty: FrameType::Signature(signature),
            base: 0,
            label: code.block(),
            is_label_used: false,
        };
        Ok(Translator {
            module,
            types: &source.types,
            code,
            operands: Operands::new(locals.clone()),
            control: Control::new(frame),
            assignments: None,
            source: body,
            offset: 0,
            locals,
            parameters,
            dispatch: None,
        })
    }

    fn body(mut self) -> Result<(Body, Vec<Vec<u32>>), ImportError> {
        let mut reader = self.source.get_operators_reader()?;
        while !reader.eof() {
            self.offset = reader.original_position();
            self.code.at(self.offset);
            reader.visit_operator(&mut self)??;
        }
        Ok(cleanup::clean(self.code, self.operands.into_registers(), self.parameters..self.locals.len()))
    }

    /// Translates what the [visitor](super::visitor) does not by itself.
    #[cold]
    pub(super) fn other(&mut self, operator: &Operator<'_>) -> Result<(), ImportError> {
        if self.construct(operator)?
            || !self.control.is_reachable
            || self.transfer_operator(operator)?
            || self.reference(operator)
            || self.memory(operator)
            || self.table(operator)
            || self.vector(operator)
            || self.relaxed(operator)
        {
            return Ok(());
        }
        Err(ImportError::Unsupported { feature: Feature::Unknown, offset: self.offset })
    }

    pub(super) fn unary(&mut self, op: UnaryOp) {
        let src = self.pop_register();
        let dst = self.operands.push_temporary(op.result());
        self.code.emit(Instruction::Unary { op, dst, src });
    }

    pub(super) fn binary(&mut self, op: BinaryOp) {
        let [lhs, rhs] = self.pop_registers();
        let dst = self.operands.push_temporary(op.result());
        self.code.emit(Instruction::Binary { op, dst, lhs, rhs });
    }

    pub(super) fn load(&mut self, op: LoadOp, offset: u32) {
        let address = self.pop_register();
        let dst = self.operands.push_temporary(op.result());
        self.code.emit(Instruction::Load { op, dst, address, offset });
    }

    pub(super) fn store(&mut self, op: StoreOp, offset: u32) {
        let [address, value] = self.pop_registers();
        self.code.emit(Instruction::Store { op, address, value, offset });
    }

    /// Operators for references of all types, and those that choose a type.
    fn reference(&mut self, operator: &Operator<'_>) -> bool {
        match *operator {
            Operator::RefIsNull => self.unary(match self.operands.top_type() {
                Type::Externref => UnaryOp::ExternIsNull,
                Type::Exnref => UnaryOp::ExnIsNull,
                _ => UnaryOp::RefIsNull,
            }),
            Operator::RefNull { hty } => self.constant(null(hty)),
            Operator::TypedSelect { .. } => self.select(),
            _ => return false,
        }
        true
    }

    pub(super) fn constant(&mut self, value: Value) {
        self.operands.push(Operand::Constant(value));
    }

    fn transfer_operator(&mut self, operator: &Operator<'_>) -> Result<bool, ImportError> {
        match *operator {
            Operator::Nop => {}
            Operator::Unreachable => self.leave(Terminator::Unreachable),
            Operator::BrTable { ref targets } => self.branch_table(targets)?,
            Operator::Return => self.branch(self.control.outermost()),
            Operator::CallIndirect { type_index, table_index } => {
                self.call_indirect(type_index, table_index);
            }
            Operator::ReturnCall { function_index } => self.tail_call(function_index),
            Operator::ReturnCallIndirect { type_index, table_index } => {
                self.tail_call_indirect(type_index, table_index);
            }
            Operator::Throw { tag_index } => self.throw(tag_index),
            Operator::ThrowRef => self.throw_ref(),
            Operator::Rethrow { relative_depth } => self.rethrow(relative_depth),
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn call(&mut self, function: u32) {
        let function = FunctionIndex::new(function as usize);
        let (arguments, results) = self.call_registers(self.module.signature_of(function));
        self.code.emit(Instruction::Call { function, arguments, results });
        self.catch_behind_call();
    }

    fn call_indirect(&mut self, ty: u32, table: u32) {
        let index = self.pop_register();
        let signature = self.types[ty as usize];
        let table = TableIndex::new(table as usize);
        let (arguments, results) = self.call_registers(signature);
        self.code.emit(Instruction::CallIndirect { table, signature, index, arguments, results });
        self.catch_behind_call();
    }

    fn tail_call(&mut self, function: u32) {
        let function = FunctionIndex::new(function as usize);
        let (arguments, _) = self.call_registers(self.module.signature_of(function));
        self.leave_by_call(Terminator::TailCall { function, arguments });
    }

    fn tail_call_indirect(&mut self, ty: u32, table: u32) {
        let index = self.pop_register();
        let signature = self.types[ty as usize];
        let table = TableIndex::new(table as usize);
        let (arguments, _) = self.call_registers(signature);
        self.leave_by_call(Terminator::TailCallIndirect { table, signature, index, arguments });
    }

    fn leave_by_call(&mut self, terminator: Terminator) {
        self.code.emit(Instruction::Interpret);
        self.leave(terminator);
    }

    fn call_registers(&mut self, signature: SignatureIndex) -> (Vec<Register>, Vec<Register>) {
        let signature = self.module.signature(signature);
        let base = self.operands.height() - signature.parameters.len();
        let arguments = (base..self.operands.height())
            .map(|height| self.read(self.operands.get(height), height))
            .collect();
        self.operands.truncate(base);
        let results = signature.results.iter().map(|&ty| self.operands.push_temporary(ty)).collect();
        (arguments, results)
    }

    pub(super) fn global_get(&mut self, global: GlobalIndex) {
        let dst = self.operands.push_temporary(self.module.global(global.as_u32()));
        self.code.emit(Instruction::GlobalGet { dst, global });
    }

    pub(super) fn global_set(&mut self, global: GlobalIndex) {
        let src = self.pop_register();
        self.code.emit(Instruction::GlobalSet { global, src });
    }

    pub(super) fn drop_top(&mut self) {
        self.operands.pop();
    }

    pub(super) fn local_tee(&mut self, local: Register) {
        self.local_set(local);
        self.local_get(local);
    }

    pub(super) fn local_get(&mut self, local: Register) {
        if self.operands.is_pending_full() {
            let dst = self.operands.push_temporary(self.locals[local.index()]);
            self.code.emit(Instruction::Copy { dst, src: local });
        } else {
            self.operands.push(Operand::Local(local));
        }
    }

    /// Assigns a local. If the value was computed by the instruction before, that one now defines the
    /// local; then what still wants the local's old value must be saved before it.
    pub(super) fn local_set(&mut self, local: Register) {
        let value = self.operands.pop();
        if value == Operand::Local(local) {
            return;
        }
        let code = &mut self.code;
        match value {
            Operand::Temporary(temporary) if code.can_retarget(temporary, local) => {
                self.operands.settle(
                    usize::MAX,
                    |pending| pending == local,
                    |dst, src| code.emit_before_last(Instruction::Copy { dst, src }),
                );
                code.retarget(temporary, local);
            }
            _ => {
                self.operands.settle(
                    usize::MAX,
                    |pending| pending == local,
                    |dst, src| code.emit(Instruction::Copy { dst, src }),
                );
                load(local, value).into_iter().for_each(|instruction| code.emit(instruction));
            }
        }
    }

    pub(super) fn select(&mut self) {
        let condition = self.pop_condition();
        let ty = self.operands.top_type();
        let [first, second] = self.pop_registers();
        let dst = self.operands.push_temporary(ty);
        let (if_true, if_false) = condition.order(first, second);
        self.code.emit(Instruction::Select { dst, condition: condition.register, if_true, if_false });
    }

    fn memory(&mut self, operator: &Operator<'_>) -> bool {
        let instruction = match *operator {
            Operator::MemorySize { .. } => {
                Instruction::MemorySize { dst: self.operands.push_temporary(Type::I32) }
            }
            Operator::MemoryGrow { .. } => {
                let delta = self.pop_register();
                Instruction::MemoryGrow { dst: self.operands.push_temporary(Type::I32), delta }
            }
            Operator::MemoryFill { .. } => {
                let [address, value, length] = self.pop_registers();
                Instruction::MemoryFill { address, value, length }
            }
            Operator::MemoryCopy { .. } => {
                let [destination, source, length] = self.pop_registers();
                Instruction::MemoryCopy { destination, source, length }
            }
            Operator::MemoryInit { data_index, .. } => {
                let [destination, source, length] = self.pop_registers();
                let segment = DataIndex::new(data_index as usize);
                Instruction::MemoryInit { segment, destination, source, length }
            }
            Operator::DataDrop { data_index } => {
                Instruction::DataDrop { segment: DataIndex::new(data_index as usize) }
            }
            _ => return false,
        };
        self.code.emit(instruction);
        true
    }

    fn table(&mut self, operator: &Operator<'_>) -> bool {
        let table = |index: u32| TableIndex::new(index as usize);
        let instruction = match *operator {
            Operator::RefFunc { function_index } => Instruction::RefFunc {
                dst: self.operands.push_temporary(Type::Funcref),
                function: FunctionIndex::new(function_index as usize),
            },
            Operator::TableGet { table: of } => {
                let index = self.pop_register();
                let dst = self.operands.push_temporary(self.module.table(of));
                Instruction::TableGet { table: table(of), dst, index }
            }
            Operator::TableSet { table: of } => {
                let [index, value] = self.pop_registers();
                Instruction::TableSet { table: table(of), index, value }
            }
            Operator::TableSize { table: of } => {
                Instruction::TableSize { table: table(of), dst: self.operands.push_temporary(Type::I32) }
            }
            Operator::TableGrow { table: of } => {
                let [value, delta] = self.pop_registers();
                let dst = self.operands.push_temporary(Type::I32);
                Instruction::TableGrow { table: table(of), dst, value, delta }
            }
            Operator::TableFill { table: of } => {
                let [index, value, length] = self.pop_registers();
                Instruction::TableFill { table: table(of), index, value, length }
            }
            Operator::TableCopy { dst_table, src_table } => {
                let [destination, source, length] = self.pop_registers();
                let (destination_table, source_table) = (table(dst_table), table(src_table));
                Instruction::TableCopy { destination_table, source_table, destination, source, length }
            }
            Operator::TableInit { elem_index, table: of } => {
                let [destination, source, length] = self.pop_registers();
                let segment = ElementIndex::new(elem_index as usize);
                Instruction::TableInit { table: table(of), segment, destination, source, length }
            }
            Operator::ElemDrop { elem_index } => {
                Instruction::ElementDrop { segment: ElementIndex::new(elem_index as usize) }
            }
            _ => return false,
        };
        self.code.emit(instruction);
        true
    }

    /// The register that holds the value of `operand`, an entry of `height`.
    pub(super) fn read(&mut self, operand: Operand, height: usize) -> Register {
        match operand {
            Operand::Local(register) | Operand::Temporary(register) => register,
            Operand::Constant(value) => {
                let dst = self.operands.slot(height, value.ty());
                self.code.emit(Instruction::Const { dst, value });
                dst
            }
        }
    }

    /// Takes the top entry, in a register.
    pub(super) fn pop_register(&mut self) -> Register {
        let operand = self.operands.pop();
        let height = self.operands.height();
        self.read(operand, height)
    }

    /// Takes the top `N` entries, deepest first.
    pub(super) fn pop_registers<const N: usize>(&mut self) -> [Register; N] {
        let base = self.operands.height() - N;
        let registers = std::array::from_fn(|i| self.read(self.operands.get(base + i), base + i));
        self.operands.truncate(base);
        registers
    }
}
