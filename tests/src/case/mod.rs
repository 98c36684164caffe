//! Case files: programs, as `.wat` or `.ir`, whose comments say what the engine does with them.
//!
//! ```text
//! text ──parse──> commands ──blessed──> text, with the expectations that hold
//!                     └──agreement──> what the tiers do not agree in
//! ```
//!
//! A case holds if its text does not change. `tests/cases/README.md` describes the format;
//! `tests/tests/cases.rs` checks every file.

mod agreement;
mod blessed;
mod error;
mod events;
mod maps;
mod options;
mod parse;
mod value;

use std::path::{Path, PathBuf};

use osr_ir::Module;

pub use error::{CaseError, Problem};
pub use parse::{Call, Command, Events, Maps, Verb};
pub use value::{parse_value, print_word};

use crate::reproduction::Calls;

/// A case file.
#[derive(Clone, Debug)]
pub struct Case {
    /// The file's name.
    pub name: String,
    /// What it says.
    pub text: String,
    /// The program.
    pub module: Module,
    /// What it states, in order.
    pub commands: Vec<Command>,
}

impl Case {
    /// Reads `path`.
    ///
    /// # Errors
    /// If the file cannot be read, or is no case.
    pub fn read(path: &Path) -> Result<Case, CaseError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path)
            .map_err(|error| CaseError::Unreadable { file: name.clone(), message: error.to_string() })?;
        Case::parse(&name, text)
    }

    /// All calls that it states, in order: they are made in one instance.
    pub fn calls(&self) -> Calls {
        let calls = self.commands.iter().filter_map(|command| match &command.verb {
            Verb::Call(call) => Some((call.function.clone(), call.arguments.clone())),
            _ => None,
        });
        calls.collect()
    }

    /// Whether a call is expected to exhaust the stack. Where it does depends on the tier.
    pub fn exhausts_stack(&self) -> bool {
        self.text.lines().any(|line| line.ends_with("=> trap stack exhausted"))
    }
}

/// The paths of all case files, sorted.
///
/// # Panics
/// If the folder cannot be read: a broken checkout.
pub fn case_paths() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    let is_case = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "wat" || kind == "ir");
    let mut paths: Vec<PathBuf> = paths.filter(is_case).collect();
    paths.sort();
    paths
}

/// All cases.
///
/// # Panics
/// If one is not valid.
pub fn cases() -> Vec<Case> {
    case_paths().iter().map(|path| Case::read(path).unwrap_or_else(|error| panic!("{error}"))).collect()
}
