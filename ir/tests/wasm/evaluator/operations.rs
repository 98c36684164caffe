//! Operations on values, by WebAssembly's definitions.

use osr_ir::{BinaryOp, TrapKind, UnaryOp};

fn f32(bits: u64) -> f32 {
    f32::from_bits(bits as u32)
}

fn f64(bits: u64) -> f64 {
    f64::from_bits(bits)
}

fn bits32(value: f32) -> u64 {
    u64::from(value.to_bits())
}

/// `value` truncated, if it lies strictly between the bounds: they are exact, as `f64`.
fn truncated(value: f64, above: f64, below: f64) -> Result<f64, TrapKind> {
    if value.is_nan() {
        return Err(TrapKind::InvalidConversionToInteger);
    }
    let whole = value.trunc();
    if whole > above && whole < below { Ok(whole) } else { Err(TrapKind::IntegerOverflow) }
}

fn i32_signed(value: f64) -> Result<u64, TrapKind> {
    truncated(value, -2_147_483_649.0, 2_147_483_648.0).map(|v| u64::from(v as i32 as u32))
}

fn i32_unsigned(value: f64) -> Result<u64, TrapKind> {
    truncated(value, -1.0, 4_294_967_296.0).map(|v| u64::from(v as u32))
}

/// The bound below is the next `f64` under -2^63.
fn i64_signed(value: f64) -> Result<u64, TrapKind> {
    truncated(value, -9_223_372_036_854_777_856.0, 9_223_372_036_854_775_808.0).map(|v| v as i64 as u64)
}

fn i64_unsigned(value: f64) -> Result<u64, TrapKind> {
    truncated(value, -1.0, 18_446_744_073_709_551_616.0).map(|v| v as u64)
}

/// The value of `op`.
pub(super) fn unary(op: UnaryOp, a: u64) -> Result<u64, TrapKind> {
    use UnaryOp::*;
    let low = a as u32;
    let word = |value: u32| u64::from(value);
    let f32_op = |value: f32| bits32(value);
    Ok(match op {
        I32Clz => word(low.leading_zeros()),
        I32Ctz => word(low.trailing_zeros()),
        I32Popcnt => word(low.count_ones()),
        I32Eqz => u64::from(low == 0),
        I32Extend8S => word(low as i8 as u32),
        I32Extend16S => word(low as i16 as u32),
        I64Clz => word(a.leading_zeros()),
        I64Ctz => word(a.trailing_zeros()),
        I64Popcnt => word(a.count_ones()),
        I64Eqz | RefIsNull | ExternIsNull | ExnIsNull => u64::from(a == 0),
        I64Extend8S => a as i8 as u64,
        I64Extend16S => a as i16 as u64,
        I64Extend32S | I64ExtendI32S => a as i32 as u64,
        F32Abs => a & 0x7fff_ffff,
        F32Neg => a ^ 0x8000_0000,
        F32Ceil => f32_op(f32(a).ceil()),
        F32Floor => f32_op(f32(a).floor()),
        F32Trunc => f32_op(f32(a).trunc()),
        F32Nearest => f32_op(f32(a).round_ties_even()),
        F32Sqrt => f32_op(f32(a).sqrt()),
        F64Abs => a & !(1 << 63),
        F64Neg => a ^ (1 << 63),
        F64Ceil => f64(a).ceil().to_bits(),
        F64Floor => f64(a).floor().to_bits(),
        F64Trunc => f64(a).trunc().to_bits(),
        F64Nearest => f64(a).round_ties_even().to_bits(),
        F64Sqrt => f64(a).sqrt().to_bits(),
        I32WrapI64 | I64ExtendI32U => word(low),
        I32TruncF32S => i32_signed(f32(a).into())?,
        I32TruncF32U => i32_unsigned(f32(a).into())?,
        I32TruncF64S => i32_signed(f64(a))?,
        I32TruncF64U => i32_unsigned(f64(a))?,
        I64TruncF32S => i64_signed(f32(a).into())?,
        I64TruncF32U => i64_unsigned(f32(a).into())?,
        I64TruncF64S => i64_signed(f64(a))?,
        I64TruncF64U => i64_unsigned(f64(a))?,
        I32TruncSatF32S => word(f32(a) as i32 as u32),
        I32TruncSatF32U => word(f32(a) as u32),
        I32TruncSatF64S => word(f64(a) as i32 as u32),
        I32TruncSatF64U => word(f64(a) as u32),
        I64TruncSatF32S => f32(a) as i64 as u64,
        I64TruncSatF32U => f32(a) as u64,
        I64TruncSatF64S => f64(a) as i64 as u64,
        I64TruncSatF64U => f64(a) as u64,
        F32ConvertI32S => f32_op(low as i32 as f32),
        F32ConvertI32U => f32_op(low as f32),
        F32ConvertI64S => f32_op(a as i64 as f32),
        F32ConvertI64U => f32_op(a as f32),
        F64ConvertI32S => f64::from(low as i32).to_bits(),
        F64ConvertI32U => f64::from(low).to_bits(),
        F64ConvertI64S => (a as i64 as f64).to_bits(),
        F64ConvertI64U => (a as f64).to_bits(),
        F32DemoteF64 => f32_op(f64(a) as f32),
        F64PromoteF32 => f64::from(f32(a)).to_bits(),
        I32ReinterpretF32 | I64ReinterpretF64 | F32ReinterpretI32 | F64ReinterpretI64 => a,
    })
}

