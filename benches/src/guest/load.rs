//! Reading program files.

use std::fs;
use std::path::{Path, PathBuf};

use osr_ir::Module;
use osr_ir::wasm::{ImportError, unsupported_features};

use super::host::adopted::adopt_all_but_globals;
use super::host::kind;
use super::schedule_file;
use crate::error::{Error, TextError};
use crate::rendered::source;

/// A program: a verified module with the file it is from.
#[derive(Debug)]
pub(crate) struct Program {
    /// The file.
    pub(crate) path: PathBuf,
    /// Of what it holds: 16 hexadecimal digits.
    pub(crate) hash: String,
    /// What made it, as far as what it imports tells: also what is its own here.
    pub(crate) kind: &'static str,
    /// What is in it.
    pub(crate) module: Module,
}

/// Reads, imports and verifies the program at `path`. Memories, tables and tags that it imports are its own here.
pub(crate) fn load(path: &Path) -> Result<Program, Error> {
    let bytes = read(path)?;
    let hash = schedule_file::program_hash(&bytes);
    let mut module = match path.extension().and_then(|extension| extension.to_str()) {
        Some("wasm") => import(path, &bytes)?,
        Some("wat") => parse_wat(path, text_of(path, bytes)?)?,
        Some("ir") => parse_ir(path, text_of(path, bytes)?)?,
        _ if bytes.starts_with(b"\0asm") => import(path, &bytes)?,
        Some("wast") => return Err(Error::ScriptElsewhere { path: path.to_owned() }),
        _ => return Err(Error::UnknownFormat { path: path.to_owned() }),
    };
    osr_ir::verifier::verify_lazily(&module)
        .map_err(|error| Error::Verify { path: path.to_owned(), message: error.to_string() })?;
    let kind = kind::of(&module);
    adopt_all_but_globals(&mut module);
    Ok(Program { path: path.to_owned(), hash, kind, module })
}

/// The WebAssembly module at `path`, which has been loaded before; none if that is textual IR.
#[cfg(feature = "peers")]
pub(crate) fn wasm_bytes(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("ir") => Ok(None),
        Some("wat") => {
            let module = wat::parse_bytes(&bytes).map_err(|error| error.to_string())?;
            Ok(Some(module.into_owned()))
        }
        _ => Ok(Some(bytes)),
    }
}

/// Reads the file at `path`.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

fn import(path: &Path, bytes: &[u8]) -> Result<Module, Error> {
    osr_ir::wasm::import(bytes).map_err(|source| import_error(path, bytes, source))
}

/// Why the module `bytes` cannot be imported. Of what is not supported, everything is listed.
fn import_error(path: &Path, bytes: &[u8], source: ImportError) -> Error {
    match source {
        ImportError::Unsupported { feature, offset } => {
            let mut features = unsupported_features(bytes);
            if features.is_empty() {
                features.push((feature, offset));
            }
            Error::Unsupported { path: path.to_owned(), features }
        }
        source => Error::Wasm { path: path.to_owned(), source },
    }
}

/// What is in the file at `path`, which is to be text.
pub(crate) fn text_of(path: &Path, bytes: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(bytes)
        .map_err(|error| Error::NotText { path: path.to_owned(), offset: error.utf8_error().valid_up_to() })
}

fn parse_ir(path: &Path, text: String) -> Result<Module, Error> {
    let name = path.display().to_string();
    osr_ir::text::parse_file(&name, &text).map_err(|error| text_error(name, text, &error))
}

/// `error` in `text`, that of the file `name`.
pub(crate) fn text_error(name: String, text: String, error: &osr_ir::text::ParseError) -> Error {
    let (line, column, span, message) = (error.line, error.column, error.span, error.kind.to_string());
    let text = source(&name, &text);
    TextError { name, line, column, message, text, span, help: "see ir/src/text/mod.rs for the grammar" }
        .into()
}

fn parse_wat(path: &Path, text: String) -> Result<Module, Error> {
    let name = path.display().to_string();
    osr_ir::wasm::import_text_file(&name, &text).map_err(|error| match error {
        ImportError::Text { message, line, column } => {
            let span = offset_of(&text, line, column).into();
            let text = source(&name, &text);
            TextError { name, line, column, message, text, span, help: "this is WebAssembly's text format" }
                .into()
        }
        source => match wat::parse_str(&text) {
            Ok(bytes) => import_error(path, &bytes, source),
            Err(_) => Error::Wasm { path: path.to_owned(), source },
        },
    })
}

/// The offset of a place in `text` that is given by line and column, both from 1, the column in bytes.
pub(crate) fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    (start + column - 1).min(text.len())
}
