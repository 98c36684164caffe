//! What compiled code asks of the runtime.

/// The operations behind [`Hooks::runtime`](osr_stubs::Hooks::runtime). Operands `a`, `b`, `c` are in the order of the
/// instruction's; the immediate is an index, or two of 32 bits, the first in the high half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum RuntimeOperation {
    /// `memory.grow`.
    MemoryGrow,
    /// `memory.fill`.
    MemoryFill,
    /// `memory.copy`.
    MemoryCopy,
    /// `memory.init`.
    MemoryInit,
    /// `data.drop`.
    DataDrop,
    /// `table.grow`.
    TableGrow,
    /// `table.fill`.
    TableFill,
    /// `table.copy`.
    TableCopy,
    /// `table.init`.
    TableInit,
    /// `elem.drop`.
    ElementDrop,
}

impl RuntimeOperation {
    /// All, by number.
    pub const ALL: [RuntimeOperation; 10] = [
        RuntimeOperation::MemoryGrow,
        RuntimeOperation::MemoryFill,
        RuntimeOperation::MemoryCopy,
        RuntimeOperation::MemoryInit,
        RuntimeOperation::DataDrop,
        RuntimeOperation::TableGrow,
        RuntimeOperation::TableFill,
        RuntimeOperation::TableCopy,
        RuntimeOperation::TableInit,
        RuntimeOperation::ElementDrop,
    ];
}
