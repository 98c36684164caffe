//! Words: where values are that lie one after the other in words of 64 bits, as the registers of a frame state do.
//!
//! ```text
//!   registers   r0: i32 | r1: v128 | r2: f64          a frame state of 4 words: interpreters keep one in a window,
//!   words       0       | 1      2 | 3                landings write one, continuations load one
//! ```
//!
//! A vector takes two words, the low half first; everything else takes one. So nothing that handles frame states
//! (windows, frame maps, landings, arguments and results of calls) knows vectors: they are words to it. Where there are
//! no vectors, value *n* is word *n*.

use std::ops::Range;

use crate::value::Type;

/// Which words each value of a list takes: each register of a frame state, each global of a module.
#[derive(Clone, Debug)]
pub struct WordLayout {
    count: usize,
    /// Per value, its first word; none if there are no vectors.
    first: Option<Box<[u32]>>,
}

impl WordLayout {
    /// That of values of these types.
    pub fn of(types: impl IntoIterator<Item = Type>) -> WordLayout {
        let mut first = Vec::new();
        let mut count = 0;
        for ty in types {
            first.push(count as u32);
            count += ty.words();
        }
        WordLayout { count, first: (count > first.len()).then(|| first.into()) }
    }

    /// Whether some value is a vector.
    pub fn has_vectors(&self) -> bool {
        self.first.is_some()
    }

    /// How many words there are.
    #[inline(always)]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The first word of the value of that number.
    #[inline(always)]
    pub fn first(&self, number: usize) -> usize {
        match &self.first {
            None => number,
            Some(first) => first[number] as usize,
        }
    }

    /// All words of the value of that number.
    pub fn range(&self, number: usize) -> Range<usize> {
        let end = match &self.first {
            None => number + 1,
            Some(first) => first.get(number + 1).map_or(self.count, |&next| next as usize),
        };
        self.first(number)..end
    }

    /// The number of the value that `word` is of.
    pub fn value_at(&self, word: usize) -> usize {
        match &self.first {
            None => word,
            Some(first) => first.partition_point(|&first| first as usize <= word) - 1,
        }
    }
}

/// The types of the words that values of `types` take: a vector is two integers.
pub fn word_types(types: &[Type]) -> impl Iterator<Item = Type> + Clone + '_ {
    types
        .iter()
        .flat_map(|&ty| std::iter::repeat_n(if ty == Type::V128 { Type::I64 } else { ty }, ty.words()))
}

/// How many words values of `types` take.
pub fn word_count(types: &[Type]) -> usize {
    types.iter().map(|ty| ty.words()).sum()
}
