//! The machine: its registers, addresses, conditions, and what code of this compiler uses them for.
//!
//! ```text
//!   rbx                     the first byte of linear memory        preserved by callees,
//!   r14                     the context                            saved by the prologue:
//!   r15                     the function's profile                 those that the function needs
//!   r11, xmm15              scratch: hold nothing from instruction to instruction
//!   rax rcx rdx rsi rdi     values of the body's registers
//!   r8 r9 r10, xmm0..14
//! ```

use cranelift_assembler_x64::{Amode, AmodeOffset, AmodeOffsetPlusKnownOffset, AsReg, NonRspGpr, Registers};
use cranelift_assembler_x64::{Scale, TrapCode};
use osr_ir::Type;

/// A general register, by its number in encodings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gpr(pub(crate) u8);

/// A vector register, by its number in encodings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Xmm(pub(super) u8);

impl AsReg for Gpr {
    fn new(number: u8) -> Self {
        Gpr(number)
    }

    fn enc(&self) -> u8 {
        self.0
    }
}

impl AsReg for Xmm {
    fn new(number: u8) -> Self {
        Xmm(number)
    }

    fn enc(&self) -> u8 {
        self.0
    }
}

/// The registers as the assembler knows them.
#[derive(Debug)]
pub(crate) struct Machine;

impl Registers for Machine {
    type ReadGpr = Gpr;
    type ReadWriteGpr = Gpr;
    type WriteGpr = Gpr;
    type ReadXmm = Xmm;
    type ReadWriteXmm = Xmm;
    type WriteXmm = Xmm;
}

pub(super) const RAX: Gpr = Gpr(0);
pub(super) const RCX: Gpr = Gpr(1);
pub(super) const RDX: Gpr = Gpr(2);
pub(super) const RBX: Gpr = Gpr(3);
pub(crate) const RSP: Gpr = Gpr(4);
pub(super) const RBP: Gpr = Gpr(5);
pub(super) const RSI: Gpr = Gpr(6);
pub(super) const RDI: Gpr = Gpr(7);
pub(super) const R8: Gpr = Gpr(8);
pub(super) const R9: Gpr = Gpr(9);
pub(super) const R11: Gpr = Gpr(11);
pub(super) const R14: Gpr = Gpr(14);
pub(super) const R15: Gpr = Gpr(15);

/// Linear memory.
pub(super) const MEMORY: Gpr = RBX;
/// The context.
pub(super) const CONTEXT: Gpr = R14;
/// The profile.
pub(super) const PROFILE: Gpr = R15;
/// For values that do not outlive an instruction.
pub(super) const SCRATCH: Gpr = R11;
/// For floats that do not outlive an instruction.
pub(super) const FLOAT_SCRATCH: Xmm = Xmm(15);

/// System V's integer arguments after the context.
pub(super) const ARGUMENTS: [Gpr; 5] = [RSI, RDX, RCX, R8, R9];
/// System V's integer results.
pub(super) const RESULTS: [Gpr; 2] = [RAX, RDX];

/// A machine register of either kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MachineRegister {
    General(Gpr),
    Vector(Xmm),
}

impl MachineRegister {
    /// Its number: general registers first.
    pub(super) fn number(self) -> usize {
        match self {
            MachineRegister::General(register) => usize::from(register.0),
            MachineRegister::Vector(register) => 16 + usize::from(register.0),
        }
    }

    pub(super) fn of(number: usize) -> MachineRegister {
        match u8::try_from(number).expect("a machine register") {
            general @ 0..16 => MachineRegister::General(Gpr(general)),
            vector => MachineRegister::Vector(Xmm(vector - 16)),
        }
    }
}

/// How much of a register an operation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Bits32,
    Bits64,
}

impl Width {
    /// That of values of type `ty`.
    pub(super) fn of(ty: Type) -> Width {
        match ty {
            Type::I32 | Type::F32 => Width::Bits32,
            Type::I64 | Type::F64 | Type::V128 | Type::Funcref | Type::Externref | Type::Exnref => {
                Width::Bits64
            }
        }
    }

    pub(super) fn is_wide(self) -> bool {
        self == Width::Bits64
    }
}

/// Conditions, by their numbers in encodings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Condition {
    Overflow,
    NoOverflow,
    Below,
    AboveOrEqual,
    Equal,
    NotEqual,
    BelowOrEqual,
    Above,
    Sign,
    NoSign,
    Parity,
    NoParity,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Greater,
}

impl Condition {
    const ALL: [Condition; 16] = [
        Condition::Overflow,
        Condition::NoOverflow,
        Condition::Below,
        Condition::AboveOrEqual,
        Condition::Equal,
        Condition::NotEqual,
        Condition::BelowOrEqual,
        Condition::Above,
        Condition::Sign,
        Condition::NoSign,
        Condition::Parity,
        Condition::NoParity,
        Condition::Less,
        Condition::GreaterOrEqual,
        Condition::LessOrEqual,
        Condition::Greater,
    ];

    /// The one that holds where this does not.
    pub(super) fn negated(self) -> Condition {
        Condition::ALL[self as usize ^ 1]
    }

    /// The one that holds if the operands are compared the other way round.
    pub(super) fn swapped(self) -> Condition {
        use Condition::*;
        match self {
            Below => Above,
            Above => Below,
            AboveOrEqual => BelowOrEqual,
            BelowOrEqual => AboveOrEqual,
            Less => Greater,
            Greater => Less,
            LessOrEqual => GreaterOrEqual,
            GreaterOrEqual => LessOrEqual,
            same => same,
        }
    }
}

/// A place in memory.
pub(crate) type Address = Amode<Gpr>;

/// `[base + offset]`
pub(crate) fn at(base: Gpr, offset: i32) -> Address {
    let simm32 = AmodeOffsetPlusKnownOffset { simm32: AmodeOffset::new(offset), offset: None };
    Amode::ImmReg { base, simm32, trap: None }
}

/// `[base + index * scale + offset]`
pub(super) fn at_index(base: Gpr, index: Gpr, scale: Scale, offset: i32) -> Address {
    let (index, simm32) = (NonRspGpr::new(index), AmodeOffset::new(offset));
    Amode::ImmRegRegShift { base, index, scale, simm32, trap: None }
}

/// `address`, where an access may trap with that code.
pub(super) fn trapping(address: Address, code: TrapCode) -> Address {
    match address {
        Amode::ImmReg { base, simm32, .. } => Amode::ImmReg { base, simm32, trap: Some(code) },
        Amode::ImmRegRegShift { base, index, scale, simm32, .. } => {
            Amode::ImmRegRegShift { base, index, scale, simm32, trap: Some(code) }
        }
        relative @ Amode::RipRelative { .. } => relative,
    }
}
