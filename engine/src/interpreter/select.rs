//! Selection of operations for a block, from its end to its beginning.
//!
//! Going backwards, `needed` says which registers must be in the window at this place: because a later
//! operation reads them there, or because a point between here and there may be observed and they are
//! live at it. An instruction without effects whose result is not needed is left out. So fusing is
//! simple: an operation that takes a constant in itself just does not need that register, and the
//! instruction that defined it for this one use disappears when its turn comes. One that computes an
//! operand by itself takes the instruction that would have; that one is left out, too.

mod address;
mod arithmetic;
mod branch;
mod reaching;

use osr_compiler::reference::signature_half;
use osr_compiler::{Analysis, is_elsewhere};
use osr_ir::liveness::RegisterSet;
use osr_ir::{
    Block, Body, FunctionIndex, GlobalIndex, Instruction, LoadOp, MemoryIndex, Point, Position, Register,
    StoreOp, Terminator, Type, UnaryOp,
};

use super::op::{Op, Slot};
use crate::instance::Instance;
use reaching::Reaching;

/// The operations of a block, in *reverse*. Places are counted from the end: the number of operations
/// that follow.
#[derive(Debug, Default)]
pub(super) struct Selected {
    /// The operations.
    pub(super) ops: Vec<Op>,
    /// Points at calls, and where they resume: before the last that many operations.
    pub(super) resumes: Vec<(u32, Point)>,
    /// Operations that may trap.
    pub(super) traps: Vec<(u32, Point)>,
    /// Operations that jump.
    pub(super) jumps: Vec<(u32, Block)>,
}

/// Selects operations, block by block.
pub(super) struct Selector<'a> {
    instance: &'a Instance,
    body: &'a Body,
    /// Points and liveness of the body.
    pub(super) analysis: &'a Analysis,
    /// Instructions for [`Op::Runtime`].
    pub(super) instructions: Vec<Instruction>,
    /// From a window to that of a callee.
    callee_window: u32,
    block: Block,
    reaching: Reaching,
    needed: RegisterSet,
    /// Per instruction of the block, whether a later operation does its work. Its register may be needed
    /// all the same, where it reads and writes the same one.
    taken: Vec<bool>,
    /// Whether activations may be carried into another body. Then each point has an operation of its own.
    may_be_carried: bool,
    out: Selected,
}

