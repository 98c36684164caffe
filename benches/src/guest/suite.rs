//! The bundled programs, with their recorded arguments and results.

use std::path::PathBuf;

use serde::Deserialize;

use super::host::kind;
use super::load::Program;
use super::schedule_file;
use crate::error::Error;

/// What is recorded of a program.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Recorded {
    /// Its name.
    pub(crate) name: String,
    /// The exported function to call.
    pub(crate) invoke: String,
    /// Its arguments, for a call that takes milliseconds.
    pub(crate) small: Vec<i64>,
    /// What that returns, as text.
    pub(crate) expect: String,
    /// Its arguments, for a call that takes optimized code about a second.
    pub(crate) bench: Vec<i64>,
    /// What that returns, as text.
    pub(crate) expect_bench: String,
}

/// Per program its module, and the one that LLVM's optimizer has not seen.
macro_rules! wasm_files {
    ($($name:literal)*) => {
        [$((
            $name,
            include_bytes!(concat!("../../../tests/programs/wasm/", $name, ".wasm")),
            include_bytes!(concat!("../../../tests/programs/wasm-ssa/", $name, ".wasm")),
        )),*]
    };
}

/// What the names of bundled programs end with that LLVM's optimizer has not seen.
const UNOPTIMIZED: &str = "-ssa";

const RECORDED: &str = include_str!("../../../tests/programs/programs.json");

const FILES: [(&str, &[u8], &[u8]); 20] = wasm_files! {
    "bicg" "binary-trees" "cholesky" "deep-recursion" "deltablue" "fannkuch" "fasta" "fasta-redux" "fib"
    "gemm" "hashmap" "jacobi-2d" "mandelbrot" "many-call-sites" "n-body" "phase-change"
    "reverse-complement" "richards" "sort" "spectral-norm"
};

/// All bundled programs.
pub(crate) fn all() -> Vec<Recorded> {
    serde_json::from_str(RECORDED).expect("the bundled list is as it should be")
}

/// The bundled programs of these names; all if there are none.
pub(crate) fn named(names: &[String]) -> Result<Vec<Recorded>, Error> {
    let all = all();
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|program| program.name == **name)) {
        let programs = all.iter().map(|program| &*program.name).collect::<Vec<_>>().join(", ");
        return Err(Error::NoSuchProgram { name: unknown.clone(), programs });
    }
    Ok(all.into_iter().filter(|program| names.is_empty() || names.contains(&program.name)).collect())
}

impl Recorded {
    /// Imports the program.
    pub(crate) fn load(&self) -> Result<Program, Error> {
        load(&self.name)
    }
}

/// Imports the bundled program of that name.
pub(crate) fn load(name: &str) -> Result<Program, Error> {
    let path = PathBuf::from(format!("{name}.wasm"));
    let module =
        osr_ir::wasm::import(bytes(name)).map_err(|source| Error::Wasm { path: path.clone(), source })?;
    Ok(Program { path, hash: schedule_file::program_hash(bytes(name)), kind: kind::of(&module), module })
}

/// The module of the bundled program of that name.
pub(crate) fn bytes(name: &str) -> &'static [u8] {
    let (name, is_optimized) = match name.strip_suffix(UNOPTIMIZED) {
        Some(name) => (name, false),
        None => (name, true),
    };
    let found = FILES.iter().find(|(file, ..)| *file == name);
    let (_, optimized, unoptimized) = found.expect("every listed program is bundled");
    if is_optimized { optimized } else { unoptimized }
}

/// What the program of that name is called where LLVM's optimizer has not seen it.
pub(crate) fn unoptimized(name: &str) -> String {
    format!("{name}{UNOPTIMIZED}")
}

#[cfg(test)]
mod tests {
    use super::{FILES, all, load, unoptimized};

    #[test]
    fn every_listed_program_is_bundled_and_loads() {
        let programs = all();
        assert_eq!(programs.len(), FILES.len());
        for program in programs {
            let loaded = program.load().unwrap();
            assert!(loaded.module.export(&program.invoke).is_some(), "{}", program.name);
            let unoptimized = load(&unoptimized(&program.name)).unwrap();
            assert!(unoptimized.module.export(&program.invoke).is_some(), "{}", program.name);
        }
    }
}
