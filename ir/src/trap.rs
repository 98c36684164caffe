//! Traps: the ways in which guest code ends without returning.

use std::fmt;

/// Why guest code stopped. The closed list of WebAssembly's trap reasons, plus host failure and uncaught
/// exceptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrapKind {
    /// `unreachable` was executed.
    Unreachable,
    /// Integer division or remainder by zero.
    IntegerDivideByZero,
    /// Quotient or truncated float does not fit the integer type.
    IntegerOverflow,
    /// NaN converted to an integer.
    InvalidConversionToInteger,
    /// Access outside linear memory, or outside a data segment.
    MemoryOutOfBounds,
    /// Access outside a table, or outside an element segment (not `call_indirect`).
    TableOutOfBounds,
    /// `call_indirect` with an index outside the table.
    UndefinedElement,
    /// `call_indirect` through a null entry.
    UninitializedElement,
    /// `call_indirect` of a function of another signature.
    IndirectCallTypeMismatch,
    /// Guest recursion exceeded the guest stack.
    StackExhausted,
    /// A host function failed (returned an error or panicked).
    HostError,
    /// An exception was thrown that no frame caught.
    UncaughtException,
    /// `throw_ref` of null.
    NullException,
    /// A reference is null that must not be: what is called, or `ref.as_non_null`.
    NullReference,
    /// An atomic access at an address that is no multiple of its size.
    UnalignedAtomic,
    /// A wait in a memory that is not shared.
    ExpectedSharedMemory,
    /// A wait without a timeout: it would be for another thread, and there is none.
    EndlessWait,
}

impl TrapKind {
    /// Every kind; the position is the [code](TrapKind::code) of the kind.
    pub const ALL: [TrapKind; 17] = [
        TrapKind::Unreachable,
        TrapKind::IntegerDivideByZero,
        TrapKind::IntegerOverflow,
        TrapKind::InvalidConversionToInteger,
        TrapKind::MemoryOutOfBounds,
        TrapKind::TableOutOfBounds,
        TrapKind::UndefinedElement,
        TrapKind::UninitializedElement,
        TrapKind::IndirectCallTypeMismatch,
        TrapKind::StackExhausted,
        TrapKind::HostError,
        TrapKind::UncaughtException,
        TrapKind::NullException,
        TrapKind::NullReference,
        TrapKind::UnalignedAtomic,
        TrapKind::ExpectedSharedMemory,
        TrapKind::EndlessWait,
    ];

    /// The name, worded as the WebAssembly specification words it.
    pub fn name(self) -> &'static str {
        match self {
            TrapKind::Unreachable => "unreachable",
            TrapKind::IntegerDivideByZero => "integer divide by zero",
            TrapKind::IntegerOverflow => "integer overflow",
            TrapKind::InvalidConversionToInteger => "invalid conversion to integer",
            TrapKind::MemoryOutOfBounds => "out of bounds memory access",
            TrapKind::TableOutOfBounds => "out of bounds table access",
            TrapKind::UndefinedElement => "undefined element",
            TrapKind::UninitializedElement => "uninitialized element",
            TrapKind::IndirectCallTypeMismatch => "indirect call type mismatch",
            TrapKind::StackExhausted => "stack exhausted",
            TrapKind::HostError => "host error",
            TrapKind::UncaughtException => "uncaught exception",
            TrapKind::NullException => "null exception reference",
            TrapKind::NullReference => "null reference",
            TrapKind::UnalignedAtomic => "unaligned atomic",
            TrapKind::ExpectedSharedMemory => "expected shared memory",
            TrapKind::EndlessWait => "endless atomic wait",
        }
    }

    /// A small number for the kind, for machine code that reports it. Below 128.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The kind with that [code](TrapKind::code).
    pub fn from_code(code: u8) -> Option<TrapKind> {
        TrapKind::ALL.get(usize::from(code)).copied()
    }
}

impl fmt::Display for TrapKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
