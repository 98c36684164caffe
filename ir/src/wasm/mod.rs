//! Import of WebAssembly: a binary module, or its text form, becomes a [`Module`] of register code.
//!
//! ```text
//!  text ─ wat ─> bytes ─ features ──> sections ── names ──> Module of lazy bodies
//!                  (validated)           │
//!                                        │ source            on first use of each:
//!                                        v
//!                 visitor ─ locals, operands, control ── function ──> Body, made small by `cleanup`
//! ```
//!
//! Supported is WebAssembly 1.0 with mutable globals, sign extension, saturating float-to-int, multi-value, extended
//! constant expressions, bulk memory, several memories, 64-bit memories and tables, shared memories and atomics (executed by
//! one thread), reference types, also of functions of a known type, vectors, relaxed vectors, tail calls, and exceptions,
//! also in their older form (`try`, `catch`). Anything else is refused as [`ImportError::Unsupported`], by name and byte
//! offset; what no WebAssembly engine would accept is [`ImportError::Malformed`]. Custom sections other than names and DWARF
//! (for [lines](crate::origin)) are ignored, and broken ones of these are too, as WebAssembly has it.
//!
//! What may be relied on: bytes are validated before anything else, bodies included, so translation
//! never meets ill-typed code, and may wait until a body is asked for: whatever is refused is
//! refused at import. Locals keep their order: the parameters are the first registers.

mod atomic;
mod branch;
mod cleanup;
mod code;
mod construct;
mod control;
mod debug_lines;
mod error;
mod exceptions;
mod features;
mod function;
mod locals;
mod memory;
mod names;
mod narrowing;
mod offsets;
mod operands;
mod references;
mod relaxed;
mod sections;
mod source;
mod validation;
mod vector;
mod visitor;

pub use error::{Feature, ImportError};
pub use features::unsupported_features;

use std::path::Path;

use wat::GenerateDwarf;

use crate::module::Module;

/// Imports a module in WebAssembly's binary format.
///
/// ```
/// let module = osr_ir::wasm::import(b"\0asm\x01\0\0\0").unwrap();
/// assert!(module.functions.is_empty());
/// ```
///
/// # Errors
/// If the bytes are not a valid module, or one that uses an unsupported feature.
pub fn import(bytes: &[u8]) -> Result<Module, ImportError> {
    let valid = features::validate(bytes)?;
    let mut sections = sections::read(bytes, valid)?;
    names::assign(&mut sections.module, &sections.names);
    Ok(sections.module)
}

/// Imports a module in WebAssembly's text format.
///
/// # Errors
/// [`ImportError::Text`] with line and column if the text is not well formed, else as [`import`] (with
/// offsets into the binary form).
pub fn import_text(source: &str) -> Result<Module, ImportError> {
    let bytes = wat::parse_str(source).map_err(|error| ImportError::from_text_error(&error))?;
    import(&bytes)
}

/// The same of a file called `name`, in whose lines the [origin](crate::Origin) of the module finds its code.
///
/// # Errors
/// As [`import_text`].
pub fn import_text_file(name: &str, source: &str) -> Result<Module, ImportError> {
    let mut parser = wat::Parser::new();
    let parsed = parser.generate_dwarf(GenerateDwarf::Lines).parse_str(Some(Path::new(name)), source);
    import(&parsed.map_err(|error| ImportError::from_text_error(&error))?)
}
