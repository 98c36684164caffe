//! Constant expressions.

use super::error::{Item, VerifyError};
use super::exists;
use crate::index::GlobalIndex;
use crate::module::{ConstantExpression, ConstantStep, Module};
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
        let found = match expression {
            ConstantExpression::Value(value) => value.ty(),
            &ConstantExpression::Function(function) => {
                let item = Item::Function(function);
                exists(self.module.functions.len(), function.index(), (self.of)(), item)?;
                Type::Funcref
            }
            &ConstantExpression::Global(global) => self.global(global)?,
            ConstantExpression::Arithmetic(steps) => self.arithmetic(steps)?,
        };
        self.same(expected, found)
    }

    fn same(&self, expected: Type, found: Type) -> Result<(), VerifyError> {
        if found == expected {
            return Ok(());
        }
        Err(VerifyError::InitializerType { of: (self.of)(), expected, found })
    }

    /// The type of a global that may be read.
    fn global(&self, global: GlobalIndex) -> Result<Type, VerifyError> {
        let globals = &self.module.globals;
        exists(globals.len(), global.index(), (self.of)(), Item::Global(global))?;
        if global.index() >= self.globals {
            return Err(VerifyError::InitializerLater { of: (self.of)(), global });
        }
        if globals[global.index()].mutable {
            return Err(VerifyError::InitializerMutable { of: (self.of)(), global });
        }
        Ok(globals[global.index()].ty)
    }

    /// The type of what the steps leave.
    fn arithmetic(&self, steps: &[ConstantStep]) -> Result<Type, VerifyError> {
        let unbalanced = || VerifyError::InitializerUnbalanced { of: (self.of)() };
        let mut types = Vec::new();
        for &step in steps {
            let ty = match step {
                ConstantStep::Value(value) => value.ty(),
                ConstantStep::Global(global) => self.global(global)?,
                ConstantStep::Operation(operation) => {
                    if !ConstantStep::OPERATIONS.contains(&operation) {
                        return Err(VerifyError::InitializerOperation { of: (self.of)(), operation });
                    }
                    for &expected in operation.operands() {
                        self.same(expected, types.pop().ok_or_else(unbalanced)?)?;
                    }
                    operation.result()
                }
            };
            types.push(ty);
        }
        match *types {
            [ty] => Ok(ty),
            _ => Err(unbalanced()),
        }
    }
}
