//! Value types and constants.

use std::fmt;

/// The type of a register, parameter, result or global.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Type {
    /// 32-bit integer, no sign of its own.
    I32,
    /// 64-bit integer, no sign of its own.
    I64,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// A reference to a function, or null.
    Funcref,
    /// A vector of 128 bits, whose operations say what is in it.
    V128,
    /// A reference to something of the host's, or null: a word that guest code can only keep and hand back.
    Externref,
    /// A reference to an exception, or null.
    Exnref,
}

impl Type {
    /// Every type.
    pub const ALL: [Type; 8] = [
        Type::I32,
        Type::I64,
        Type::F32,
        Type::F64,
        Type::V128,
        Type::Funcref,
        Type::Externref,
        Type::Exnref,
    ];

    /// The name in the textual form.
    pub fn name(self) -> &'static str {
        match self {
            Type::I32 => "i32",
            Type::I64 => "i64",
            Type::F32 => "f32",
            Type::F64 => "f64",
            Type::V128 => "v128",
            Type::Funcref => "funcref",
            Type::Externref => "externref",
            Type::Exnref => "exnref",
        }
    }

    /// The type of that name.
    pub fn from_name(name: &str) -> Option<Type> {
        Type::ALL.into_iter().find(|t| t.name() == name)
    }

    /// How many words of 64 bits a value takes in a frame state, and as an argument or result.
    pub fn words(self) -> usize {
        if self == Type::V128 { 2 } else { 1 }
    }

    /// Whether values are references: a table holds such.
    pub fn is_reference(self) -> bool {
        matches!(self, Type::Funcref | Type::Externref | Type::Exnref)
    }

    /// The text of a value of this type, which is in the first of `words`, of a vector in the first two: signed integers, floats
    /// as Rust prints them, vectors as their bits in hexadecimal, references as `null` or the word, of a function its number.
    ///
    /// # Panics
    /// If there are too few words.
    pub fn show(self, words: &[u64]) -> String {
        let word = words[0];
        match self {
            Type::V128 => format!("{:#018x}{word:016x}", words[1]),
            Type::I32 => (word as i32).to_string(),
            Type::I64 => (word as i64).to_string(),
            Type::F32 => f32::from_bits(word as u32).to_string(),
            Type::F64 => f64::from_bits(word).to_string(),
            Type::Funcref | Type::Externref | Type::Exnref if word == 0 => "null".to_owned(),
            Type::Externref | Type::Exnref => word.to_string(),
            Type::Funcref => (word as u32).to_string(),
        }
    }

    /// Whether values travel in floating-point registers of the machine.
    pub fn is_float(self) -> bool {
        matches!(self, Type::F32 | Type::F64)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A typed constant. Floats are held as bits, so that equality is equality of bits and NaNs survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// An `i32`.
    I32(i32),
    /// An `i64`.
    I64(i64),
    /// The bits of an `f32`.
    F32(u32),
    /// The bits of an `f64`.
    F64(u64),
    /// The words of a `v128`, the low one first.
    V128([u64; 2]),
    /// The null function reference.
    NullFuncref,
    /// A reference of the host's, the word that stands for it; 0 is null.
    Externref(u64),
    /// The null reference to an exception.
    NullExnref,
}

impl Value {
    /// The zero (or null) of a type: what WebAssembly locals start as.
    pub fn zero(of: Type) -> Value {
        match of {
            Type::I32 => Value::I32(0),
            Type::I64 => Value::I64(0),
            Type::F32 => Value::F32(0),
            Type::F64 => Value::F64(0),
            Type::V128 => Value::V128([0; 2]),
            Type::Funcref => Value::NullFuncref,
            Type::Externref => Value::Externref(0),
            Type::Exnref => Value::NullExnref,
        }
    }

    /// The null of type `ty`; that of function references if `ty` has none.
    pub(crate) fn null(ty: Type) -> Value {
        if ty.is_reference() { Value::zero(ty) } else { Value::NullFuncref }
    }

    /// The bytes of the value's words, the lowest first; of what has one word the high half is 0.
    pub fn to_bytes(self) -> [u8; 16] {
        let words: Vec<u64> = self.to_words().collect();
        let high = words.get(1).copied().unwrap_or(0);
        (u128::from(high) << 64 | u128::from(words[0])).to_le_bytes()
    }

    /// The vector of these bytes, the lowest first.
    pub fn of_bytes(bytes: [u8; 16]) -> Value {
        let bits = u128::from_le_bytes(bytes);
        Value::V128([bits as u64, (bits >> 64) as u64])
    }

    /// The type of the constant.
    pub fn ty(self) -> Type {
        match self {
            Value::I32(_) => Type::I32,
            Value::I64(_) => Type::I64,
            Value::F32(_) => Type::F32,
            Value::F64(_) => Type::F64,
            Value::V128(_) => Type::V128,
            Value::NullFuncref => Type::Funcref,
            Value::Externref(_) => Type::Externref,
            Value::NullExnref => Type::Exnref,
        }
    }

    /// The words that hold the value in a frame state, and as an argument or result.
    pub fn to_words(self) -> impl Iterator<Item = u64> {
        let high = if let Value::V128([_, high]) = self { Some(high) } else { None };
        std::iter::once(self.to_bits()).chain(high)
    }

    /// The 64-bit word that holds the value in a frame state: 32-bit values are zero-extended. Of a vector the low
    /// one: it has [two](Self::to_words).
    pub fn to_bits(self) -> u64 {
        match self {
            Value::I32(value) => u64::from(value as u32),
            Value::I64(value) => value as u64,
            Value::F32(bits) => u64::from(bits),
            Value::F64(bits) => bits,
            Value::V128([low, _]) => low,
            Value::NullFuncref | Value::NullExnref => 0,
            Value::Externref(word) => word,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Type;

    #[test]
    fn words_are_shown_by_type() {
        assert_eq!(Type::I32.show(&[0xffff_ffff]), "-1");
        assert_eq!(Type::I64.show(&[u64::MAX]), "-1");
        assert_eq!(Type::F32.show(&[u64::from(0.1_f32.to_bits())]), "0.1");
        assert_eq!(Type::F64.show(&[(-0.0_f64).to_bits()]), "-0");
        assert_eq!(Type::Funcref.show(&[0]), "null");
        assert_eq!(Type::V128.show(&[1, 0]), "0x00000000000000000000000000000001");
    }
}
