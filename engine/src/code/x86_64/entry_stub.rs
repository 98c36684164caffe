//! Entry stubs: what calls of a function enter while it has no code, or if another instance defines it.
//!
//! ```text
//!   mov eax, number                          which function is called; `rax` is no argument register
//!   jmp qword ptr [rdi + interpreter_stub]   `rdi` is the context
//!   int3 ..                                  up to the next stub, never executed
//! ```

use std::mem::offset_of;
use std::ops::Range;

use osr_stubs::Context;

/// Bytes of a stub.
pub(crate) const BYTES: usize = 16;

/// `int3`: what stands where execution never arrives.
pub(crate) const TRAP_INSTRUCTION: u8 = 0xcc;

/// The stubs of the functions with these numbers, one after the other.
pub(crate) fn code(numbers: Range<u32>) -> Vec<u8> {
    let mut code = Vec::with_capacity(numbers.len() * BYTES);
    for number in numbers {
        code.push(0xb8);
        code.extend(number.to_le_bytes());
        code.extend([0xff, 0xa7]);
        code.extend((offset_of!(Context, interpreter_stub) as u32).to_le_bytes());
        code.resize(code.len().next_multiple_of(BYTES), TRAP_INSTRUCTION);
    }
    code
}
