//! Literals in both directions: numbers, strings and names as text. Printing and reading are
//! inverse to each other, also for the bits of floats.

use std::fmt::{self, Write};

use super::error::ParseErrorKind;
use super::lexer::is_word;
use crate::value::{Type, Value};

/// Words that mean something else where a function may be named.
const RESERVED: [&str; 2] = ["null", "import"];

/// Whether `word` must be quoted to name a function.
pub(super) fn is_reserved(word: &str) -> bool {
    let is_global =
        word.strip_prefix('g').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    is_global || RESERVED.contains(&word)
}

/// Writes the name of a function, in quotes if it needs them.
pub(super) fn write_function_name(out: &mut impl Write, name: &str) -> fmt::Result {
    if is_word(name) && !is_reserved(name) { out.write_str(name) } else { write_name(out, name) }
}

/// Writes a quoted name. Letters of every script stay as they are; what cannot be seen is escaped.
pub(super) fn write_name(out: &mut impl Write, name: &str) -> fmt::Result {
    out.write_char('"')?;
    for character in name.chars() {
        if !character.is_ascii() && character.is_alphanumeric() {
            out.write_char(character)?;
        } else {
            character.encode_utf8(&mut [0; 4]).bytes().try_for_each(|byte| write_byte(out, byte))?;
        }
    }
    out.write_char('"')
}

/// Writes quoted bytes.
pub(super) fn write_bytes(out: &mut impl Write, bytes: &[u8]) -> fmt::Result {
    out.write_char('"')?;
    bytes.iter().try_for_each(|byte| write_byte(out, *byte))?;
    out.write_char('"')
}

fn write_byte(out: &mut impl Write, byte: u8) -> fmt::Result {
    match byte {
        b'"' | b'\\' => write!(out, "\\{}", char::from(byte)),
        b' '..=b'~' => out.write_char(char::from(byte)),
        _ => write!(out, "\\{byte:02x}"),
    }
}

/// The byte that an escape stands for, and the length of the escape after its backslash.
pub(super) fn unescape(after_backslash: &[u8]) -> Option<(u8, usize)> {
    match after_backslash {
        [b'n', ..] => Some((b'\n', 1)),
        [b'r', ..] => Some((b'\r', 1)),
        [b't', ..] => Some((b'\t', 1)),
        [quoted @ (b'"' | b'\\'), ..] => Some((*quoted, 1)),
        [high, low, ..] => {
            let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
            Some((digit(*high)? << 4 | digit(*low)?, 2))
        }
        _ => None,
    }
}

/// Writes a constant; its type is not written.
pub(super) fn write_value(out: &mut impl Write, value: Value) -> fmt::Result {
    match value {
        Value::I32(value) => write!(out, "{value}"),
        Value::I64(value) => write!(out, "{value}"),
        Value::F32(bits) => {
            let float = f32::from_bits(bits);
            let sign = if float.is_sign_negative() { "-" } else { "" };
            if float.is_nan() {
                write!(out, "{sign}nan:{:#x}", bits & F32_PAYLOAD)
            } else {
                write!(out, "{float:?}")
            }
        }
        Value::F64(bits) => {
            let float = f64::from_bits(bits);
            let sign = if float.is_sign_negative() { "-" } else { "" };
            if float.is_nan() {
                write!(out, "{sign}nan:{:#x}", bits & F64_PAYLOAD)
            } else {
                write!(out, "{float:?}")
            }
        }
        Value::V128([low, high]) => write!(out, "{high:#018x}{low:016x}"),
        Value::NullFuncref | Value::NullExnref | Value::Externref(0) => out.write_str("null"),
        Value::Externref(word) => write!(out, "{word:#x}"),
    }
}

const F32_PAYLOAD: u32 = (1 << 23) - 1;
const F64_PAYLOAD: u64 = (1 << 52) - 1;

/// Reads a constant of type `ty`. There are no numbers of the types `funcref` and `exnref`.
pub(super) fn read_value(text: &str, ty: Type) -> Result<Value, ParseErrorKind> {
    let value = match ty {
        Type::I32 => read_i32(text),
        Type::I64 => read_i64(text),
        Type::F32 => read_f32(text),
        Type::F64 => read_f64(text),
        Type::V128 => read_v128(text),
        Type::Externref => read_i64(text).map(|value| Value::Externref(value.to_bits())),
        Type::Funcref | Type::Exnref => Err(Problem::Malformed),
    };
    value.map_err(|problem| match problem {
        Problem::Malformed => ParseErrorKind::MalformedNumber { text: text.to_owned(), ty },
        Problem::OutOfRange => ParseErrorKind::NumberOutOfRange { text: text.to_owned(), ty },
    })
}

