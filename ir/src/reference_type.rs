//! What the types of references say beyond [`Type`].

use std::fmt;

use crate::index::SignatureIndex;
use crate::value::Type;

/// What a global or table of references holds, or a function takes or returns, where its [`Type`] does not say
/// all of it.
///
/// It tells types apart: an import has to be of a matching type (WebAssembly 3.0, "External matching"), and functions of two
/// types are not called as one another. Code relies on none of it, since whatever is called through a reference is checked; so
/// nothing checks what is stored or passed, either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ReferenceType {
    /// Whether it is never null.
    pub is_non_null: bool,
    /// What it refers to, unless it is null.
    pub referent: Referent,
}

/// A type, and what it says of references.
pub type ExactType = (Type, ReferenceType);

/// What references refer to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Referent {
    /// Whatever their [`Type`] admits. Values that are no references are of this kind, too.
    #[default]
    Any,
    /// Functions with that signature.
    Function(SignatureIndex),
    /// Nothing: they are null.
    Nothing,
}

impl ReferenceType {
    /// Whether a value of this type is one of type `other`, where `is_same` says whether the first signature, of this type, is
    /// the second, of the other.
    pub fn is_subtype_of(
        self,
        other: ReferenceType,
        is_same: impl Fn(SignatureIndex, SignatureIndex) -> bool,
    ) -> bool {
        let refers = match (self.referent, other.referent) {
            (_, Referent::Any) | (Referent::Nothing, _) => true,
            (Referent::Function(own), Referent::Function(other)) => is_same(own, other),
            _ => false,
        };
        refers && (self.is_non_null || !other.is_non_null)
    }
}

/// `nonnull to s0`, as in text; nothing if the type says it all
impl fmt::Display for ReferenceType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.is_non_null && self.referent != Referent::Any { " " } else { "" };
        write!(formatter, "{}{separator}", if self.is_non_null { "nonnull" } else { "" })?;
        match self.referent {
            Referent::Any => Ok(()),
            Referent::Function(signature) => write!(formatter, "to {signature}"),
            Referent::Nothing => formatter.write_str("to nothing"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order of WebAssembly 3.0: `nofunc` below `$s` below `func`, and what is never null below what may be.
    #[test]
    fn subtypes_are_those_of_the_specification() {
        let function = |number| Referent::Function(SignatureIndex::new(number));
        let referents = [Referent::Nothing, function(0), function(1), Referent::Any];
        let below = [(0, 1), (0, 2), (0, 3), (1, 3), (2, 3)];
        for (low, of_low) in referents.into_iter().enumerate() {
            for (high, of_high) in referents.into_iter().enumerate() {
                for (low_non_null, high_non_null) in
                    [(false, false), (false, true), (true, false), (true, true)]
                {
                    let sub = ReferenceType { is_non_null: low_non_null, referent: of_low };
                    let of = ReferenceType { is_non_null: high_non_null, referent: of_high };
                    let expected =
                        (low == high || below.contains(&(low, high))) && (low_non_null || !high_non_null);
                    let found = sub.is_subtype_of(of, |own, other| own == other);
                    assert_eq!(found, expected, "{sub:?} of {of:?}");
                }
            }
        }
    }
}
