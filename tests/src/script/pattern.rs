//! Expected results.

use osr_ir::{Type, Value};

/// What a result must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Exactly these bits, of a value of that type.
    Bits(Type, u64),
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
        Pattern::Bits(value.ty(), value.to_bits())
    }

    /// Whether `word`, of type `ty`, is such a result.
    pub fn matches(&self, ty: Type, word: u64) -> bool {
        match self {
            Pattern::Bits(expected, bits) => *expected == ty && *bits == word,
            Pattern::CanonicalNan(expected) => {
                let (quiet, sign) = nan(ty);
                *expected == ty && word & !sign == quiet
            }
            Pattern::ArithmeticNan(expected) => *expected == ty && word & nan(ty).0 == nan(ty).0,
            Pattern::Function => ty == Type::Funcref && word != 0,
            Pattern::External => ty == Type::Externref && word != 0,
            Pattern::Either(patterns) => patterns.iter().any(|pattern| pattern.matches(ty, word)),
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
    assert!(canonical.matches(Type::F32, 0xffc0_0000));
    assert!(!canonical.matches(Type::F32, 0x7fc0_0001));
    assert!(!canonical.matches(Type::F64, 0x7ff8_0000_0000_0000));
    let arithmetic = Pattern::ArithmeticNan(Type::F64);
    assert!(arithmetic.matches(Type::F64, 0xfff8_0000_0000_0001));
    assert!(!arithmetic.matches(Type::F64, 0x7ff0_0000_0000_0001));
    assert!(!arithmetic.matches(Type::F64, 0x7ff0_0000_0000_0000), "infinity is not a NaN");
}
