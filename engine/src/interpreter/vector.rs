//! Operations on vectors, lane by lane: what they mean.
//!
//! A vector is a number of 128 bits whose lowest bits are lane 0. Floats are computed by the operations on scalars, so that
//! lanes round, and make NaNs, as these do.

use osr_ir::VectorOp;

use super::numeric::word;

/// What a lane can hold.
trait Lane: Copy {
    const BITS: u32;
    /// That of the lowest bits.
    fn of(bits: u128) -> Self;
    /// In the lowest bits; the others are 0.
    fn bits(self) -> u128;
}

macro_rules! integer_lanes {
    ($($signed:ident $unsigned:ident)*) => {
        $(
            impl Lane for $unsigned {
                const BITS: u32 = $unsigned::BITS;
                fn of(bits: u128) -> $unsigned { bits as $unsigned }
                fn bits(self) -> u128 { self.into() }
            }
            impl Lane for $signed {
                const BITS: u32 = $signed::BITS;
                fn of(bits: u128) -> $signed { bits as $signed }
                fn bits(self) -> u128 { self.cast_unsigned().into() }
            }
        )*
    };
}
integer_lanes!(i8 u8 i16 u16 i32 u32 i64 u64);

const fn count<T: Lane>() -> usize {
    (128 / T::BITS) as usize
}

/// Lane number `n` of `vector`.
fn lane<T: Lane>(vector: u128, n: usize) -> T {
    T::of(vector >> (n as u32 * T::BITS))
}

/// The vector whose lane number *n* is `of(n)`.
fn vector<T: Lane>(of: impl Fn(usize) -> T) -> u128 {
    (0..count::<T>()).fold(0, |bits, n| bits | of(n).bits() << (n as u32 * T::BITS))
}

fn map<T: Lane, U: Lane>(a: u128, of: impl Fn(T) -> U) -> u128 {
    vector(|n| of(lane(a, n)))
}

fn zip<T: Lane>(a: u128, b: u128, of: impl Fn(T, T) -> T) -> u128 {
    vector(|n| of(lane(a, n), lane(b, n)))
}

/// All bits of the lanes for which `holds`.
fn compare<T: Lane>(a: u128, b: u128, holds: impl Fn(T, T) -> bool) -> u128 {
    vector(|n| T::of(if holds(lane(a, n), lane(b, n)) { u128::MAX } else { 0 }))
}

/// The same of floats: `holds` is a comparison of their words, and `T` is as wide.
fn compare_words<T: Lane + Into<u64>>(a: u128, b: u128, holds: fn(u64, u64) -> u64) -> u128 {
    compare::<T>(a, b, |a, b| holds(a.into(), b.into()) != 0)
}

/// The lanes of two vectors as one made of the other.
fn replace<T: Lane>(a: u128, at: u8, with: u128) -> u128 {
    vector(|n| if n == usize::from(at) { T::of(with) } else { lane(a, n) })
}

fn all_true<T: Lane>(a: u128) -> u128 {
    u128::from((0..count::<T>()).all(|n| lane::<T>(a, n).bits() != 0))
}

fn bitmask<T: Lane>(a: u128) -> u128 {
    (0..count::<T>()).fold(0, |mask, n| mask | (lane::<T>(a, n).bits() >> (T::BITS - 1)) << n)
}

/// The lanes of the low half, or of the high one, each made wider.
fn extend<T: Lane, U: Lane + From<T>>(a: u128, high: bool) -> u128 {
    vector(|n| U::from(lane::<T>(a, n + if high { count::<U>() } else { 0 })))
}

/// The sums of neighbours, each made wider.
fn add_pairs<T: Lane, U: Lane + From<T> + std::ops::Add<Output = U>>(a: u128) -> u128 {
    vector(|n| U::from(lane::<T>(a, 2 * n)) + U::from(lane::<T>(a, 2 * n + 1)))
}

/// The lanes of `a`, then those of `b`, each made narrower.
fn narrow<T: Lane, U: Lane>(a: u128, b: u128, of: impl Fn(T) -> U) -> u128 {
    let half = count::<T>();
    vector(|n| of(if n < half { lane(a, n) } else { lane(b, n - half) }))
}

/// The bytes of `a` and `b`, 32 of them, that `lanes` counts.
pub(super) fn shuffle(lanes: [u8; 16], a: u128, b: u128) -> u128 {
    vector(|n| match lanes[n] {
        from_a @ 0..16 => lane::<u8>(a, from_a.into()),
        from_b => lane(b, usize::from(from_b) - 16),
    })
}

