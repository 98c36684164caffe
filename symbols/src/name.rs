//! What a version is called.

use osr_engine::{CodeVersion, EntryPoint, Instance, Tier};
use osr_ir::Shown;

/// The name of the code of an exit of `version` that is linked: `fib[optimized,link]`.
pub(crate) fn name_of_link(instance: &Instance, version: &CodeVersion) -> String {
    name_of(instance, version).replace(']', ",link]")
}

/// The name of `version`: `fib[optimized]`, and of continuations `fib[optimized,p2]`. On one line, with no zero byte.
pub(crate) fn name_of(instance: &Instance, version: &CodeVersion) -> String {
    let function = Shown(&instance.module().function(version.function).name);
    let tier = Tier::from(version.tier).name();
    match version.entry {
        EntryPoint::Function => format!("{function}[{tier}]"),
        EntryPoint::Continuation(point) => format!("{function}[{tier},{point}]"),
        EntryPoint::Specialized { point, context } => format!("{function}[{tier},{point},{context}]"),
    }
}