impl<'a> Selector<'a> {
    /// A selector for the body of `function`, whose callees' windows lie `callee_window` words beyond its own.
    pub(super) fn new(
        instance: &'a Instance,
        function: FunctionIndex,
        analysis: &'a Analysis,
        callee_window: usize,
    ) -> Selector<'a> {
        let body = instance.body(function);
        let registers = body.registers.len();
        Selector {
            instance,
            body,
            analysis,
            instructions: Vec::new(),
            callee_window: callee_window as u32,
            block: Block::new(Body::ENTRY),
            reaching: Reaching::new(registers),
            needed: RegisterSet::new(registers),
            taken: Vec::new(),
            may_be_carried: instance.module().has_alternatives(function),
            out: Selected::default(),
        }
    }

    /// The operations of `block`, except the one that marks a loop header.
    pub(super) fn select(&mut self, block: Block) -> &Selected {
        let body = self.body;
        let basic_block = body.block(block);
        self.block = block;
        self.out = Selected::default();
        self.taken = vec![false; basic_block.instructions.len()];
        self.reaching.enter(basic_block);
        self.needed = RegisterSet::new(body.registers.len());
        basic_block.terminator.each_successor(|next| self.needed.union(self.analysis.liveness.live_in(next)));
        self.terminator(&basic_block.terminator);
        for (index, instruction) in basic_block.instructions.iter().enumerate().rev() {
            self.instruction(index, instruction);
        }
        &self.out
    }

    fn terminator(&mut self, terminator: &Terminator) {
        match terminator {
            Terminator::Jump { target } if self.may_be_carried => self.emit_jump_to(*target),
            Terminator::Jump { target } => self.jump(*target),
            Terminator::Branch { condition, if_true, if_false } => {
                self.branch(*condition, *if_true, *if_false)
            }
            Terminator::Guard { condition, next, exit } => self.branch(*condition, *next, *exit),
            Terminator::Switch { index, targets, default } => self.switch(*index, targets, *default),
            Terminator::Return { values } => self.leave(values),
            Terminator::TailCall { arguments, .. } | Terminator::TailCallIndirect { arguments, .. } => {
                self.tail_call(terminator, arguments);
            }
            Terminator::Deoptimize { .. } => {
                terminator.each_use(|register| self.needed.insert(register));
                self.emit(Op::Deoptimize { block: self.block.as_u32() });
            }
            Terminator::Unreachable => {
                self.note_trap(self.body.block(self.block).instructions.len());
                self.emit(Op::Unreachable {});
            }
        }
    }

    fn leave(&mut self, values: &[Register]) {
        values.iter().for_each(|value| self.needed.insert(*value));
        match *self.slots(values) {
            [] => self.emit(Op::Return0 {}),
            [src] => self.emit(Op::Return1 { src }),
            ref slots => {
                self.emit_list(slots);
                let scratch = self.analysis.words.count() as u32;
                self.emit(Op::Return { count: slots.len() as u16, scratch });
            }
        }
    }

    fn tail_call(&mut self, terminator: &Terminator, arguments: &[Register]) {
        terminator.each_use(|register| self.needed.insert(register));
        let slots = self.slots(arguments);
        self.emit_list(&slots);
        if slots.is_empty() {
            self.emit(Op::Registers([0; 7]));
        }
        let arguments = slots.len() as u16;
        match terminator {
            Terminator::TailCallIndirect { table, signature, index, .. } => {
                let expected = signature_half(self.instance.signature_number(*signature));
                self.emit(Op::Table { table: table.as_u32(), expected });
                self.note_trap(self.body.block(self.block).instructions.len() - 1);
                self.emit(Op::TailCallIndirect { arguments, index: self.slot(*index) });
            }
            Terminator::TailCall { function, .. } => {
                self.emit(Op::TailCall { arguments, function: function.as_u32() });
            }
            _ => unreachable!("no tail call"),
        }
    }

    fn instruction(&mut self, index: usize, instruction: &Instruction) {
        let is_dead = instruction.only_defines() && !self.needed.contains(instruction.definitions()[0]);
        if is_dead || self.taken[index] {
            return;
        }
        if instruction.is_call() {
            let point = self.point(index);
            self.out.resumes.push((self.out.ops.len() as u32, point));
            self.analysis.liveness.at(point).iter().for_each(|live| self.needed.insert(*live));
        }
        instruction.definitions().iter().for_each(|defined| self.needed.remove(*defined));
        self.effect(index, instruction);
        if let Some(point) = self.analysis.points.before_call(Position { block: self.block, index }) {
            self.out.resumes.push((self.out.ops.len() as u32, point));
        }
    }

    /// Emits the operation of `instruction`; its definitions are no longer needed.
    fn effect(&mut self, index: usize, instruction: &Instruction) {
        use Instruction as I;
        if instruction.definitions().first().is_some_and(|&dst| self.body.ty(dst) == Type::V128)
            && self.moves_vector(instruction)
        {
            return;
        }
        if instruction.accessed_memory().is_some_and(|memory| memory != MemoryIndex::FIRST) {
            return self.runtime(index, instruction);
        }
        match *instruction {
            I::Load { op: LoadOp::V128Load | LoadOp::V128Load32Zero | LoadOp::V128Load64Zero, .. }
            | I::Store { op: StoreOp::V128Store, .. } => self.runtime(index, instruction),
            I::GlobalGet { global, .. } | I::GlobalSet { global, .. }
                if self.instance.module().globals[global.index()].ty == Type::V128 =>
            {
                self.runtime(index, instruction);
            }
            I::Const { dst, value } => self.emit(Op::Const { dst: self.slot(dst), value: value.to_bits() }),
            I::Copy { dst, src } => self.copy(index, dst, src),
            I::Unary { op, dst, src } => self.unary(index, op, dst, src),
            I::Binary { op, dst, lhs, rhs } => self.binary(index, op, dst, [lhs, rhs]),
            I::Select { dst, condition, if_true, if_false } => {
                let [condition, if_true, if_false] = [condition, if_true, if_false].map(|r| self.read(r));
                self.emit(Op::Select { dst: self.slot(dst), condition, if_true, if_false });
            }
            I::Load { op, dst, address, offset, .. } => self.load(index, op, dst, address, offset),
            I::Store { op, address, value, offset, .. } => self.store(index, op, (address, offset), value),
            I::GlobalGet { global, .. } | I::GlobalSet { global, .. }
                if is_elsewhere(self.instance.module(), global) =>
            {
                self.runtime(index, instruction);
            }
            I::GlobalSet { global, .. } if self.instance.kept_globals().may_be_kept(global) => {
                self.runtime(index, instruction);
            }
            I::GlobalGet { dst, global } => {
                self.emit(Op::GlobalGet { dst: self.slot(dst), global: self.global_word(global) })
            }
            I::GlobalSet { global, src } => {
                let src = self.read(src);
                self.emit(Op::GlobalSet { src, global: self.global_word(global) });
            }
            I::MemorySize { dst, .. } => self.emit(Op::MemorySize { dst: self.slot(dst) }),
            I::RefFunc { dst, function } => {
                let value = self.instance.reference(function);
                self.emit(Op::Const { dst: self.slot(dst), value });
            }
            I::Call { .. } | I::CallIndirect { .. } => self.call(index, instruction),
            I::TrapIf { condition, kind } => {
                self.note_trap(index);
                let condition = self.read(condition);
                self.emit(Op::TrapIf { condition, kind });
            }
            I::Interpret => {}
            _ => self.runtime(index, instruction),
        }
    }

    /// Emits what moves a vector, word by word, if that is all that `instruction` does. The words are emitted in any
    /// order: those that are read are of one vector, or of others.
    fn moves_vector(&mut self, instruction: &Instruction) -> bool {
        use Instruction as I;
        match *instruction {
            I::Const { dst, value } => {
                for (dst, value) in self.slots(&[dst]).into_iter().zip(value.to_words()) {
                    self.emit(Op::Const { dst, value });
                }
            }
            I::Copy { dst, src } => {
                let (dst, src) = (self.slot(dst), self.read(src));
                self.emit(Op::Copy2 { dst, src, dst2: dst + 1, src2: src + 1 });
            }
            I::Select { dst, condition, if_true, if_false } => {
                let dst = self.slot(dst);
                let [condition, if_true, if_false] = [condition, if_true, if_false].map(|r| self.read(r));
                for n in 0..2 {
                    let (if_true, if_false) = (if_true + n, if_false + n);
                    self.emit(Op::Select { dst: dst + n, condition, if_true, if_false });
                }
            }
            _ => return false,
        }
        true
    }

    /// An instruction that is executed as it is.
    fn runtime(&mut self, index: usize, instruction: &Instruction) {
        instruction.each_use(|register| self.needed.insert(register));
        if self.analysis.points.at(self.block, index).is_some() {
            self.note_trap(index);
        }
        self.instructions.push(instruction.clone());
        self.emit(Op::Runtime { instruction: self.instructions.len() as u32 - 1 });
    }

    fn copy(&mut self, index: usize, dst: Register, src: Register) {
        if let Some(value) = self.constant(index, 0) {
            return self.emit(Op::Const { dst: self.slot(dst), value: value.to_bits() });
        }
        let (dst, src) = (self.slot(dst), self.read(src));
        self.emit_copy(dst, src);
    }

    fn emit_copy(&mut self, dst: Slot, src: Slot) {
        match self.next_op() {
            Some(next @ &mut Op::Copy { dst: dst2, src: src2 }) => *next = Op::Copy2 { dst, src, dst2, src2 },
            _ => self.emit(Op::Copy { dst, src }),
        }
    }

    /// The operation that follows, if execution cannot resume just before it.
    fn next_op(&mut self) -> Option<&mut Op> {
        let is_resumed = self.out.resumes.last().is_some_and(|&(at, _)| at as usize == self.out.ops.len());
        if is_resumed { None } else { self.out.ops.last_mut() }
    }

    fn unary(&mut self, index: usize, op: UnaryOp, dst: Register, src: Register) {
        let (dst, src) = (self.slot(dst), self.read(src));
        if op.may_trap() {
            self.note_trap(index);
        }
        match Op::unary(op, dst, src) {
            Op::Copy { dst, src } => self.emit_copy(dst, src),
            op => self.emit(op),
        }
    }

    fn call(&mut self, index: usize, instruction: &Instruction) {
        let window = self.callee_window;
        let (arguments, results) = match instruction {
            Instruction::Call { arguments, results, .. } => (arguments, results),
            Instruction::CallIndirect { arguments, results, .. } => (arguments, results),
            _ => unreachable!("not a call"),
        };
        let (arguments, results) = (self.slots(arguments), self.slots(results));
        if results.len() > 1 {
            self.emit_list(&results);
            self.emit(Op::Results { count: results.len() as u16, window });
        }
        let dst = if let [result] = *results { result } else { 0 };
        self.emit_list(&arguments);
        if arguments.is_empty() {
            self.emit(Op::Registers([0; 7]));
        }
        instruction.each_use(|register| self.needed.insert(register));
        let count = arguments.len() as u16;
        match instruction {
            Instruction::Call { function, .. } => {
                self.emit(Op::Call { dst, arguments: count, function: function.as_u32(), window });
            }
            Instruction::CallIndirect { table, signature, index: entry, .. } => {
                let expected = signature_half(self.instance.signature_number(*signature));
                self.emit(Op::Table { table: table.as_u32(), expected });
                self.note_trap(index);
                self.emit(Op::CallIndirect { dst, arguments: count, index: self.slot(*entry), window });
            }
            _ => unreachable!("not a call"),
        }
    }

    /// A register's first word in the window. Decoding has checked that there are not too many.
    fn slot(&self, register: Register) -> Slot {
        self.analysis.word(register) as Slot
    }

    /// All words of `registers`.
    fn slots(&self, registers: &[Register]) -> Vec<Slot> {
        let words = |&register: &Register| {
            let first = self.slot(register);
            first..first + self.body.ty(register).words() as Slot
        };
        registers.iter().flat_map(words).collect()
    }

    /// Makes the window hold `register` here.
    fn read(&mut self, register: Register) -> Slot {
        self.needed.insert(register);
        self.slot(register)
    }

    fn global_word(&self, global: GlobalIndex) -> u32 {
        self.instance.linked().global_word(global) as u32
    }

    fn emit(&mut self, op: Op) {
        self.out.ops.push(op);
    }

    fn emit_list(&mut self, slots: &[Slot]) {
        for chunk in slots.chunks(7).rev() {
            let mut list = [0; 7];
            list[..chunk.len()].copy_from_slice(chunk);
            self.emit(Op::Registers(list));
        }
    }

    /// The next operation to be emitted may trap, for the instruction at `index`.
    fn note_trap(&mut self, index: usize) {
        self.out.traps.push((self.out.ops.len() as u32, self.point(index)));
    }

    fn point(&self, index: usize) -> Point {
        self.analysis.points.at(self.block, index).expect("a call or trapping instruction has a point")
    }
}
