//! Expected results.

use std::fmt;

use osr_ir::{Type, Value};

/// What a result must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Exactly these words, of a value of that type.
    Words(Type, Vec<u64>),
    /// A vector of such floats, lane 0 first.
    Lanes(Vec<Pattern>),
    /// A NaN with only the highest bit of its payload set, of either sign.
    CanonicalNan(Type),
    /// A NaN with the highest bit of its payload set, and any others.
    ArithmeticNan(Type),
    /// A reference to some function.
    Function,
    /// A reference to something of the host's.
    External,
    /// One of these.
    Either(Vec<Pattern>),
}

impl Pattern {
    /// Exactly `value`.
    pub fn exactly(value: Value) -> Pattern {
        Pattern::Words(value.ty(), value.to_words().collect())
    }

    /// Whether `words`, of a value of type `ty`, are such a result.
    pub fn matches(&self, ty: Type, words: &[u64]) -> bool {
        let word = words[0];
        match self {
            Pattern::Words(expected, bits) => *expected == ty && *bits == words,
            Pattern::Lanes(lanes) => {
                let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
                let (lane_ty, width) = if lanes.len() == 4 { (Type::F32, 4) } else { (Type::F64, 8) };
                let lane =
                    |bytes: &[u8]| bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
                let mut pairs = lanes.iter().zip(bytes.chunks(width));
                ty == Type::V128 && pairs.all(|(pattern, bytes)| pattern.matches(lane_ty, &[lane(bytes)]))
            }
            Pattern::CanonicalNan(expected) => {
                let (quiet, sign) = nan(ty);
                *expected == ty && word & !sign == quiet
            }
            Pattern::ArithmeticNan(expected) => *expected == ty && word & nan(ty).0 == nan(ty).0,
            Pattern::Function => ty == Type::Funcref && word != 0,
            Pattern::External => ty == Type::Externref && word != 0,
            Pattern::Either(patterns) => patterns.iter().any(|pattern| pattern.matches(ty, words)),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let several = |patterns: &[Pattern], separator| {
            patterns.iter().map(Pattern::to_string).collect::<Vec<_>>().join(separator)
        };
        match self {
            Pattern::Words(ty, words) => write!(formatter, "{ty} {}", ty.show(words)),
            Pattern::Lanes(lanes) => write!(formatter, "v128 of {}", several(lanes, ", ")),
            Pattern::CanonicalNan(ty) => write!(formatter, "{ty} canonical NaN"),
            Pattern::ArithmeticNan(ty) => write!(formatter, "{ty} arithmetic NaN"),
            Pattern::Function => formatter.write_str("a reference to a function"),
            Pattern::External => formatter.write_str("a reference of the host's"),
            Pattern::Either(patterns) => formatter.write_str(&several(patterns, " or ")),
        }
    }
}

/// The bits of the canonical NaN of type `ty`, and its sign bit.
fn nan(ty: Type) -> (u64, u64) {
    match ty {
        Type::F32 => (0x7fc0_0000, 0x8000_0000),
        _ => (0x7ff8_0000_0000_0000, 0x8000_0000_0000_0000),
    }
}

#[test]
fn nans_are_told_apart() {
    let canonical = Pattern::CanonicalNan(Type::F32);
    assert!(canonical.matches(Type::F32, &[0xffc0_0000]));
    assert!(!canonical.matches(Type::F32, &[0x7fc0_0001]));
    assert!(!canonical.matches(Type::F64, &[0x7ff8_0000_0000_0000]));
    let arithmetic = Pattern::ArithmeticNan(Type::F64);
    assert!(arithmetic.matches(Type::F64, &[0xfff8_0000_0000_0001]));
    assert!(!arithmetic.matches(Type::F64, &[0x7ff0_0000_0000_0001]));
    assert!(!arithmetic.matches(Type::F64, &[0x7ff0_0000_0000_0000]), "infinity is not a NaN");
}
