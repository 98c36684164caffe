//! What is said of a step that did not do what it should.

use std::fmt;

use osr_ir::{TrapKind, Type};

use crate::Pattern;

/// A step that did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Where the step is in the script, from 1.
    pub line: usize,
    /// What it did instead.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.message)
    }
}

/// Results with their types, or a trap.
pub(crate) type Outcome = Result<Vec<(Type, Vec<u64>)>, TrapKind>;

/// `returned i32 7, i64 -1`, `trapped: unreachable`
pub(crate) fn show(outcome: &Outcome) -> String {
    match outcome {
        Ok(results) if results.is_empty() => "returned".to_owned(),
        Ok(results) => {
            let results = results.iter().map(|(ty, words)| format!("{ty} {}", ty.show(words)));
            format!("returned {}", results.collect::<Vec<_>>().join(", "))
        }
        Err(kind) => format!("trapped: {kind}"),
    }
}

/// What should have been returned.
pub(crate) fn show_expected(patterns: &[Pattern]) -> String {
    match patterns {
        [] => "nothing".to_owned(),
        patterns => patterns.iter().map(Pattern::to_string).collect::<Vec<_>>().join(", "),
    }
}
