//! Addresses of 64 bits become addresses of 32 bits.
//!
//! No memory or table is so large that the highest number of 32 bits is a place in it
//! ([`MAXIMUM_PAGES_64`](crate::module::MAXIMUM_PAGES_64)). So whatever is out of bounds stays out of bounds when higher
//! numbers become that one:
//!
//! ```text
//!   i64.load (address: i64)            narrow = address >u 0xffff_ffff ? 0xffff_ffff : i32.wrap_i64 address
//!                              ──>     i64.load narrow
//! ```
//!
//! and the guard pages behind a 32-bit memory do for a 64-bit one, in every tier.

use super::function::Translator;
use super::operands::Operand;
use crate::body::Instruction;
use crate::index::Register;
use crate::operation::{BinaryOp, UnaryOp};
use crate::value::{Type, Value};

/// As `number`, or, if that has more than 32 bits, the highest that has not.
pub(super) fn narrowed(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Translator<'_> {
    /// Narrows the entries of the operand stack that are so many below the top.
    pub(super) fn narrow(&mut self, below: impl IntoIterator<Item = usize>) {
        for below in below {
            let height = self.operands.height() - 1 - below;
            let narrow = match self.operands.get(height) {
                Operand::Constant(Value::I64(address)) => {
                    Operand::Constant(Value::I32(narrowed(address as u64) as i32))
                }
                operand => Operand::Temporary(self.narrow_register(operand, height)),
            };
            self.operands.replace(height, narrow);
        }
    }

    fn narrow_register(&mut self, operand: Operand, height: usize) -> Register {
        let limit = self.scratch(Type::I64, 0);
        let (is_higher, highest) = (self.scratch(Type::I32, 0), self.scratch(Type::I32, 1));
        let address = self.read(operand, height);
        let dst = self.operands.slot(height, Type::I32);
        let instructions = [
            Instruction::Const { dst: limit, value: Value::I64(u32::MAX.into()) },
            Instruction::Binary { op: BinaryOp::I64GtU, dst: is_higher, lhs: address, rhs: limit },
            Instruction::Const { dst: highest, value: Value::I32(-1) },
            Instruction::Unary { op: UnaryOp::I32WrapI64, dst, src: address },
            Instruction::Select { dst, condition: is_higher, if_true: highest, if_false: dst },
        ];
        instructions.into_iter().for_each(|instruction| self.code.emit(instruction));
        dst
    }

    /// Puts a size on the operand stack that the instruction defines which `make` makes: as 64 bits if `is_64`, where -1 stays
    /// -1, and all other sizes are below 2 to the 31.
    pub(super) fn push_size(&mut self, is_64: bool, make: impl FnOnce(Register) -> Instruction) {
        if !is_64 {
            let dst = self.operands.push_temporary(Type::I32);
            return self.code.emit(make(dst));
        }
        let src = self.operands.slot(self.operands.height(), Type::I32);
        self.code.emit(make(src));
        let dst = self.operands.push_temporary(Type::I64);
        self.code.emit(Instruction::Unary { op: UnaryOp::I64ExtendI32S, dst, src });
    }
}
