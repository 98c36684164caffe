//! The C programs.

use std::path::PathBuf;

use osr_ir::{Module, Value};
use serde::Deserialize;

/// A C program with arguments and results.
#[derive(Clone, Debug, Deserialize)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// The exported function.
    pub invoke: String,
    /// Arguments that take the interpreter some milliseconds.
    pub small: Vec<i32>,
    /// Arguments that take native code some tenths of a second.
    pub bench: Vec<i32>,
    /// The result for the small arguments, as text.
    pub expect: String,
}

impl Program {
    /// The module as the compiler's optimizer left it, or, as `ssa`, with no call inlined.
    ///
    /// # Panics
    /// If the file is missing or not valid: a broken checkout.
    pub fn module(&self, ssa: bool) -> Module {
        osr_ir::wasm::import(&self.bytes(ssa)).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// The file of [`Self::module`].
    ///
    /// # Panics
    /// If it is missing.
    pub fn bytes(&self, ssa: bool) -> Vec<u8> {
        let folder = if ssa { "wasm-ssa" } else { "wasm" };
        let path = folder_of_programs().join(folder).join(format!("{}.wasm", self.name));
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The small arguments.
    pub fn small_arguments(&self) -> Vec<Value> {
        self.small.iter().map(|&argument| Value::I32(argument)).collect()
    }
}

/// All C programs.
///
/// # Panics
/// If the list is missing or not valid.
pub fn programs() -> Vec<Program> {
    let list = std::fs::read_to_string(folder_of_programs().join("programs.json")).expect("programs.json");
    serde_json::from_str(&list).expect("programs.json is a list of programs")
}

/// Where the programs are.
pub fn folder_of_programs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("programs")
}
