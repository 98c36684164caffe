//! What made a module, as far as its imports and exports tell.

use osr_ir::Module;
use osr_wasi::MODULES;

/// A few words for what `module` is.
pub(crate) fn of(module: &Module) -> &'static str {
    let exports = |name: &str| module.export(name).is_some();
    let imports =
        |is: &dyn Fn(&str, &str) -> bool| module.imports().any(|(name, _)| is(&name.module, &name.name));
    let is_wasi = imports(&|module, _| MODULES.contains(&module));
    let is_bindgen = imports(&|module, name| {
        matches!(module, "wbg" | "__wbindgen_placeholder__") || name.starts_with("__wbg_")
    });
    let is_go = imports(&|module, name| matches!(module, "go" | "gojs") && name.starts_with("runtime."));
    let is_emscripten = imports(&|module, name| {
        module == "env"
            && (name.contains("emscripten") || name.starts_with("__syscall") || name.starts_with("__cxa_"))
            || module.len() == 1 && name.len() <= 2
    });
    match () {
        () if module.imports().next().is_none() => "a module without imports",
        () if is_bindgen => "made for JavaScript by wasm-bindgen",
        () if is_go => "made for JavaScript by Go",
        () if is_emscripten => "made for JavaScript by emscripten",
        () if is_wasi && exports("_start") => "a WASI command",
        () if is_wasi && exports("_initialize") => "a WASI reactor",
        () if is_wasi => "a module that imports WASI",
        () if imports(&|module, name| (module, name) == ("env", "abort")) => "made by AssemblyScript",
        () => "a module with a host of its own",
    }
}
