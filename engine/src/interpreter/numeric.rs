//! The numeric operations: exactly WebAssembly's.
//!
//! Each operation is a function from words to a word, named as its [`UnaryOp`](osr_ir::UnaryOp) or
//! [`BinaryOp`](osr_ir::BinaryOp), so that the dispatch loop can be generated from the list of names.
//! What may be relied on: a result of 32 bits has a zero upper half; a NaN that arithmetic, rounding or
//! conversion produces is quiet; `abs`, `neg` and `copysign` touch the sign bit only.

/// A type as a window's word holds it.
pub(super) trait Word: Copy {
    /// The value in `word`; a 32-bit type ignores the upper half.
    fn from_word(word: u64) -> Self;
    /// The word that holds the value; a 32-bit type leaves the upper half zero.
    fn to_word(self) -> u64;
}

macro_rules! words {
    ($($ty:ty: |$word:ident| $from:expr, |$value:ident| $to:expr;)*) => {
        $(impl Word for $ty {
            #[inline(always)]
            fn from_word($word: u64) -> $ty { $from }
            #[inline(always)]
            fn to_word(self) -> u64 { let $value = self; $to }
        })*
    };
}

words! {
    u32: |word| word as u32, |value| u64::from(value);
    i32: |word| word as i32, |value| u64::from(value as u32);
    u64: |word| word, |value| value;
    i64: |word| word as i64, |value| value as u64;
    f32: |word| f32::from_bits(word as u32), |value| u64::from(value.to_bits());
    f64: |word| f64::from_bits(word), |value| value.to_bits();
    bool: |word| word != 0, |value| u64::from(value);
}

/// The operations, by name, on words.
#[allow(non_snake_case, reason = "named as the variants of the operation enums")]
pub(super) mod word {
    use osr_ir::TrapKind;

    use super::{Float, Word, truncate};

    macro_rules! total {
        ($($name:ident($($operand:ident: $ty:ty),*) -> $result:ty { $body:expr })*) => {
            $(
                #[doc = concat!("`", stringify!($name), "`.")]
                #[inline(always)]
                pub(in crate::interpreter) fn $name($($operand: u64),*) -> u64 {
                    $(let $operand = <$ty>::from_word($operand);)*
                    let result: $result = $body;
                    result.to_word()
                }
            )*
        };
    }

    macro_rules! partial {
        ($($name:ident($($operand:ident: $ty:ty),*) -> $result:ty { $body:expr })*) => {
            $(
                #[doc = concat!("`", stringify!($name), "`, or the trap it ends in.")]
                #[inline(always)]
                pub(in crate::interpreter) fn $name($($operand: u64),*) -> Result<u64, TrapKind> {
                    $(let $operand = <$ty>::from_word($operand);)*
                    let result: Result<$result, TrapKind> = $body;
                    result.map(Word::to_word)
                }
            )*
        };
    }

