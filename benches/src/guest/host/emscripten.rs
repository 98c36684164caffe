//! What emscripten's JavaScript does for a program by calling it back. It needs no host for that, and neither do we.
//!
//! - `invoke_SIGNATURE(index, arguments..)` calls a function of the table. C++ that is compiled without WebAssembly's exceptions
//!   makes each call so that may throw: JavaScript would catch there. Here nothing throws.
//! - `_emscripten_init_main_thread_js` has a program with threads set up its main thread, which may block.

use osr_engine::{HostCall, HostError, Imports};
use osr_ir::{ExportItem, ImportName, Module, Signature, TableIndex, Type};

/// The module that such programs import from.
const MODULE: &str = "env";
const INIT_MAIN_THREAD: &str = "_emscripten_init_main_thread_js";
const THREAD_INIT: &str = "_emscripten_thread_init";

/// Provides what `module` imports of these functions.
pub(crate) fn provide(module: &Module, imports: &mut Imports) {
    let has_table = module.tables.first().is_some_and(|table| table.ty == Type::Funcref);
    for (name, item) in module.imports() {
        let ExportItem::Function(function) = item else { continue };
        let signature = module.signature_of(function);
        if has_table && is_invoke(name, signature) {
            imports.function(MODULE, &name.name, signature.clone(), invoke);
        } else if is_init_main_thread(name, signature) {
            imports.function(MODULE, &name.name, signature.clone(), init_main_thread);
        }
    }
}

fn is_invoke(name: &ImportName, signature: &Signature) -> bool {
    let has_index = signature.parameters.first() == Some(&Type::I32);
    name.module == MODULE && name.name.starts_with("invoke_") && has_index
}

fn is_init_main_thread(name: &ImportName, signature: &Signature) -> bool {
    name.module == MODULE && name.name == INIT_MAIN_THREAD && signature.parameters == [Type::I32]
}

fn invoke(call: &HostCall<'_>, arguments: &[u64], results: &mut [u64]) -> Result<(), HostError> {
    let instance = call.thread().instance();
    let index = arguments[0] as u32;
    let found = instance.table_function(TableIndex::new(0), index);
    let function = found.map_err(|kind| HostError::Failed(kind.to_string()))?;
    let function =
        function.ok_or_else(|| HostError::Failed(format!("element {index} of the table is null")))?;
    let Signature { parameters, results: types, .. } = instance.module().signature_of(function);
    if (parameters.len(), types.len()) != (arguments.len() - 1, results.len()) {
        return Err(HostError::Failed(format!("element {index} of the table is of another type")));
    }
    results.copy_from_slice(&call.call(function, &arguments[1..])?);
    Ok(())
}

fn init_main_thread(call: &HostCall<'_>, arguments: &[u64], _: &mut [u64]) -> Result<(), HostError> {
    let instance = call.thread().instance();
    let Some(function) = instance.exported_function(THREAD_INIT) else { return Ok(()) };
    // The thread; whether it is the main one, that of the runtime, and may block; its default stack; no profile.
    let values = [arguments[0], 1, 1, 1, 1 << 16, 0];
    let count = instance.module().signature_of(function).parameters.len();
    call.call(function, &values[..count.min(values.len())]).map(drop)?;
    Ok(())
}
