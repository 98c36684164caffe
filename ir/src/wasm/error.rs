//! Why a module is refused: what is wrong, and where.

use std::fmt;

use crate::shown::Shown;

/// Why a WebAssembly module is not imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The module may be valid, but uses what is not supported.
    #[error("{feature} is not supported (at offset {offset:#x})")]
    Unsupported {
        /// What is not supported.
        feature: Feature,
        /// Bytes from the start of the binary module to where it is used.
        offset: u64,
    },
    /// The module is not valid WebAssembly.
    #[error("{message} (at offset {offset:#x})")]
    Malformed {
        /// What is wrong.
        message: String,
        /// Bytes from the start of the binary module to what is wrong.
        offset: u64,
    },
    /// The text form does not parse.
    #[error("{message} (line {line}, column {column})")]
    Text {
        /// What is wrong.
        message: String,
        /// Line in the text, from 1.
        line: usize,
        /// Column in the line, from 1.
        column: usize,
    },
}

impl ImportError {
    /// Reads the place out of the text parser's message, which ends in `--> file:line:column` and a
    /// picture of the line: the parser's error has no accessor for it.
    pub(super) fn from_text_error(error: &wat::Error) -> ImportError {
        let shown = error.to_string();
        let (message, place) = shown.split_once("\n").unwrap_or((&shown, ""));
        let place = place.lines().next().unwrap_or("");
        let mut numbers = place.rsplit(':').map(|number| number.trim().parse().unwrap_or(1));
        let column = numbers.next().unwrap_or(1);
        let line = numbers.next().unwrap_or(1);
        ImportError::Text { message: message.trim().to_owned(), line, column }
    }
}

impl From<wasmparser::Error> for ImportError {
    fn from(error: wasmparser::Error) -> ImportError {
        // It may quote names.
        ImportError::Malformed { message: Shown(error.message()).to_string(), offset: error.offset() }
    }
}

macro_rules! features {
    ($($(#[$doc:meta])* $name:ident $text:literal,)*) => {
        /// A WebAssembly feature that is not supported, named as its proposal is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Feature { $($(#[$doc])* $name,)* }

        impl Feature {
            /// The proposal's name.
            pub fn name(self) -> &'static str {
                match self { $(Feature::$name => $text,)* }
            }
        }
    };
}

features! {
    /// Shared globals, tables and functions.
    SharedEverythingThreads "shared-everything-threads",
    /// Structures, arrays, casts.
    GarbageCollection "gc",
    /// Types of functions that name themselves or one another, or are subtypes: what gc needs of types, without its objects.
    RecursiveTypes "recursive types (of gc)",
    /// Memory pages that are discarded or protected.
    MemoryControl "memory-control",
    /// Pages of other sizes than 64 KiB.
    CustomPageSizes "custom-page-sizes",
    /// Continuations.
    StackSwitching "stack-switching",
    /// 128-bit arithmetic.
    WideArithmetic "wide-arithmetic",
    /// Types with descriptors.
    CustomDescriptors "custom-descriptors",
    /// The compact import section.
    CompactImports "compact-import-section",
    /// Memory orderings of atomic operations.
    AcquireReleaseAtomics "acquire-release-atomics",
    /// Wide accesses to arrays of bytes.
    MultibyteArrayAccess "multibyte-array-access",
    /// Components rather than modules.
    ComponentModel "component-model",
    /// Something newer that has no name here.
    Unknown "an unknown feature",
}

impl Feature {
    /// How clang is told to make code without the feature, where that takes an option; others are not its default.
    pub fn clang_option(self) -> Option<&'static str> {
        match self {
            Feature::WideArithmetic => Some("-mno-wide-arithmetic"),
            _ => None,
        }
    }

    /// What helps, where that is no option of clang.
    pub fn remedy(self) -> Option<&'static str> {
        match self {
            Feature::GarbageCollection => {
                Some("objects that the engine would collect; use a compiler that keeps them in linear memory")
            }
            Feature::RecursiveTypes => {
                Some("have types name `funcref` in place of themselves and one another")
            }
            Feature::ComponentModel => Some("`wasm-tools component unbundle` takes the modules out"),
            _ => None,
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
