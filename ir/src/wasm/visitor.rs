//! Operators, as the parser meets them.
//!
//! The parser calls a method for each operator, so what an operator is gets decided once, where its byte is read. What most
//! code consists of is translated in these methods; everything else is made an [`Operator`] of, for
//! [`Translator::other`].

use wasmparser::{Operator, VisitOperator, VisitSimdOperator};

use super::error::ImportError;
use super::function::Translator;
use crate::index::{GlobalIndex, Register};
use crate::operation::{BinaryOp, LoadOp, StoreOp, UnaryOp};
use crate::value::Value;

/// What the visitor does for an operator of a proposal, with the names of its fields, and how many operands and results it
/// has. Operators of the first version that have no field and one result only compute, if they have one or two operands:
/// there are operations of the same names.
macro_rules! translate {
    ($self:ident @mvp Block [$ty:ident] $($arity:tt)*) => { $self.block($ty)? };
    ($self:ident @mvp Loop [$ty:ident] $($arity:tt)*) => { $self.loops($ty)? };
    ($self:ident @mvp If [$ty:ident] $($arity:tt)*) => { $self.ifs($ty)? };
    ($self:ident @mvp End [] $($arity:tt)*) => { $self.end() };
    ($self:ident @mvp Br [$depth:ident] $($arity:tt)*) => { reached!($self.branch($depth)) };
    ($self:ident @mvp BrIf [$depth:ident] $($arity:tt)*) => { reached!($self.branch_if($depth)) };
    ($self:ident @mvp Call [$function:ident] $($arity:tt)*) => { reached!($self.call($function)) };
    ($self:ident @mvp Drop [] $($arity:tt)*) => { reached!($self.drop_top()) };
    ($self:ident @mvp Select [] $($arity:tt)*) => { reached!($self.select()) };
    ($self:ident @mvp LocalGet [$index:ident] $($arity:tt)*) => { reached!($self.local_get(local($index))) };
    ($self:ident @mvp LocalSet [$index:ident] $($arity:tt)*) => { reached!($self.local_set(local($index))) };
    ($self:ident @mvp LocalTee [$index:ident] $($arity:tt)*) => { reached!($self.local_tee(local($index))) };
    ($self:ident @mvp GlobalGet [$index:ident] $($arity:tt)*) => { reached!($self.global_get(global($index))) };
    ($self:ident @mvp GlobalSet [$index:ident] $($arity:tt)*) => { reached!($self.global_set(global($index))) };
    ($self:ident @mvp I32Const [$value:ident] $($arity:tt)*) => { reached!($self.constant(Value::I32($value))) };
    ($self:ident @mvp I64Const [$value:ident] $($arity:tt)*) => { reached!($self.constant(Value::I64($value))) };
    ($self:ident @mvp F32Const [$value:ident] $($arity:tt)*) => {
        reached!($self.constant(Value::F32($value.bits())))
    };
    ($self:ident @mvp F64Const [$value:ident] $($arity:tt)*) => {
        reached!($self.constant(Value::F64($value.bits())))
    };
    ($self:ident @mvp $op:ident [] arity 1 -> 1) => { reached!($self.unary(UnaryOp::$op)) };
    ($self:ident @mvp $op:ident [] arity 2 -> 1) => { reached!($self.binary(BinaryOp::$op)) };
    ($self:ident @mvp $op:ident [$memarg:ident] arity memarg 1 -> 1) => {
        reached!($self.load(LoadOp::$op, &$memarg))
    };
    ($self:ident @mvp $op:ident [$memarg:ident] arity memarg 2 -> 0) => {
        reached!($self.store(StoreOp::$op, &$memarg))
    };
    ($self:ident @simd V128Load [$memarg:ident] $($arity:tt)*) => {
        reached!($self.load(LoadOp::V128Load, &$memarg))
    };
    ($self:ident @simd V128Load32Zero [$memarg:ident] $($arity:tt)*) => {
        reached!($self.load(LoadOp::V128Load32Zero, &$memarg))
    };
    ($self:ident @simd V128Load64Zero [$memarg:ident] $($arity:tt)*) => {
        reached!($self.load(LoadOp::V128Load64Zero, &$memarg))
    };
    ($self:ident @simd V128Store [$memarg:ident] $($arity:tt)*) => {
        reached!($self.store(StoreOp::V128Store, &$memarg))
    };
    ($self:ident @simd V128Const [$value:ident] $($arity:tt)*) => {
        reached!($self.constant(Value::of_bytes(*$value.bytes())))
    };
    ($self:ident @sign_extension $op:ident [] arity 1 -> 1) => { reached!($self.unary(UnaryOp::$op)) };
    ($self:ident @saturating_float_to_int $op:ident [] arity 1 -> 1) => { reached!($self.unary(UnaryOp::$op)) };
    ($self:ident @$proposal:ident $op:ident [$($field:ident)*] $($arity:tt)*) => {
        $self.other(&Operator::$op { $($field),* })?
    };
}