    total! {
        I32Clz(a: u32) -> u32 { a.leading_zeros() }
        I32Ctz(a: u32) -> u32 { a.trailing_zeros() }
        I32Popcnt(a: u32) -> u32 { a.count_ones() }
        I32Eqz(a: u32) -> bool { a == 0 }
        I32Extend8S(a: i32) -> i32 { i32::from(a as i8) }
        I32Extend16S(a: i32) -> i32 { i32::from(a as i16) }
        I64Clz(a: u64) -> u64 { u64::from(a.leading_zeros()) }
        I64Ctz(a: u64) -> u64 { u64::from(a.trailing_zeros()) }
        I64Popcnt(a: u64) -> u64 { u64::from(a.count_ones()) }
        I64Eqz(a: u64) -> bool { a == 0 }
        I64Extend8S(a: i64) -> i64 { i64::from(a as i8) }
        I64Extend16S(a: i64) -> i64 { i64::from(a as i16) }
        I64Extend32S(a: i64) -> i64 { i64::from(a as i32) }
        F32Abs(a: u32) -> u32 { a & 0x7fff_ffff }
        F32Neg(a: u32) -> u32 { a ^ 0x8000_0000 }
        F32Ceil(a: f32) -> f32 { Float::quieted(a, a.ceil()) }
        F32Floor(a: f32) -> f32 { Float::quieted(a, a.floor()) }
        F32Trunc(a: f32) -> f32 { Float::quieted(a, a.trunc()) }
        F32Nearest(a: f32) -> f32 { Float::quieted(a, a.round_ties_even()) }
        F32Sqrt(a: f32) -> f32 { a.sqrt() }
        F64Abs(a: u64) -> u64 { a & 0x7fff_ffff_ffff_ffff }
        F64Neg(a: u64) -> u64 { a ^ 0x8000_0000_0000_0000 }
        F64Ceil(a: f64) -> f64 { Float::quieted(a, a.ceil()) }
        F64Floor(a: f64) -> f64 { Float::quieted(a, a.floor()) }
        F64Trunc(a: f64) -> f64 { Float::quieted(a, a.trunc()) }
        F64Nearest(a: f64) -> f64 { Float::quieted(a, a.round_ties_even()) }
        F64Sqrt(a: f64) -> f64 { a.sqrt() }
        I32WrapI64(a: u64) -> u32 { a as u32 }
        I64ExtendI32S(a: i32) -> i64 { i64::from(a) }
        I32TruncSatF32S(a: f32) -> i32 { a as i32 }
        I32TruncSatF32U(a: f32) -> u32 { a as u32 }
        I32TruncSatF64S(a: f64) -> i32 { a as i32 }
        I32TruncSatF64U(a: f64) -> u32 { a as u32 }
        I64TruncSatF32S(a: f32) -> i64 { a as i64 }
        I64TruncSatF32U(a: f32) -> u64 { a as u64 }
        I64TruncSatF64S(a: f64) -> i64 { a as i64 }
        I64TruncSatF64U(a: f64) -> u64 { a as u64 }
        F32ConvertI32S(a: i32) -> f32 { a as f32 }
        F32ConvertI32U(a: u32) -> f32 { a as f32 }
        F32ConvertI64S(a: i64) -> f32 { a as f32 }
        F32ConvertI64U(a: u64) -> f32 { a as f32 }
        F64ConvertI32S(a: i32) -> f64 { f64::from(a) }
        F64ConvertI32U(a: u32) -> f64 { f64::from(a) }
        F64ConvertI64S(a: i64) -> f64 { a as f64 }
        F64ConvertI64U(a: u64) -> f64 { a as f64 }
        F32DemoteF64(a: f64) -> f32 { a as f32 }
        F64PromoteF32(a: f32) -> f64 { f64::from(a) }

        I32Add(a: u32, b: u32) -> u32 { a.wrapping_add(b) }
        I32Sub(a: u32, b: u32) -> u32 { a.wrapping_sub(b) }
        I32Mul(a: u32, b: u32) -> u32 { a.wrapping_mul(b) }
        I32And(a: u32, b: u32) -> u32 { a & b }
        I32Or(a: u32, b: u32) -> u32 { a | b }
        I32Xor(a: u32, b: u32) -> u32 { a ^ b }
        I32Shl(a: u32, b: u32) -> u32 { a.wrapping_shl(b) }
        I32ShrS(a: i32, b: u32) -> i32 { a.wrapping_shr(b) }
        I32ShrU(a: u32, b: u32) -> u32 { a.wrapping_shr(b) }
        I32Rotl(a: u32, b: u32) -> u32 { a.rotate_left(b & 31) }
        I32Rotr(a: u32, b: u32) -> u32 { a.rotate_right(b & 31) }
        I32Eq(a: u32, b: u32) -> bool { a == b }
        I32Ne(a: u32, b: u32) -> bool { a != b }
        I32LtS(a: i32, b: i32) -> bool { a < b }
        I32LtU(a: u32, b: u32) -> bool { a < b }
        I32GtS(a: i32, b: i32) -> bool { a > b }
        I32GtU(a: u32, b: u32) -> bool { a > b }
        I32LeS(a: i32, b: i32) -> bool { a <= b }
        I32LeU(a: u32, b: u32) -> bool { a <= b }
        I32GeS(a: i32, b: i32) -> bool { a >= b }
        I32GeU(a: u32, b: u32) -> bool { a >= b }
        I64Add(a: u64, b: u64) -> u64 { a.wrapping_add(b) }
        I64Sub(a: u64, b: u64) -> u64 { a.wrapping_sub(b) }
        I64Mul(a: u64, b: u64) -> u64 { a.wrapping_mul(b) }
        I64And(a: u64, b: u64) -> u64 { a & b }
        I64Or(a: u64, b: u64) -> u64 { a | b }
        I64Xor(a: u64, b: u64) -> u64 { a ^ b }
        I64Shl(a: u64, b: u64) -> u64 { a.wrapping_shl(b as u32) }
        I64ShrS(a: i64, b: u64) -> i64 { a.wrapping_shr(b as u32) }
        I64ShrU(a: u64, b: u64) -> u64 { a.wrapping_shr(b as u32) }
        I64Rotl(a: u64, b: u64) -> u64 { a.rotate_left(b as u32 & 63) }
        I64Rotr(a: u64, b: u64) -> u64 { a.rotate_right(b as u32 & 63) }
        I64Eq(a: u64, b: u64) -> bool { a == b }
        I64Ne(a: u64, b: u64) -> bool { a != b }
        I64LtS(a: i64, b: i64) -> bool { a < b }
        I64LtU(a: u64, b: u64) -> bool { a < b }
        I64GtS(a: i64, b: i64) -> bool { a > b }
        I64GtU(a: u64, b: u64) -> bool { a > b }
        I64LeS(a: i64, b: i64) -> bool { a <= b }
        I64LeU(a: u64, b: u64) -> bool { a <= b }
        I64GeS(a: i64, b: i64) -> bool { a >= b }
        I64GeU(a: u64, b: u64) -> bool { a >= b }
        F32Add(a: f32, b: f32) -> f32 { a + b }
        F32Sub(a: f32, b: f32) -> f32 { a - b }
        F32Mul(a: f32, b: f32) -> f32 { a * b }
        F32Div(a: f32, b: f32) -> f32 { a / b }
        F32Min(a: f32, b: f32) -> f32 { Float::least(a, b) }
        F32Max(a: f32, b: f32) -> f32 { Float::greatest(a, b) }
        F32Copysign(a: u32, b: u32) -> u32 { a & 0x7fff_ffff | b & 0x8000_0000 }
        F32Eq(a: f32, b: f32) -> bool { a == b }
        F32Ne(a: f32, b: f32) -> bool { a != b }
        F32Lt(a: f32, b: f32) -> bool { a < b }
        F32Gt(a: f32, b: f32) -> bool { a > b }
        F32Le(a: f32, b: f32) -> bool { a <= b }
        F32Ge(a: f32, b: f32) -> bool { a >= b }
        F64Add(a: f64, b: f64) -> f64 { a + b }
        F64Sub(a: f64, b: f64) -> f64 { a - b }
        F64Mul(a: f64, b: f64) -> f64 { a * b }
        F64Div(a: f64, b: f64) -> f64 { a / b }
        F64Min(a: f64, b: f64) -> f64 { Float::least(a, b) }
        F64Max(a: f64, b: f64) -> f64 { Float::greatest(a, b) }
        F64Copysign(a: u64, b: u64) -> u64 { a & 0x7fff_ffff_ffff_ffff | b & 0x8000_0000_0000_0000 }
        F64Eq(a: f64, b: f64) -> bool { a == b }
        F64Ne(a: f64, b: f64) -> bool { a != b }
        F64Lt(a: f64, b: f64) -> bool { a < b }
        F64Gt(a: f64, b: f64) -> bool { a > b }
        F64Le(a: f64, b: f64) -> bool { a <= b }
        F64Ge(a: f64, b: f64) -> bool { a >= b }
    }