macro_rules! divide {
    ($signed:ty, $unsigned:ty, $a:expr, $b:expr, $method:ident) => {{
        let (a, b) = ($a as $signed, $b as $signed);
        if b == 0 {
            return Err(TrapKind::IntegerDivideByZero);
        }
        u64::from(a.$method(b).ok_or(TrapKind::IntegerOverflow)? as $unsigned)
    }};
}

/// The value of `op`.
pub(super) fn binary(op: BinaryOp, a: u64, b: u64) -> Result<u64, TrapKind> {
    use BinaryOp::*;
    let (x, y) = (a as u32, b as u32);
    let (s, t) = (x as i32, y as i32);
    let (i, j) = (a as i64, b as i64);
    let word = |value: u32| u64::from(value);
    Ok(match op {
        I32Add => word(x.wrapping_add(y)),
        I32Sub => word(x.wrapping_sub(y)),
        I32Mul => word(x.wrapping_mul(y)),
        I32DivS => divide!(i32, u32, a, b, checked_div),
        I32DivU => divide!(u32, u32, a, b, checked_div),
        I32RemS if t == -1 => 0,
        I32RemS => divide!(i32, u32, a, b, checked_rem),
        I32RemU => divide!(u32, u32, a, b, checked_rem),
        I32And => word(x & y),
        I32Or => word(x | y),
        I32Xor => word(x ^ y),
        I32Shl => word(x.wrapping_shl(y)),
        I32ShrS => word(s.wrapping_shr(y) as u32),
        I32ShrU => word(x.wrapping_shr(y)),
        I32Rotl => word(x.rotate_left(y % 32)),
        I32Rotr => word(x.rotate_right(y % 32)),
        I32Eq => u64::from(x == y),
        I32Ne => u64::from(x != y),
        I32LtS => u64::from(s < t),
        I32LtU => u64::from(x < y),
        I32GtS => u64::from(s > t),
        I32GtU => u64::from(x > y),
        I32LeS => u64::from(s <= t),
        I32LeU => u64::from(x <= y),
        I32GeS => u64::from(s >= t),
        I32GeU => u64::from(x >= y),
        I64Add => a.wrapping_add(b),
        I64Sub => a.wrapping_sub(b),
        I64Mul => a.wrapping_mul(b),
        I64DivS => divide!(i64, u64, a, b, checked_div),
        I64DivU => divide!(u64, u64, a, b, checked_div),
        I64RemS if j == -1 => 0,
        I64RemS => divide!(i64, u64, a, b, checked_rem),
        I64RemU => divide!(u64, u64, a, b, checked_rem),
        I64And => a & b,
        I64Or => a | b,
        I64Xor => a ^ b,
        I64Shl => a.wrapping_shl(y),
        I64ShrS => i.wrapping_shr(y) as u64,
        I64ShrU => a.wrapping_shr(y),
        I64Rotl => a.rotate_left(y % 64),
        I64Rotr => a.rotate_right(y % 64),
        I64Eq => u64::from(a == b),
        I64Ne => u64::from(a != b),
        I64LtS => u64::from(i < j),
        I64LtU => u64::from(a < b),
        I64GtS => u64::from(i > j),
        I64GtU => u64::from(a > b),
        I64LeS => u64::from(i <= j),
        I64LeU => u64::from(a <= b),
        I64GeS => u64::from(i >= j),
        I64GeU => u64::from(a >= b),
        _ => float(op, a, b),
    })
}

fn float(op: BinaryOp, a: u64, b: u64) -> u64 {
    use BinaryOp::*;
    let ((x, y), (p, q)) = ((f32(a), f32(b)), (f64(a), f64(b)));
    match op {
        F32Add => bits32(x + y),
        F32Sub => bits32(x - y),
        F32Mul => bits32(x * y),
        F32Div => bits32(x / y),
        F32Min => bits32(minimum(x.into(), y.into()) as f32),
        F32Max => bits32(-minimum((-x).into(), (-y).into()) as f32),
        F32Copysign => bits32(x.copysign(y)),
        F32Eq => u64::from(x == y),
        F32Ne => u64::from(x != y),
        F32Lt => u64::from(x < y),
        F32Gt => u64::from(x > y),
        F32Le => u64::from(x <= y),
        F32Ge => u64::from(x >= y),
        F64Add => (p + q).to_bits(),
        F64Sub => (p - q).to_bits(),
        F64Mul => (p * q).to_bits(),
        F64Div => (p / q).to_bits(),
        F64Min => minimum(p, q).to_bits(),
        F64Max => (-minimum(-p, -q)).to_bits(),
        F64Copysign => p.copysign(q).to_bits(),
        F64Eq => u64::from(p == q),
        F64Ne => u64::from(p != q),
        F64Lt => u64::from(p < q),
        F64Gt => u64::from(p > q),
        F64Le => u64::from(p <= q),
        F64Ge => u64::from(p >= q),
        other => panic!("not a float operation: {other:?}"),
    }
}

/// NaN if either is; -0 is less than 0.
fn minimum(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == b {
        f64::from_bits(a.to_bits() | b.to_bits())
    } else if a < b {
        a
    } else {
        b
    }
}
