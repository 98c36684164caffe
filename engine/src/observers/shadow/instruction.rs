//! One instruction on one frame's registers and the module's state, straight from its definition.

use std::ops::Range;

use osr_compiler::reference::referenced;
use osr_ir::{
    FunctionIndex, Instruction, LoadOp, Register, SignatureIndex, TableIndex, TrapKind, WordLayout,
};

use crate::instance::Instance;
use crate::interpreter::{evaluate_binary, evaluate_unary, execute_runtime};
use crate::memory::linear_memory::LinearMemory;

/// Executes `instruction`, which is not a call of a function.
pub(super) fn execute(
    instance: &Instance,
    instruction: &Instruction,
    words: &WordLayout,
    registers: &mut [u64],
) -> Result<(), TrapKind> {
    use Instruction as I;
    let get = |register: &Register| registers[words.first(register.index())];
    let dst = instruction.definitions().first().map_or(0..0, |dst| words.range(dst.index()));
    if dst.len() > 1 {
        return vector(instance, instruction, words, (registers, dst));
    }
    let (dst, value) = match instruction {
        I::Const { dst, value } => (dst, value.to_bits()),
        I::Copy { dst, src } => (dst, get(src)),
        I::Unary { op, dst, src } => (dst, evaluate_unary(*op, get(src))?),
        I::Binary { op, dst, lhs, rhs } => (dst, evaluate_binary(*op, get(lhs), get(rhs))?),
        I::Select { dst, condition, if_true, if_false } => {
            (dst, get(if get(condition) as u32 != 0 { if_true } else { if_false }))
        }
        I::Load { memory, op, dst, address, offset } => {
            (dst, load(instance.memory_at(*memory), *op, get(address), *offset)?)
        }
        I::Store { memory, op, address, value, offset } => {
            let source = registers[words.range(value.index())].iter().flat_map(|word| word.to_le_bytes());
            let bytes: Vec<u8> = source.take(op.bytes() as usize).collect();
            let is_written = instance.memory_at(*memory).write(effective(get(address), *offset), &bytes);
            return if is_written { Ok(()) } else { Err(TrapKind::MemoryOutOfBounds) };
        }
        I::GlobalGet { dst, global } => (dst, instance.global(*global)),
        I::GlobalSet { global, src } => {
            let source = &registers[words.range(src.index())];
            instance.set_global(*global, source);
            return Ok(());
        }
        I::MemorySize { memory, dst } => (dst, instance.memory_at(*memory).pages().into()),
        I::TrapIf { condition, kind } => {
            return if get(condition) as u32 == 0 { Ok(()) } else { Err(*kind) };
        }
        I::RefFunc { dst, function } => (dst, instance.reference(*function)),
        // SAFETY: the registers are those of the body that contains the instruction.
        other => return unsafe { execute_runtime(instance, other, words, registers.as_mut_ptr()) },
    };
    registers[words.first(dst.index())] = value;
    Ok(())
}

/// The same of an instruction that defines a vector, whose words in `registers` are `dst`.
fn vector(
    instance: &Instance,
    instruction: &Instruction,
    words: &WordLayout,
    (registers, dst): (&mut [u64], Range<usize>),
) -> Result<(), TrapKind> {
    use Instruction as I;
    match instruction {
        I::Const { value, .. } => {
            dst.zip(value.to_words()).for_each(|(word, value)| registers[word] = value);
            Ok(())
        }
        I::Copy { src, .. } => {
            registers.copy_within(words.range(src.index()), dst.start);
            Ok(())
        }
        I::Select { condition, if_true, if_false, .. } => {
            let holds = registers[words.first(condition.index())] as u32 != 0;
            registers.copy_within(words.range((if holds { if_true } else { if_false }).index()), dst.start);
            Ok(())
        }
        // SAFETY: the registers are those of the body that contains the instruction.
        other => unsafe { execute_runtime(instance, other, words, registers.as_mut_ptr()) },
    }
}

/// The function that an indirect call reaches.
pub(super) fn callee(
    instance: &Instance,
    table: TableIndex,
    signature: SignatureIndex,
    index: u32,
) -> Result<FunctionIndex, TrapKind> {
    let reference = instance.table_get(table, index).map_err(|_| TrapKind::UndefinedElement)?;
    // A shadow is alone in its store: there are no functions of others.
    let function = referenced(reference).and_then(|number| instance.own_function(number));
    let function = function.ok_or(TrapKind::UninitializedElement)?;
    let module = instance.module();
    let fits = module.signature_of(function) == module.signature(signature);
    if fits { Ok(function) } else { Err(TrapKind::IndirectCallTypeMismatch) }
}

/// The sum does not wrap.
fn effective(address: u64, offset: u32) -> u64 {
    u64::from(address as u32) + u64::from(offset)
}

fn load(memory: &LinearMemory, op: LoadOp, address: u64, offset: u32) -> Result<u64, TrapKind> {
    use LoadOp::*;
    let count = op.bytes() as usize;
    let mut bytes = [0; 8];
    if !memory.read_into(effective(address, offset), &mut bytes[..count]) {
        return Err(TrapKind::MemoryOutOfBounds);
    }
    let word = u64::from_le_bytes(bytes);
    Ok(match op {
        I32Load8S => u64::from(i32::from(word as i8) as u32),
        I32Load16S => u64::from(i32::from(word as i16) as u32),
        I64Load8S => i64::from(word as i8) as u64,
        I64Load16S => i64::from(word as i16) as u64,
        I64Load32S => i64::from(word as i32) as u64,
        _ => word,
    })
}
