//! Values: from slots and constants into machine registers, and back.

use cranelift_assembler_x64::{GprMem, XmmMem};
use osr_ir::{Register, Type};

use super::Pass;
use super::assembler::emit;
use super::machine::{Address, FLOAT_SCRATCH, Gpr, MachineRegister, SCRATCH, Width, Xmm};

/// An operand that an instruction reads where it is.
pub(super) type Operand = GprMem<Gpr, Gpr>;
/// The same of floats.
pub(super) type FloatOperand = XmmMem<Xmm, Gpr>;

impl Pass<'_> {
    pub(super) fn ty(&self, register: Register) -> Type {
        self.body.ty(register)
    }

    pub(super) fn width(&self, register: Register) -> Width {
        Width::of(self.ty(register))
    }

    /// The slot of `register`.
    pub(super) fn slot(&self, register: Register) -> Address {
        self.frame.slot(register)
    }

    /// The constant that `register` is known to hold.
    pub(super) fn constant(&self, register: Register) -> Option<u64> {
        self.buffers.constants.get(register)
    }

    /// The value of `register`, in a machine register that stays as it is in this instruction.
    pub(super) fn gpr(&mut self, register: Register) -> Gpr {
        match self.machine(register) {
            MachineRegister::General(found) => found,
            MachineRegister::Vector(_) => unreachable!("{register} is no float"),
        }
    }

    /// The same, with the high half zero if the value has 32 bits.
    pub(super) fn extended_gpr(&mut self, register: Register) -> Gpr {
        let found = self.gpr(register);
        self.extend(found);
        found
    }

    /// Makes the high half of `machine`, which holds 32 bits, zero.
    pub(super) fn extend(&mut self, machine: Gpr) {
        let place = MachineRegister::General(machine);
        if self.buffers.cache.is_unextended(place) {
            self.assembler.move_gpr(Width::Bits32, machine, machine);
            self.buffers.cache.set_unextended(place, false);
        }
    }

    /// The value of `register`, a float, in a machine register that stays as it is in this instruction.
    pub(super) fn xmm(&mut self, register: Register) -> Xmm {
        match self.machine(register) {
            MachineRegister::Vector(found) => found,
            MachineRegister::General(_) => unreachable!("{register} is a float"),
        }
    }

    fn machine(&mut self, register: Register) -> MachineRegister {
        let home = self.buffers.cache.home(register).unwrap_or_else(|| {
            let machine = self.take(self.ty(register).is_float());
            self.fetch(register, machine);
            self.buffers.cache.bind(register, machine, false);
            machine
        });
        self.buffers.cache.lock(home);
        home
    }

    /// Loads `register`, which is in no machine register, into `machine`.
    pub(super) fn fetch(&mut self, register: Register, machine: MachineRegister) {
        let (width, slot) = (self.width(register), self.slot(register));
        match (machine, self.constant(register)) {
            (MachineRegister::General(target), Some(bits)) => self.assembler.set(target, bits),
            (MachineRegister::Vector(target), Some(bits)) => self.set_float(width, target, bits),
            (MachineRegister::General(target), None) => self.assembler.load_gpr(width, target, slot),
            (MachineRegister::Vector(target), None) => self.assembler.load_xmm(width, target, slot),
        }
    }

    /// `target = bits`. The flags stay as they are.
    pub(super) fn set_float(&mut self, width: Width, target: Xmm, bits: u64) {
        if bits == 0 {
            emit!(self.assembler, xorps_a(target, target));
        } else {
            self.assembler.set(SCRATCH, bits);
            self.assembler.float_of(width, target, SCRATCH);
        }
    }

    /// The value of `register` where it is. Where it is in its slot only, and not to be used again, an instruction may
    /// read it there.
    pub(super) fn operand(&mut self, register: Register, dies: bool) -> Operand {
        if dies && self.is_in_slot(register) {
            return GprMem::Mem(self.slot(register));
        }
        GprMem::Gpr(self.gpr(register))
    }

    /// The same of floats.
    pub(super) fn float_operand(&mut self, register: Register, dies: bool) -> FloatOperand {
        if dies && self.is_in_slot(register) {
            return XmmMem::Mem(self.slot(register));
        }
        XmmMem::Xmm(self.xmm(register))
    }

    /// Whether the value of `register` is nowhere but in its slot.
    pub(super) fn is_in_slot(&self, register: Register) -> bool {
        self.buffers.cache.home(register).is_none() && self.constant(register).is_none()
    }

    /// A machine register with the value of `register` that this instruction may change: that which holds it, if it is
    /// not used again.
    pub(super) fn changeable_gpr(&mut self, register: Register, dies: bool) -> Gpr {
        match self.changeable(register, dies) {
            MachineRegister::General(found) => found,
            MachineRegister::Vector(_) => unreachable!("{register} is no float"),
        }
    }

    /// The same of floats.
    pub(super) fn changeable_xmm(&mut self, register: Register, dies: bool) -> Xmm {
        match self.changeable(register, dies) {
            MachineRegister::Vector(found) => found,
            MachineRegister::General(_) => unreachable!("{register} is a float"),
        }
    }

    fn changeable(&mut self, register: Register, dies: bool) -> MachineRegister {
        match self.buffers.cache.home(register) {
            Some(home) if dies => {
                self.buffers.cache.forget(register);
                self.buffers.cache.lock(home);
                home
            }
            Some(home) => {
                self.buffers.cache.lock(home);
                let copy = self.take(self.ty(register).is_float());
                self.buffers.cache.lock(copy);
                self.move_machine(self.width(register), copy, home);
                copy
            }
            None => {
                let machine = self.take(self.ty(register).is_float());
                self.buffers.cache.lock(machine);
                self.fetch(register, machine);
                machine
            }
        }
    }

    /// `target = source`, of the same kind.
    pub(super) fn move_machine(&mut self, width: Width, target: MachineRegister, source: MachineRegister) {
        match (target, source) {
            (MachineRegister::General(target), MachineRegister::General(source)) => {
                self.assembler.move_gpr(width, target, source);
            }
            (MachineRegister::Vector(target), MachineRegister::Vector(source)) => {
                self.assembler.move_xmm(target, source);
            }
            _ => unreachable!("values do not change their kind on the way"),
        }
    }

    /// A free machine register for this instruction.
    pub(super) fn new_gpr(&mut self) -> Gpr {
        let MachineRegister::General(found) = self.take(false) else { unreachable!("a general register") };
        self.buffers.cache.lock(MachineRegister::General(found));
        found
    }

    /// The same for floats.
    pub(super) fn new_xmm(&mut self) -> Xmm {
        let MachineRegister::Vector(found) = self.take(true) else { unreachable!("a vector register") };
        self.buffers.cache.lock(MachineRegister::Vector(found));
        found
    }

    /// Makes `machine` free for this instruction: what it holds goes elsewhere.
    pub(super) fn claim(&mut self, machine: Gpr) {
        let place = MachineRegister::General(machine);
        debug_assert!(!self.buffers.cache.is_locked(place), "it is in use");
        self.evict(place);
        self.buffers.cache.set_unextended(place, false);
        self.buffers.cache.lock(place);
    }

    /// A machine register that holds nothing, not locked.
    fn take(&mut self, is_float: bool) -> MachineRegister {
        let machine = self.buffers.cache.choose(is_float);
        self.evict(machine);
        self.buffers.cache.set_unextended(machine, false);
        machine
    }

    /// Makes `machine` hold nothing. The flags stay as they are.
    pub(super) fn evict(&mut self, machine: MachineRegister) {
        if let Some(register) = self.buffers.cache.held(machine) {
            if self.buffers.cache.is_dirty(machine) {
                self.store(register, machine);
            }
            self.buffers.cache.forget(register);
        }
    }

    /// Stores `register`, which is in `machine`, into its slot.
    fn store(&mut self, register: Register, machine: MachineRegister) {
        let (width, slot) = (self.width(register), self.slot(register));
        match machine {
            MachineRegister::General(source) => self.assembler.store_gpr(width, slot, source),
            MachineRegister::Vector(source) => self.assembler.store_xmm(width, slot, source),
        }
    }

    /// Puts those registers into their slots that are not there yet and that `wanted` says. The flags stay as they are.
    pub(super) fn flush(&mut self, wanted: impl Fn(Register) -> bool) {
        for machine in self.buffers.cache.dirty() {
            let Some(register) = self.buffers.cache.held(machine) else { continue };
            if wanted(register) {
                self.store(register, machine);
                self.buffers.cache.clean(machine);
            }
        }
        let mut unstored = std::mem::take(&mut self.buffers.constants.unstored);
        unstored.retain(|&register| {
            let Some(bits) = self.buffers.constants.unstored(register) else { return false };
            let stores = wanted(register);
            if stores {
                self.store_constant(register, bits);
                self.buffers.constants.stored(register);
            }
            !stores
        });
        self.buffers.constants.unstored = unstored;
    }

    fn store_constant(&mut self, register: Register, bits: u64) {
        let slot = self.slot(register);
        match (self.width(register), i32::try_from(bits as i64)) {
            (Width::Bits32, _) => emit!(self.assembler, movl_mi(slot, bits as u32)),
            (Width::Bits64, Ok(low)) => emit!(self.assembler, movq_mi_sxl(slot, low)),
            (Width::Bits64, Err(_)) => {
                self.assembler.set(SCRATCH, bits);
                self.assembler.store_gpr(Width::Bits64, slot, SCRATCH);
            }
        }
    }

    /// `register` is what `machine` holds, from here on.
    pub(super) fn define(&mut self, register: Register, machine: MachineRegister) {
        self.buffers.cache.forget(register);
        if let Some(other) = self.buffers.cache.held(machine) {
            // An operand that is not used again.
            self.buffers.cache.forget(other);
        }
        self.buffers.constants.undefine(register);
        self.buffers.cache.bind(register, machine, true);
    }

    /// `register` is what `machine` holds, with the high half zero if that is of 32 bits.
    pub(super) fn define_gpr(&mut self, register: Register, machine: Gpr) {
        self.define(register, MachineRegister::General(machine));
        self.buffers.cache.set_unextended(MachineRegister::General(machine), false);
    }

    /// `register` is what `machine` holds.
    pub(super) fn define_xmm(&mut self, register: Register, machine: Xmm) {
        self.define(register, MachineRegister::Vector(machine));
    }

    /// `register` holds `bits`.
    pub(super) fn define_constant(&mut self, register: Register, bits: u64) {
        self.buffers.cache.forget(register);
        self.buffers.constants.define(register, bits);
    }

    /// `dst = src`
    pub(super) fn copy(&mut self, dst: Register, src: Register, dies: bool) {
        if let Some(bits) = self.constant(src) {
            return self.define_constant(dst, bits);
        }
        let home = self.buffers.cache.home(src);
        let unextended = home.is_some_and(|home| self.buffers.cache.is_unextended(home));
        let machine = self.changeable(src, dies);
        self.define(dst, machine);
        // A move of 32 bits has made the high half zero.
        self.buffers.cache.set_unextended(machine, unextended && dies);
    }

    /// `xmm15 = bits`, of a float.
    pub(super) fn float_scratch(&mut self, width: Width, bits: u64) -> Xmm {
        self.set_float(width, FLOAT_SCRATCH, bits);
        FLOAT_SCRATCH
    }
}