/// Reads an unsigned number.
pub(super) fn read_u32(text: &str) -> Result<u32, ParseErrorKind> {
    let not_u32 = || ParseErrorKind::NotU32(text.to_owned());
    let (negative, magnitude) = read_integer(text).map_err(|_| not_u32())?;
    if negative {
        return Err(not_u32());
    }
    u32::try_from(magnitude).map_err(|_| not_u32())
}

enum Problem {
    Malformed,
    OutOfRange,
}

/// Sign and magnitude, decimal or hexadecimal.
fn read_integer(text: &str) -> Result<(bool, u64), Problem> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (digits, radix) = match unsigned.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (unsigned, 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(Problem::Malformed);
    }
    let magnitude = u64::from_str_radix(digits, radix).map_err(|_| Problem::OutOfRange)?;
    Ok((unsigned.len() != text.len(), magnitude))
}

/// As in WebAssembly's text, integers may be written signed or unsigned.
fn read_i32(text: &str) -> Result<Value, Problem> {
    let (negative, magnitude) = read_integer(text)?;
    let magnitude = u32::try_from(magnitude).map_err(|_| Problem::OutOfRange)?;
    if negative {
        let value = 0i32.checked_sub_unsigned(magnitude).ok_or(Problem::OutOfRange)?;
        return Ok(Value::I32(value));
    }
    Ok(Value::I32(magnitude as i32))
}

fn read_i64(text: &str) -> Result<Value, Problem> {
    let (negative, magnitude) = read_integer(text)?;
    if negative {
        let value = 0i64.checked_sub_unsigned(magnitude).ok_or(Problem::OutOfRange)?;
        return Ok(Value::I64(value));
    }
    Ok(Value::I64(magnitude as i64))
}

/// The bits, written without a sign.
fn read_v128(text: &str) -> Result<Value, Problem> {
    let (digits, radix) = text.strip_prefix("0x").map_or((text, 10), |digits| (digits, 16));
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(Problem::Malformed);
    }
    let bits = u128::from_str_radix(digits, radix).map_err(|_| Problem::OutOfRange)?;
    Ok(Value::of_bytes(bits.to_le_bytes()))
}

fn read_f32(text: &str) -> Result<Value, Problem> {
    let (sign, unsigned) = split_sign(text);
    let bits = match unsigned {
        "inf" => f32::INFINITY.to_bits(),
        "nan" => f32::NAN.to_bits() & !(1 << 31),
        _ => match unsigned.strip_prefix("nan:") {
            Some(payload) => {
                let payload = read_payload(payload, u64::from(F32_PAYLOAD))?;
                f32::INFINITY.to_bits() | payload as u32
            }
            None => {
                let value: f32 = unsigned.parse().map_err(|_| Problem::Malformed)?;
                if value.is_infinite() { Err(Problem::OutOfRange) } else { Ok(value.to_bits()) }?
            }
        },
    };
    Ok(Value::F32(bits | u32::from(sign) << 31))
}

fn read_f64(text: &str) -> Result<Value, Problem> {
    let (sign, unsigned) = split_sign(text);
    let bits = match unsigned {
        "inf" => f64::INFINITY.to_bits(),
        "nan" => f64::NAN.to_bits() & !(1 << 63),
        _ => match unsigned.strip_prefix("nan:") {
            Some(payload) => f64::INFINITY.to_bits() | read_payload(payload, F64_PAYLOAD)?,
            None => {
                let value: f64 = unsigned.parse().map_err(|_| Problem::Malformed)?;
                if value.is_infinite() { Err(Problem::OutOfRange) } else { Ok(value.to_bits()) }?
            }
        },
    };
    Ok(Value::F64(bits | u64::from(sign) << 63))
}

fn split_sign(text: &str) -> (bool, &str) {
    text.strip_prefix('-').map_or((false, text), |unsigned| (true, unsigned))
}

/// The payload of a NaN: not zero, since that would be an infinity.
fn read_payload(text: &str, mask: u64) -> Result<u64, Problem> {
    match read_integer(text)? {
        (false, payload) if payload != 0 && payload & !mask == 0 => Ok(payload),
        _ => Err(Problem::OutOfRange),
    }
}
