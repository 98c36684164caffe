//! Calls: of guest code, and of the runtime.
//!
//! Before a call everything that is live after it is put into its slot: that is the frame state. After it nothing is known
//! to be in machine registers but the results.

use std::mem::offset_of;

use cranelift_assembler_x64::{GprMem, Scale};
use osr_ir::{FunctionIndex, Instruction, Point, Register, SignatureIndex, TableIndex, TrapKind};
use osr_stubs::Context;

use super::Pass;
use super::assembler::emit;
use super::integer::{Arithmetic, Right};
use super::machine::{
    self, ARGUMENTS, CONTEXT, Condition, FLOAT_SCRATCH, MachineRegister, PROFILE, R8, R9, RAX, RDI, RESULTS,
    RSP, SCRATCH, Width, Xmm,
};
use super::memory::context_field;
use crate::calling_convention::Place;
use crate::profile::{IndirectCallWord, IndirectCalls};
use crate::reference::signature_half;
use crate::runtime_operation::RuntimeCall;
use crate::settings::CallBinding;

/// What is called.
#[derive(Clone, Copy, Debug)]
enum Callee {
    /// A function of the module, by its place.
    Direct(FunctionIndex),
    /// Whatever the call cell of the function with that number holds.
    Cell(u32),
    /// The same, with the number in `rax`.
    CellInRax,
    /// A stub whose address the context has.
    Stub(usize),
}

