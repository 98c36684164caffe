//! What compiled code asks of the runtime.

use osr_ir::{Instruction, Register};

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
    /// `throw`.
    Throw,
    /// `throw_ref`.
    ThrowRef,
    /// What refers to the exception that was caught last.
    CaughtRef,
    /// `memory.atomic.wait32`.
    AtomicWait32,
    /// `memory.atomic.wait64`.
    AtomicWait64,
}

impl RuntimeOperation {
    /// All, by number.
    pub const ALL: [RuntimeOperation; 15] = [
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
        RuntimeOperation::Throw,
        RuntimeOperation::ThrowRef,
        RuntimeOperation::CaughtRef,
        RuntimeOperation::AtomicWait32,
        RuntimeOperation::AtomicWait64,
    ];
}

/// An instruction that the runtime carries out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RuntimeCall {
    pub(crate) operation: RuntimeOperation,
    /// `a`, `b`, `c`, as far as there are any.
    pub(crate) operands: [Option<Register>; 3],
    pub(crate) immediate: u64,
    /// What takes the result.
    pub(crate) result: Option<Register>,
}

impl RuntimeCall {
    /// What `instruction` asks of the runtime; none if it does not.
    pub(crate) fn of(instruction: &Instruction) -> Option<RuntimeCall> {
        use Instruction as I;
        use RuntimeOperation as R;
        let call =
            |operation, operands, immediate| RuntimeCall { operation, operands, immediate, result: None };
        let three = |a: &Register, b: &Register, c: &Register| [Some(*a), Some(*b), Some(*c)];
        let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        Some(match instruction {
            I::MemoryGrow { memory, dst, delta } => {
                let operands = [Some(*delta), None, None];
                RuntimeCall { result: Some(*dst), ..call(R::MemoryGrow, operands, memory.as_u32().into()) }
            }
            I::MemoryFill { memory, address, value, length } => {
                call(R::MemoryFill, three(address, value, length), memory.as_u32().into())
            }
            I::MemoryCopy { destination_memory, source_memory, destination, source, length } => {
                let memories = pair(destination_memory.as_u32(), source_memory.as_u32());
                call(R::MemoryCopy, three(destination, source, length), memories)
            }
            I::MemoryInit { memory, segment, destination, source, length } => {
                let both = pair(memory.as_u32(), segment.as_u32());
                call(R::MemoryInit, three(destination, source, length), both)
            }
            I::AtomicWait { memory, is_64, dst, address, offset, expected, timeout } => {
                let operation = if *is_64 { R::AtomicWait64 } else { R::AtomicWait32 };
                let place = pair(memory.as_u32(), *offset);
                RuntimeCall {
                    result: Some(*dst),
                    ..call(operation, three(address, expected, timeout), place)
                }
            }
            I::DataDrop { segment } => call(R::DataDrop, [None; 3], segment.as_u32().into()),
            I::TableGrow { table, dst, value, delta } => {
                let operands = [Some(*value), Some(*delta), None];
                RuntimeCall { result: Some(*dst), ..call(R::TableGrow, operands, table.as_u32().into()) }
            }
            I::TableFill { table, index, value, length } => {
                call(R::TableFill, three(index, value, length), table.as_u32().into())
            }
            I::TableCopy { destination_table, source_table, destination, source, length } => {
                let tables = pair(destination_table.as_u32(), source_table.as_u32());
                call(R::TableCopy, three(destination, source, length), tables)
            }
            I::TableInit { table, segment, destination, source, length } => {
                let both = pair(table.as_u32(), segment.as_u32());
                call(R::TableInit, three(destination, source, length), both)
            }
            I::ElementDrop { segment } => call(R::ElementDrop, [None; 3], segment.as_u32().into()),
            I::Throw { tag } => call(R::Throw, [None; 3], tag.as_u32().into()),
            I::ThrowRef { exception } => call(R::ThrowRef, [Some(*exception), None, None], 0),
            I::CaughtRef { dst } => RuntimeCall { result: Some(*dst), ..call(R::CaughtRef, [None; 3], 0) },
            _ => return None,
        })
    }
}
