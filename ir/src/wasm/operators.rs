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
        V128Load V128Load32Zero V128Load64Zero
    }
    store {
        I32Store I64Store F32Store F64Store I32Store8 I32Store16 I64Store8 I64Store16 I64Store32 V128Store
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wasmparser::{MemArg, MemArgTarget, Operator, Parser, Payload};

    use super::computation;
    use crate::FunctionKind;
    use crate::wasm::vector;

    /// The proposals of the supported operators, as the parser's list has them.
    const SUPPORTED: [&str; 7] = [
        "mvp",
        "sign_extension",
        "saturating_float_to_int",
        "bulk_memory",
        "reference_types",
        "simd",
        "relaxed_simd",
    ];

    /// All operators that do more than compute, each where control reaches it.
    const OTHERS: &str = r#"(module
        (table 1 funcref) (memory 1) (global (mut i32) (i32.const 0))
        (data "") (elem func 0)
        (func (param i32) (result i32) (local i32 v128 funcref)
            nop block end loop end
            block local.get 0 br_if 0 br 0 end
            block local.get 0 br_table 0 0 end
            block local.get 0 if local.get 0 return else unreachable end end
            local.get 0 call 0 i32.const 0 call_indirect (param i32) (result i32)
            local.tee 1 drop i64.const 0 drop f32.const 0 drop f64.const 0 drop
            global.get 0 global.set 0 memory.size memory.grow local.set 1
            i32.const 0 i32.const 0 i32.const 0 select drop
            i32.const 0 i32.const 0 i32.const 0 select (result i32) drop
            i32.const 0 i32.const 0 i32.const 0 memory.init 0 data.drop 0
            i32.const 0 i32.const 0 i32.const 0 memory.copy
            i32.const 0 i32.const 0 i32.const 0 memory.fill
            i32.const 0 i32.const 0 i32.const 0 table.init 0 elem.drop 0
            i32.const 0 i32.const 0 i32.const 0 table.copy
            i32.const 0 ref.null func i32.const 0 table.fill
            i32.const 0 i32.const 0 table.get table.set 0
            ref.func 0 table.size table.grow drop
            ref.null func ref.is_null drop
            local.get 2 i8x16.extract_lane_s 0 drop local.get 2 i8x16.extract_lane_u 0 drop
            local.get 2 i16x8.extract_lane_s 0 drop local.get 2 i16x8.extract_lane_u 0 drop
            local.get 2 i32x4.extract_lane 0 drop local.get 2 i64x2.extract_lane 0 drop
            local.get 2 f32x4.extract_lane 0 drop local.get 2 f64x2.extract_lane 0 drop
            local.get 2 i32.const 0 i8x16.replace_lane 0 drop
            local.get 2 i32.const 0 i16x8.replace_lane 0 drop
            local.get 2 i32.const 0 i32x4.replace_lane 0 drop
            local.get 2 i64.const 0 i64x2.replace_lane 0 drop
            local.get 2 f32.const 0 f32x4.replace_lane 0 drop
            local.get 2 f64.const 0 f64x2.replace_lane 0 drop
            i32.const 0 local.get 2 v128.load8_lane 0 drop i32.const 0 local.get 2 v128.store8_lane 0
            i32.const 0 local.get 2 v128.load16_lane 0 drop i32.const 0 local.get 2 v128.store16_lane 0
            i32.const 0 local.get 2 v128.load32_lane 0 drop i32.const 0 local.get 2 v128.store32_lane 0
            i32.const 0 local.get 2 v128.load64_lane 0 drop i32.const 0 local.get 2 v128.store64_lane 0
            v128.const i32x4 0 0 0 0 local.get 2 i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 drop
            i32.const 0))"#;

    macro_rules! simple {
        ($op:ident) => {
            Some(Operator::$op)
        };
        ($op:ident { memarg: $ty:ty }) => {
            Some(Operator::$op {
                memarg: MemArg {
                    align: 0,
                    max_align: 0,
                    offset: 0,
                    target: MemArgTarget::Memory(0),
                    ordering: None,
                },
            })
        };
        ($op:ident $fields:tt) => {
            None
        };
    }

    macro_rules! operators {
        ($(@$proposal:ident $op:ident $({ $($field:ident: $ty:ty),* })? => $visit:ident $arity:tt)*) => {
            /// Proposal, name, and the operator itself if it has no field but a memory argument.
            fn all() -> Vec<(&'static str, &'static str, Option<Operator<'static>>)> {
                vec![$((stringify!($proposal), stringify!($op), simple!($op $({ $($field: $ty),* })?))),*]
            }
        };
    }

    wasmparser::for_each_operator!(operators);

    /// Bodies are translated after import, when it is too late to refuse an operator.
    #[test]
    fn every_operator_that_validation_lets_through_is_translated() {
        let supported = all().into_iter().filter(|(proposal, ..)| SUPPORTED.contains(proposal));
        let others: BTreeSet<String> = supported
            .filter(|(.., operator)| !operator.as_ref().is_some_and(is_translated))
            .map(|(_, name, _)| name.to_owned())
            // Not valid with any number of types but one, which is `TypedSelect`.
            .filter(|name| name != "TypedSelectMulti")
            .collect();
        let bytes = wat::parse_str(OTHERS).expect("text");
        assert_eq!(others, occurring(&bytes).into_iter().filter(|name| others.contains(name)).collect());
        let module = super::super::import(&bytes).expect("all of it is supported");
        let FunctionKind::Defined(body) = &module.functions[0].kind else { panic!("it is defined") };
        assert!(!body.blocks.is_empty());
    }

    fn is_translated(operator: &Operator<'_>) -> bool {
        computation(operator).is_some() || vector::is_translated(operator)
    }

    /// The names of the operators in a module's bodies.
    fn occurring(bytes: &[u8]) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for payload in Parser::new(0).parse_all(bytes) {
            let Payload::CodeSectionEntry(body) = payload.expect("valid") else { continue };
            for operator in body.get_operators_reader().expect("valid") {
                let shown = format!("{:?}", operator.expect("valid"));
                names.insert(shown.split([' ', '(']).next().expect("a name").to_owned());
            }
        }
        names
    }
}