impl Pass<'_> {
    /// An instruction that calls.
    pub(super) fn call(&mut self, instruction: &Instruction, point: Point) {
        use Instruction as I;
        match instruction {
            I::Call { function, arguments, results } => {
                let callee = self.callee(*function);
                let signature = self.unit.linked.module().function(*function).signature;
                self.save_state(point, results);
                self.guest_call((callee, signature), arguments, results, point);
            }
            I::CallIndirect { table, signature, index, arguments, results } => {
                self.save_state(point, results);
                self.checked_callee(*table, *signature, *index);
                self.count_indirect_call(point);
                self.guest_call((Callee::CellInRax, *signature), arguments, results, point);
            }
            _ => {
                let call = RuntimeCall::of(instruction).expect("nothing else calls");
                self.runtime_call(call, point);
            }
        }
    }

    /// How `function` is called. Functions of the host and of other instances have no place in code memory.
    fn callee(&self, function: FunctionIndex) -> Callee {
        let is_defined = self.unit.linked.module().function(function).is_defined();
        match self.unit.settings.binding == CallBinding::Cell || !is_defined {
            true => Callee::Cell(self.unit.linked.number(function)),
            false => Callee::Direct(function),
        }
    }

    /// Puts what is live at `point`, after a call with `results`, into its slots.
    fn save_state(&mut self, point: Point, results: &[Register]) {
        let live = self.analysis.liveness.at(point);
        self.flush(|register| live.binary_search(&register).is_ok() && !results.contains(&register));
        // Others are not used again, but by the call itself.
        self.buffers.constants.retain_unstored(|_| false);
    }

    /// A call of guest code. The state is saved.
    fn guest_call(
        &mut self,
        (callee, signature): (Callee, SignatureIndex),
        arguments: &[Register],
        results: &[Register],
        point: Point,
    ) {
        let layout = self.unit.linked.layout(signature);
        for (&argument, &place) in arguments.iter().zip(&layout.parameters) {
            if let Place::Memory(n) = place {
                self.pass_on_stack(argument, n as i32 * 8);
            }
        }
        for (&argument, &place) in arguments.iter().zip(&layout.parameters) {
            match place {
                Place::Integer(n) => {
                    self.want(argument, MachineRegister::General(ARGUMENTS[usize::from(n)]));
                }
                Place::Float(n) => self.want(argument, MachineRegister::Vector(Xmm(n))),
                Place::Memory(_) => {}
            }
        }
        self.move_wanted();
        self.transfer(callee, point, results, &layout.results);
    }

    fn pass_on_stack(&mut self, argument: Register, offset: i32) {
        let (width, place) = (self.width(argument), machine::at(RSP, offset));
        match self.buffers.cache.home(argument) {
            Some(MachineRegister::General(source)) => {
                self.extend(source);
                self.assembler.store_gpr(Width::Bits64, place, source);
            }
            Some(MachineRegister::Vector(source)) => self.assembler.store_xmm(width, place, source),
            None if self.ty(argument).is_float() => {
                self.fetch(argument, MachineRegister::Vector(FLOAT_SCRATCH));
                self.assembler.store_xmm(width, place, FLOAT_SCRATCH);
            }
            None => {
                self.fetch(argument, MachineRegister::General(SCRATCH));
                self.assembler.store_gpr(Width::Bits64, place, SCRATCH);
            }
        }
    }

    /// Calls `callee`, whose arguments are where it expects them, and takes its results.
    fn transfer(&mut self, callee: Callee, point: Point, results: &[Register], places: &[Place]) {
        self.assembler.move_gpr(Width::Bits64, RDI, CONTEXT);
        match callee {
            Callee::Direct(function) => self.assembler.call(function),
            Callee::Cell(number) => {
                self.load_context(SCRATCH, offset_of!(Context, cells));
                let offset = i32::try_from(u64::from(number) * 8).expect("cells are addressable");
                emit!(self.assembler, callq_m(machine::at(SCRATCH, offset)));
            }
            Callee::CellInRax => {
                self.load_context(SCRATCH, offset_of!(Context, cells));
                emit!(self.assembler, callq_m(machine::at_index(SCRATCH, RAX, Scale::Eight, 0)));
            }
            Callee::Stub(field) => emit!(self.assembler, callq_m(context_field(field))),
        }
        self.site(point, results, places);
        self.buffers.cache.forget_all();
        self.take_results(point, results, places);
    }

    /// The results that are used are where the call has left them.
    fn take_results(&mut self, point: Point, results: &[Register], places: &[Place]) {
        let live = self.analysis.liveness.at(point);
        let taken = || {
            let used = results.iter().zip(places);
            used.filter(|(register, _)| live.binary_search(register).is_ok())
                .map(|(&register, &place)| (register, place))
        };
        for (register, place) in taken() {
            let machine = match place {
                Place::Integer(n) => MachineRegister::General(RESULTS[usize::from(n)]),
                Place::Float(n) => MachineRegister::Vector(Xmm(n)),
                Place::Memory(_) => continue,
            };
            self.define(register, machine);
        }
        if !taken().any(|(_, place)| matches!(place, Place::Memory(_))) {
            return;
        }
        self.load_context(SCRATCH, offset_of!(Context, results));
        for (register, place) in taken() {
            let Place::Memory(n) = place else { continue };
            let (width, word) = (self.width(register), machine::at(SCRATCH, n as i32 * 8));
            if self.ty(register).is_float() {
                let target = self.new_xmm();
                self.assembler.load_xmm(width, target, word);
                self.define_xmm(register, target);
            } else {
                let target = self.new_gpr();
                self.assembler.load_gpr(width, target, word);
                self.define_gpr(register, target);
            }
            self.buffers.cache.unlock_all();
        }
    }

    /// The number of the function that `table[index]` refers to, in `rax`; traps if there is none of that signature.
    fn checked_callee(&mut self, table: TableIndex, signature: SignatureIndex, index: Register) {
        let entry = self.table_entry(table, index, TrapKind::UndefinedElement);
        // What is in `rax` may be the index itself: it stays there until it is overwritten.
        self.buffers.cache.unlock_all();
        self.claim(RAX);
        self.assembler.load_gpr(Width::Bits64, RAX, entry);
        let expected = signature_half(self.unit.linked.signature_number(signature));
        self.assembler.move_gpr(Width::Bits64, SCRATCH, RAX);
        emit!(self.assembler, shrq_mi(SCRATCH, 32));
        self.arithmetic(
            Arithmetic::Compare,
            Width::Bits32,
            GprMem::Gpr(SCRATCH),
            Right::Number(expected as i32),
        );
        self.mismatch_if(Condition::NotEqual);
        self.assembler.move_gpr(Width::Bits32, RAX, RAX);
    }

    /// Counts that the indirect call before `point` calls the function whose number is in `rax`.
    fn count_indirect_call(&mut self, point: Point) {
        let Some(profile) = self.unit.profile else { return };
        let Some(first) = profile.indirect_call(point) else { return };
        let word = |word: IndirectCallWord| machine::at(PROFILE, (first + word as u32) as i32 * 4);
        emit!(self.assembler, addl_mi_sxb(word(IndirectCallWord::Calls), 1));
        emit!(self.assembler, leal_rm(SCRATCH, machine::at(RAX, 1)));
        let differs = self.assembler.label();
        emit!(self.assembler, cmpl_rm(SCRATCH, word(IndirectCallWord::Last)));
        self.assembler.jump_near_if(Condition::NotEqual, differs);
        emit!(self.assembler, addl_mi_sxb(word(IndirectCallWord::Repeated), 1));
        self.assembler.bind(differs);
        emit!(self.assembler, movl_mr(word(IndirectCallWord::Last), SCRATCH));
        if profile.counts().targets {
            self.count_target(first + IndirectCallWord::Targets as u32);
        }
    }

    /// Counts the target that is in the scratch register in the pairs that begin with word `first` of the profile: in the
    /// first one that has it or is empty, else in the last.
    fn count_target(&mut self, first: u32) {
        let word = |word: u32| machine::at(PROFILE, word as i32 * 4);
        let done = self.assembler.label();
        for pair in (0..IndirectCalls::MOST_TARGETS as u32).map(|pair| first + 2 * pair) {
            let (found, next) = (self.assembler.label(), self.assembler.label());
            emit!(self.assembler, cmpl_rm(SCRATCH, word(pair)));
            self.assembler.jump_near_if(Condition::Equal, found);
            self.arithmetic(Arithmetic::Compare, Width::Bits32, GprMem::Mem(word(pair)), Right::Number(0));
            self.assembler.jump_near_if(Condition::NotEqual, next);
            emit!(self.assembler, movl_mr(word(pair), SCRATCH));
            self.assembler.bind(found);
            emit!(self.assembler, addl_mi_sxb(word(pair + 1), 1));
            self.assembler.jump(done);
            self.assembler.bind(next);
        }
        emit!(self.assembler, addl_mi_sxb(word(first + 2 * IndirectCalls::MOST_TARGETS as u32 + 1), 1));
        self.assembler.bind(done);
    }

    /// A call of the runtime.
    fn runtime_call(&mut self, call: RuntimeCall, point: Point) {
        let RuntimeCall { operation, operands, immediate, result } = call;
        let results = result.as_slice();
        self.save_state(point, results);
        for (operand, &machine) in operands.into_iter().flatten().zip(&ARGUMENTS) {
            debug_assert!(!self.ty(operand).is_float());
            self.want(operand, MachineRegister::General(machine));
        }
        self.move_wanted();
        for &unused in &ARGUMENTS[operands.iter().flatten().count()..3] {
            emit!(self.assembler, xorl_rm(unused, unused));
        }
        self.assembler.set(R8, immediate);
        self.assembler.set(R9, operation as u64);
        self.transfer(Callee::Stub(offset_of!(Context, runtime_stub)), point, results, &[Place::Integer(0)]);
    }
}
