//! The `env` that test programs import.

use osr_engine::{HostError, Imports, TransitionError};
use osr_ir::{ExportItem, Signature, Type};

/// What `env` provides; `tests/cases/README.md` describes it.
pub fn imports() -> Imports {
    let mut imports = Imports::new();
    let signature =
        |parameters: &[Type], results: &[Type]| Signature::new(parameters.to_vec(), results.to_vec());
    for (name, ty) in [("print_i32", Type::I32), ("print_i64", Type::I64), ("print_f64", Type::F64)] {
        imports.function("env", name, signature(&[ty], &[]), |_, _, _| Ok(()));
    }
    imports.function("env", "invalidate", signature(&[], &[]), |call, _, _| {
        match call.thread().invalidate_active() {
            // What is never replaced computes the same.
            Ok(_) | Err(TransitionError::CodeIsFinal) => Ok(()),
            Err(error) => Err(HostError::Failed(error.to_string())),
        }
    });
    imports.function(
        "env",
        "call_back",
        signature(&[Type::I32], &[Type::I32]),
        |call, arguments, results| {
            let instance = call.thread().instance();
            let Some(ExportItem::Table(table)) = instance.module().export("table") else {
                return Err(HostError::Failed("the guest exports no table".into()));
            };
            let function = instance.table_function(table, arguments[0] as u32);
            let function = function
                .map_err(|kind| HostError::Failed(kind.to_string()))?
                .ok_or_else(|| HostError::Failed("no such element".into()))?;
            results[0] = call.call(function, &[])?[0];
            Ok(())
        },
    );
    imports
}