/// Computes `op` of lane number `at`, if it is of one. Operands and the result are vectors, or words.
pub(super) fn evaluate(op: VectorOp, at: u8, operands: &[u128]) -> u128 {
    match *operands {
        [a] => of_one(op, at, a),
        [a, b] => of_two(op, at, a, b),
        [if_one, if_zero, mask] => if_one & mask | if_zero & !mask,
        _ => unreachable!("{} has one to three operands", op.name()),
    }
}

fn of_one(op: VectorOp, at: u8, a: u128) -> u128 {
    use VectorOp::*;
    let float = |of: fn(u64) -> u64| map(a, |x: u32| of(x.into()) as u32);
    let double = |of: fn(u64) -> u64| map(a, |x: u64| of(x));
    let n = usize::from(at);
    match op {
        I8x16Splat => vector(|_| a as u8),
        I16x8Splat => vector(|_| a as u16),
        I32x4Splat | F32x4Splat => vector(|_| a as u32),
        I64x2Splat | F64x2Splat => vector(|_| a as u64),
        I8x16ExtractLaneS => i32::from(lane::<i8>(a, n)).bits(),
        I8x16ExtractLaneU => lane::<u8>(a, n).bits(),
        I16x8ExtractLaneS => i32::from(lane::<i16>(a, n)).bits(),
        I16x8ExtractLaneU => lane::<u16>(a, n).bits(),
        I32x4ExtractLane | F32x4ExtractLane => lane::<u32>(a, n).bits(),
        I64x2ExtractLane | F64x2ExtractLane => lane::<u64>(a, n).bits(),
        V128Not => !a,
        V128AnyTrue => u128::from(a != 0),
        I8x16Abs => map(a, i8::wrapping_abs),
        I16x8Abs => map(a, i16::wrapping_abs),
        I32x4Abs => map(a, i32::wrapping_abs),
        I64x2Abs => map(a, i64::wrapping_abs),
        I8x16Neg => map(a, i8::wrapping_neg),
        I16x8Neg => map(a, i16::wrapping_neg),
        I32x4Neg => map(a, i32::wrapping_neg),
        I64x2Neg => map(a, i64::wrapping_neg),
        I8x16Popcnt => map(a, |x: u8| x.count_ones() as u8),
        I8x16AllTrue => all_true::<u8>(a),
        I16x8AllTrue => all_true::<u16>(a),
        I32x4AllTrue => all_true::<u32>(a),
        I64x2AllTrue => all_true::<u64>(a),
        I8x16Bitmask => bitmask::<u8>(a),
        I16x8Bitmask => bitmask::<u16>(a),
        I32x4Bitmask => bitmask::<u32>(a),
        I64x2Bitmask => bitmask::<u64>(a),
        I16x8ExtendLowI8x16S => extend::<i8, i16>(a, false),
        I16x8ExtendHighI8x16S => extend::<i8, i16>(a, true),
        I16x8ExtendLowI8x16U => extend::<u8, u16>(a, false),
        I16x8ExtendHighI8x16U => extend::<u8, u16>(a, true),
        I32x4ExtendLowI16x8S => extend::<i16, i32>(a, false),
        I32x4ExtendHighI16x8S => extend::<i16, i32>(a, true),
        I32x4ExtendLowI16x8U => extend::<u16, u32>(a, false),
        I32x4ExtendHighI16x8U => extend::<u16, u32>(a, true),
        I64x2ExtendLowI32x4S => extend::<i32, i64>(a, false),
        I64x2ExtendHighI32x4S => extend::<i32, i64>(a, true),
        I64x2ExtendLowI32x4U => extend::<u32, u64>(a, false),
        I64x2ExtendHighI32x4U => extend::<u32, u64>(a, true),
        I16x8ExtAddPairwiseI8x16S => add_pairs::<i8, i16>(a),
        I16x8ExtAddPairwiseI8x16U => add_pairs::<u8, u16>(a),
        I32x4ExtAddPairwiseI16x8S => add_pairs::<i16, i32>(a),
        I32x4ExtAddPairwiseI16x8U => add_pairs::<u16, u32>(a),
        F32x4Abs => float(word::F32Abs),
        F32x4Neg => float(word::F32Neg),
        F32x4Sqrt => float(word::F32Sqrt),
        F32x4Ceil => float(word::F32Ceil),
        F32x4Floor => float(word::F32Floor),
        F32x4Trunc => float(word::F32Trunc),
        F32x4Nearest => float(word::F32Nearest),
        F64x2Abs => double(word::F64Abs),
        F64x2Neg => double(word::F64Neg),
        F64x2Sqrt => double(word::F64Sqrt),
        F64x2Ceil => double(word::F64Ceil),
        F64x2Floor => double(word::F64Floor),
        F64x2Trunc => double(word::F64Trunc),
        F64x2Nearest => double(word::F64Nearest),
        I32x4TruncSatF32x4S => float(word::I32TruncSatF32S),
        I32x4TruncSatF32x4U => float(word::I32TruncSatF32U),
        I32x4TruncSatF64x2SZero => narrow(a, 0, |x: u64| word::I32TruncSatF64S(x) as u32),
        I32x4TruncSatF64x2UZero => narrow(a, 0, |x: u64| word::I32TruncSatF64U(x) as u32),
        F32x4ConvertI32x4S => float(word::F32ConvertI32S),
        F32x4ConvertI32x4U => float(word::F32ConvertI32U),
        F64x2ConvertLowI32x4S => vector(|n| word::F64ConvertI32S(lane::<u32>(a, n).into())),
        F64x2ConvertLowI32x4U => vector(|n| word::F64ConvertI32U(lane::<u32>(a, n).into())),
        F32x4DemoteF64x2Zero => vector(|n| match n {
            0 | 1 => word::F32DemoteF64(lane(a, n)) as u32,
            _ => 0,
        }),
        F64x2PromoteLowF32x4 => vector(|n| word::F64PromoteF32(lane::<u32>(a, n).into())),
        _ => unreachable!("{} has more operands", op.name()),
    }
}