    partial! {
        I32TruncF32S(a: f32) -> i32 { truncate(a, (-2147483648.0..2147483648.0).contains(&a), a as i32) }
        I32TruncF32U(a: f32) -> u32 { truncate(a, a > -1.0 && a < 4294967296.0, a as u32) }
        I32TruncF64S(a: f64) -> i32 { truncate(a, a > -2147483649.0 && a < 2147483648.0, a as i32) }
        I32TruncF64U(a: f64) -> u32 { truncate(a, a > -1.0 && a < 4294967296.0, a as u32) }
        I64TruncF32S(a: f32) -> i64 {
            truncate(a, (-9223372036854775808.0..9223372036854775808.0).contains(&a), a as i64)
        }
        I64TruncF32U(a: f32) -> u64 { truncate(a, a > -1.0 && a < 18446744073709551616.0, a as u64) }
        I64TruncF64S(a: f64) -> i64 {
            truncate(a, (-9223372036854775808.0..9223372036854775808.0).contains(&a), a as i64)
        }
        I64TruncF64U(a: f64) -> u64 { truncate(a, a > -1.0 && a < 18446744073709551616.0, a as u64) }

        I32DivS(a: i32, b: i32) -> i32 {
            if b == 0 { Err(TrapKind::IntegerDivideByZero) } else { a.checked_div(b).ok_or(TrapKind::IntegerOverflow) }
        }
        I32DivU(a: u32, b: u32) -> u32 { a.checked_div(b).ok_or(TrapKind::IntegerDivideByZero) }
        I32RemS(a: i32, b: i32) -> i32 {
            if b == 0 { Err(TrapKind::IntegerDivideByZero) } else { Ok(a.wrapping_rem(b)) }
        }
        I32RemU(a: u32, b: u32) -> u32 { a.checked_rem(b).ok_or(TrapKind::IntegerDivideByZero) }
        I64DivS(a: i64, b: i64) -> i64 {
            if b == 0 { Err(TrapKind::IntegerDivideByZero) } else { a.checked_div(b).ok_or(TrapKind::IntegerOverflow) }
        }
        I64DivU(a: u64, b: u64) -> u64 { a.checked_div(b).ok_or(TrapKind::IntegerDivideByZero) }
        I64RemS(a: i64, b: i64) -> i64 {
            if b == 0 { Err(TrapKind::IntegerDivideByZero) } else { Ok(a.wrapping_rem(b)) }
        }
        I64RemU(a: u64, b: u64) -> u64 { a.checked_rem(b).ok_or(TrapKind::IntegerDivideByZero) }
    }
}

