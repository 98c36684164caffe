//! The module `env`, which the test programs import from.
//!
//! | import | type | what |
//! |---|---|---|
//! | `print_i32`, `print_i64`, `print_f64` | one parameter | shows the value on standard error |
//! | `invalidate` | () -> () | invalidates all active code, from inside the call |
//! | `call_back` | (i32) -> i32 | calls that element of the export `table`; its trap passes through |

use osr_engine::{HostCall, HostError, Imports};
use osr_ir::{ExportItem, Signature, Type};

use crate::output;

/// The functions of the module. If `quiet`, what they print is dropped.
pub(crate) fn imports(quiet: bool) -> Imports {
    let mut imports = Imports::new();
    for (name, ty) in PRINTED {
        imports.function("env", name, signature(&[ty], &[]), move |_, arguments, _| {
            if !quiet {
                output::to_stderr(format_args!("{}\n", ty.show(arguments)));
            }
            Ok(())
        });
    }
    imports.function("env", "invalidate", signature(&[], &[]), |call, _, _| {
        let invalidated = call.thread().invalidate_active();
        invalidated.map(drop).map_err(|error| HostError::Failed(error.to_string()))
    });
    imports.function(
        "env",
        "call_back",
        signature(&[Type::I32], &[Type::I32]),
        |call, arguments, results| {
            results[0] = call_back(call, arguments[0] as u32)?;
            Ok(())
        },
    );
    imports
}

const PRINTED: [(&str, Type); 3] =
    [("print_i32", Type::I32), ("print_i64", Type::I64), ("print_f64", Type::F64)];

fn signature(parameters: &[Type], results: &[Type]) -> Signature {
    Signature::new(parameters.to_vec(), results.to_vec())
}

/// Calls element `index`, of type () -> i32, of the guest's export `table`.
fn call_back(call: &HostCall<'_>, index: u32) -> Result<u64, HostError> {
    let failed = |message: &str| HostError::Failed(format!("call_back({index}): {message}"));
    let instance = call.thread().instance();
    let Some(ExportItem::Table(table)) = instance.module().export("table") else {
        return Err(failed("no table is exported as `table`"));
    };
    let element = instance.table_function(table, index).map_err(|kind| failed(kind.name()))?;
    let function = element.ok_or_else(|| failed("the element is null"))?;
    if *instance.module().signature_of(function) != signature(&[], &[Type::I32]) {
        return Err(failed("the element is not of type () -> (i32)"));
    }
    Ok(call.call(function, &[])?[0])
}

/// The types of all functions that are provided.
fn provided() -> Vec<(String, Signature)> {
    let print = PRINTED.map(|(name, ty)| (format!("env.{name}"), signature(&[ty], &[])));
    let others = [
        ("env.invalidate".to_owned(), signature(&[], &[])),
        ("env.call_back".to_owned(), signature(&[Type::I32], &[Type::I32])),
    ];
    print.into_iter().chain(others).collect()
}

/// All functions that are provided, with their types.
pub(super) fn provided_list() -> String {
    let show = |(name, ty): (String, Signature)| format!("{name} {ty}");
    provided().into_iter().map(show).collect::<Vec<_>>().join(", ")
}