fn of_two(op: VectorOp, at: u8, a: u128, b: u128) -> u128 {
    use VectorOp::*;
    let float = |of: fn(u64, u64) -> u64| zip(a, b, |x: u32, y: u32| of(x.into(), y.into()) as u32);
    let double = |of: fn(u64, u64) -> u64| zip(a, b, |x: u64, y: u64| of(x, y));
    let by = b as u32;
    match op {
        I8x16ReplaceLane => replace::<u8>(a, at, b),
        I16x8ReplaceLane => replace::<u16>(a, at, b),
        I32x4ReplaceLane | F32x4ReplaceLane => replace::<u32>(a, at, b),
        I64x2ReplaceLane | F64x2ReplaceLane => replace::<u64>(a, at, b),
        I8x16Swizzle => vector(|n| match lane::<u8>(b, n) {
            from @ 0..16 => lane::<u8>(a, from.into()),
            _ => 0,
        }),
        V128And => a & b,
        V128AndNot => a & !b,
        V128Or => a | b,
        V128Xor => a ^ b,
        I8x16Shl => map(a, |x: u8| x.wrapping_shl(by)),
        I16x8Shl => map(a, |x: u16| x.wrapping_shl(by)),
        I32x4Shl => map(a, |x: u32| x.wrapping_shl(by)),
        I64x2Shl => map(a, |x: u64| x.wrapping_shl(by)),
        I8x16ShrS => map(a, |x: i8| x.wrapping_shr(by)),
        I16x8ShrS => map(a, |x: i16| x.wrapping_shr(by)),
        I32x4ShrS => map(a, |x: i32| x.wrapping_shr(by)),
        I64x2ShrS => map(a, |x: i64| x.wrapping_shr(by)),
        I8x16ShrU => map(a, |x: u8| x.wrapping_shr(by)),
        I16x8ShrU => map(a, |x: u16| x.wrapping_shr(by)),
        I32x4ShrU => map(a, |x: u32| x.wrapping_shr(by)),
        I64x2ShrU => map(a, |x: u64| x.wrapping_shr(by)),
        I8x16Add => zip(a, b, u8::wrapping_add),
        I16x8Add => zip(a, b, u16::wrapping_add),
        I32x4Add => zip(a, b, u32::wrapping_add),
        I64x2Add => zip(a, b, u64::wrapping_add),
        I8x16Sub => zip(a, b, u8::wrapping_sub),
        I16x8Sub => zip(a, b, u16::wrapping_sub),
        I32x4Sub => zip(a, b, u32::wrapping_sub),
        I64x2Sub => zip(a, b, u64::wrapping_sub),
        I16x8Mul => zip(a, b, u16::wrapping_mul),
        I32x4Mul => zip(a, b, u32::wrapping_mul),
        I64x2Mul => zip(a, b, u64::wrapping_mul),
        I8x16AddSatS => zip(a, b, i8::saturating_add),
        I8x16AddSatU => zip(a, b, u8::saturating_add),
        I8x16SubSatS => zip(a, b, i8::saturating_sub),
        I8x16SubSatU => zip(a, b, u8::saturating_sub),
        I16x8AddSatS => zip(a, b, i16::saturating_add),
        I16x8AddSatU => zip(a, b, u16::saturating_add),
        I16x8SubSatS => zip(a, b, i16::saturating_sub),
        I16x8SubSatU => zip(a, b, u16::saturating_sub),
        I8x16AvgrU => zip(a, b, |x: u8, y: u8| (u16::from(x) + u16::from(y)).div_ceil(2) as u8),
        I16x8AvgrU => zip(a, b, |x: u16, y: u16| (u32::from(x) + u32::from(y)).div_ceil(2) as u16),
        I8x16MinS => zip(a, b, i8::min),
        I8x16MinU => zip(a, b, u8::min),
        I8x16MaxS => zip(a, b, i8::max),
        I8x16MaxU => zip(a, b, u8::max),
        I16x8MinS => zip(a, b, i16::min),
        I16x8MinU => zip(a, b, u16::min),
        I16x8MaxS => zip(a, b, i16::max),
        I16x8MaxU => zip(a, b, u16::max),
        I32x4MinS => zip(a, b, i32::min),
        I32x4MinU => zip(a, b, u32::min),
        I32x4MaxS => zip(a, b, i32::max),
        I32x4MaxU => zip(a, b, u32::max),
        I8x16NarrowI16x8S => narrow(a, b, |x: i16| x.clamp(i8::MIN.into(), i8::MAX.into()) as i8),
        I8x16NarrowI16x8U => narrow(a, b, |x: i16| x.clamp(0, u8::MAX.into()) as u8),
        I16x8NarrowI32x4S => narrow(a, b, |x: i32| x.clamp(i16::MIN.into(), i16::MAX.into()) as i16),
        I16x8NarrowI32x4U => narrow(a, b, |x: i32| x.clamp(0, u16::MAX.into()) as u16),
        I16x8ExtMulLowI8x16S => {
            zip(extend::<i8, i16>(a, false), extend::<i8, i16>(b, false), i16::wrapping_mul)
        }
        I16x8ExtMulHighI8x16S => {
            zip(extend::<i8, i16>(a, true), extend::<i8, i16>(b, true), i16::wrapping_mul)
        }
        I16x8ExtMulLowI8x16U => {
            zip(extend::<u8, u16>(a, false), extend::<u8, u16>(b, false), u16::wrapping_mul)
        }
        I16x8ExtMulHighI8x16U => {
            zip(extend::<u8, u16>(a, true), extend::<u8, u16>(b, true), u16::wrapping_mul)
        }
        I32x4ExtMulLowI16x8S => {
            zip(extend::<i16, i32>(a, false), extend::<i16, i32>(b, false), i32::wrapping_mul)
        }
        I32x4ExtMulHighI16x8S => {
            zip(extend::<i16, i32>(a, true), extend::<i16, i32>(b, true), i32::wrapping_mul)
        }
        I32x4ExtMulLowI16x8U => {
            zip(extend::<u16, u32>(a, false), extend::<u16, u32>(b, false), u32::wrapping_mul)
        }
        I32x4ExtMulHighI16x8U => {
            zip(extend::<u16, u32>(a, true), extend::<u16, u32>(b, true), u32::wrapping_mul)
        }
        I64x2ExtMulLowI32x4S => {
            zip(extend::<i32, i64>(a, false), extend::<i32, i64>(b, false), i64::wrapping_mul)
        }
        I64x2ExtMulHighI32x4S => {
            zip(extend::<i32, i64>(a, true), extend::<i32, i64>(b, true), i64::wrapping_mul)
        }
        I64x2ExtMulLowI32x4U => {
            zip(extend::<u32, u64>(a, false), extend::<u32, u64>(b, false), u64::wrapping_mul)
        }
        I64x2ExtMulHighI32x4U => {
            zip(extend::<u32, u64>(a, true), extend::<u32, u64>(b, true), u64::wrapping_mul)
        }
        I16x8Q15MulrSatS => zip(a, b, |x: i16, y: i16| {
            let product = (i32::from(x) * i32::from(y) + 0x4000) >> 15;
            product.min(i16::MAX.into()) as i16
        }),
        I32x4DotI16x8S => vector(|n| {
            let product = |n| i32::from(lane::<i16>(a, n)) * i32::from(lane::<i16>(b, n));
            product(2 * n).wrapping_add(product(2 * n + 1))
        }),
        F32x4Add => float(word::F32Add),
        F32x4Sub => float(word::F32Sub),
        F32x4Mul => float(word::F32Mul),
        F32x4Div => float(word::F32Div),
        F32x4Min => float(word::F32Min),
        F32x4Max => float(word::F32Max),
        F32x4PMin => float(|a, b| if word::F32Lt(b, a) != 0 { b } else { a }),
        F32x4PMax => float(|a, b| if word::F32Lt(a, b) != 0 { b } else { a }),
        F64x2Add => double(word::F64Add),
        F64x2Sub => double(word::F64Sub),
        F64x2Mul => double(word::F64Mul),
        F64x2Div => double(word::F64Div),
        F64x2Min => double(word::F64Min),
        F64x2Max => double(word::F64Max),
        F64x2PMin => double(|a, b| if word::F64Lt(b, a) != 0 { b } else { a }),
        F64x2PMax => double(|a, b| if word::F64Lt(a, b) != 0 { b } else { a }),
        _ => comparison(op, a, b),
    }
}

