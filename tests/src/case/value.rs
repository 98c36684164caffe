//! Values as text: integers as signed decimals, floats as the shortest decimal that reads back.

use osr_ir::{Type, Value};

/// The value of type `ty` that `text` spells, if it spells one.
pub fn parse_value(ty: Type, text: &str) -> Option<Value> {
    match ty {
        Type::I32 => text.parse().ok().map(Value::I32),
        Type::I64 => text.parse().ok().map(Value::I64),
        Type::F32 => text.parse::<f32>().ok().map(|float| Value::F32(float.to_bits())),
        Type::F64 => text.parse::<f64>().ok().map(|float| Value::F64(float.to_bits())),
        Type::V128 => {
            let bits = text.strip_prefix("0x").and_then(|digits| u128::from_str_radix(digits, 16).ok());
            bits.map(|bits| Value::of_bytes(bits.to_le_bytes()))
        }
        Type::Funcref => (text == "null").then_some(Value::NullFuncref),
        Type::Exnref => (text == "null").then_some(Value::NullExnref),
        Type::Externref if text == "null" => Some(Value::Externref(0)),
        Type::Externref => text.parse().ok().map(Value::Externref),
    }
}

/// `word`, a value of type `ty` or one of the words of a vector, as text.
pub fn print_word(ty: Type, word: u64) -> String {
    match ty {
        Type::V128 => format!("{word:#x}"),
        Type::I32 => (word as i32).to_string(),
        Type::I64 => (word as i64).to_string(),
        Type::F32 => f32::from_bits(word as u32).to_string(),
        Type::F64 => f64::from_bits(word).to_string(),
        Type::Externref if word != 0 => word.to_string(),
        Type::Exnref if word != 0 => "exception".to_owned(),
        Type::Funcref | Type::Externref | Type::Exnref => {
            if word == 0 { "null" } else { "function" }.to_owned()
        }
    }
}
