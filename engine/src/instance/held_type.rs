//! The types of what globals and tables hold, of several modules: what linking compares.

use std::fmt;

use osr_ir::module::{Global, Table};
use osr_ir::{ExactType, ReferenceType, Referent, Signature, Type, Value};

/// The signatures of a module, with their numbers in the store that its instance is in.
#[derive(Clone, Copy)]
pub(crate) struct NumberedSignatures<'m> {
    pub(crate) signatures: &'m [Signature],
    pub(crate) numbers: &'m [u32],
}

/// The type of what a global or table holds.
#[derive(Clone, Copy)]
pub(crate) struct HeldType<'m> {
    ty: Type,
    reference: ReferenceType,
    /// What the index of a signature in `reference` is looked up in.
    signatures: NumberedSignatures<'m>,
}

impl<'m> HeldType<'m> {
    /// A type that a signature among `signatures` has.
    pub(crate) fn of_signature(
        signatures: NumberedSignatures<'m>,
        (ty, reference): ExactType,
    ) -> HeldType<'m> {
        HeldType { ty, reference, signatures }
    }

    pub(crate) fn of_global(signatures: NumberedSignatures<'m>, global: &Global) -> HeldType<'m> {
        HeldType { ty: global.ty, reference: global.reference, signatures }
    }

    pub(crate) fn of_table(signatures: NumberedSignatures<'m>, table: &Table) -> HeldType<'m> {
        HeldType { ty: table.ty, reference: table.reference, signatures }
    }

    /// The type of a host's value.
    pub(crate) fn of_value(value: Value) -> HeldType<'static> {
        let ty = value.ty();
        let reference = match ty.is_reference() {
            true if value == Value::zero(ty) => {
                ReferenceType { is_non_null: false, referent: Referent::Nothing }
            }
            is_reference => ReferenceType { is_non_null: is_reference, referent: Referent::Any },
        };
        HeldType { ty, reference, signatures: NumberedSignatures { signatures: &[], numbers: &[] } }
    }

    /// Whether what is of this type is of the type `other`, of the same store.
    pub(crate) fn is_subtype_of(self, other: HeldType<'_>) -> bool {
        self.ty == other.ty
            && self.reference.is_subtype_of(other.reference, |own, of_other| {
                self.signatures.numbers[own.index()] == other.signatures.numbers[of_other.index()]
            })
    }

    /// Whether both are the same type: what is held by the one may be stored where the other is.
    pub(crate) fn is_same_as(self, other: HeldType<'_>) -> bool {
        self.is_subtype_of(other) && other.is_subtype_of(self)
    }

    /// Whether it is function references, of whatever kind: what tables hold unless it is said otherwise.
    pub(crate) fn is_usual_for_tables(self) -> bool {
        self.ty == Type::Funcref && self.reference == ReferenceType::default()
    }
}

/// `i32`, `non-null funcref to (i32) -> ()`
impl fmt::Display for HeldType<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_non_null = self.reference.is_non_null && self.ty.is_reference();
        write!(formatter, "{}{}", if is_non_null { "non-null " } else { "" }, self.ty)?;
        match self.reference.referent {
            Referent::Any => Ok(()),
            Referent::Function(signature) => {
                write!(formatter, " to {}", self.signatures.signatures[signature.index()])
            }
            Referent::Nothing => formatter.write_str(" to nothing"),
        }
    }
}
