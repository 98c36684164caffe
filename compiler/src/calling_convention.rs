//! How guest calls use the machine: System V, the context as the first argument.
//!
//! Arguments go to `rsi, rdx, rcx, r8, r9`, `xmm0..7`, then the stack. The first two results of each
//! class come back in `rax, rdx` and `xmm0, xmm1`; the others through [`Context::results`], at the index
//! that is their position: System V has no registers for more.
//!
//! A vector is [two integers](osr_ir::word_layout) to a call, the low one first: no stub, landing or host call has to
//! know of vectors, and a function that returns one does so in `rax, rdx`.
//!
//! Between compiled functions integers of 32 bits travel zero-extended to 64: callers extend arguments, callees results.
//! What comes from elsewhere is made [canonical], which is the same.
//!
//! [canonical]: canonical
//! [`Context::results`]: osr_stubs::Context::results

use osr_ir::word_layout::word_types;
use osr_ir::{Signature, Type};
use osr_stubs::{NativeArguments, NativeResults};

/// Where one word of the arguments or results travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The `n`th general register of its kind.
    Integer(u8),
    /// The `n`th vector register.
    Float(u8),
    /// The `n`th word: of the stack arguments, or of the results in the context.
    Memory(u32),
}

/// The places of a signature's arguments and results, word by word.
#[derive(Clone, Debug)]
pub struct CallLayout {
    /// Per word of the parameters.
    pub parameters: Box<[Place]>,
    /// The types of these words.
    pub parameter_types: Box<[Type]>,
    /// Per word of the results.
    pub results: Box<[Place]>,
    /// The types of these words.
    pub result_types: Box<[Type]>,
    /// Words of stack arguments.
    pub stack_words: u32,
}

impl CallLayout {
    /// The layout of `signature`.
    pub fn of(signature: &Signature) -> CallLayout {
        let parameter_types: Box<[Type]> = word_types(&signature.parameters).collect();
        let result_types: Box<[Type]> = word_types(&signature.results).collect();
        let mut stack_words = 0;
        let parameters = places(&parameter_types, 5, 8, |_| {
            stack_words += 1;
            stack_words - 1
        });
        let results = places(&result_types, 2, 2, |position| position);
        CallLayout { parameters, parameter_types, results, result_types, stack_words }
    }

    /// Distributes `window`'s first words as arguments. `stack` takes those that continue the stack.
    ///
    /// # Safety
    /// `window` has a word for each of the parameters', `stack` for each stack argument.
    #[inline]
    pub unsafe fn write_arguments(&self, window: *const u64, stack: *mut u64) -> NativeArguments {
        let mut arguments = NativeArguments {
            integer: [0; 5],
            float: [0; 8],
            stack,
            stack_words: u64::from(self.stack_words),
        };
        for (position, place) in self.parameters.iter().enumerate() {
            // SAFETY: the caller vouches for the window and the stack words.
            unsafe {
                let word = *window.add(position);
                match *place {
                    Place::Integer(n) => arguments.integer[usize::from(n)] = word,
                    Place::Float(n) => arguments.float[usize::from(n)] = word,
                    Place::Memory(n) => *stack.add(n as usize) = word,
                }
            }
        }
        arguments
    }

    /// Collects `arguments` into `window`.
    ///
    /// # Safety
    /// As for [`Self::write_arguments`]; the stack arguments are where `arguments` says.
    #[inline]
    pub unsafe fn read_arguments(&self, arguments: &NativeArguments, window: *mut u64) {
        for (position, place) in self.parameters.iter().enumerate() {
            let word = match *place {
                Place::Integer(n) => arguments.integer[usize::from(n)],
                Place::Float(n) => arguments.float[usize::from(n)],
                // SAFETY: the caller vouches for the stack words.
                Place::Memory(n) => unsafe { *arguments.stack.add(n as usize) },
            };
            // SAFETY: the caller vouches for the window.
            unsafe { *window.add(position) = canonical(self.parameter_types[position], word) };
        }
    }

    /// Puts `window`'s first words where results are returned. `more` is [`Context::results`].
    ///
    /// [`Context::results`]: osr_stubs::Context::results
    ///
    /// # Safety
    /// `window` and `more` have a word for each result.
    #[inline]
    pub unsafe fn write_results(&self, window: *const u64, results: &mut NativeResults, more: *mut u64) {
        for (position, place) in self.results.iter().enumerate() {
            // SAFETY: the caller vouches for the window and the context's words.
            unsafe {
                let word = *window.add(position);
                match *place {
                    Place::Integer(n) => results.integer[usize::from(n)] = word,
                    Place::Float(n) => results.float[usize::from(n)] = word,
                    Place::Memory(n) => *more.add(n as usize) = word,
                }
            }
        }
    }

    /// Reads word number `position` of the results.
    ///
    /// # Safety
    /// `more` has a word for each result.
    #[inline]
    pub unsafe fn read_result(&self, position: usize, results: &NativeResults, more: *const u64) -> u64 {
        let word = match self.results[position] {
            Place::Integer(n) => results.integer[usize::from(n)],
            Place::Float(n) => results.float[usize::from(n)],
            // SAFETY: the caller vouches for the context's words.
            Place::Memory(n) => unsafe { *more.add(n as usize) },
        };
        canonical(self.result_types[position], word)
    }
}

/// The word as frame states hold it: the machine leaves the high half of a register undefined where
/// the value has 32 bits.
#[inline(always)]
pub fn canonical(ty: Type, word: u64) -> u64 {
    match ty {
        Type::I32 | Type::F32 => word & 0xffff_ffff,
        Type::I64 | Type::F64 | Type::V128 | Type::Funcref | Type::Externref | Type::Exnref => word,
    }
}

fn places(types: &[Type], integers: u8, floats: u8, mut memory: impl FnMut(u32) -> u32) -> Box<[Place]> {
    let (mut integer, mut float) = (0, 0);
    let place = |(position, ty): (usize, &Type)| {
        let (next, limit) = if ty.is_float() { (&mut float, floats) } else { (&mut integer, integers) };
        if *next == limit {
            return Place::Memory(memory(position as u32));
        }
        *next += 1;
        if ty.is_float() { Place::Float(*next - 1) } else { Place::Integer(*next - 1) }
    };
    types.iter().enumerate().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_beyond_the_registers_go_on_the_stack_in_order() {
        let parameters = vec![Type::I64; 7];
        let layout = CallLayout::of(&Signature::new(parameters, vec![]));
        assert_eq!(layout.parameters[4], Place::Integer(4));
        assert_eq!(layout.parameters[5..], [Place::Memory(0), Place::Memory(1)]);
        assert_eq!(layout.stack_words, 2);
    }

    #[test]
    fn results_beyond_the_registers_go_through_the_context_by_position() {
        let results = vec![Type::I32, Type::F64, Type::I32, Type::I64, Type::F32, Type::F32];
        let layout = CallLayout::of(&Signature::new(vec![], results));
        let expected = [
            Place::Integer(0),
            Place::Float(0),
            Place::Integer(1),
            Place::Memory(3),
            Place::Float(1),
            Place::Memory(5),
        ];
        assert_eq!(*layout.results, expected);
    }
}
