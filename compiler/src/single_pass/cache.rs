//! Which machine register holds the value of which register of the body.
//!
//! The home of a body's register is its slot. Within a block its value may be in a machine register as well, or, as long
//! as that is *dirty*, instead. Nothing is in two machine registers.

use osr_ir::Register;

use super::machine::MachineRegister;

/// The machine registers that hold values.
const GENERAL: u32 = 0b0111_1100_0111 & !(1 << 3 | 1 << 4 | 1 << 5);
const VECTOR: u32 = 0x7fff << 16;
const _: () = assert!(GENERAL == 1 | 1 << 1 | 1 << 2 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10);

const MACHINE_REGISTERS: usize = 32;
const NOWHERE: u8 = u8::MAX;

/// See the module's description.
#[derive(Debug)]
pub(super) struct Cache {
    /// Per register of the body, the number of the machine register that holds it.
    homes: Vec<u8>,
    /// Per machine register, what it holds, if it is occupied.
    holds: [Register; MACHINE_REGISTERS],
    /// Those that hold something, as a set.
    occupied: u32,
    /// Those whose value is not in its slot.
    dirty: u32,
    /// Those that may have anything in the high half, although the value has 32 bits.
    unextended: u32,
    /// Those that the current instruction uses.
    locked: u32,
    /// When each was used last.
    used: [u32; MACHINE_REGISTERS],
    clock: u32,
}

impl Default for Cache {
    fn default() -> Cache {
        Cache {
            homes: Vec::new(),
            holds: [Register::new(0); MACHINE_REGISTERS],
            occupied: 0,
            dirty: 0,
            unextended: 0,
            locked: 0,
            used: [0; MACHINE_REGISTERS],
            clock: 0,
        }
    }
}

impl Cache {
    /// Forgets everything; there are `registers` registers in the body.
    pub(super) fn reset(&mut self, registers: usize) {
        self.homes.clear();
        self.homes.resize(registers, NOWHERE);
        *self = Cache { homes: std::mem::take(&mut self.homes), ..Cache::default() };
    }

    /// The machine register that holds `register`.
    pub(super) fn home(&self, register: Register) -> Option<MachineRegister> {
        let home = self.homes[register.index()];
        (home != NOWHERE).then(|| MachineRegister::of(usize::from(home)))
    }

    /// What `machine` holds.
    pub(super) fn held(&self, machine: MachineRegister) -> Option<Register> {
        (self.occupied >> machine.number() & 1 == 1).then(|| self.holds[machine.number()])
    }

    /// The machine registers that hold something.
    pub(super) fn occupied(&self) -> impl Iterator<Item = MachineRegister> + use<> {
        each(self.occupied).map(MachineRegister::of)
    }

    /// Those of them whose value is not in its slot.
    pub(super) fn dirty(&self) -> impl Iterator<Item = MachineRegister> + use<> {
        each(self.dirty).map(MachineRegister::of)
    }

    /// Whether the value in `machine` is not in its slot.
    pub(super) fn is_dirty(&self, machine: MachineRegister) -> bool {
        self.dirty >> machine.number() & 1 == 1
    }

    /// The value in `machine` was stored.
    pub(super) fn clean(&mut self, machine: MachineRegister) {
        self.dirty &= !(1 << machine.number());
    }

    /// Makes `machine`, which holds nothing, hold `register`, which is nowhere else. If `dirty`, its slot does not.
    pub(super) fn bind(&mut self, register: Register, machine: MachineRegister, dirty: bool) {
        let number = machine.number();
        debug_assert!(self.occupied >> number & 1 == 0 && self.homes[register.index()] == NOWHERE);
        self.homes[register.index()] = number as u8;
        self.holds[number] = register;
        self.occupied |= 1 << number;
        self.dirty |= u32::from(dirty) << number;
        self.touch(machine);
    }

    /// Makes `register` be in no machine register, whatever its slot holds. The one that it was in is unlocked as it was.
    pub(super) fn forget(&mut self, register: Register) {
        let home = std::mem::replace(&mut self.homes[register.index()], NOWHERE);
        if home != NOWHERE {
            self.occupied &= !(1 << home);
            self.dirty &= !(1 << home);
        }
    }

    /// Forgets everything that is in machine registers.
    pub(super) fn forget_all(&mut self) {
        for number in each(self.occupied) {
            self.homes[self.holds[number].index()] = NOWHERE;
        }
        (self.occupied, self.dirty, self.unextended, self.locked) = (0, 0, 0, 0);
    }

    /// Whether the high half of `machine` may be anything.
    pub(super) fn is_unextended(&self, machine: MachineRegister) -> bool {
        self.unextended >> machine.number() & 1 == 1
    }

    pub(super) fn set_unextended(&mut self, machine: MachineRegister, unextended: bool) {
        let bit = 1 << machine.number();
        self.unextended = if unextended { self.unextended | bit } else { self.unextended & !bit };
    }

    /// The current instruction uses `machine`: it is not given away.
    pub(super) fn lock(&mut self, machine: MachineRegister) {
        self.locked |= 1 << machine.number();
        self.touch(machine);
    }

    /// The next instruction begins.
    pub(super) fn unlock_all(&mut self) {
        self.locked = 0;
    }

    fn touch(&mut self, machine: MachineRegister) {
        self.clock += 1;
        self.used[machine.number()] = self.clock;
    }

    /// A machine register of the kind that floats are in, or the other: a free one, or else the one to be given away.
    pub(super) fn choose(&self, is_float: bool) -> MachineRegister {
        let usable = if is_float { VECTOR } else { GENERAL } & !self.locked;
        let free = usable & !self.occupied;
        if free != 0 {
            return MachineRegister::of(free.trailing_zeros() as usize);
        }
        let clean = usable & !self.dirty;
        let candidates = if clean != 0 { clean } else { usable };
        let oldest = each(candidates).min_by_key(|&number| self.used[number]);
        MachineRegister::of(oldest.expect("an instruction does not use all registers"))
    }

    /// Whether `machine` is used by the current instruction.
    pub(super) fn is_locked(&self, machine: MachineRegister) -> bool {
        self.locked >> machine.number() & 1 == 1
    }
}

/// The members of a set, ascending.
fn each(set: u32) -> impl Iterator<Item = usize> {
    let next = |&rest: &u32| Some(rest & (rest - 1)).filter(|&rest| rest != 0);
    std::iter::successors((set != 0).then_some(set), next).map(|rest| rest.trailing_zeros() as usize)
}
