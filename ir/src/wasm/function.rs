//! Functions: one pass over the operators of a body, which makes register code of them.
//!
//! Here are variables and calls; memory and tables are in [`memory`](super::memory), constructs in
//! [`construct`](super::construct), branches in [`branch`](super::branch).

use wasmparser::{FunctionBody, MemArg, Operator};

use super::branch::load;
use super::cleanup;
use super::code::Code;
use super::control::{Control, Frame, FrameKind, FrameType};
use super::error::{Feature, ImportError};
use super::exceptions::Dispatch;
use super::locals::{self, Assignments};
use super::operands::{Operand, Operands};
use super::sections::null;
use super::source::{SCRATCH_REGISTERS, SourceModule};
use crate::body::{Body, Instruction, Terminator};
use crate::declarations::Declarations;
use crate::index::{FunctionIndex, GlobalIndex, Register, SignatureIndex, TableIndex};
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
    /// The table through which references are called, if any may be.
    pub(super) called: Option<TableIndex>,
    pub(super) code: Code,
    pub(super) operands: Operands,
    pub(super) control: Control,
    pub(super) assignments: Assignments<'m>,
    /// The source of the body.
    source: FunctionBody<'m>,
    /// Where the operator is that is being translated.
    pub(super) offset: u64,
    /// Types of the locals; local *n* is register *n*.
    locals: Vec<Type>,
    parameters: usize,
    /// How what is caught is dispatched, if anything is.
    pub(super) dispatch: Option<Dispatch>,
    /// By type, registers that operators need between their instructions.
    scratch: [[Option<Register>; SCRATCH_REGISTERS]; Type::ALL.len()],
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
            called: source.called,
            code,
            operands: Operands::new(locals.clone()),
            control: Control::new(frame),
            assignments: Assignments::of(body.clone(), locals.len()),
            source: body,
            offset: 0,
            locals,
            parameters,
            dispatch: None,
            scratch: Default::default(),
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
            || self.typed(operator)
            || self.memory(operator)
            || self.atomic(operator)
            || self.table(operator)
            || self.vector(operator)
            || self.relaxed(operator)
            || self.reference(operator)
        {
            return Ok(());
        }
        Err(ImportError::Unsupported { feature: Feature::Unknown, offset: self.offset })
    }

    /// Register number `n` of type `ty` for values that an operator has between its instructions.
    pub(super) fn scratch(&mut self, ty: Type, n: usize) -> Register {
        let operands = &mut self.operands;
        *self.scratch[ty as usize][n].get_or_insert_with(|| operands.add_register(ty))
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

    pub(super) fn load(&mut self, op: LoadOp, memarg: &MemArg) {
        let (memory, offset) = self.accessed(memarg, 0);
        let address = self.pop_register();
        let dst = self.operands.push_temporary(op.result());
        self.code.emit(Instruction::Load { memory, op, dst, address, offset });
    }

    pub(super) fn store(&mut self, op: StoreOp, memarg: &MemArg) {
        let (memory, offset) = self.accessed(memarg, 1);
        let [address, value] = self.pop_registers();
        self.code.emit(Instruction::Store { memory, op, address, value, offset });
    }

    /// Operators that choose a type.
    fn typed(&mut self, operator: &Operator<'_>) -> bool {
        match *operator {
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
        self.narrow(self.module.is_table_64(table).then_some(0));
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
        self.narrow(self.module.is_table_64(table).then_some(0));
        let index = self.pop_register();
        let signature = self.types[ty as usize];
        let table = TableIndex::new(table as usize);
        let (arguments, _) = self.call_registers(signature);
        self.leave_by_call(Terminator::TailCallIndirect { table, signature, index, arguments });
    }

    pub(super) fn leave_by_call(&mut self, terminator: Terminator) {
        self.code.emit(Instruction::Interpret);
        self.leave(terminator);
    }

    pub(super) fn call_registers(&mut self, signature: SignatureIndex) -> (Vec<Register>, Vec<Register>) {
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
                    0..usize::MAX,
                    |pending| pending == local,
                    |dst, src| code.emit_before_last(Instruction::Copy { dst, src }),
                );
                code.retarget(temporary, local);
            }
            _ => {
                self.operands.settle(
                    0..usize::MAX,
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
