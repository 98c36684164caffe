//! Instructions that are executed as they are: bulk operations, tables, growing, globals that are shared, vectors, further memories.

use std::sync::atomic::Ordering;

use osr_ir::{Instruction, Register, TrapKind, Type, WordLayout};

use super::vector::{evaluate, shuffle};
use crate::instance::Instance;

/// Executes `instruction` on the registers in `window`, which are where `words` says.
///
/// # Safety
/// `window` is that of a function whose body contains `instruction`, and has these words.
#[inline(never)]
pub(crate) unsafe fn execute(
    instance: &Instance,
    instruction: &Instruction,
    words: &WordLayout,
    window: *mut u64,
) -> Result<(), TrapKind> {
    use Instruction as I;
    // SAFETY: the instruction's registers are words of the window.
    let word = |register: Register| unsafe { *window.add(words.first(register.index())) };
    let number = |register: Register| word(register) as u32;
    // SAFETY: as above.
    let set = |register: Register, value: u64| unsafe { *window.add(words.first(register.index())) = value };
    // SAFETY: as above; a vector has two words.
    let vector = |register: Register| unsafe { window.add(words.first(register.index())).cast::<u128>() };
    match *instruction {
        I::GlobalGet { dst, global } => {
            for (n, from) in instance.global_words(global).iter().enumerate() {
                // SAFETY: the register has as many words.
                unsafe { *window.add(words.first(dst.index()) + n) = from.load(Ordering::Relaxed) };
            }
        }
        I::GlobalSet { global, src } => {
            for (n, to) in instance.global_words(global).iter().enumerate() {
                // SAFETY: as above.
                to.store(unsafe { *window.add(words.first(src.index()) + n) }, Ordering::Relaxed);
            }
        }
        I::Load { memory, op, dst, address, offset } => {
            let value = instance.load_from(memory, op, u64::from(number(address)) + u64::from(offset))?;
            match op.result() {
                // SAFETY: a register with two words.
                Type::V128 => unsafe { vector(dst).write_unaligned(value) },
                _ => set(dst, value as u64),
            }
        }
        I::Store { memory, op, address, value, offset } => {
            let value = match op.result() {
                // SAFETY: a register with two words.
                Type::V128 => unsafe { vector(value).read_unaligned() },
                _ => word(value).into(),
            };
            instance.store_to(memory, op, u64::from(number(address)) + u64::from(offset), value)?;
        }
        I::MemorySize { memory, dst } => set(dst, instance.memory_at(memory).pages().into()),
        I::Vector { op, lane, dst, ref operands } => {
            let mut values = [0; 3];
            for ((value, &register), &ty) in values.iter_mut().zip(operands).zip(op.operands()) {
                *value = match ty {
                    // SAFETY: a register with two words.
                    Type::V128 => unsafe { vector(register).read_unaligned() },
                    _ => word(register).into(),
                };
            }
            let value = evaluate(op, lane, &values[..operands.len()]);
            match op.result() {
                // SAFETY: a register with two words.
                Type::V128 => unsafe { vector(dst).write_unaligned(value) },
                _ => set(dst, value as u64),
            }
        }
        I::Shuffle { lanes, dst, lhs, rhs } => {
            // SAFETY: registers with two words.
            unsafe {
                let (lhs, rhs) = (vector(lhs).read_unaligned(), vector(rhs).read_unaligned());
                vector(dst).write_unaligned(shuffle(lanes, lhs, rhs));
            }
        }
        I::MemoryGrow { memory, dst, delta } => {
            set(dst, instance.memory_grow(memory, number(delta)).into());
        }
        I::MemoryFill { memory, address, value, length } => {
            instance.memory_fill(memory, number(address), number(value), number(length))?;
        }
        I::MemoryCopy { destination_memory, source_memory, destination, source, length } => {
            let memories = (destination_memory, source_memory);
            instance.memory_copy(memories, number(destination), number(source), number(length))?;
        }
        I::MemoryInit { memory, segment, destination, source, length } => {
            let (destination, source) = (number(destination), number(source));
            instance.memory_init(memory, segment, destination, source, number(length))?;
        }
        I::AtomicWait { memory, is_64, dst, address, offset, expected, timeout } => {
            let place = (memory, u64::from(number(address)) + u64::from(offset));
            let expected = if is_64 { word(expected) } else { number(expected).into() };
            set(dst, instance.atomic_wait(is_64, place, expected, word(timeout) as i64)?.into());
        }
        I::DataDrop { segment } => instance.drop_data(segment),
        I::TableGet { table, dst, index } => set(dst, instance.table_get(table, number(index))?),
        I::TableSet { table, index, value } => instance.table_set(table, number(index), word(value))?,
        I::TableSize { table, dst } => set(dst, instance.table_size(table).into()),
        I::TableRefers { table, dst, index, function } => {
            let entry = instance.table_get(table, number(index));
            set(dst, u64::from(entry == Ok(instance.reference(function))));
        }
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
        I::Throw { tag } => return Err(instance.throw(tag)),
        I::ThrowRef { exception } => return Err(instance.throw_ref(word(exception))),
        I::Interpret => {}
        I::CaughtRef { dst } => set(dst, instance.caught_ref().into()),
        _ => unreachable!("{instruction:?} has an operation of its own"),
    }
    Ok(())
}