fn comparison(op: VectorOp, a: u128, b: u128) -> u128 {
    use VectorOp::*;
    match op {
        I8x16Eq => compare(a, b, |x: u8, y| x == y),
        I8x16Ne => compare(a, b, |x: u8, y| x != y),
        I8x16LtS => compare(a, b, |x: i8, y| x < y),
        I8x16LtU => compare(a, b, |x: u8, y| x < y),
        I8x16GtS => compare(a, b, |x: i8, y| x > y),
        I8x16GtU => compare(a, b, |x: u8, y| x > y),
        I8x16LeS => compare(a, b, |x: i8, y| x <= y),
        I8x16LeU => compare(a, b, |x: u8, y| x <= y),
        I8x16GeS => compare(a, b, |x: i8, y| x >= y),
        I8x16GeU => compare(a, b, |x: u8, y| x >= y),
        I16x8Eq => compare(a, b, |x: u16, y| x == y),
        I16x8Ne => compare(a, b, |x: u16, y| x != y),
        I16x8LtS => compare(a, b, |x: i16, y| x < y),
        I16x8LtU => compare(a, b, |x: u16, y| x < y),
        I16x8GtS => compare(a, b, |x: i16, y| x > y),
        I16x8GtU => compare(a, b, |x: u16, y| x > y),
        I16x8LeS => compare(a, b, |x: i16, y| x <= y),
        I16x8LeU => compare(a, b, |x: u16, y| x <= y),
        I16x8GeS => compare(a, b, |x: i16, y| x >= y),
        I16x8GeU => compare(a, b, |x: u16, y| x >= y),
        I32x4Eq => compare(a, b, |x: u32, y| x == y),
        I32x4Ne => compare(a, b, |x: u32, y| x != y),
        I32x4LtS => compare(a, b, |x: i32, y| x < y),
        I32x4LtU => compare(a, b, |x: u32, y| x < y),
        I32x4GtS => compare(a, b, |x: i32, y| x > y),
        I32x4GtU => compare(a, b, |x: u32, y| x > y),
        I32x4LeS => compare(a, b, |x: i32, y| x <= y),
        I32x4LeU => compare(a, b, |x: u32, y| x <= y),
        I32x4GeS => compare(a, b, |x: i32, y| x >= y),
        I32x4GeU => compare(a, b, |x: u32, y| x >= y),
        I64x2Eq => compare(a, b, |x: u64, y| x == y),
        I64x2Ne => compare(a, b, |x: u64, y| x != y),
        I64x2LtS => compare(a, b, |x: i64, y| x < y),
        I64x2GtS => compare(a, b, |x: i64, y| x > y),
        I64x2LeS => compare(a, b, |x: i64, y| x <= y),
        I64x2GeS => compare(a, b, |x: i64, y| x >= y),
        F32x4Eq => compare_words::<u32>(a, b, word::F32Eq),
        F32x4Ne => compare_words::<u32>(a, b, word::F32Ne),
        F32x4Lt => compare_words::<u32>(a, b, word::F32Lt),
        F32x4Gt => compare_words::<u32>(a, b, word::F32Gt),
        F32x4Le => compare_words::<u32>(a, b, word::F32Le),
        F32x4Ge => compare_words::<u32>(a, b, word::F32Ge),
        F64x2Eq => compare_words::<u64>(a, b, word::F64Eq),
        F64x2Ne => compare_words::<u64>(a, b, word::F64Ne),
        F64x2Lt => compare_words::<u64>(a, b, word::F64Lt),
        F64x2Gt => compare_words::<u64>(a, b, word::F64Gt),
        F64x2Le => compare_words::<u64>(a, b, word::F64Le),
        F64x2Ge => compare_words::<u64>(a, b, word::F64Ge),
        _ => unreachable!("{} has other operands", op.name()),
    }
}
