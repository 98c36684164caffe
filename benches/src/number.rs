//! Values as people write and read them.

use osr_engine::Trap;
use osr_ir::{Signature, Type, Value};

use crate::cli::Variable;
use crate::error::Error;

/// Reads the arguments of `function`, whose type is `signature`.
pub(crate) fn read_arguments(
    function: &str,
    signature: &Signature,
    texts: &[String],
) -> Result<Vec<Value>, Error> {
    let expected = signature.parameters.len();
    if expected != texts.len() {
        let (function, signature) = (function.to_owned(), signature.to_string());
        return Err(Error::ArgumentCount { function, expected, given: texts.len(), signature });
    }
    let read_argument = |(position, (&ty, text)): (usize, (&Type, &String))| {
        read(ty, text).map_err(|problem| Error::Argument {
            function: function.to_owned(),
            position: position + 1,
            text: text.replace('\u{2212}', "-"),
            problem,
            ty,
        })
    };
    signature.parameters.iter().zip(texts).enumerate().map(read_argument).collect()
}

/// Reads the value of a global of type `ty`.
pub(crate) fn read_global(given: &Variable, ty: Type) -> Result<Value, Error> {
    read(ty, &given.value).map_err(|problem| Error::GlobalValue {
        name: given.name.clone(),
        text: given.value.clone(),
        problem,
        ty,
    })
}

const NOT: &str = "is not a value of type";
const TOO_LARGE: &str = "does not fit the type";

/// Reads one value; the error is what is wrong, to be followed by the type.
fn read(ty: Type, text: &str) -> Result<Value, &'static str> {
    let text = &*text.replace('\u{2212}', "-");
    match ty {
        Type::I32 => read_integer(text, 32).map(|value| Value::I32(value as i32)),
        Type::I64 => read_integer(text, 64).map(|value| Value::I64(value as i64)),
        Type::F32 => read_f32(text).map(|value| Value::F32(value.to_bits())),
        Type::F64 => read_f64(text).map(|value| Value::F64(value.to_bits())),
        Type::V128 => read_vector(text).map(Value::of_bytes),
        Type::Funcref if text == "null" => Ok(Value::NullFuncref),
        Type::Externref if text == "null" => Ok(Value::Externref(0)),
        Type::Externref => read_integer(text, 64).map(|value| Value::Externref(value as u64)),
        Type::Exnref if text == "null" => Ok(Value::NullExnref),
        Type::Funcref | Type::Exnref => Err(NOT),
    }
}

/// The bytes of a vector, lowest first, from its bits in hexadecimal.
fn read_vector(text: &str) -> Result<[u8; 16], &'static str> {
    let digits =
        text.strip_prefix("0x").filter(|digits| digits.chars().all(|digit| digit.is_ascii_hexdigit()));
    let bits = u128::from_str_radix(digits.filter(|digits| !digits.is_empty()).ok_or(NOT)?, 16);
    bits.map(u128::to_le_bytes).map_err(|_| TOO_LARGE)
}

/// A signed decimal, or the bits in hexadecimal.
fn read_integer(text: &str, bits: u32) -> Result<i128, &'static str> {
    let (negative, magnitude) = text.strip_prefix('-').map_or((false, text), |magnitude| (true, magnitude));
    let (digits, radix) = magnitude.strip_prefix("0x").map_or((magnitude, 10), |digits| (digits, 16));
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(NOT);
    }
    let value = i128::from_str_radix(digits, radix).map_err(|_| TOO_LARGE)?;
    let value = if negative { -value } else { value };
    let highest = if radix == 16 { (1 << bits) - 1 } else { (1 << (bits - 1)) - 1 };
    if (-(1 << (bits - 1))..=highest).contains(&value) { Ok(value) } else { Err(TOO_LARGE) }
}

fn read_f32(text: &str) -> Result<f32, &'static str> {
    let value: f32 = text.parse().map_err(|_| NOT)?;
    if value.is_infinite() && !names_infinity(text) { Err(TOO_LARGE) } else { Ok(value) }
}

fn read_f64(text: &str) -> Result<f64, &'static str> {
    let value: f64 = text.parse().map_err(|_| NOT)?;
    if value.is_infinite() && !names_infinity(text) { Err(TOO_LARGE) } else { Ok(value) }
}

fn names_infinity(text: &str) -> bool {
    text.to_ascii_lowercase().contains("inf")
}

/// How values of `ty` are written.
pub(crate) fn how_to_write(ty: Type) -> &'static str {
    match ty {
        Type::I32 => "write a decimal from -2147483648 to 2147483647, or 0x and up to 8 digits",
        Type::I64 => {
            "write a decimal from -9223372036854775808 to 9223372036854775807, or 0x and up to 16 digits"
        }
        Type::F32 | Type::F64 => "write a decimal like 1.5 or -2e10, or inf, -inf, nan",
        Type::V128 => "write 0x and up to 32 digits, lane 0 last",
        Type::Externref => "write null, or a number, which the program can only keep and hand back",
        Type::Funcref => "write null: a function cannot be given from outside",
        Type::Exnref => "write null: an exception cannot be given from outside",
    }
}

/// The texts of all results.
pub(crate) fn show_all(types: &[Type], words: &[u64]) -> Vec<String> {
    let mut words = words;
    let mut next = |&ty: &Type| {
        let (value, rest) = words.split_at(ty.words());
        words = rest;
        ty.show(value)
    };
    types.iter().map(&mut next).collect()
}

/// What a call gave, as one line.
pub(crate) fn show_outcome(types: &[Type], result: &Result<Vec<u64>, Trap>) -> String {
    match result {
        Ok(words) => show_all(types, words).join(" "),
        Err(trap) => format!("trap {}", trap.kind),
    }
}

#[cfg(test)]
mod tests {
    use super::{NOT, TOO_LARGE, read};
    use osr_ir::{Type, Value};

    #[test]
    fn integers_are_signed_decimals_or_hexadecimal_bits() {
        assert_eq!(read(Type::I32, "-2147483648"), Ok(Value::I32(i32::MIN)));
        assert_eq!(read(Type::I32, "0xffffffff"), Ok(Value::I32(-1)));
        assert_eq!(read(Type::I64, "\u{2212}0x10"), Ok(Value::I64(-16)));
        assert_eq!(read(Type::I64, "9223372036854775807"), Ok(Value::I64(i64::MAX)));
        for text in ["2147483648", "-2147483649", "0x100000000", "99999999999999999999999999999999999999999"]
        {
            assert_eq!(read(Type::I32, text), Err(TOO_LARGE), "{text}");
        }
        for text in ["", "-", "0x", "1.0", "1_000", "+-1", "--1", "inf", "null", "é"] {
            assert_eq!(read(Type::I32, text), Err(NOT), "{text}");
        }
    }

    #[test]
    fn floats_are_what_rust_reads() {
        assert_eq!(read(Type::F64, "-inf"), Ok(Value::F64(f64::NEG_INFINITY.to_bits())));
        assert_eq!(read(Type::F32, "1e-3"), Ok(Value::F32(1e-3_f32.to_bits())));
        assert_eq!(read(Type::F32, "1e39"), Err(TOO_LARGE));
        assert_eq!(read(Type::F64, "1,5"), Err(NOT));
        assert!(matches!(read(Type::F64, "nan"), Ok(Value::F64(bits)) if f64::from_bits(bits).is_nan()));
    }
}