use osr_ir::TrapKind;

/// `value`, the integer part of `from`, if `from` is a number and `fits` the integer type.
#[inline(always)]
fn truncate<F: Float, I>(from: F, fits: bool, value: I) -> Result<I, TrapKind> {
    if fits {
        Ok(value)
    } else if from.is_not_a_number() {
        Err(TrapKind::InvalidConversionToInteger)
    } else {
        Err(TrapKind::IntegerOverflow)
    }
}

/// The rules about NaN and signed zero that Rust's own operations do not promise.
trait Float: Copy {
    /// Whether it is NaN.
    fn is_not_a_number(self) -> bool;
    /// `result`, or `operand` as a quiet NaN if it is NaN.
    fn quieted(operand: Self, result: Self) -> Self;
    /// The lesser; NaN if either is NaN; -0 is less than +0.
    fn least(a: Self, b: Self) -> Self;
    /// The greater; NaN if either is NaN; +0 is greater than -0.
    fn greatest(a: Self, b: Self) -> Self;
}

macro_rules! floats {
    ($($ty:ident: $quiet:literal;)*) => {
        $(impl Float for $ty {
            #[inline(always)]
            fn is_not_a_number(self) -> bool {
                self.is_nan()
            }

            #[inline(always)]
            fn quieted(operand: $ty, result: $ty) -> $ty {
                if operand.is_nan() { $ty::from_bits(operand.to_bits() | $quiet) } else { result }
            }

            #[inline(always)]
            fn least(a: $ty, b: $ty) -> $ty {
                if a < b {
                    a
                } else if b < a {
                    b
                } else if a == b {
                    $ty::from_bits(a.to_bits() | b.to_bits())
                } else {
                    Float::quieted(if a.is_nan() { a } else { b }, a)
                }
            }

            #[inline(always)]
            fn greatest(a: $ty, b: $ty) -> $ty {
                if a > b {
                    a
                } else if b > a {
                    b
                } else if a == b {
                    $ty::from_bits(a.to_bits() & b.to_bits())
                } else {
                    Float::quieted(if a.is_nan() { a } else { b }, a)
                }
            }
        })*
    };
}

floats! {
    f32: 0x0040_0000;
    f64: 0x0008_0000_0000_0000;
}

macro_rules! define_evaluate {
    (
        unary { $($unary:ident)* }
        partial_unary { $($partial_unary:ident)* }
        binary { $($binary:ident $binary_immediate:ident,)* }
        partial_binary { $($partial:ident $partial_immediate:ident,)* }
        $($rest:tt)*
    ) => {
        /// The result of a unary operation.
        pub(crate) fn evaluate_unary(op: osr_ir::UnaryOp, src: u64) -> Result<u64, TrapKind> {
            use osr_ir::UnaryOp;
            match op {
                $(UnaryOp::$unary => Ok(word::$unary(src)),)*
                $(UnaryOp::$partial_unary => word::$partial_unary(src),)*
                UnaryOp::RefIsNull | UnaryOp::ExternIsNull | UnaryOp::ExnIsNull => Ok(word::I64Eqz(src)),
                UnaryOp::I64ExtendI32U
                | UnaryOp::I32ReinterpretF32
                | UnaryOp::I64ReinterpretF64
                | UnaryOp::F32ReinterpretI32
                | UnaryOp::F64ReinterpretI64 => Ok(src),
            }
        }

        /// The result of a binary operation.
        pub(crate) fn evaluate_binary(op: osr_ir::BinaryOp, lhs: u64, rhs: u64) -> Result<u64, TrapKind> {
            use osr_ir::BinaryOp;
            match op {
                $(BinaryOp::$binary => Ok(word::$binary(lhs, rhs)),)*
                $(BinaryOp::$partial => word::$partial(lhs, rhs),)*
            }
        }
    };
}
super::op::with_operations!(define_evaluate);
