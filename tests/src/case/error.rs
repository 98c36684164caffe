//! What can be wrong with a case file, and where.

use osr_ir::Type;
use thiserror::Error;

/// A file is no case.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CaseError {
    /// It cannot be read.
    #[error("{file}: {message}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system said.
        message: String,
    },
    /// It holds no valid program; the message says where.
    #[error("{file}:{message}")]
    Program {
        /// The file.
        file: String,
        /// The reader's message.
        message: String,
    },
    /// It states nothing, so it could not fail.
    #[error("{file}: the case states nothing: write `;;! call`, `;;! maps` or `;;! events`")]
    Empty {
        /// The file.
        file: String,
    },
    /// A line is not understood.
    #[error("{file}:{line}: {problem}")]
    Line {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: Problem,
    },
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// No command has that name.
    #[error("there is no command `{0}`: write `call`, `maps` or `events`")]
    UnknownVerb(String),
    /// A command names no function.
    #[error("which function?")]
    NoFunction,
    /// No function has that name.
    #[error("there is no {kind} function `{name}`")]
    UnknownFunction {
        /// What kind of function is needed.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// Wrong number of arguments.
    #[error("`{function}` takes {expected} argument(s), {found} given")]
    ArgumentCount {
        /// The function.
        function: String,
        /// What it takes.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// An argument is no value of its type.
    #[error("`{text}` is not a value of type {}", ty.name())]
    Argument {
        /// What was given.
        text: String,
        /// The parameter's type.
        ty: Type,
    },
    /// No option has that name.
    #[error("there is no option `{0}` here")]
    UnknownOption(String),
    /// The option's value is missing or not one.
    #[error("`{option} {value}`: {message}")]
    OptionValue {
        /// The option.
        option: String,
        /// What was given.
        value: String,
        /// What would be right.
        message: String,
    },
    /// The interpreter has no frame maps.
    #[error("only `baseline` and `optimized` code has frame maps")]
    NotCompiled,
    /// An expected line that no command stands above.
    #[error("`;;=` lines follow `;;! maps` or `;;! events`")]
    StrayExpectation,
}