/// Translates something if control reaches it.
macro_rules! reached {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        if $self.control.is_reachable {
            $self.$method($($argument),*)
        }
    };
}

macro_rules! visit {
    ($(@$proposal:ident $op:ident $({ $($field:ident: $ty:ty),* })? => $visit:ident ($($arity:tt)*))*) => {
        $(
            fn $visit(&mut self $($(, $field: $ty)*)?) -> Self::Output {
                translate!(self @$proposal $op [$($($field)*)?] $($arity)*);
                Ok(())
            }
        )*
    };
}

impl<'a> VisitOperator<'a> for Translator<'_> {
    type Output = Result<(), ImportError>;

    fn simd_visitor(&mut self) -> Option<&mut dyn VisitSimdOperator<'a, Output = Self::Output>> {
        Some(self)
    }

    wasmparser::for_each_visit_operator!(visit);
}

impl<'a> VisitSimdOperator<'a> for Translator<'_> {
    wasmparser::for_each_visit_simd_operator!(visit);
}

fn local(index: u32) -> Register {
    Register::new(index as usize)
}

fn global(index: u32) -> GlobalIndex {
    GlobalIndex::new(index as usize)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wasmparser::{MemArg, MemArgTarget, Operator, Parser, Payload};

    use crate::FunctionKind;
    use crate::wasm::{atomic, vector};

    /// The proposals of the supported operators, as the parser's list has them.
    const SUPPORTED: [&str; 8] = [
        "mvp",
        "threads",
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
            nop block end loop end atomic.fence
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
            i32.const 0 v128.load drop i32.const 0 v128.load32_zero drop i32.const 0 v128.load64_zero drop
            i32.const 0 local.get 2 v128.store
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
            /// Every operator.
            fn all() -> Vec<Known> {
                vec![$(Known {
                    proposal: stringify!($proposal),
                    name: stringify!($op),
                    fields: &[$($(stringify!($field)),*)?],
                    arity: stringify!($arity),
                    operator: simple!($op $({ $($field: $ty),* })?),
                }),*]
            }
        };
    }

    wasmparser::for_each_operator!(operators);

    /// What the parser's list says of an operator.
    struct Known {
        proposal: &'static str,
        name: &'static str,
        fields: &'static [&'static str],
        arity: &'static str,
        /// The operator itself if it has no field but a memory argument.
        operator: Option<Operator<'static>>,
    }

    impl Known {
        /// Whether the visitor takes the operator for the operation of the same name. Then there is one, or this would not
        /// have been compiled.
        fn is_computation(&self) -> bool {
            matches!(
                (self.proposal, self.fields, self.arity),
                ("mvp", [], "(arity 1 -> 1)" | "(arity 2 -> 1)")
                    | ("mvp", ["memarg"], "(arity memarg 1 -> 1)" | "(arity memarg 2 -> 0)")
                    | ("sign_extension" | "saturating_float_to_int", [], "(arity 1 -> 1)")
            )
        }

        fn is_translated(&self) -> bool {
            let is_known = |operator| vector::is_translated(operator) || atomic::is_translated(operator);
            self.is_computation() || self.operator.as_ref().is_some_and(is_known)
        }
    }

    /// Bodies are translated after import, when it is too late to refuse an operator.
    #[test]
    fn every_operator_that_validation_lets_through_is_translated() {
        let supported = all().into_iter().filter(|known| SUPPORTED.contains(&known.proposal));
        let others: BTreeSet<String> = supported
            .filter(|known| !known.is_translated())
            .map(|known| known.name.to_owned())
            // Not valid with any number of types but one, which is `TypedSelect`.
            .filter(|name| name != "TypedSelectMulti")
            .collect();
        let bytes = wat::parse_str(OTHERS).expect("text");
        assert_eq!(others, occurring(&bytes).into_iter().filter(|name| others.contains(name)).collect());
        let module = super::super::import(&bytes).expect("all of it is supported");
        let FunctionKind::Defined(body) = &module.functions[0].kind else { panic!("it is defined") };
        assert!(!body.blocks.is_empty());
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
