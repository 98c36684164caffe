//! What can be wrong with a text, and where.

use miette::{Diagnostic, SourceSpan};
use thiserror::Error;

use crate::value::Type;

/// Bytes `start..end` of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// An error on its way out of the parser, which knows only offsets.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: ParseErrorKind,
    pub(super) span: Span,
}

impl Span {
    /// The failure `kind` at this place.
    pub(super) fn error(self, kind: ParseErrorKind) -> Failure {
        Failure { kind, span: self }
    }
}

/// A text that is not a module, with the place that says so.
#[derive(Clone, Debug, Error, Diagnostic)]
#[error("{line}:{column}: {kind}")]
pub struct ParseError {
    /// What is wrong.
    pub kind: ParseErrorKind,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The bytes of the source that are wrong.
    #[label("here")]
    pub span: SourceSpan,
    /// The source, for showing the place.
    #[source_code]
    pub text: String,
}

impl ParseError {
    pub(super) fn new(failure: Failure, text: &str) -> ParseError {
        let Failure { kind, span } = failure;
        let before = &text[..span.start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        ParseError {
            kind,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            span: (span.start..span.end).into(),
            text: text.to_owned(),
        }
    }
}

/// What is wrong with a text.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ParseErrorKind {
    /// A character that begins no token.
    #[error("unexpected character {0:?}")]
    UnexpectedCharacter(char),
    /// A string without a closing quote on its line.
    #[error("the string does not end on its line")]
    UnterminatedString,
    /// A backslash not followed by two hexadecimal digits or one of `n r t " \`.
    #[error("unknown escape: write \\hh with two hexadecimal digits, or one of \\n \\r \\t \\\" \\\\")]
    BadEscape,
    /// A name whose bytes are not UTF-8.
    #[error("a name must be UTF-8")]
    NameNotUtf8,
    /// Another token than the grammar asks for.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What the grammar asks for.
        expected: String,
        /// The token as it is written.
        found: String,
    },
    /// Digits that do not form a number of the type.
    #[error("`{text}` is not a number of type {ty}")]
    MalformedNumber {
        /// The number as it is written.
        text: String,
        /// What was asked for.
        ty: Type,
    },
    /// A number too large for its type.
    #[error("`{text}` does not fit {ty}")]
    NumberOutOfRange {
        /// The number as it is written.
        text: String,
        /// What was asked for.
        ty: Type,
    },
    /// A size, offset or limit that is not an unsigned 32-bit number.
    #[error("`{0}` is not an unsigned 32-bit number")]
    NotU32(String),
    /// An instruction or terminator that does not exist.
    #[error("unknown operation `{0}`")]
    UnknownOperation(String),
    /// A kind of traps that there is not.
    #[error("there is no trap `{0}`")]
    UnknownTrap(String),
    /// An operation assigns another number of registers than is written.
    #[error("`{operation}` has {expected} result(s), found {found}")]
    ResultCount {
        /// The operation.
        operation: String,
        /// How many registers it assigns.
        expected: usize,
        /// How many are written.
        found: usize,
    },
    /// A function that the module does not have.
    #[error("unknown function `{0}`")]
    UnknownFunction(String),
    /// A signature that the module does not have to which bodies are added.
    #[error("the module has no signature {0}: nothing but bodies and maps is added to it")]
    UnknownSignature(String),
    /// A second function of the same name.
    #[error("there is a function `{0}` already")]
    DuplicateFunction(String),
    /// A function name that means something else where a function may be named.
    #[error("`{0}` means something else: write the function's name in quotes")]
    ReservedName(String),
    /// Definitions are numbered in order, and this is not the next number.
    #[error("expected `{expected}` as the next number, found `{found}`")]
    OutOfOrder {
        /// The next number.
        expected: String,
        /// The number that is written.
        found: String,
    },
    /// A register, block, global, table or segment that is nowhere defined.
    #[error("`{0}` is not defined")]
    Undefined(String),
    /// A second memory, or a second start function.
    #[error("there is a second `{0}`")]
    Duplicate(&'static str),
    /// A second listing of one signature.
    #[error("this signature is listed as `{0}` already")]
    DuplicateSignature(String),
}
