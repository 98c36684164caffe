//! Constant expressions.

use super::error::{Item, VerifyError};
use super::exists;
use crate::module::{ConstantExpression, Module};
use crate::value::Type;

/// The surroundings of a constant expression.
pub(super) struct Initializer<'a> {
    pub(super) module: &'a Module,
    /// How many globals have a value when it is evaluated.
    pub(super) globals: usize,
    /// What it initializes.
    pub(super) of: &'a dyn Fn() -> Item,
}

impl Initializer<'_> {
    /// Checks that `expression` can be evaluated and gives a value of type `expected`.
    pub(super) fn verify(&self, expression: &ConstantExpression, expected: Type) -> Result<(), VerifyError> {
        let found = match *expression {
            ConstantExpression::Value(value) => value.ty(),
            ConstantExpression::Function(function) => {
                let item = Item::Function(function);
                exists(self.module.functions.len(), function.index(), (self.of)(), item)?;
                Type::Funcref
            }
            ConstantExpression::Global(global) => {
                let globals = &self.module.globals;
                exists(globals.len(), global.index(), (self.of)(), Item::Global(global))?;
                if global.index() >= self.globals {
                    return Err(VerifyError::InitializerLater { of: (self.of)(), global });
                }
                if globals[global.index()].mutable {
                    return Err(VerifyError::InitializerMutable { of: (self.of)(), global });
                }
                globals[global.index()].ty
            }
        };
        if found == expected {
            return Ok(());
        }
        Err(VerifyError::InitializerType { of: (self.of)(), expected, found })
    }
}
