//! The registers that a System V callee must preserve.

use std::fmt;

use gimli::{Register, X86_64};

/// A callee-saved general-purpose register (rsp aside, which the CFA stands for).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CalleeSaved {
    /// rbx
    Rbx,
    /// rbp
    Rbp,
    /// r12
    R12,
    /// r13
    R13,
    /// r14
    R14,
    /// r15
    R15,
}

impl CalleeSaved {
    /// All of them, in the order of [`CalleeSavedRegs`]' fields.
    pub const ALL: [Self; 6] = [Self::Rbx, Self::Rbp, Self::R12, Self::R13, Self::R14, Self::R15];

    /// The register's DWARF number.
    #[must_use]
    pub fn dwarf(self) -> Register {
        match self {
            Self::Rbx => X86_64::RBX,
            Self::Rbp => X86_64::RBP,
            Self::R12 => X86_64::R12,
            Self::R13 => X86_64::R13,
            Self::R14 => X86_64::R14,
            Self::R15 => X86_64::R15,
        }
    }

    /// The register with this DWARF number, if it is callee-saved.
    #[must_use]
    pub fn from_dwarf(register: Register) -> Option<Self> {
        Self::ALL.into_iter().find(|saved| saved.dwarf() == register)
    }
}

impl fmt::Display for CalleeSaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(["rbx", "rbp", "r12", "r13", "r14", "r15"][*self as usize])
    }
}

/// The values of the callee-saved registers at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CalleeSavedRegs {
    /// rbx
    pub rbx: u64,
    /// rbp
    pub rbp: u64,
    /// r12
    pub r12: u64,
    /// r13
    pub r13: u64,
    /// r14
    pub r14: u64,
    /// r15
    pub r15: u64,
}

impl CalleeSavedRegs {
    /// The value of `register`.
    #[must_use]
    pub fn get(&self, register: CalleeSaved) -> u64 {
        match register {
            CalleeSaved::Rbx => self.rbx,
            CalleeSaved::Rbp => self.rbp,
            CalleeSaved::R12 => self.r12,
            CalleeSaved::R13 => self.r13,
            CalleeSaved::R14 => self.r14,
            CalleeSaved::R15 => self.r15,
        }
    }

    /// Sets `register`.
    pub fn set(&mut self, register: CalleeSaved, value: u64) {
        match register {
            CalleeSaved::Rbx => self.rbx = value,
            CalleeSaved::Rbp => self.rbp = value,
            CalleeSaved::R12 => self.r12 = value,
            CalleeSaved::R13 => self.r13 = value,
            CalleeSaved::R14 => self.r14 = value,
            CalleeSaved::R15 => self.r15 = value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_register_has_its_own_field_number_and_name() {
        let mut regs = CalleeSavedRegs::default();
        for (value, register) in (1..).zip(CalleeSaved::ALL) {
            regs.set(register, value);
            assert_eq!(CalleeSaved::from_dwarf(register.dwarf()), Some(register));
            assert_eq!(register.to_string(), format!("{register:?}").to_lowercase());
        }
        assert_eq!(regs, CalleeSavedRegs { rbx: 1, rbp: 2, r12: 3, r13: 4, r14: 5, r15: 6 });
        assert_eq!(CalleeSaved::ALL.map(|register| regs.get(register)), [1, 2, 3, 4, 5, 6]);
        assert_eq!(CalleeSaved::from_dwarf(X86_64::RSP), None);
        assert_eq!(CalleeSaved::from_dwarf(X86_64::RAX), None);
    }
}
