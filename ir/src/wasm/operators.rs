//! Operators that only compute: which operation of ours each is. The names are the same.

use wasmparser::Operator;

use crate::operation::{BinaryOp, LoadOp, StoreOp, UnaryOp};

/// An operator without control, locals, calls or tables.
pub(super) enum Computation {
    /// One operand, one result.
    Unary(UnaryOp),
    /// Two operands, one result.
    Binary(BinaryOp),
    /// An address, one result.
    Load(LoadOp, u32),
    /// An address and a value.
    Store(StoreOp, u32),
}

macro_rules! computations {
    (unary { $($unary:ident)* } binary { $($binary:ident)* } load { $($load:ident)* } store { $($store:ident)* }) => {
        /// The computation that `operator` is, if it is one.
        pub(super) fn computation(operator: &Operator<'_>) -> Option<Computation> {
            // Offsets of 32-bit memories fit 32 bits: that is part of being valid.
            let offset = |memarg: &wasmparser::MemArg| {
                u32::try_from(memarg.offset).expect("validated 32-bit offset")
            };
            Some(match operator {
                $(Operator::$unary => Computation::Unary(UnaryOp::$unary),)*
                $(Operator::$binary => Computation::Binary(BinaryOp::$binary),)*
                $(Operator::$load { memarg } => Computation::Load(LoadOp::$load, offset(memarg)),)*
                $(Operator::$store { memarg } => Computation::Store(StoreOp::$store, offset(memarg)),)*
                _ => return None,
            })
        }
    };
}

computations! {
    unary {
        I32Clz I32Ctz I32Popcnt I32Eqz I32Extend8S I32Extend16S
        I64Clz I64Ctz I64Popcnt I64Eqz I64Extend8S I64Extend16S I64Extend32S
        F32Abs F32Neg F32Ceil F32Floor F32Trunc F32Nearest F32Sqrt
        F64Abs F64Neg F64Ceil F64Floor F64Trunc F64Nearest F64Sqrt
        I32WrapI64 I64ExtendI32S I64ExtendI32U
        I32TruncF32S I32TruncF32U I32TruncF64S I32TruncF64U
        I64TruncF32S I64TruncF32U I64TruncF64S I64TruncF64U
        I32TruncSatF32S I32TruncSatF32U I32TruncSatF64S I32TruncSatF64U
        I64TruncSatF32S I64TruncSatF32U I64TruncSatF64S I64TruncSatF64U
        F32ConvertI32S F32ConvertI32U F32ConvertI64S F32ConvertI64U
        F64ConvertI32S F64ConvertI32U F64ConvertI64S F64ConvertI64U
        F32DemoteF64 F64PromoteF32
        I32ReinterpretF32 I64ReinterpretF64 F32ReinterpretI32 F64ReinterpretI64
        RefIsNull
    }
    binary {
        I32Add I32Sub I32Mul I32DivS I32DivU I32RemS I32RemU I32And I32Or I32Xor
        I32Shl I32ShrS I32ShrU I32Rotl I32Rotr
        I32Eq I32Ne I32LtS I32LtU I32GtS I32GtU I32LeS I32LeU I32GeS I32GeU
        I64Add I64Sub I64Mul I64DivS I64DivU I64RemS I64RemU I64And I64Or I64Xor
        I64Shl I64ShrS I64ShrU I64Rotl I64Rotr
        I64Eq I64Ne I64LtS I64LtU I64GtS I64GtU I64LeS I64LeU I64GeS I64GeU
        F32Add F32Sub F32Mul F32Div F32Min F32Max F32Copysign
        F32Eq F32Ne F32Lt F32Gt F32Le F32Ge
        F64Add F64Sub F64Mul F64Div F64Min F64Max F64Copysign
        F64Eq F64Ne F64Lt F64Gt F64Le F64Ge
    }
    load {
        I32Load I64Load F32Load F64Load I32Load8S I32Load8U I32Load16S I32Load16U
        I64Load8S I64Load8U I64Load16S I64Load16U I64Load32S I64Load32U
    }
    store {
        I32Store I64Store F32Store F64Store I32Store8 I32Store16 I64Store8 I64Store16 I64Store32
    }
}
