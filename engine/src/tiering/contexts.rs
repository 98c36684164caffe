//! Contexts: what is known of frames that leave a version at a guard, and what continuations are specialized for.
//!
//! A frame that leaves because a branch went the other way is in a phase of the program in which it may go that way for
//! long. Its *context* is the point where it continues, with all that its version speculates on but with that branch the
//! other way. A continuation that is compiled for it is as specialized as the version was, and its own guard leaves when
//! the phase ends: for the context that differs in that branch again, which there is already. So a program that changes
//! between phases changes between versions, each of which is compiled once.
//!
//! A frame of code with inlined bodies leaves as several activations. Its context has all of them, and the continuation stands
//! for the same ones: it is a frame of the same bodies, merged as they were.
//!
//! A frame that is hijacked has a context, too: all that its version speculates on ([dispatched
//! landings](crate::transition::dispatch)). And one that is hot in a loop, whose [invariants](super::invariants) are known.
//!
//! This is the dispatch table of Flückiger et al., "Deoptless", PLDI 2022, for what our code speculates on; there contexts
//! are types of values. It is bounded: when it is full, exits lead to continuations for which nothing is known.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use osr_compiler::Speculations;
use osr_ir::{FunctionIndex, Point, Register};

use crate::code::CodeVersion;
use crate::instance::Instance;

/// The contexts of a function: by number, those that code was asked for.
#[derive(Debug, Default)]
pub(crate) struct Contexts(Mutex<Vec<Context>>);

/// What registers of a function hold, in ascending order.
pub(crate) type Values = Arc<[(Register, u64)]>;

#[derive(Debug)]
struct Context {
    place: ContextPlace,
    speculation: Speculations,
    /// If there are any, nothing but these is known.
    values: Values,
}

/// Numbers of contexts, as far as there are places for code.
const NUMBERS: usize = 1 << 8;

/// Where frames are that a context is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContextPlace {
    /// Where the function's activation is.
    pub(crate) point: Point,
    /// The activations of inlined bodies that the frames stand for, too: each was called by the one before.
    pub(crate) inner: Box<[(FunctionIndex, Point)]>,
}

impl ContextPlace {
    /// That of frames at the `site`th site of `version`.
    pub(crate) fn of(instance: &Instance, version: &CodeVersion, site: u32) -> ContextPlace {
        let mut activations = instance.activations(version, site).into_iter().rev();
        let outermost = activations.next().expect("every frame is one of some activation");
        let inner = activations.map(|activation| (activation.function, activation.point)).collect();
        ContextPlace { point: outermost.point, inner }
    }
}

impl Contexts {
    fn contexts(&self) -> MutexGuard<'_, Vec<Context>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the context of frames that continue at `place`, where `speculation` is what to rely on. None if it is
    /// not known, and there are `most` already.
    pub(crate) fn number(&self, place: &ContextPlace, speculation: Speculations, most: u8) -> Option<u32> {
        let mut contexts = self.contexts();
        let is_of_speculation = |known: &&Context| known.values.is_empty();
        let is_same = |known: &Context| {
            known.values.is_empty() && known.place == *place && known.speculation == speculation
        };
        if let Some(known) = contexts.iter().position(is_same) {
            return Some(known as u32);
        }
        let count = contexts.iter().filter(is_of_speculation).count();
        if count >= usize::from(most) || contexts.len() >= NUMBERS {
            return None;
        }
        contexts.push(Context { place: place.clone(), speculation, values: Values::default() });
        Some(contexts.len() as u32 - 1)
    }

    /// The context of frames at `point` in which registers hold something that is known: its number, and that. There is one
    /// at most.
    pub(super) fn of_values(&self, point: Point) -> Option<(u32, Values)> {
        let contexts = self.contexts();
        let is_there = |known: &Context| !known.values.is_empty() && known.place.point == point;
        let number = contexts.iter().position(is_there)?;
        Some((number as u32, Arc::clone(&contexts[number].values)))
    }

    /// Adds the context of frames at `point` in which registers hold `values`. None if there are `most` such contexts already.
    pub(super) fn add_values(&self, point: Point, values: Values, most: u8) -> Option<u32> {
        let mut contexts = self.contexts();
        let count = contexts.iter().filter(|known| !known.values.is_empty()).count();
        if count >= usize::from(most) || contexts.len() >= NUMBERS {
            return None;
        }
        let place = ContextPlace { point, inner: Box::default() };
        contexts.push(Context { place, speculation: Speculations::default(), values });
        Some(contexts.len() as u32 - 1)
    }

    /// What code for the context of that number relies on.
    pub(crate) fn speculation(&self, number: u32) -> Speculations {
        self.contexts()[number as usize].speculation.clone()
    }

    /// The activations besides the function's that code for the context of that number continues.
    pub(crate) fn inner(&self, number: u32) -> Box<[(FunctionIndex, Point)]> {
        self.contexts()[number as usize].place.inner.clone()
    }

    /// What registers hold in the context of that number, as far as that is known.
    pub(crate) fn values(&self, number: u32) -> Values {
        Arc::clone(&self.contexts()[number as usize].values)
    }
}

#[cfg(test)]
mod tests {
    use osr_compiler::Speculations;
    use osr_ir::{Block, FunctionIndex, Point, Position, Register};

    use super::{ContextPlace, Contexts, Values};

    #[test]
    fn a_context_has_one_number_and_the_table_is_bounded() {
        let contexts = Contexts::default();
        let at_point = |number| ContextPlace { point: Point::new(number), inner: Box::default() };
        let (one, other) = (&at_point(1), &at_point(2));
        let (function, at) = (FunctionIndex::new(0), Position { block: Block::new(3), index: 2 });
        let flip = |speculation: &Speculations| speculation.flipped(function, at);
        let flipped = flip(&Speculations::default());
        assert_eq!(contexts.number(one, Speculations::default(), 2), Some(0));
        assert_eq!(contexts.number(one, flipped.clone(), 2), Some(1));
        assert_eq!(contexts.number(one, flip(&flip(&flipped)), 2), Some(1));
        assert_eq!(contexts.number(other, flipped.clone(), 2), None, "the table is full");
        assert_eq!(contexts.number(one, Speculations::default(), 2), Some(0));
        assert_eq!(contexts.speculation(1), flipped);
    }

    #[test]
    fn a_point_has_one_context_of_values_beside_the_others() {
        let contexts = Contexts::default();
        let [point, other] = [3, 4].map(Point::new);
        let place = ContextPlace { point, inner: Box::default() };
        let values = |bits| Values::from([(Register::new(1), bits)]);
        assert_eq!(contexts.number(&place, Speculations::default(), 1), Some(0));
        assert_eq!(contexts.of_values(point), None);
        assert_eq!(contexts.add_values(point, values(7), 1), Some(1));
        assert_eq!(contexts.of_values(point), Some((1, values(7))));
        assert_eq!(contexts.add_values(other, values(7), 1), None, "there is one already");
        assert_eq!(contexts.number(&place, Speculations::default(), 1), Some(0));
        assert!(contexts.values(0).is_empty());
    }
}
