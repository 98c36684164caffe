//! Exceptions of the guest's: what is thrown, and what an embedder sees of it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use osr_ir::{Type, Value};

/// A tag: a kind of exceptions. Each is different from every other; a clone is the same.
///
/// A host makes tags for modules to import ([`Imports::tag`](crate::Imports::tag)); those that modules define are found by
/// [`Instance::exported_tag`](crate::Instance::exported_tag).
#[derive(Clone)]
pub struct Tag(Arc<(String, Box<[Type]>)>);

impl Tag {
    /// A new tag of exceptions with values of these types. The name is for messages.
    pub fn new(name: &str, types: &[Type]) -> Tag {
        Tag(Arc::new((name.to_owned(), types.into())))
    }

    /// Its name in messages.
    pub fn name(&self) -> &str {
        &self.0.0
    }

    /// The types of the values of its exceptions.
    pub fn types(&self) -> &[Type] {
        &self.0.1
    }
}

impl PartialEq for Tag {
    fn eq(&self, other: &Tag) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Tag {}

impl fmt::Debug for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Tag({:?})", self.name())
    }
}

/// An exception: a tag and values.
#[derive(Debug)]
pub struct Exception {
    tag: Tag,
    words: Box<[u64]>,
    /// The word of type `exnref` that refers to it in its store, once it has one.
    reference: OnceLock<u32>,
}

impl Exception {
    /// An exception with those words as values, one each, two of a vector ([`Value::to_words`]).
    ///
    /// # Panics
    /// If there are more words than the tag's types take, or fewer.
    pub fn new(tag: &Tag, words: &[u64]) -> Exception {
        let count: usize = tag.types().iter().map(|ty| ty.words()).sum();
        assert_eq!(words.len(), count, "the words of an exception of {tag:?}");
        Exception { tag: tag.clone(), words: words.into(), reference: OnceLock::new() }
    }

    /// The same of values.
    ///
    /// # Panics
    /// If they are not of the tag's types.
    pub fn of(tag: &Tag, values: &[Value]) -> Exception {
        assert!(
            values.iter().map(|value| value.ty()).eq(tag.types().iter().copied()),
            "the values of {tag:?}"
        );
        let words: Vec<u64> = values.iter().flat_map(|value| value.to_words()).collect();
        Exception::new(tag, &words)
    }

    /// What kind of exception it is.
    pub fn tag(&self) -> &Tag {
        &self.tag
    }

    /// Its values, as words.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The word that refers to it in its store, which `number` makes if there is none.
    pub(crate) fn reference(&self, number: impl FnOnce() -> u32) -> u32 {
        *self.reference.get_or_init(number)
    }
}

impl PartialEq for Exception {
    fn eq(&self, other: &Exception) -> bool {
        (&self.tag, &self.words) == (&other.tag, &other.words)
    }
}

impl Eq for Exception {}

impl fmt::Display for Exception {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "exception {} (", osr_ir::Shown(self.tag.name()))?;
        let mut words = &*self.words;
        for (position, ty) in self.tag.types().iter().enumerate() {
            let (value, rest) = words.split_at(ty.words());
            words = rest;
            write!(formatter, "{}", if position == 0 { "" } else { ", " })?;
            match ty {
                Type::I32 => write!(formatter, "{}", value[0] as i32)?,
                Type::I64 => write!(formatter, "{}", value[0] as i64)?,
                Type::F32 => write!(formatter, "{}", f32::from_bits(value[0] as u32))?,
                Type::F64 => write!(formatter, "{}", f64::from_bits(value[0]))?,
                _ => value.iter().rev().try_for_each(|word| write!(formatter, "{word:#x}"))?,
            }
        }
        write!(formatter, ")")
    }
}
