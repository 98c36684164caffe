//! Instructions that are executed as they are: bulk operations, tables, growing, globals that are shared.

use osr_ir::{Instruction, Register, TrapKind};

use crate::instance::Instance;

/// Executes `instruction` on the registers in `window`.
///
/// # Safety
/// `window` is that of a function whose body contains `instruction`.
#[inline(never)]
pub(crate) unsafe fn execute(
    instance: &Instance,
    instruction: &Instruction,
    window: *mut u64,
) -> Result<(), TrapKind> {
    use Instruction as I;
    // SAFETY: the instruction's registers are words of the window.
    let word = |register: Register| unsafe { *window.add(register.index()) };
    let number = |register: Register| word(register) as u32;
    // SAFETY: as above.
    let set = |register: Register, value: u64| unsafe { *window.add(register.index()) = value };
    match *instruction {
        I::GlobalGet { dst, global } => set(dst, instance.global(global)),
        I::GlobalSet { global, src } => instance.set_global(global, word(src)),
        I::MemoryGrow { dst, delta } => set(dst, instance.memory_grow(number(delta)).into()),
        I::MemoryFill { address, value, length } => {
            instance.memory_fill(number(address), number(value), number(length))?;
        }
        I::MemoryCopy { destination, source, length } => {
            instance.memory_copy(number(destination), number(source), number(length))?;
        }
        I::MemoryInit { segment, destination, source, length } => {
            instance.memory_init(segment, number(destination), number(source), number(length))?;
        }
        I::DataDrop { segment } => instance.drop_data(segment),
        I::TableGet { table, dst, index } => set(dst, instance.table_get(table, number(index))?),
        I::TableSet { table, index, value } => instance.table_set(table, number(index), word(value))?,
        I::TableSize { table, dst } => set(dst, instance.table_size(table).into()),
        I::TableGrow { table, dst, value, delta } => {
            set(dst, instance.table_grow(table, word(value), number(delta)).into());
        }
        I::TableFill { table, index, value, length } => {
            instance.table_fill(table, number(index), word(value), number(length))?;
        }
        I::TableCopy { destination_table, source_table, destination, source, length } => {
            let tables = (destination_table, source_table);
            instance.table_copy(tables, number(destination), number(source), number(length))?;
        }
        I::TableInit { table, segment, destination, source, length } => {
            let (destination, source) = (number(destination), number(source));
            instance.table_init(table, segment, destination, source, number(length))?;
        }
        I::ElementDrop { segment } => instance.drop_elements(segment),
        _ => unreachable!("{instruction:?} has an operation of its own"),
    }
    Ok(())
}
